"""The operators of Relax that htvm takes, each as the operator of ONNX that means the same.

This table is what `partition_for_htvm` knows of Relax; whether htvm takes a layer, with its types, sizes and scales, is
asked of htvm's importer and the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
import onnx
from tvm import ir, relax, tirx

from htvm.integrations.relax.graph import Converter, Graph, Layer, NotConvertible, Value, array_of, dtype_of, shape_of


def onnx_of(function: relax.Function, name: str) -> onnx.ModelProto:
    """Return a Relax function, or one with functions inside, as an ONNX model. Raises NotConvertible."""
    return Graph(CONVERTERS).model(function, name)


TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]

# Quantisers


def quantiser(kind: str) -> Converter:
    """Return what writes a quantize or dequantize, as QuantizeLinear or DequantizeLinear."""

    def write(graph: Graph, layer: Layer) -> Value:
        stored = dtype_of(layer.args[0]) if kind == "DequantizeLinear" else str(layer.attrs.out_dtype)
        scale, zero_point = layer.numbers(1), layer.numbers(2)
        limits = np.iinfo(stored)
        if zero_point.min() < limits.min or zero_point.max() > limits.max:
            raise NotConvertible(f"a zero point is out of the range of {stored}")
        axis = {"axis": int(layer.attrs.axis)} if scale.ndim else {}
        zero_point = np.broadcast_to(zero_point, scale.shape).astype(stored)
        inputs = [graph.tensor(layer.args[0]), graph.constant(scale), graph.constant(zero_point)]
        return graph.node(kind, inputs, layer.name, **axis)

    return write


# Layers that accumulate


def conv2d(graph: Graph, layer: Layer) -> Value:
    """Write a convolution; of NHWC tensors between two transpositions, which htvm's passes move and join."""
    kernel = str(layer.attrs.kernel_layout)
    if sorted(kernel) != sorted("OIHW"):
        raise NotConvertible(f"kernel_layout is {kernel}, expected OIHW in any order")
    weights = graph.tensor(layer.args[1])
    if kernel != "OIHW":
        weights = graph.node(
            "Transpose", [weights], f"{layer.name}_weights", perm=[kernel.index(axis) for axis in "OIHW"]
        )
    found = graph.node("Conv", [channels_first(graph, layer, "data_layout"), weights], layer.name, **window(layer))
    return as_given(graph, layer, "data_layout", found)


def channels_first(graph: Graph, layer: Layer, layout: str) -> str:
    """Return the first argument in layout NCHW. Raises NotConvertible for a layout that is neither that nor NHWC."""
    layer.expect(layout, "NCHW", "NHWC")
    layer.expect("out_layout", str(getattr(layer.attrs, layout)), "")
    x = graph.tensor(layer.args[0])
    if str(getattr(layer.attrs, layout)) == "NCHW":
        return x
    return graph.node("Transpose", [x], f"{layer.name}_channels_first", perm=TO_NCHW)


def as_given(graph: Graph, layer: Layer, layout: str, found: str) -> str:
    """Return a result that is in NCHW in the layer's own layout."""
    if str(getattr(layer.attrs, layout)) == "NCHW":
        return found
    return graph.node("Transpose", [found], f"{layer.name}_channels_last", perm=TO_NHWC)


def conv1d(graph: Graph, layer: Layer) -> Value:
    layer.expect("data_layout", "NCW")
    layer.expect("kernel_layout", "OIW")
    return graph.node("Conv", [graph.tensor(each) for each in layer.args], layer.name, **window(layer))


def conv2d_transpose(graph: Graph, layer: Layer) -> Value:
    layer.expect("data_layout", "NCHW")
    layer.expect("kernel_layout", "IOHW")
    inputs = [graph.tensor(each) for each in layer.args]
    return graph.node("ConvTranspose", inputs, layer.name, output_padding=layer.ints("output_padding"), **window(layer))


def window(layer: Layer) -> dict[str, Any]:
    """Return the attributes of a convolution's window."""
    return {
        "strides": layer.ints("strides"),
        "pads": layer.ints("padding"),
        "dilations": layer.ints("dilation"),
        "group": int(layer.attrs.groups),
    }


