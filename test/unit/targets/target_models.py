"""The layers of the test networks as engines see them."""

from functools import cache
from pathlib import Path

from mlir import ir

from htvm.dialects import accel
from htvm.import_onnx import import_onnx
from htvm.passes import pipeline
from htvm.passes.mapping import fuse_converters

MODELS = Path(__file__).parents[2] / "inputs/models/htvm"


@cache
def integer_module(name: str) -> ir.Module:
    """Return a model of MODELS at stage 'integer'; kept, as operations do not keep the module they are in."""
    module = import_onnx(MODELS / f"{name}.onnx")
    pipeline.build("integer", None, module.context).run(module.operation)
    return module


def integer_layers(name: str) -> list[ir.OpView]:
    """Return the layers of a model of MODELS at stage 'integer'."""
    return list(accel.layers(integer_module(name)))


@cache
def fused_module(name: str) -> ir.Module:
    """Return a model of MODELS at stage 'integer', each convolution fused with the scaling of its result."""
    module = import_onnx(MODELS / f"{name}.onnx")
    pipeline.build("integer", None, module.context).run(module.operation)
    for layer in list(accel.layers(module)):
        first = fuse_converters.scaled(layer) if isinstance(layer, accel.Conv2dOp) else None
        if first is not None:
            fused = fuse_converters.together(first, layer)
            layer.result.replace_all_uses_with(fused.result)
            layer.operation.erase()
            first.operation.erase()
    return module


def fused_layers(name: str) -> list[ir.OpView]:
    """Return the layers of `fused_module`."""
    return list(accel.layers(fused_module(name)))
