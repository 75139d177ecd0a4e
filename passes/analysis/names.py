"""What globals are called."""

import itertools
import re

from mlir import ir


class Names:
    """The symbols of a module; `free` gives a new one."""

    def __init__(self, module: ir.Operation) -> None:
        top_level = (op.operation.attributes for op in module.regions[0].blocks[0])
        self._taken = {ir.StringAttr(each["sym_name"]).value for each in top_level if "sym_name" in each}

    def free(self, wanted: str) -> str:
        """Return a name that no symbol has, and take it: `wanted`, or that with a number."""
        names = itertools.chain([wanted], (f"{wanted}_{number}" for number in itertools.count(2)))
        name = next(name for name in names if name not in self._taken)
        self._taken.add(name)
        return name


def identifier(text: str) -> str:
    """Return a C identifier as like `text` as can be."""
    name = re.sub(r"[\W_]+", "_", text, flags=re.ASCII).strip("_")
    return name if name[:1].isalpha() else f"node_{name}"