def matmul(graph: Graph, layer: Layer) -> Value:
    """Write a product; of two matrices as Gemm, which can have a bias."""
    left, right = (graph.tensor(each) for each in layer.args)
    if any(len(shape_of(each)) != 2 for each in layer.args):
        return graph.node("MatMul", [left, right], layer.name)
    turned = graph.origin(right)
    if turned is not None and turned.op_type == "Transpose":
        return graph.node("Gemm", [left, turned.input[0]], layer.name, transB=1)
    return graph.node("Gemm", [left, right], layer.name)


def add(graph: Graph, layer: Layer) -> Value:
    """Write a sum; of a convolution or product and a constant for each channel as its bias."""
    names = [graph.tensor(each) for each in layer.args]
    for product, bias, added in ((*names, layer.args[1]), (*names[::-1], layer.args[0])):
        linear, turned = graph.origin(product), None
        if linear is not None and linear.op_type == "Transpose" and list(linear.attribute[0].ints) == TO_NHWC:
            linear, turned = graph.origin(linear.input[0]), linear
        if linear is None or linear.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(linear.input) != 2:
            continue
        axis = -1 if turned is not None or linear.op_type == "Gemm" else 1
        if (vector := per_channel(graph, bias, added, shape_of(layer.call), axis)) is not None:
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in linear.attribute}
            found = graph.node(linear.op_type, [*linear.input, vector], layer.name, **attributes)
            return found if turned is None else graph.node("Transpose", [found], f"{layer.name}_last", perm=TO_NHWC)
    return graph.node("Add", names, layer.name)


def per_channel(graph: Graph, name: str, value: ir.Expr, shape: tuple[int, ...], axis: int) -> str | None:
    """Return a constant, plain or dequantised, as a vector of one number for each channel; None if it is none."""
    axis %= len(shape)
    sizes = shape_of(value)
    if (1,) * (len(shape) - len(sizes)) + sizes != tuple(
        size if each == axis else 1 for each, size in enumerate(shape)
    ) or (len(sizes) <= len(shape) - 1 - axis):
        return None
    if name in graph.arrays:
        return graph.constant(graph.arrays[name].reshape(-1))
    node = graph.origin(name)
    if node is not None and node.op_type == "Reshape":
        name, node = node.input[0], graph.origin(node.input[0])
    if name in graph.arrays:
        return graph.constant(graph.arrays[name].reshape(-1))
    if node is None or node.op_type != "DequantizeLinear" or node.input[0] not in graph.arrays:
        return None
    return name if graph.arrays[node.input[0]].ndim == 1 else None


# Windows and reductions


def pool2d(kind: str) -> Converter:
    """Return what writes a pool of two-dimensional windows."""

    def write(graph: Graph, layer: Layer) -> Value:
        attributes: dict[str, Any] = {
            "kernel_shape": layer.ints("pool_size"),
            "strides": layer.ints("strides"),
            "pads": layer.ints("padding"),
            "ceil_mode": int(layer.attrs.ceil_mode),
        }
        if kind == "MaxPool":
            attributes["dilations"] = layer.ints("dilation")
        else:
            attributes["count_include_pad"] = int(layer.attrs.count_include_pad)
            if set(layer.ints("dilation")) != {1}:
                raise NotConvertible(f"the dilation is {layer.ints('dilation')}, expected 1")
        found = graph.node(kind, [channels_first(graph, layer, "layout")], layer.name, **attributes)
        return as_given(graph, layer, "layout", found)

    return write


def adaptive_average(graph: Graph, layer: Layer) -> Value:
    layer.expect("layout", "NCHW")
    if layer.ints("output_size") != [1, 1]:
        raise NotConvertible(f"output_size is {layer.ints('output_size')}, expected 1 and 1")
    return graph.node("GlobalAveragePool", [graph.tensor(layer.args[0])], layer.name)


def reduction(kind: str) -> Converter:
    """Return what writes a reduction; opset 17 has the axes of all but ReduceSum as attributes."""

    def write(graph: Graph, layer: Layer) -> Value:
        rank = len(shape_of(layer.args[0]))
        axes = list(range(rank)) if layer.attrs.axis is None else layer.ints("axis")
        inputs, keepdims = [graph.tensor(layer.args[0])], int(layer.attrs.keepdims)
        if kind == "ReduceSum":
            inputs.append(graph.constant(np.array(axes, np.int64)))
            return graph.node(kind, inputs, layer.name, keepdims=keepdims)
        return graph.node(kind, inputs, layer.name, keepdims=keepdims, axes=axes)

    return write


