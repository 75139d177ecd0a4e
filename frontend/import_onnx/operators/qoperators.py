"""Operators on stored integers, as onnxruntime writes them in QOperator form, and ONNX's ConvInteger and its like.

Each is another operator on the numbers that the integers mean: the same as DequantizeLinear before, QuantizeLinear
behind it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from htvm.dialects.quantisation import Quantisation
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.checks import problem_of
from htvm.import_onnx.errors import Problem
from htvm.import_onnx.model import OPSETS
from htvm.import_onnx.node import DependsOnProblem, Node, meaning, quantise
from htvm.import_onnx.operators import elementwise, functions, linear, pooling, shape
from htvm.import_onnx.operators.quantise import grid_of
from htvm.import_onnx.values import Constant, Integers, QuantisedConstant, Tensor, Value


@dataclass(frozen=True)
class Operand:
    """Places among a node's inputs: of stored integers, their scale and zero point.

    axis: of the channels that a scale can be given for, if the integers are constant.
    """

    value: int
    scale: int | None
    zero_point: int
    axis: int = 0


@dataclass(frozen=True)
class QOperator:
    """An operator on stored integers.

    operator, implementation: what it is on real numbers. result: the places of the result's scale and zero point.
    bias: the place of 32-bit integers whose scale is the product of the scales of the first two operands.
    """

    operator: str
    implementation: Callable[[Node], Value]
    operands: tuple[Operand, ...]
    result: tuple[int, int]
    bias: int | None = None

    def operands_of(self, node: Node) -> tuple[Operand, ...]:
        return self.operands

    def __call__(self, node: Node) -> Value:
        """Import a node: as the operator on real numbers, whose result is rounded."""
        node.expect("channels_last", 0)
        operands = self.operands_of(node)
        names = [node.input_name(operand.value) for operand in operands]
        values: list[QuantisedConstant | Tensor] = [dequantised(node, operand) for operand in operands]
        if self.bias is not None and node.has(self.bias):
            names.append(node.proto.input[self.bias])
            values.append(_bias(node, self.bias, values))
        opset = node.attribute("opset", node.opset)  # QLinearSoftmax says which Softmax it means
        if opset not in OPSETS:
            raise Problem(f"opset is {opset}, expected {OPSETS.start} to {OPSETS.stop - 1}")
        result = _on_numbers(node.with_operands(self.operator, values, names, opset), self.implementation)
        scale, zero_point = self.result
        if not node.has(scale):
            return result
        grid = grid_of(node, scale, zero_point)
        return Tensor(quantise(result, grid).value, grid, stored=True)


class Gemm(QOperator):
    """QGemm: which axis of the second operand has the output channels depends on transB."""

    def operands_of(self, node: Node) -> tuple[Operand, ...]:
        transposed = next((a.i for a in node.proto.attribute if a.name == "transB"), 0)
        return X, Operand(3, 4, 5, axis=0 if transposed else -1)


class Concat(QOperator):
    """QLinearConcat: any number of operands, behind the result's scale and zero point."""

    def operands_of(self, node: Node) -> tuple[Operand, ...]:
        return tuple(Operand(index, index + 1, index + 2) for index in range(2, len(node) - 2, 3))


@dataclass(frozen=True)
class SumOperator:
    """ConvInteger or MatMulInteger: sums of products of integers, which are integers again."""

    operator: str
    implementation: Callable[[Node], Value]
    operands: tuple[Operand, ...]

    def operands_of(self, node: Node) -> tuple[Operand, ...]:
        return self.operands

    def __call__(self, node: Node) -> Integers:
        values = [dequantised(node, operand) for operand in self.operands]
        names = [node.input_name(operand.value) for operand in self.operands]
        sums = _on_numbers(node.with_operands(self.operator, values, names), self.implementation)
        return Integers(sums, np.dtype(np.int32))


X = Operand(0, 1, 2)

QOPERATORS: dict[str, QOperator | SumOperator] = {
    "QLinearConv": QOperator("Conv", linear.conv, (X, Operand(3, 4, 5)), (6, 7), bias=8),
    "QLinearMatMul": QOperator("MatMul", linear.matmul, (X, Operand(3, 4, 5, axis=-1)), (6, 7)),
    "ConvInteger": SumOperator("Conv", linear.conv, (Operand(0, None, 2), Operand(1, None, 3))),
    "MatMulInteger": SumOperator("MatMul", linear.matmul, (Operand(0, None, 2), Operand(1, None, 3, axis=-1))),
}
"""ONNX's own."""

