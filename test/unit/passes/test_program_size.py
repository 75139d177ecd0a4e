"""How many commands a layer has in the program, written as loops: an upper bound, and all layers together fit."""

import re
import sys
from pathlib import Path

import pytest
from mlir import ir
from selection import slow

import htvm
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.driver import lower
from htvm.options import CompileOptions
from htvm.passes.analysis import activations
from htvm.passes.analysis.program_size import written
from htvm.passes.analysis.residency import Residency
from htvm.passes.analysis.tiles import Tiling
from htvm.passes.tiling import tiler

sys.path.append(str(Path(__file__).parents[2] / "end_to_end"))
import models  # noqa: E402

DIANA = targets.load("diana").with_engines(["digital", "host"])
CALL = re.compile(r"^ +htvm_(?:copy|copy_rows|copy_maps|launch|launch_at|wait)\(", re.MULTILINE)


def residency(name: str, soc: Soc, objective: str = "latency") -> Residency:
    """Return the choices for a network, `choices`, with all that they need."""
    module, _ = lower(models.path(name), soc, "scheduled", CompileOptions(objective=objective))
    (function,) = accel.functions(module)
    for layer in activations.layers(function):
        if "accel.tiling" in layer.operation.attributes:
            del layer.operation.attributes["accel.tiling"]
    found = Residency(soc, list(activations.layers(function)), objective=objective)
    with module.context, ir.Location.unknown():
        found.choices = found.settle()
    found.module = module
    return found


@pytest.mark.parametrize(
    ("shapes", "period", "wanted"),
    [
        ([("a", 100)], 1, 4),
        ([("a", 100)], 2, 6),
        ([("a", 3)], 1, 3),
        ([("top", 1), ("inside", 30), ("bottom", 1)], 1, 3),
        ([("top", 1), ("inside", 31), ("bottom", 1)], 2, 1 + 2 + 1 + 1),
        ([("top", 1), ("inside", 1), ("inside", 4), ("bottom", 2)], 2, 1 + 5 + 2),
    ],
)
def test_what_follows_each_other_alike_is_written_once(shapes: list, period: int, wanted: int) -> None:
    assert written(shapes, period, ends=2) == wanted


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("conv2d_3x3_s2", [(16, 1, 1, 1), (16, 2, 3, 2), (32, 5, 16, 2)]),
        slow(("conv2d_1x1_256x256", [(16, 1, 1, 1), (32, 2, 1, 2)])),
        ("depthwise_5x5_s2", [(16, 1, 1, 1), (16, 3, 4, 2)]),
        ("add_16x32x32_shift0", [(16, 3, 1, 1), (16, 1, 4, 2)]),
    ],
)
def test_no_more_calls_are_written_than_are_counted(name: str, sizes: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiler, "STRAIGHT", (0,))
    found = residency(f"htvm/layers/{name}", DIANA)
    (one,) = found.placed
    with found.module.context:
        search = found.search(one, found.left(one))
    for outputs, rows, columns, buffers in sizes:
        tiling = Tiling(outputs, rows, columns, loads=True, stores=True, buffers=buffers)
        node = {
            "node": accel.node(one.layer),
            "op": accel.op_name(one.layer),
            "engine": "digital",
        }
        facts = {"outputs": outputs, "rows": rows, "columns": columns, "buffers": buffers}
        flags = {"loads": True, "stores": True, "outputs_first": True}
        network = htvm.compile(models.path(f"htvm/layers/{name}"), DIANA, plan=[{**node, "tiling": facts | flags}])
        number = len(CALL.findall(network.project.files[f"{network.project.report.name}.c"]))
        assert 10 < number <= search.code_bytes(tiling) // DIANA.host.call_bytes


def test_layers_share_the_memory_for_code() -> None:
    """The layers of a residual network with 2 kB of L1 in the fewest bytes: each alone would fit, all together not."""
    soc = DIANA.with_memory("l1", 2 * 1024).with_memory("l2_private", 32 * 1024)
    found = residency("htvm/resnet8_digital", soc, "memory")
    sizes = [found.code_bytes(one, found.choices[one.output]) for one in found.placed]
    assert found.code_budgets and sum(sizes) <= soc.calls_room_bytes
