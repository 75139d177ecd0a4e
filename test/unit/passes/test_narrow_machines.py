"""Passes that rewrite layers for accelerators, on machines without a host or with next to no room for weights."""

from pathlib import Path

import pytest

from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.import_onnx import import_onnx
from htvm.passes import pipeline

MODELS = Path(__file__).parents[2] / "inputs" / "models" / "htvm"
DIANA = targets.load("diana")
REWRITES = "fuse-converters,convert-lut-to-depthwise,legalize-conv,split-clamp"


def rewritten(name: str, soc: Soc) -> list[str]:
    """Return the layers that the passes make of a model's."""
    module = import_onnx(MODELS / f"{name}.onnx")
    pipeline.build(f"integer,{REWRITES}", soc, module.context).run(module.operation)
    return [
        f"{layer.operation.name} {list(layer.weights.type.shape[2:])}"
        for layer in accel.layers(module)
        if isinstance(layer, accel.Conv2dOp)
    ]


@pytest.mark.parametrize(("name", "kernel"), [("refused/kernel_2x2", [3, 3]), ("refused/kernel_4x10", [4, 10])])
def test_without_a_host_kernels_are_fitted_if_nothing_moves_first(name: str, kernel: list[int]) -> None:
    assert rewritten(name, DIANA.with_engines(["digital"])) == [f"accel.conv2d {kernel}"]


def test_a_converter_without_room_for_weights_is_no_reason_to_fuse() -> None:
    name = "layers/aconv_1x1_128x128_vector"
    assert len(rewritten(name, DIANA)) == 1
    assert len(rewritten(name, DIANA.with_memory("analog_array", 4096))) == 2
