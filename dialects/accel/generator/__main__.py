"""Write the Python side of the accel dialect from its definitions; CMake runs it.

    llvm-tblgen --dump-json AccelOps.td -o accel.json
    PYTHONPATH=dialects/accel python -m generator accel.json FOLDER

FOLDER gets `_attributes.py`: a class for each attribute and an enum for each choice, `AccelPython.cpp.inc`: the C
functions that these call, `_families.py`: an abstract class for each family of operations, and `_accel_ops_gen.pyi`:
the types of the operation classes that mlir-tblgen makes. mlir-tblgen has a generator for operation classes, but none
for attributes, and none that writes types.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .attribute_classes import attributes_module
from .c_functions import c_functions
from .definitions import Definitions
from .families import families_module
from .operation_types import operations_stub


def main(definitions: str, folder: str) -> None:
    dialect = Definitions(json.loads(Path(definitions).read_text(encoding="utf-8")))
    target = Path(folder)
    (target / "_attributes.py").write_text(attributes_module(dialect), encoding="utf-8")
    (target / "AccelPython.cpp.inc").write_text(c_functions(dialect), encoding="utf-8")
    (target / "_accel_ops_gen.pyi").write_text(operations_stub(dialect), encoding="utf-8")
    (target / "_families.py").write_text(families_module(dialect), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
