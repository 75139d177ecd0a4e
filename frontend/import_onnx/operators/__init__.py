"""Every ONNX operator that can be imported: its name, and the function that imports a node of it.

Such a function reads all attributes and inputs that the operator has in the versions of `model.OPSETS`, writes
accel operations, and returns what the node's output is, or a list of what its outputs are. It raises Problem on a
form that it does not take. Its docstring says to users which forms it takes.
"""

from collections.abc import Callable

from htvm.import_onnx.errors import Problem
from htvm.import_onnx.model import ONNX_DOMAINS
from htvm.import_onnx.node import Node
from htvm.import_onnx.operators import (
    elementwise,
    folding,
    linear,
    normalisation,
    pooling,
    quantise,
    requantise,
    resize,
    selection,
    shape,
    transposed,
)
from htvm.import_onnx.operators.functions import FUNCTIONS, MICROSOFT_FUNCTIONS
from htvm.import_onnx.operators.qoperators import MICROSOFT_QOPERATORS, QOPERATORS
from htvm.import_onnx.values import Value

OPERATORS: dict[str, Callable[[Node], Value | list[Value]]] = {
    "Add": elementwise.add,
    "ArgMax": pooling.arg_max,
    "ArgMin": pooling.arg_min,
    "AveragePool": pooling.average_pool,
    "BatchNormalization": normalisation.batch_normalization,
    "Cast": elementwise.cast,
    "Clip": elementwise.clip,
    "Concat": shape.concat,
    "Constant": shape.constant,
    "Conv": linear.conv,
    "ConvTranspose": transposed.conv_transpose,
    "DepthToSpace": selection.depth_to_space,
    "DequantizeLinear": quantise.dequantize_linear,
    "Div": elementwise.div,
    "Dropout": shape.dropout,
    "Expand": selection.expand,
    "Flatten": shape.flatten,
    "Floor": elementwise.floor,
    "Gather": selection.gather,
    "Gemm": linear.gemm,
    "GlobalAveragePool": pooling.global_average_pool,
    "GlobalMaxPool": pooling.global_max_pool,
    "GroupNormalization": normalisation.group_normalization,
    "Identity": shape.identity,
    "InstanceNormalization": normalisation.instance_normalization,
    "LayerNormalization": normalisation.layer_normalization,
    "MatMul": linear.matmul,
    "Max": elementwise.maximum,
    "MaxPool": pooling.max_pool,
    "Min": elementwise.minimum,
    "Mul": elementwise.mul,
    "Pad": shape.pad,
    "QuantizeLinear": quantise.quantize_linear,
    "ReduceMax": pooling.reduce_max,
    "ReduceMean": pooling.reduce_mean,
    "ReduceMin": pooling.reduce_min,
    "ReduceSum": pooling.reduce_sum,
    "Relu": elementwise.relu,
    "Reshape": shape.reshape,
    "Resize": resize.resize,
    "Round": elementwise.round_,
    "Sigmoid": elementwise.sigmoid,
    "Slice": selection.slice_,
    "Softmax": elementwise.softmax,
    "SpaceToDepth": selection.space_to_depth,
    "Split": selection.split,
    "Squeeze": shape.squeeze,
    "Sub": elementwise.sub,
    "Tile": selection.tile,
    "Transpose": shape.transpose,
    "Unsqueeze": shape.unsqueeze,
    "Upsample": resize.resize,
    **FUNCTIONS,
    **QOPERATORS,
}
"""Those of ONNX."""

MICROSOFT_OPERATORS: dict[str, Callable[[Node], Value | list[Value]]] = {
    "DequantizeLinear": quantise.dequantize_linear,
    "QuantizeLinear": quantise.quantize_linear,
    **MICROSOFT_FUNCTIONS,
    **MICROSOFT_QOPERATORS,
}
"""Those of onnxruntime, in the domain com.microsoft."""

CUSTOM_OPERATORS: dict[str, Callable[[Node], Value | list[Value]]] = {"RequantShift": requantise.requant_shift}
"""Those of quantisers, which each exporter puts into another domain."""

HINTS = {
    "DynamicQuantizeLinear": "its scale is known only at run time; quantise statically",
    "DynamicQuantizeMatMul": "its scale is known only at run time; quantise statically",
    "QLinearWhere": "it chooses at run time",
}
"""What is said of some operators that are not supported."""


def operator(domain: str, kind: str) -> Callable[[Node], Value | list[Value]]:
    """Return the function that imports nodes of an operator. Raises Problem if there is none."""
    if kind in CUSTOM_OPERATORS:
        return CUSTOM_OPERATORS[kind]
    if domain in ONNX_DOMAINS and kind in folding.FOLDED and kind not in OPERATORS:
        return folding.needs_constants
    known = {**dict.fromkeys(ONNX_DOMAINS, OPERATORS), "com.microsoft": MICROSOFT_OPERATORS}.get(domain)
    if known is None:
        raise Problem(f"operators of the domain '{domain}' are not supported")
    if kind not in known:
        raise Problem(f"the operator is not supported{': ' + HINTS[kind] if kind in HINTS else ''}")
    return known[kind]