# Elements


def elementwise(kind: str) -> Converter:
    """Return what writes an operator that ONNX has with the same operands and no attributes."""

    def write(graph: Graph, layer: Layer) -> Value:
        return graph.node(kind, [graph.tensor(each) for each in layer.args], layer.name)

    return write


def along(kind: str) -> Converter:
    """Return what writes an operator along one axis."""

    def write(graph: Graph, layer: Layer) -> Value:
        return graph.node(kind, [graph.tensor(layer.args[0])], layer.name, axis=int(layer.attrs.axis))

    return write


def leaky_relu(graph: Graph, layer: Layer) -> Value:
    return graph.node("LeakyRelu", [graph.tensor(layer.args[0])], layer.name, alpha=float(layer.attrs.alpha))


def prelu(graph: Graph, layer: Layer) -> Value:
    """Write a prelu: Relax has one slope for each index of an axis, ONNX slopes that broadcast."""
    shape, slopes = shape_of(layer.args[0]), graph.tensor(layer.args[1])
    axis = int(layer.attrs.axis) % len(shape)
    sizes = [-1 if each == axis else 1 for each in range(axis, len(shape))]
    aligned = graph.node("Reshape", [slopes, graph.constant(np.array(sizes, np.int64))], f"{layer.name}_slopes")
    return graph.node("PRelu", [graph.tensor(layer.args[0]), aligned], layer.name)


def silu(graph: Graph, layer: Layer) -> Value:
    x = graph.tensor(layer.args[0])
    return graph.node("Mul", [x, graph.node("Sigmoid", [x], f"{layer.name}_sigmoid")], layer.name)


def clip(graph: Graph, layer: Layer) -> Value:
    """Write a clip: of real numbers or integers; a bound that is infinite is none."""
    kind = np.dtype(dtype_of(layer.args[0]))
    bounds = [float(scalar(each)) for each in layer.args[1:3]]
    inputs = ["" if each in (-inf, inf) else graph.constant(np.array(each, kind)) for each in bounds]
    return graph.node("Clip", [graph.tensor(layer.args[0]), *inputs], layer.name)


def scalar(value: ir.Expr) -> float:
    """Return a number that is written in the program. Raises NotConvertible for any other value."""
    if isinstance(value, (tirx.IntImm, tirx.FloatImm)):
        return value.value
    if isinstance(value, ir.Constant) and array_of(value).size == 1:
        return array_of(value).item()
    raise NotConvertible("a bound is computed, expected a number")


def layer_norm(graph: Graph, layer: Layer) -> Value:
    """Write a layer norm of the last axes."""
    rank, axes = len(shape_of(layer.args[0])), layer.ints("axes")
    first = rank - len(axes)
    if sorted(axis % rank for axis in axes) != list(range(first, rank)):
        raise NotConvertible(f"axes are {axes}, expected the last ones")
    inputs = [graph.tensor(each) for each in layer.args]
    return graph.node("LayerNormalization", inputs, layer.name, axis=first, epsilon=float(layer.attrs.epsilon))


# Movement


def reshaped(graph: Graph, layer: Layer) -> Value:
    """Write whatever keeps all elements in their order."""
    shape = graph.constant(np.array(shape_of(layer.call), np.int64))
    return graph.node("Reshape", [graph.tensor(layer.args[0]), shape], layer.name)


def expanded(graph: Graph, layer: Layer) -> Value:
    shape = graph.constant(np.array(shape_of(layer.call), np.int64))
    return graph.node("Expand", [graph.tensor(layer.args[0]), shape], layer.name)


def transposed(graph: Graph, layer: Layer) -> Value:
    rank = len(shape_of(layer.args[0]))
    axes = list(range(rank))[::-1] if layer.attrs.axes is None else [axis % rank for axis in layer.ints("axes")]
    return graph.node("Transpose", [graph.tensor(layer.args[0])], layer.name, perm=axes)


