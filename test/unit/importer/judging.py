"""What becomes of a model: computed exactly, judged by two evaluators, or refused, with which words."""

import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import onnx_text
from agreement import facts_of, in_onnx, stored
from mlir import ir

from htvm import driver
from htvm.backend import targets
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.dialects.semantics.interpreter import interpret
from htvm.dialects.semantics.real import Real

Sample = dict[str, np.ndarray]


def refusal(model: onnx.ModelProto) -> str:
    """Return what is said of a model that cannot be compiled. Fails if it can."""
    try:
        integer_stage(model)
    except CompileError as error:
        return str(error)
    raise AssertionError("the model is accepted")


def integer_stage(model: onnx.ModelProto) -> ir.Module:
    """Return stage 'integer' of a model for a host alone. Raises CompileError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return driver.lower(model, targets.load("rv32"), "integer")[0]


def check_exact(
    model: onnx.ModelProto, samples: Sequence[Sample] | None = None, count: int = 2, seed: int = 0
) -> dict[str, dict[str, ir.Attribute]]:
    """Compare stage 'integer', executed on samples or random numbers, with what ONNX's text says.

    Returns what the module says of each result.

    Raises CompileError if the model is refused.
    """
    module = integer_stage(model)
    (function,) = accel.functions(module)
    arguments, results = (facts_of(function, key) for key in ("arg_attrs", "res_attrs"))
    random = np.random.default_rng(seed)
    if samples is None:
        types = dict(zip(arguments, function.type.inputs, strict=True))
        samples = [
            {
                name: in_onnx(random.integers(*facts["accel.range"], types[name].shape, endpoint=True), facts)
                for name, facts in arguments.items()
            }
            for _ in range(count)
        ]
    for sample in samples:
        with module.context:
            found = interpret(module, {name: stored(sample[name], facts) for name, facts in arguments.items()})
        wanted = onnx_text.evaluate(model, sample)
        for name, facts in results.items():
            exact = wanted[name]
            exact = floats(exact, facts) if exact.dtype == object else exact
            np.testing.assert_array_equal(in_onnx(found[name], facts), exact, err_msg=name)
    return results


def floats(numbers: np.ndarray, facts: Mapping[str, ir.Attribute]) -> np.ndarray:
    """Return what a result has for fractions: the nearest floats, or those of the nearest multiples of its scale."""
    if "accel.nearest" in facts:
        scale = Fraction(facts["accel.scale"].value)
        return np.asarray(np.frompyfunc(lambda number: round(number / scale) * scale, 1, 1)(numbers)).astype(np.float32)
    integers, denominator = onnx_text.scaled(numbers)
    return Real.of_integers(integers, Fraction(1, denominator)).to_float32()


def samples_of(model: onnx.ModelProto, arrays: Mapping[str, np.ndarray]) -> list[Sample]:
    """Return the samples of a case: on a new first axis, or on the first one of the inputs."""
    shapes = {v.name: tuple(s.dim_value for s in v.type.tensor_type.shape.dim) for v in model.graph.input}
    name = next(iter(arrays))
    is_new = arrays[name].ndim == len(shapes[name]) + 1
    count = len(arrays[name]) if is_new else len(arrays[name]) // shapes[name][0]
    split = {each: array.reshape(count, *shapes[each]) for each, array in arrays.items()}
    return [{each: array[index] for each, array in split.items()} for index in range(count)]


def load(file: Path) -> tuple[onnx.ModelProto, list[Sample] | None]:
    """Return a case's model and its samples, None where it has none."""
    model, inputs = onnx.load(file), file.parent / "inputs.npz"
    return model, samples_of(model, dict(np.load(inputs))) if inputs.exists() else None
