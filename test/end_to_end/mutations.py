"""Real models with something changed: bytes of the file, or parts of the protobuf."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INTEGERS = (0, 1, -1, 2, 3, 7, 127, 128, -129, 255, 1 << 15, 1 << 31, -(1 << 31), (1 << 62) + 1, -(1 << 63))
REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-45, 1.2e-38, 1e-20, 1e20, 3.4e38, float("nan"), float("inf"))
SIZES = (0, 1, 2, 3, 5, 8, 64, -1, 1 << 20, 1 << 40)
KINDS = (
    "Add", "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "DequantizeLinear", "Div", "Flatten", "Floor",
    "Gelu", "Gemm", "GlobalAveragePool", "HardSwish", "Identity", "LayerNormalization", "MatMul", "Max", "MaxPool",
    "Mul", "Pad", "QLinearConv", "QuantizeLinear", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid", "Slice",
    "Softmax", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze",
)  # fmt: skip
TYPES = (
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT16,
    TensorProto.INT32,
    TensorProto.FLOAT,
    TensorProto.INT64,
)


def mutant(models: list[Path], seed: int) -> bytes:
    """Return the file of one of the models, with up to three changes; the same seed gives the same."""
    rng = random.Random(seed)
    content = rng.choice(models).read_bytes()
    if rng.random() < 0.25:
        return damaged(content, rng)
    model = onnx.ModelProto.FromString(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        try:
            rng.choice(CHANGES)(model, rng)
        except (IndexError, ValueError):  # nothing there to change, or no value that the field takes
            continue
    return model.SerializeToString()


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a file with some bytes overwritten, removed or inserted."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.choice((rng.randrange(len(changed)), rng.randrange(min(300, len(changed)))))
        new = bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 1, 3))))
        changed[at : at + rng.choice((0, 1, 1, 4))] = new
    return bytes(changed)


def change_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    attribute = rng.choice([attribute for node in model.graph.node for attribute in node.attribute])
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(INTEGERS)
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = rng.choice(INTEGERS)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = rng.choice(REALS)
    else:
        attribute.CopyFrom(helper.make_attribute(attribute.name, rng.choice(INTEGERS)))


def drop_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    node = rng.choice([node for node in model.graph.node if node.attribute])
    del node.attribute[rng.randrange(len(node.attribute))]


def add_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    names = ("axis", "group", "strides", "pads", "dilations", "block_size", "auto_pad", "ceil_mode", "keepdims", "to")
    value = rng.choice(
        (rng.choice(INTEGERS), [rng.choice(INTEGERS) for _ in range(rng.choice((1, 2, 4)))], "SAME_UPPER")
    )
    rng.choice(model.graph.node).attribute.append(helper.make_attribute(rng.choice(names), value))


def change_operator(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(KINDS)


def connect_otherwise(model: onnx.ModelProto, rng: random.Random) -> None:
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    node = rng.choice([node for node in model.graph.node if node.input])
    node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere"])


def drop_input(model: onnx.ModelProto, rng: random.Random) -> None:
    node = rng.choice([node for node in model.graph.node if node.input])
    del node.input[rng.randrange(len(node.input))]


def drop_node(model: onnx.ModelProto, rng: random.Random) -> None:
    """Remove a node; who read its result reads its first input."""
    index = rng.randrange(len(model.graph.node))
    gone = model.graph.node[index]
    before, after = gone.input[0], gone.output[0]
    del model.graph.node[index]
    for node in model.graph.node:
        node.input[:] = [before if name == after else name for name in node.input]


def insert_node(model: onnx.ModelProto, rng: random.Random) -> None:
    """Put a node of one input between two."""
    index = rng.randrange(len(model.graph.node))
    reader = model.graph.node[index]
    place = rng.randrange(len(reader.input))
    made = helper.make_node(rng.choice(KINDS), [reader.input[place]], [f"inserted{rng.randrange(1 << 30)}"])
    reader.input[place] = made.output[0]
    model.graph.node.insert(index, made)


def swap_nodes(model: onnx.ModelProto, rng: random.Random) -> None:
    a, b = (rng.randrange(len(model.graph.node)) for _ in range(2))
    first, second = onnx.NodeProto(), onnx.NodeProto()
    first.CopyFrom(model.graph.node[a])
    second.CopyFrom(model.graph.node[b])
    model.graph.node[a].CopyFrom(second)
    model.graph.node[b].CopyFrom(first)


def change_numbers(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    array = np.array(numpy_helper.to_array(tensor))
    flat = array.reshape(-1)
    places = range(flat.size) if rng.random() < 0.3 else [rng.randrange(flat.size)]
    for place in places:
        if array.dtype.kind == "f":
            flat[place] = rng.choice((*REALS, float(flat[place]) * rng.choice((-1, 2, 1e-3, 1e3))))
        else:
            limits = np.iinfo(array.dtype)
            flat[place] = min(max(rng.choice(INTEGERS), int(limits.min)), int(limits.max))
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def change_tensor_type(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    array = np.nan_to_num(numpy_helper.to_array(tensor).astype(np.float64))
    dtype = helper.tensor_dtype_to_np_dtype(rng.choice(TYPES))
    if dtype.kind in "iu":
        array = np.clip(array, max(np.iinfo(dtype).min, -(1 << 31)), min(np.iinfo(dtype).max, (1 << 31) - 1))
    tensor.CopyFrom(numpy_helper.from_array(array.astype(dtype), tensor.name))


def change_tensor_shape(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    if tensor.dims and rng.random() < 0.5:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(SIZES)
    else:
        tensor.dims.insert(rng.randrange(len(tensor.dims) + 1), rng.choice((1, 1, 1, 2)))


def change_interface(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice([*model.graph.input, *model.graph.output]).type.tensor_type
    if rng.random() < 0.4:
        tensor.elem_type = rng.choice(TYPES)
    else:
        tensor.shape.dim[rng.randrange(len(tensor.shape.dim))].dim_value = rng.choice(SIZES)


def change_opset(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.opset_import).version = rng.choice((1, 7, 9, 10, 11, 12, 13, 17, 18, 21, 23, 99))


def change_results(model: onnx.ModelProto, rng: random.Random) -> None:
    """Make another tensor the result."""
    model.graph.output[0].name = rng.choice([name for node in model.graph.node for name in node.output])


CHANGES: list[Callable[[onnx.ModelProto, random.Random], None]] = [
    change_attribute, drop_attribute, add_attribute, change_operator, connect_otherwise, drop_input, drop_node,
    insert_node, swap_nodes, change_numbers, change_numbers, change_tensor_type, change_tensor_shape, change_interface,
    change_opset, change_results,
]  # fmt: skip
