"""Every ONNX operator that can be imported: its name, and the function that imports a node of it.

Such a function reads all attributes and inputs that the operator has in the versions of `model.OPSETS`, writes
accel operations, and returns what the node's output is. It raises Problem on a form that it does not take. Its
docstring says to users which forms it takes.
"""

from collections.abc import Callable

from htvm.importer.errors import Problem
from htvm.importer.model import ONNX_DOMAINS
from htvm.importer.node import Node
from htvm.importer.operators import elementwise, linear, pooling, quantise, requantise, shape
from htvm.importer.operators.qoperators import MICROSOFT_QOPERATORS, QOPERATORS
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
    "Dropout": shape.identity,
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
    **QOPERATORS,
}
"""Those of ONNX."""

MICROSOFT_OPERATORS: dict[str, Callable[[Node], Value]] = {
    "DequantizeLinear": quantise.dequantize_linear,
    "QuantizeLinear": quantise.quantize_linear,
    **MICROSOFT_QOPERATORS,
}
"""Those of onnxruntime, in the domain com.microsoft."""

CUSTOM_OPERATORS: dict[str, Callable[[Node], Value]] = {"RequantShift": requantise.requant_shift}
"""Those of quantisers, which each exporter puts into another domain."""

HINTS = {
    "BatchNormalization": "fold it into the layer before it, before the model is quantised",
    "DynamicQuantizeLinear": "its scale is known only at run time; quantise statically",
    "DynamicQuantizeMatMul": "its scale is known only at run time; quantise statically",
    "InstanceNormalization": "its scale is known only at run time",
    "QLinearWhere": "it chooses at run time",
}
"""What is said of some operators that are not supported."""


def operator(domain: str, kind: str) -> Callable[[Node], Value]:
    """Return the function that imports nodes of an operator. Raises Problem if there is none."""
    if kind in CUSTOM_OPERATORS:
        return CUSTOM_OPERATORS[kind]
    known = {**dict.fromkeys(ONNX_DOMAINS, OPERATORS), "com.microsoft": MICROSOFT_OPERATORS}.get(domain)
    if known is None:
        raise Problem(f"operators of the domain '{domain}' are not supported")
    if kind not in known:
        raise Problem(f"the operator is not supported{': ' + HINTS[kind] if kind in HINTS else ''}")
    return known[kind]
