"""What onnx's checker and shape inference say of a model, node by node."""

import re
import warnings
from collections.abc import Iterable

import onnx
import onnx.checker
import onnx.shape_inference

from htvm.import_onnx.errors import ModelError, ModelWarning

TAKE_INTEGERS = frozenset("Clip Conv Div Floor Gemm MatMul MaxPool Max Min Mul Add Sub Relu Round".split())
"""Operators that some exporters, such as MATCH's, write on integers, where ONNX may have them on floats alone.

The importer takes them on integers, and looks at their types itself.
"""

INTEGERS = frozenset(
    (onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT16, onnx.TensorProto.UINT16)
    + (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
)


def take_integers(model: onnx.ModelProto, nodes: Iterable[int]) -> bool:
    """Say whether each of some nodes, by index, is of TAKE_INTEGERS and reads integers, as far as onnx infers types."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # the inference raises exceptions of several unrelated types
        return False
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    types |= {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info)}
    read = (graph.node[index] for index in nodes)
    return all(
        node.op_type in TAKE_INTEGERS and any(types.get(name) in INTEGERS for name in node.input) for node in read
    )


def problems_of_nodes(proto: onnx.ModelProto, opset: int, skip: set[int]) -> dict[int, str]:
    """Return what onnx's checker says of each node but those in `skip`: the check of a model stops at the first."""
    problems: dict[int, str] = {}
    for index, node in enumerate(proto.graph.node):
        if index not in skip and (problem := problem_of(node, opset, proto.ir_version)):
            problems[index] = problem
    return problems


def problem_of(node: onnx.NodeProto, opset: int, ir_version: int = onnx.IR_VERSION) -> str | None:
    """Return what onnx's checker says of a node of ONNX's own operators."""
    context = onnx.checker.C.CheckerContext()
    context.ir_version = min(max(ir_version, 0), onnx.IR_VERSION)
    context.opset_imports = {"": opset}
    try:
        onnx.checker.check_node(node, context)
    except Exception as error:  # the checker raises exceptions of several unrelated types
        return one_line(error)
    return None


def with_outputs_inferred(proto: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Return a model whose outputs have the types that onnx infers, where it states others; a warning names them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for output in copy.graph.output:
        output.ClearField("type")
    try:
        inferred = onnx.shape_inference.infer_shapes(copy).graph.output
    except Exception:  # the inference raises exceptions of several unrelated types
        return proto
    for output, stated, found in zip(copy.graph.output, proto.graph.output, inferred, strict=True):
        output.type.CopyFrom(found.type if found.HasField("type") else stated.type)
        texts = [_type_text(each.type.tensor_type) for each in (stated, output)]
        if texts[0] != texts[1]:
            text = (
                f"{label}: output '{output.name}': is stated as {texts[0]}, but computed as {texts[1]}: taken as this"
            )
            warnings.warn(ModelWarning(text), stacklevel=4)
    return copy


def _type_text(tensor: onnx.TypeProto.Tensor) -> str:
    """Return an element type and a shape as messages write them."""
    numbers = onnx.TensorProto.DataType
    kind = numbers.Name(tensor.elem_type).lower() if tensor.elem_type in numbers.values() else "unknown"
    return f"{kind} {'x'.join(str(size.dim_value or size.dim_param or '?') for size in tensor.shape.dim)}"


def contradictions(content: bytes, label: str, *, types: bool = True) -> dict[int, str]:
    """Return what onnx's shape inference finds wrong with nodes, by the node's index.

    types: look also for element types that an operator does not have.
    """
    try:
        onnx.shape_inference.infer_shapes(content, check_type=types, strict_mode=True)
        return {}
    except Exception:  # the inference raises exceptions of several unrelated types
        # Its message calls nodes by their names, which need not be different, or there at all.
        numbered = onnx.ModelProto.FromString(content)
        for index, node in enumerate(numbered.graph.node):
            node.name = str(index)
    try:
        onnx.shape_inference.infer_shapes(numbered, check_type=types, strict_mode=True)
    except Exception as error:
        parts = re.split(r"\(op_type: ?\w+, node name: (\d+)\): ", str(error))
        problems = {int(index): one_line(text) for index, text in zip(parts[1::2], parts[2::2], strict=True)}
        if not problems:
            raise ModelError([f"{label}: is no valid ONNX model: {one_line(error)}"]) from None
        return problems
    return {}


def one_line(error: object) -> str:
    """Return a message of onnx without line breaks, its brackets and the context it prints."""
    text = re.sub(r"\[(ShapeInferenceError|TypeInferenceError)\]\s*", "", str(error)).partition("==> Context")[0]
    return (" ".join(text.split()) or type(error).__name__).removesuffix(".")[:300]