def concatenated(graph: Graph, layer: Layer) -> Value:
    parts = graph.value(layer.args[0])
    return graph.node("Concat", [parts] if isinstance(parts, str) else parts, layer.name, axis=int(layer.attrs.axis))


def split(graph: Graph, layer: Layer) -> Value:
    axis = int(layer.attrs.axis)
    sizes = [shape_of(relax.Var("part", each))[axis] for each in layer.call.ty.fields]
    names = tuple(f"{layer.name}_part{number}" for number in range(len(sizes)))
    inputs = [graph.tensor(layer.args[0]), graph.constant(np.array(sizes, np.int64))]
    graph.nodes.append(onnx.helper.make_node("Split", inputs, names, name=layer.name, axis=axis))
    return names


def sliced(graph: Graph, layer: Layer) -> Value:
    """Write a slice, given as tuples of axes, starts, ends and steps."""
    axes, starts, ends, *steps = (
        np.array([int(scalar(each)) for each in argument.fields], np.int64)
        for argument in layer.args[1:]
        if isinstance(argument, relax.Tuple)
    )
    inputs = [graph.constant(each) for each in (starts, ends, axes, *steps)]
    return graph.node("Slice", [graph.tensor(layer.args[0]), *inputs], layer.name)


def padded(graph: Graph, layer: Layer) -> Value:
    """Write a pad: Relax has the amounts axis by axis, ONNX all at the beginning first."""
    mode = str(layer.attrs.pad_mode)
    if mode not in ("constant", "reflect"):
        raise NotConvertible(f"pad_mode is {mode}, expected constant or reflect")
    width = layer.ints("pad_width")
    amounts = graph.constant(np.array([*width[::2], *width[1::2]], np.int64))
    filling = graph.constant(np.array(float(layer.attrs.pad_value), dtype_of(layer.args[0])))
    inputs = [graph.tensor(layer.args[0]), amounts, *([filling] if mode == "constant" else [])]
    return graph.node("Pad", inputs, layer.name, mode=mode)


def gathered(graph: Graph, layer: Layer) -> Value:
    if layer.attrs.axis is None:
        raise NotConvertible("there is no axis, expected one")
    indices = graph.constant(layer.numbers(1).astype(np.int64))
    return graph.node("Gather", [graph.tensor(layer.args[0]), indices], layer.name, axis=int(layer.attrs.axis))


SAME = {
    "abs": "Abs", "divide": "Div", "erf": "Erf", "exp": "Exp", "log": "Log", "maximum": "Max", "minimum": "Min",
    "multiply": "Mul", "negative": "Neg", "nn.relu": "Relu", "power": "Pow", "sigmoid": "Sigmoid", "sqrt": "Sqrt",
    "subtract": "Sub", "tanh": "Tanh",
}  # fmt: skip
"""Operators that ONNX has with the same operands and no attributes."""

CONVERTERS: Mapping[str, Converter] = {
    "quantize": quantiser("QuantizeLinear"),
    "dequantize": quantiser("DequantizeLinear"),
    "nn.conv1d": conv1d,
    "nn.conv2d": conv2d,
    "nn.conv2d_transpose": conv2d_transpose,
    "matmul": matmul,
    "add": add,
    "nn.max_pool2d": pool2d("MaxPool"),
    "nn.avg_pool2d": pool2d("AveragePool"),
    "nn.adaptive_avg_pool2d": adaptive_average,
    "mean": reduction("ReduceMean"),
    "sum": reduction("ReduceSum"),
    "max": reduction("ReduceMax"),
    "min": reduction("ReduceMin"),
    **{name: elementwise(kind) for name, kind in SAME.items()},
    "nn.softmax": along("Softmax"),
    "nn.leakyrelu": leaky_relu,
    "nn.prelu": prelu,
    "nn.silu": silu,
    "nn.layer_norm": layer_norm,
    "clip": clip,
    "reshape": reshaped,
    "squeeze": reshaped,
    "expand_dims": reshaped,
    "flatten": reshaped,
    "broadcast_to": expanded,
    "permute_dims": transposed,
    "concat": concatenated,
    "split": split,
    "strided_slice": sliced,
    "nn.pad": padded,
    "take": gathered,
}
"""How each operator is written, by its name in Relax without `relax.`."""
