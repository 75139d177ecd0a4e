"""The layers of the test networks as engines see them."""

from functools import cache
from pathlib import Path

from mlir import ir

from htvm.dialects import accel
from htvm.importer import import_onnx
from htvm.passes import pipeline

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
