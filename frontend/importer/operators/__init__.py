"""Every ONNX operator that can be imported: its name, and the function that imports a node of it.

Such a function reads all attributes and inputs that the operator has in the versions of `model.OPSETS`, writes
accel operations, and returns what the node's output is. It raises Problem on a form that it does not take. Its
docstring says to users which forms it takes.
"""

from collections.abc import Callable

from htvm.importer.node import Node
from htvm.importer.operators import elementwise, linear, pooling, quantise, shape
from htvm.importer.values import Value

OPERATORS: dict[str, Callable[[Node], Value]] = {
    "Add": elementwise.add,
    "AveragePool": pooling.average_pool,
    "Cast": elementwise.cast,
    "Clip": elementwise.clip,
    "Concat": shape.concat,
    "Constant": shape.constant,
    "Conv": linear.conv,
    "DequantizeLinear": quantise.dequantize_linear,
    "Div": elementwise.div,
    "Flatten": shape.flatten,
    "Floor": elementwise.floor,
    "Gemm": linear.gemm,
    "GlobalAveragePool": pooling.global_average_pool,
    "Identity": shape.identity,
    "MatMul": linear.matmul,
    "Max": elementwise.maximum,
    "MaxPool": pooling.max_pool,
    "Min": elementwise.minimum,
    "Mul": elementwise.mul,
    "Pad": shape.pad,
    "QuantizeLinear": quantise.quantize_linear,
    "ReduceMean": pooling.reduce_mean,
    "ReduceSum": pooling.reduce_sum,
    "Relu": elementwise.relu,
    "Reshape": shape.reshape,
    "Round": elementwise.round_,
    "Sigmoid": elementwise.sigmoid,
    "Softmax": elementwise.softmax,
    "Squeeze": shape.squeeze,
    "Sub": elementwise.sub,
    "Transpose": shape.transpose,
    "Unsqueeze": shape.unsqueeze,
}
