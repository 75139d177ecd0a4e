"""What is left for activations beside the code of patches, whose steps share what they do."""

from pathlib import Path

import htvm
from htvm.dialects import accel
from htvm.driver import parsed
from htvm.passes import pipeline
from htvm.passes.analysis import room

EXAMPLE = (Path(__file__).parents[2] / "passes" / "split_patches.mlir").read_text().split("// -----")[0]
"""Two 3x3 convolutions of 8 rows."""


def estimate(patches: int) -> int:
    """Return the code of the steps of the two layers in so many patches; 1: whole."""
    module = parsed(EXAMPLE, "example")
    if patches > 1:
        passes = pipeline.build(
            f"split-patches{{layers=2 patches={patches}}}", htvm.load_target("rv32"), module.context
        )
        passes.run(module.operation)
    (function,) = accel.functions(module.operation)
    return room.patches_bytes(function)


def test_each_step_of_patches_is_a_call_and_work_is_counted_once() -> None:
    """In 4 patches each layer's first and last one differ from those between; copies are all of two rows."""
    assert estimate(1) == 0
    copies, parts, works = 2 * 3, 2 * 4, 3 + 3
    assert estimate(4) == room.CALL_BYTES * (copies + parts) + room.WORK_BYTES * works + room.COPY_BYTES
