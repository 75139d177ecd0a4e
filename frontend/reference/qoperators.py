"""The meaning of operators that read and write stored integers, as what they do to the numbers these stand for.

ONNX's QLinearConv and its like; those of onnxruntime, in the domain com.microsoft; and RequantShift, which quantlib
and Deeploy write.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import onnx

from htvm.dialects.semantics import real
from htvm.dialects.semantics.real import Real
from htvm.reference import functions, movement, normalisation, operators, resizing, windows
from htvm.reference.node import Node
from htvm.reference.operators import along, dequantize_linear, limits, quantize_linear, value_of
from htvm.reference.registry import OPERATORS, Operator, Value, operator

_Meaning = TypeVar("_Meaning", bound=Operator)

_REGISTERED = (movement, normalisation, resizing, windows)
"""Imported for what they register."""

MICROSOFT_OPERATORS: dict[str, Operator] = {
    "Gelu": functions.gelu,
    "QuickGelu": functions.quick_gelu,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
}
CUSTOM_OPERATORS: dict[str, Operator] = {}
"""Operators that are the same in whatever domain an exporter puts them."""

Stored = tuple[np.ndarray, Real, np.ndarray | None]
"""Stored integers, their scale and zero point."""


def numbers(stored: Stored, axis: int = 0) -> Real:
    """Return what stored integers mean; scales can vary along an axis."""
    x, scale, zero_point = stored
    zero_point = np.zeros((), np.int64) if zero_point is None else zero_point
    return Real.of_storage(x, along(scale.exact(), axis, x.ndim), along(zero_point, axis, x.ndim))


def rounded(x: Real, scale: Real, zero_point: np.ndarray | None) -> np.ndarray:
    """Return the integers that store numbers."""
    zero_point = np.zeros((), np.uint8) if zero_point is None else zero_point
    steps = x.quantise(scale.exact().item(), int(zero_point.reshape(())), *limits(zero_point.dtype))
    return steps.astype(zero_point.dtype)


def expect_channels_first(node: Node) -> None:
    node.require("channels_last", 0)


@operator("QLinearConv")
def qlinear_conv(
    node: Node,
    x: np.ndarray,
    x_scale: Real,
    x_zero: np.ndarray | None,
    w: np.ndarray,
    w_scale: Real,
    w_zero: np.ndarray | None,
    scale: Real,
    zero_point: np.ndarray | None,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    total = operators.conv(node, numbers((x, x_scale, x_zero)), numbers((w, w_scale, w_zero)))
    if bias is not None:
        per_channel = Real.of_integers(bias) * x_scale.reshape([1]) * w_scale.reshape([-1])
        total = total + per_channel.reshape([1, -1] + [1] * (total.ndim - 2))
    return rounded(total, scale, zero_point)


@operator("QLinearMatMul")
def qlinear_matmul(
    node: Node,
    a: np.ndarray,
    a_scale: Real,
    a_zero: np.ndarray | None,
    b: np.ndarray,
    b_scale: Real,
    b_zero: np.ndarray | None,
    scale: Real,
    zero_point: np.ndarray | None,
) -> np.ndarray:
    left, right = numbers((a, a_scale, a_zero)), numbers((b, b_scale, b_zero), axis=-1)
    return rounded(real.matmul(left, right), scale, zero_point)


@operator("ConvInteger")
def conv_integer(
    node: Node, x: np.ndarray, w: np.ndarray, x_zero: np.ndarray | None = None, w_zero: np.ndarray | None = None
) -> np.ndarray:
    return operators.sums(operators.conv(node, _counted_from(x, x_zero), _counted_from(w, w_zero)))


@operator("MatMulInteger")
def matmul_integer(
    node: Node, a: np.ndarray, b: np.ndarray, a_zero: np.ndarray | None = None, b_zero: np.ndarray | None = None
) -> np.ndarray:
    return operators.sums(real.matmul(_counted_from(a, a_zero), _counted_from(b, b_zero, axis=-1)))


def _counted_from(x: np.ndarray, zero_point: np.ndarray | None, axis: int = 0) -> Real:
    zero_point = np.zeros((), np.int64) if zero_point is None else zero_point
    return Real.of_integers(x.astype(np.int64) - along(zero_point.astype(np.int64), axis, x.ndim))


def microsoft(op_type: str) -> Callable[[_Meaning], _Meaning]:
    """Register the meaning of an operator of onnxruntime."""

    def register(function: _Meaning) -> _Meaning:
        MICROSOFT_OPERATORS[op_type] = function
        return function

    return register


@microsoft("QGemm")
def qgemm(
    node: Node,
    a: np.ndarray,
    a_scale: Real,
    a_zero: np.ndarray | None,
    b: np.ndarray,
    b_scale: Real,
    b_zero: np.ndarray | None,
    bias: np.ndarray | None = None,
    scale: Real | None = None,
    zero_point: np.ndarray | None = None,
) -> Value:
    left = numbers((a, a_scale, a_zero))
    right = numbers((b, b_scale, b_zero), axis=0 if node.get("transB", 0) else -1)
    if node.get("transA", 0):
        left = left.transpose([1, 0])
    if node.get("transB", 0):
        right = right.transpose([1, 0])
    total = real.matmul(left, right)
    if bias is not None:
        total = total + Real.of_integers(bias) * a_scale.reshape([1]) * b_scale.reshape([-1])
    total = total * Real.of_floats(node.get("alpha", 1.0))
    return total if scale is None else rounded(total, scale, zero_point)


@microsoft("QLinearAdd")
def qlinear_add(
    node: Node,
    a: np.ndarray,
    a_scale: Real,
    a_zero: np.ndarray | None,
    b: np.ndarray,
    b_scale: Real,
    b_zero: np.ndarray | None,
    scale: Real,
    zero_point: np.ndarray | None = None,
) -> np.ndarray:
    return rounded(numbers((a, a_scale, a_zero)) + numbers((b, b_scale, b_zero)), scale, zero_point)


@microsoft("QLinearMul")
def qlinear_mul(
    node: Node,
    a: np.ndarray,
    a_scale: Real,
    a_zero: np.ndarray | None,
    b: np.ndarray,
    b_scale: Real,
    b_zero: np.ndarray | None,
    scale: Real,
    zero_point: np.ndarray | None = None,
) -> np.ndarray:
    return rounded(numbers((a, a_scale, a_zero)) * numbers((b, b_scale, b_zero)), scale, zero_point)


@microsoft("QLinearConcat")
def qlinear_concat(node: Node, scale: Real, zero_point: np.ndarray, *parts: Value | None) -> np.ndarray:
    found: list[Real] = []
    for x, part_scale, part_zero in zip(parts[::3], parts[1::3], parts[2::3]):
        if not isinstance(x, np.ndarray) or not isinstance(part_scale, Real) or isinstance(part_zero, Real):
            raise ValueError("expected parts of stored integers, each with scale and zero point")
        found.append(numbers((x, part_scale, part_zero)))
    return rounded(real.concat(found, node.get("axis")), scale, zero_point)


def _unary(op_type: str, on_numbers: str) -> None:
    """Register an operator of one tensor of stored integers as another on the numbers."""

    def function(
        node: Node,
        x: np.ndarray,
        scale: Real,
        zero_point: np.ndarray | None,
        y_scale: Real,
        y_zero_point: np.ndarray | None = None,
    ) -> np.ndarray:
        expect_channels_first(node)
        inner = replace(node, version=node.get("opset", node.version))  # QLinearSoftmax says which Softmax
        y = OPERATORS[on_numbers](inner, numbers((x, scale, zero_point)))
        assert isinstance(y, Real), "these operators keep real numbers real"
        return rounded(y, y_scale, y_zero_point)

    MICROSOFT_OPERATORS[op_type] = function


for _kind in ("AveragePool", "GlobalAveragePool", "LeakyRelu", "ReduceMean", "Sigmoid", "Softmax"):
    if _kind in OPERATORS:
        _unary(f"QLinear{_kind}", _kind)


def requant_shift(node: Node, x: Value, *operands: Real) -> Real:
    """clip(floor((x * mul + add) / div)) to n_levels integers, signed or not; rounding: add half of div first."""
    x = x if isinstance(x, Real) else Real.of_integers(x)
    given = dict(zip(("mul", "add"), operands, strict=False))
    parameters = (given[name] if name in given else _attribute(node, name) for name in ("mul", "add"))
    factor, term = (_along_channels(parameter, x.ndim) for parameter in parameters)
    levels = int(_attribute(node, "n_levels_out" if "n_levels_out" in node.attributes else "n_levels").exact().item())
    lowest = -(levels // 2) if _attribute(node, "signed").exact().item() else 0
    divisor = _attribute(node, "div").reshape([1] * x.ndim)
    if node.get("rounding", 0):
        term = term + (divisor / Real.of_integers(np.array(2))).floor()
    scaled = (x * factor + term) / divisor
    return Real.of_integers(scaled.quantise(1, 0, lowest, lowest + levels - 1, "floor"))


CUSTOM_OPERATORS["RequantShift"] = requant_shift


def _along_channels(x: Real, ndim: int) -> Real:
    size = int(np.prod(x.shape))
    return x.reshape([size if index == 1 else 1 for index in range(ndim)] if size > 1 else [1] * ndim)


def _attribute(node: Node, name: str) -> Real:
    """Return an attribute that is a number, a list of numbers or a tensor."""
    value: object = node.attributes[name]
    array = onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value, np.float64)
    found = value_of(array)
    return found if isinstance(found, Real) else Real.of_integers(found)


def meaning_of(proto: onnx.NodeProto) -> Operator | None:
    """Return the meaning of a node's operator; None if it is not defined here."""
    domains: Sequence[dict[str, Operator]] = [CUSTOM_OPERATORS]
    if proto.domain in ("", "ai.onnx"):
        domains = [CUSTOM_OPERATORS, OPERATORS]
    elif proto.domain == "com.microsoft":
        domains = [CUSTOM_OPERATORS, MICROSOFT_OPERATORS]
    return next((known[proto.op_type] for known in domains if proto.op_type in known), None)
