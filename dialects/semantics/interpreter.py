"""Execute a module of the accel dialect: the definition of what its operations mean.

Up to stage 'fused' an operation computes exact real numbers (real_layers.py), and rounds them once if its
result is quantised. From stage 'integer' on it computes integers (integer_layers.py). The type of the result
tells which.

A quantised or integer tensor is an int64 array of what is stored; a real one is a `Real`. Layouts, engines
and the order of execution change no number, so modules of stages 'dispatched' and 'scheduled' run as well.
"""

from collections.abc import Callable, Mapping

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import integer_layers, real_layers
from htvm.dialects.semantics.real import Real

Tensor = np.ndarray | Real
Observer = Callable[[ir.OpView, Tensor], None]


def interpret(
    module: ir.Module | ir.Operation, inputs: Mapping[str, np.ndarray | Real], observe: Observer | None = None
) -> dict[str, np.ndarray | Real]:
    """Return the results of the module's function by name, stored integers in an array of their own type.

    Names are those of `accel.name`, else arg0, arg1, .. and result0, result1, .. Inputs hold what the
    function takes: stored integers, or real numbers as floats or `Real`. `observe` is called with each layer
    and its result.

    Raises ValueError on inputs that do not fit and operations without meaning here, OverflowError where an
    accumulator or a result leaves its type.
    """
    functions = list(accel.functions(module))
    if len(functions) != 1:
        raise ValueError(f"the module has {len(functions)} functions, expected 1")
    (function,) = functions
    block = function.body.blocks[0]
    values: dict[ir.Value, Tensor] = {}
    for argument, name in zip(block.arguments, _names(function, "arg_attrs", "arg", len(block.arguments)), strict=True):
        if name not in inputs:
            raise ValueError(f"input '{name}' is missing; given: {', '.join(inputs) or 'none'}")
        values[argument] = _input(name, argument.type, inputs[name])
    for op in block:
        operands = [values[operand] for operand in op.operation.operands]
        if op.operation.name == "func.return":
            names = _names(function, "res_attrs", "result", len(operands))
            types = [operand.type for operand in op.operation.operands]
            return {n: _stored(type_, value) for n, type_, value in zip(names, types, operands, strict=True)}
        result = _result(op, operands)
        values[op.operation.results[0]] = result
        if observe and op.operation.name.startswith("accel."):
            observe(op, result)
    raise ValueError(f"function {function.name} does not return")


def _names(function: ir.OpView, attributes: str, otherwise: str, count: int) -> list[str]:
    names = [f"{otherwise}{place}" for place in range(count)]
    if attributes in function.attributes:
        for place, entry in enumerate(map(ir.DictAttr, ir.ArrayAttr(function.attributes[attributes]))):
            if "accel.name" in entry:
                names[place] = ir.StringAttr(entry["accel.name"]).value
    return names


def _input(name: str, type_: ir.Type, given: np.ndarray | Real) -> Tensor:
    shape = tuple(ir.ShapedType(type_).shape)
    if given.shape != shape:
        raise ValueError(f"input '{name}' has shape {list(given.shape)}, expected {list(shape)}")
    limits = _limits(type_)
    if limits is None:
        return given if isinstance(given, Real) else Real.of_floats(given)
    if isinstance(given, Real) or given.dtype.kind not in "iu":
        raise ValueError(f"input '{name}' holds real numbers, expected integers, for {type_}")
    low, high = limits
    outside = given[(given < low) | (given > high)]
    if outside.size:
        raise ValueError(f"input '{name}' holds {outside[0]}, expected {low} to {high}, for {type_}")
    return given.astype(np.int64)


def _stored(type_: ir.Type, value: Tensor) -> np.ndarray | Real:
    element = ir.ShapedType(type_).element_type
    q = Quantisation.of(element)
    element = q.storage_type() if q else element
    if isinstance(value, Real):
        return value
    integer = ir.IntegerType(element)
    return value.astype(f"{'u' if integer.is_unsigned else ''}int{integer.width}")


