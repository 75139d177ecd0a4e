"""Is MLIR installed in the version that the dialect was compiled against?"""

from __future__ import annotations

from importlib import metadata

BINDINGS = "xtc-mlir-python-bindings"
"""The package that has `mlir`."""


class MlirVersionError(ImportError):
    """Another version of MLIR is installed; the message says which is needed."""


def check() -> None:
    """Raise MlirVersionError if the package `mlir` is not the one that htvm's own installation names.

    The dialect finds MLIR's symbols when it is loaded. With another version they are missing, or lie elsewhere.
    """
    needed, found = needed_version(), metadata.version(BINDINGS)
    if needed is not None and found != needed:
        raise MlirVersionError(
            f"htvm was built for MLIR {needed}, but {BINDINGS} {found} is installed: "
            f"pip install '{BINDINGS}=={needed}', or build htvm again for the other one"
        )


def needed_version() -> str | None:
    """Return the version that htvm requires; None where htvm is on a path without being installed."""
    try:
        requirements = metadata.requires("htvm") or []
    except metadata.PackageNotFoundError:
        return None
    return next((each.partition("==")[2] for each in requirements if each.startswith(f"{BINDINGS}==")), None)
