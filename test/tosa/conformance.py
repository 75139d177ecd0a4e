"""What becomes of each operation: `python test/tosa/conformance.py > docs/integrations/tosa-operations.md`.

Each case of the tests is converted alone. What it becomes is read from the layers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from mlir import ir

from htvm import dialects
from htvm.dialects import accel
from htvm.passes.tosa.refusals import REMEDIES
from htvm.run_passes import run_passes
from tosa.cases import inputs
from tosa.every_case import CASES

MOVES = ("reshape", "transpose")
"""Layers around others: convolutions have channels first."""


def becomes(name: str) -> str:
    """Return what a case becomes: the layers that compute it, or a function that is called."""
    f = inputs()
    f.result(CASES[name](f))
    module = ir.Module.parse(f.text(), dialects.context())
    run_passes("convert-tosa-to-accel,canonicalize-layers", module, None, name)
    layers = dict.fromkeys(accel.op_name(layer) for layer in accel.layers(module))
    own = [each for each in layers if each not in MOVES] or list(layers)
    if not own:
        return "folded"
    return ", ".join("called" if each == "call" else f"`accel.{each}`" for each in own)


HEADER = """# Operations of TOSA

What becomes of each operation, in each form that the tests have. A **layer** (`accel.conv2d`, ..) is computed by a
kernel, or by an accelerator that computes it exactly. What is **called** is a function that MLIR's own passes make, on
the host. Forms that are not listed are called too, where these passes lower them.

All {count} forms are executed as C and compared for equality with TOSA's meaning, and that with Arm's
`tosa_reference_model`, for inputs with the smallest and the largest integer of each type. Modules may also have integer
operations of linalg, tensor, arith, math and scf: they are called.

This page is printed by `test/tosa/conformance.py`; a test compares.

## Compiled
"""

REFUSED = """
## Refused

All refusals of a module come at once, each with the place of the operation, the reason and what helps.

| what | why, and what helps |
|---|---|
| operations on floats | quantise the model first: full integer quantisation for TFLite |
| inputs or results of other integers than 8, 16 or 32 bits | no C type of the interface holds them: cast or rescale |
| shapes that stay open | give the sizes of inputs: `--shape NAME=1x32x32x3` |
| several results of one operation, as of a loop | a function that is called gives one |"""


def page() -> Iterator[str]:
    """Yield the lines of the page: for each operation what it becomes, and in which forms; and what is refused."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in CASES:
        op, _, form = name.partition(": ")
        found.setdefault((op, becomes(name)), []).append(form)
    yield HEADER.format(count=len(CASES))
    yield "| operation | becomes | forms |"
    yield "|---|---|---|"
    for op, how in sorted(found):
        yield f"| `{op}` | {how} | {'; '.join(found[op, how])} |"
    yield REFUSED
    for op, remedy in sorted(REMEDIES.items()):
        yield f"| `{op}` | {remedy} |"


if __name__ == "__main__":
    print("\n".join(page()))
