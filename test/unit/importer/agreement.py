"""Comparing what the passes make of an imported model with the reference."""

import numpy as np
import onnx
from mlir import ir

from htvm.backend import targets
from htvm.dialects import accel
from htvm.dialects.semantics.interpreter import interpret
from htvm.dialects.semantics.real import Real
from htvm.import_onnx import import_onnx
from htvm.passes import pipeline
from htvm.reference import evaluate

SAMPLES = 3


def check_agreement(model: onnx.ModelProto, seed: int = 0, **options: object) -> str:
    """Compare stage 'integer', executed on random inputs, with the reference; return the imported form's text."""
    module = import_onnx(model, **options)
    text = str(module)
    with module.context:
        pipeline.build("integer", targets.load("rv32"), module.context).run(module.operation)
    (function,) = accel.functions(module)
    inexact = [op.location for op in accel.layers(module) if "accel.inexact" in op.operation.attributes]
    assert not inexact
    arguments, results = (facts_of(function, key) for key in ("arg_attrs", "res_attrs"))
    random = np.random.default_rng(seed)
    for _ in range(SAMPLES):
        given = {
            name: random.integers(*facts["accel.range"], type_.shape, endpoint=True)
            for (name, facts), type_ in zip(arguments.items(), function.type.inputs, strict=True)
        }
        with module.context:
            found = interpret(module, given)
        wanted = evaluate(model, {name: in_onnx(stored, arguments[name]) for name, stored in given.items()})
        for name, facts in results.items():
            np.testing.assert_array_equal(in_onnx(found[name], facts), wanted[name], err_msg=name)
    return text


def facts_of(function: ir.OpView, key: str) -> dict[str, dict[str, ir.Attribute]]:
    """Return the attributes of each argument or result by its name in ONNX."""
    each = ({entry.name: entry.attr for entry in facts} for facts in function.operation.attributes[key])
    return {facts["accel.name"].value: facts for facts in each}


def in_onnx(stored: np.ndarray, facts: dict[str, ir.Attribute]) -> np.ndarray:
    """Return the array of ONNX that stored integers stand for."""
    dtype = np.dtype(facts["accel.interface"].value)
    if dtype != np.float32:
        return stored.astype(dtype)
    if "accel.scales" in facts:
        axis = facts["accel.axis"].value if "accel.axis" in facts else None
        shape = [-1 if place == axis else 1 for place in range(stored.ndim)]
        scales, offsets = (np.reshape(list(facts[f"accel.{name}"]), shape) for name in ("scales", "offsets"))
        return (Real.of_storage(stored, scales) + Real.of_floats(offsets)).to_float32()
    return Real.of_storage(stored, facts["accel.scale"].value, facts["accel.zero_point"].value).to_float32()


def stored(array: np.ndarray, facts: dict[str, ir.Attribute]) -> np.ndarray:
    """Return what an argument or result stores for an array of ONNX."""
    if facts["accel.interface"].value != "float32":
        return array.astype(np.int64)
    rounding = facts["accel.rounding"].value if "accel.rounding" in facts else "half_even"
    scale, zero_point = facts["accel.scale"].value, facts["accel.zero_point"].value
    return Real.of_floats(array).quantise(scale, zero_point, *facts["accel.range"], rounding)
