"""Which passes there are: every class with a `name` in a module of a phase's folder, one pass to a file."""

import importlib
import pkgutil
from dataclasses import Field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

from mlir import ir
from mlir.passmanager import ExternalPass

PHASE_FOLDERS = ("imported", "integer", "mapping", "tiling", "planning", "verification")
"""The folders of passes, in the order of the pipeline."""


class Pass(Protocol):
    """A pass: a frozen dataclass whose fields are its options; `target: Soc` is filled in by the pipeline;
    one that has None as its default does without.
    """

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        """Rewrite the module in place; emit errors at locations and signal failure."""


@cache
def passes() -> dict[str, type[Pass]]:
    """Return htvm's passes by name, in alphabetical order. The file of `tile-buffers` is `tile_buffers.py`."""
    found: dict[str, type[Pass]] = {}
    for phase in PHASE_FOLDERS:
        for module in pkgutil.iter_modules([str(Path(__file__).parent / phase)]):
            contents = vars(importlib.import_module(f"{__package__}.{phase}.{module.name}"))
            name = module.name.replace("_", "-")
            own = [item for item in contents.values() if isinstance(item, type) and getattr(item, "name", None) == name]
            if own:
                found[name] = own[0]
    return dict(sorted(found.items()))


def summary(own: type[Pass]) -> str:
    """Return the first line of a pass's header: `name: what it does`."""
    lines = (importlib.import_module(own.__module__).__doc__ or "").splitlines()
    return lines[0].partition(": ")[2]
