"""Nodes whose results are known when compiling: arithmetic on shapes, and on constants as far as float32 holds it."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol, cast

import numpy as np
import onnx

from htvm.import_onnx.errors import Problem
from htvm.import_onnx.node import Node
from htvm.import_onnx.operators.elementwise import MAX_FOLDED
from htvm.import_onnx.values import Constant, Value, check_shape

MOVES = frozenset(("ConstantOfShape", "GatherElements", "Pad", "ScatterElements", "ScatterND", "Where"))
"""Operators that compute nothing, on constants of any type. Those that take computed tensors see to constants too."""

INTEGER_ARITHMETIC = frozenset(
    "Abs And Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mod Neg Not Or Range ReduceMax ReduceMin ReduceProd "
    "ReduceSum Sign Xor".split()
)
"""Operators that are exact on integers and truth values."""

UNARY: dict[str, Callable[[Fraction], Fraction]] = {
    "Ceil": lambda a: Fraction(math.ceil(a)),
    "Floor": lambda a: Fraction(math.floor(a)),
    "Neg": lambda a: -a,
    "Reciprocal": lambda a: 1 / a,
    "Sqrt": lambda a: _root(a),
}
BINARY: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "Add": lambda a, b: a + b,
    "Div": lambda a, b: a / b,
    "Mul": lambda a, b: a * b,
    "Sub": lambda a, b: a - b,
}
"""Operators on float32 numbers, for results that are float32 as well."""

FOLDED = MOVES | INTEGER_ARITHMETIC | UNARY.keys() | BINARY.keys() | {"Shape", "Size"}


def _root(square: Fraction) -> Fraction:
    """Raises ValueError if the root is no fraction."""
    root = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
    if root * root != square:
        raise ValueError
    return root


def folded(node: Node) -> list[Value] | None:
    """Return a node's outputs if they are known, None if they are not, or have a function of their own."""
    kind = node.proto.op_type
    if node.proto.domain not in ("", "ai.onnx") or kind not in FOLDED or not len(node):
        return None
    if kind in ("Shape", "Size"):
        return [Constant(_shape(node, kind), node.proto.output[0])]
    arrays: list[np.ndarray | None] = []
    for value in (node.value(index) if node.has(index) else None for index in range(len(node))):
        if not (value is None or isinstance(value, Constant)):
            return None
        arrays.append(None if value is None else value.array)
    given = [array for array in arrays if array is not None]
    is_whole = all(array.dtype.kind in "biu" for array in given)
    if not (kind in MOVES or (kind in INTEGER_ARITHMETIC and is_whole)):
        if all(array.dtype == np.float32 and array.size <= MAX_FOLDED for array in given):
            return _exact(node, kind, given)
        return None
    _check_size(kind, given)
    node.ignore(*(attribute.name for attribute in node.proto.attribute))
    results = _evaluated(node, arrays)
    return [Constant(np.asarray(array), name) for array, name in zip(results, node.proto.output, strict=True)]


def needs_constants(node: Node) -> Value:
    """Of constants only: shapes are computed when compiling."""
    computed = [name for index, name in enumerate(node.proto.input) if name and not node.is_constant(index)]
    for index in range(len(node)):
        if node.has(index):
            node.value(index)  # what depends on a problem is not one
    raise Problem(f"input '{computed[0] if computed else ''}' is computed; the operator is supported on constants only")


def _shape(node: Node, kind: str) -> np.ndarray:
    shape = node.value(0).shape
    if kind == "Size":
        return np.array(math.prod(shape), np.int64)
    return np.array(shape[node.attribute("start", 0) : node.attribute("end", len(shape))], np.int64)


def _check_size(kind: str, given: list[np.ndarray]) -> None:
    """Raise Problem on results that are too large for what they are for, before they are computed."""
    size = max((array.size for array in given), default=0)
    if kind == "ConstantOfShape":
        size = math.prod(given[0].tolist())
    elif kind == "Range":
        start, limit, delta = (int(array.reshape(())) for array in given)
        size = max(0, -(-(limit - start) // delta)) if delta else 0
    elif kind == "Pad":
        size = math.prod(size + 2 * int(np.abs(given[1]).max(initial=0)) for size in given[0].shape)
    else:
        try:
            size = max(size, math.prod(np.broadcast_shapes(*(array.shape for array in given))))
        except ValueError:  # said when it is computed, if it concerns the operator
            pass
    if size > MAX_FOLDED:
        raise Problem(f"computes a constant of up to {size:,} elements, expected at most {MAX_FOLDED:,}")


class _Evaluator(Protocol):
    """onnx's evaluator, whose own types do not say that it returns arrays."""

    def run(self, output_names: None, feed_inputs: dict[str, np.ndarray | None]) -> list[np.ndarray]: ...


def _evaluated(node: Node, arrays: list[np.ndarray | None]) -> list[np.ndarray]:
    """Return what onnx's own implementation computes of arrays."""
    from onnx.reference import ReferenceEvaluator  # slow to load, and seldom needed

    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    names = [f"x{index}" if array is not None else "" for index, array in enumerate(arrays)]
    del proto.input[:]
    proto.input.extend(names)
    try:
        evaluator = cast("_Evaluator", ReferenceEvaluator(proto, opsets={"": node.opset}))
        results = evaluator.run(None, {name: array for name, array in zip(names, arrays, strict=True) if name})
    except Exception as error:  # it raises exceptions of several unrelated types
        raise Problem(f"cannot be computed of these constants: {' '.join(str(error).split())[:200]}") from None
    arrays_made = [np.asarray(result) for result in results]
    for array in arrays_made:
        check_shape(array.shape if array.size else ())
    return arrays_made


def _exact(node: Node, kind: str, given: list[np.ndarray]) -> list[Value] | None:
    """Return the result of exact arithmetic; None where float32 does not hold it, or it has none."""
    try:
        operands = np.broadcast_arrays(*given)
        if math.prod(operands[0].shape) > MAX_FOLDED:
            return None
        exact = _results(kind, [[Fraction(number) for number in array.flat] for array in operands])
        if exact is None:
            return None
        result = np.array([float(number) for number in exact], np.float32)
    except (ValueError, OverflowError, ZeroDivisionError, TypeError):
        return None
    if any(Fraction(float(found)) != number for found, number in zip(result, exact, strict=True)):
        return None
    return [Constant(result.reshape(operands[0].shape), node.proto.output[0])]


def _results(kind: str, operands: list[list[Fraction]]) -> list[Fraction] | None:
    """Return what an operator makes of numbers; None if it is none of these, or has another number of operands."""
    if kind in UNARY and len(operands) == 1:
        return list(map(UNARY[kind], operands[0]))
    if kind in BINARY and len(operands) == 2:
        return list(map(BINARY[kind], operands[0], operands[1]))
    return None
