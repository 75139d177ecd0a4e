"""Which passes there are: every class with a `name` in a module of this folder, one pass to a file."""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import ClassVar, Protocol

from mlir import ir
from mlir.passmanager import ExternalPass


class Pass(Protocol):
    """A pass: a frozen dataclass whose fields are its options; `target: Soc` is filled in by the pipeline."""

    name: ClassVar[str]

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        """Rewrite the module in place; emit errors at locations and signal failure."""


@cache
def passes() -> dict[str, type[Pass]]:
    """Return htvm's passes by name, in alphabetical order. The file of `tile-buffers` is `tile_buffers.py`."""
    found: dict[str, type[Pass]] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.ispkg or module.name in ("pipeline", "registry"):
            continue
        contents = vars(importlib.import_module(f"{__package__}.{module.name}"))
        wanted = module.name.replace("_", "-")
        own = [item for item in contents.values() if isinstance(item, type) and getattr(item, "name", None) == wanted]
        if len(own) != 1:
            raise AssertionError(f"passes/{module.name}.py has {len(own)} passes named '{wanted}', expected 1")
        found[wanted] = own[0]
    return found


def summary(own: type[Pass]) -> str:
    """Return the first line of a pass's header: `name: what it does`."""
    lines = (importlib.import_module(own.__module__).__doc__ or "").splitlines()
    return lines[0].partition(": ")[2]