def _limits(type_: ir.Type) -> tuple[int, int] | None:
    """Return the smallest and largest integer that a type stores, None for real numbers."""
    element = ir.ShapedType(type_).element_type
    q = Quantisation.of(element)
    if q:
        return q.lowest, q.highest
    if not isinstance(element, ir.IntegerType):
        return None
    if element.is_unsigned:
        return 0, 2**element.width - 1
    return -(2 ** (element.width - 1)), 2 ** (element.width - 1) - 1


def _result(op: ir.OpView, operands: list[Tensor]) -> Tensor:
    """Return what an operation computes, naming its ONNX node in the message if that fails."""
    name = op.operation.name
    if name == "arith.constant":
        return _constant(op)
    (type_,) = (result.type for result in op.operation.results)
    if name == "quant.scast":
        return _reinterpreted(_integers(operands[0]), type_)
    # A table is of stored integers, whether its result says what they mean or not.
    in_integers = isinstance(ir.ShapedType(type_).element_type, ir.IntegerType) or name == "accel.lookup"
    if name not in (integer_layers.MEANINGS if in_integers else real_layers.MEANINGS):
        raise ValueError(f"{accel.node(op)}: no meaning of {name} for a result {type_}")
    try:
        if in_integers:
            return _checked(integer_layers.MEANINGS[name](op, *operands), type_)
        types = [operand.type for operand in op.operation.operands]
        exact = (_real(value, of) for value, of in zip(operands, types, strict=True))
        return _rounded(real_layers.MEANINGS[name](op, *exact), type_, op)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise type(error)(f"{accel.node(op)}: {error}") from error


def _constant(op: ir.OpView) -> Tensor:
    array = np.array(ir.DenseElementsAttr(op.attributes["value"]))
    return Real.of_floats(array) if array.dtype.kind == "f" else array.astype(np.int64)


def _integers(value: Tensor) -> np.ndarray:
    """Return the stored integers of a tensor that has them. Raises ValueError on real numbers."""
    if isinstance(value, Real):
        raise ValueError("real numbers are no stored integers")
    return value


def _reinterpreted(stored: np.ndarray, type_: ir.Type) -> np.ndarray:
    """Return the same bits as another type of the same width reads them."""
    q = Quantisation.of(type_)
    element = q.storage_type() if q else ir.ShapedType(type_).element_type
    integer = ir.IntegerType(element)
    return stored.astype(f"{'u' if integer.is_unsigned else ''}int{integer.width}").astype(np.int64)


def _real(value: Tensor, type_: ir.Type) -> Real:
    """Return the real numbers that a tensor stands for."""
    if isinstance(value, Real):
        return value
    q = Quantisation.of(type_)
    if q is None:
        raise ValueError(f"an operand {type_} stands for no real number")
    return Real.of_storage(value, *q.parameters(value.ndim))


def _rounded(exact: Real, type_: ir.Type, op: ir.OpView) -> Tensor:
    """Round real numbers to a quantised type; a real type keeps them."""
    q = Quantisation.of(type_)
    if q is None:
        return exact
    stated = op.attributes["rounding"] if "rounding" in op.attributes else None
    assert stated is None or isinstance(stated, accel.RoundingAttr), f"{stated}: is the module read by modules.parse?"
    rounding = accel.Rounding.HALF_EVEN if stated is None else stated.value
    return exact.quantise(*q.parameters(exact.ndim), q.lowest, q.highest, rounding)


def _checked(result: np.ndarray, type_: ir.Type) -> np.ndarray:
    limits = _limits(type_)
    assert limits is not None, "called for types of integers"
    low, high = limits
    outside = result[(result < low) | (result > high)]
    if outside.size:
        raise OverflowError(f"a result is {outside[0]}, beyond {type_}")
    return result