MICROSOFT_QOPERATORS: dict[str, QOperator] = {
    "QGemm": Gemm("Gemm", linear.gemm, (), (7, 8), bias=6),
    "QLinearAdd": QOperator("Add", elementwise.add, (X, Operand(3, 4, 5)), (6, 7)),
    "QLinearAveragePool": QOperator("AveragePool", pooling.average_pool, (X,), (3, 4)),
    "QLinearConcat": Concat("Concat", shape.concat, (), (0, 1)),
    "QLinearGlobalAveragePool": QOperator("GlobalAveragePool", pooling.global_average_pool, (X,), (3, 4)),
    "QLinearLeakyRelu": QOperator("LeakyRelu", functions.leaky_relu, (X,), (3, 4)),
    "QLinearMul": QOperator("Mul", elementwise.mul, (X, Operand(3, 4, 5)), (6, 7)),
    "QLinearReduceMean": QOperator("ReduceMean", pooling.reduce_mean, (X,), (3, 4)),
    "QLinearSigmoid": QOperator("Sigmoid", elementwise.sigmoid, (X,), (3, 4)),
    "QLinearSoftmax": QOperator("Softmax", elementwise.softmax, (X,), (3, 4)),
}
"""Those of onnxruntime, in the domain com.microsoft."""


def meaning_of_input(node: Node, name: str, dtype: np.dtype) -> Quantisation | None:
    """Return what a computed input of stored integers means to a node; None if the node is none of these, or wrong."""
    operator = {**QOPERATORS, **MICROSOFT_QOPERATORS}.get(node.proto.op_type)
    try:
        for operand in operator.operands_of(node) if operator else ():
            if node.input_name(operand.value) == name:
                return _grid(node, operand, dtype, None)
    except (Problem, DependsOnProblem):  # said when the node is imported
        return None
    return None


def _on_numbers(inner: Node, implementation: Callable[[Node], Value]) -> Tensor:
    """Import the operator on real numbers, with the attributes of the one on integers."""
    if problem := problem_of(inner.proto, inner.opset):  # onnx knows nothing of the node in the file
        raise Problem(problem)
    result = implementation(inner)
    inner.check_all_read()
    assert isinstance(result, Tensor), "operands are tensors: so is what is made of them"
    return result


def dequantised(node: Node, operand: Operand) -> QuantisedConstant | Tensor:
    """Return the numbers that an operand means."""
    value = node.value(operand.value)
    if isinstance(value, Constant):
        grid = _grid(node, operand, value.array.dtype, value.shape)
        return QuantisedConstant(value.array, grid, value.name)
    tensor = node.any_tensor(operand.value)
    if not tensor.stored:
        raise Problem(f"input '{node.input_name(operand.value)}' is float32, expected integers")
    return meaning(tensor, _grid(node, operand, q.storage(tensor.quantisation), None))


def _grid(node: Node, operand: Operand, dtype: np.dtype, shape: tuple[int, ...] | None) -> Quantisation:
    if operand.scale is not None:
        return grid_of(node, operand.scale, operand.zero_point, dtype, operand.axis, shape)
    zero_point = node.array(operand.zero_point, "zero point") if node.has(operand.zero_point) else None
    scale = np.ones(1 if zero_point is None else zero_point.size, np.float32)
    if shape is None and scale.size > 1:
        raise Problem(f"zero point has {scale.size} numbers, expected 1: the tensor is not constant")
    return q.from_arrays(scale, zero_point, operand.axis, dtype, shape or ())


def _bias(node: Node, index: int, products: Sequence[QuantisedConstant | Tensor]) -> QuantisedConstant:
    """Return a bias, whose scale is exactly the product of the scales of what is multiplied."""
    value = node.value(index)
    if not isinstance(value, Constant) or value.array.dtype != np.int32:
        raise Problem(f"bias ('{node.proto.input[index]}') is not a constant of int32")
    a, b = (product.quantisation for product in products[:2])
    scales = [one * other for one in a.scales for other in b.scales]
    stored = value.array.reshape(-1)
    axis = None if len(scales) == 1 else 0
    if axis == 0 and stored.size == 1:
        stored = np.repeat(stored, len(scales))
    points = (0,) * len(scales)
    grid = replace(q.integers(np.dtype(np.int32)), scales=tuple(scales), zero_points=points, axis=axis)
    return QuantisedConstant(stored, grid, value.name)
