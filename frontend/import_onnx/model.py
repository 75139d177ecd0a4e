"""Read an ONNX file and check what onnx can check, without trusting any of it."""

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import onnx
import onnx.inliner
import onnx.shape_inference
from google.protobuf.message import DecodeError

from htvm.import_onnx import checks, onnx_files
from htvm.import_onnx.errors import ModelError, ModelWarning, shape_text

OPSETS = range(7, onnx.defs.onnx_opset_version() + 1)
"""The versions of ONNX's operators whose meaning the importer knows; before 7, broadcasting was another."""

MAX_NODES = 20_000
"""Of a model: importing that many takes a few seconds."""

MAX_FILE_BYTES = 256 * 2**20
"""A larger file is no model for a microcontroller; importing it could take four times its size in memory."""

ONNX_DOMAINS = ("", "ai.onnx")

REQUANT_SHIFT, ROUNDING = "RequantShift", "rounding"
"""An operator of quantlib's exporters, and its attribute that is 1 where half of div is added before rounding down."""

FLOOR, HALF = "floor", "half"
"""How RequantShift rounds where a file does not say it."""


@dataclass(frozen=True)
class Model:
    """A model that onnx accepts, but for operators it does not know and what it found wrong with single nodes.

    label: what messages call it, the file's name. name: a C identifier. content: the protobuf's bytes.
    problems: what onnx found wrong with nodes, by the node's index.
    """

    label: str
    name: str
    graph: onnx.GraphProto
    opset: int
    content: bytes = field(repr=False)
    problems: dict[int, str]

    @cached_property
    def tensors(self) -> dict[str, onnx.TypeProto.Tensor]:
        """The types of tensors as far as onnx can infer them, whatever is wrong."""
        try:
            graph = onnx.shape_inference.infer_shapes(self.content).graph
        except Exception:  # the inference raises exceptions of several unrelated types
            return {}
        values = (*graph.input, *graph.value_info, *graph.output)
        return {value.name: value.type.tensor_type for value in values if value.type.HasField("tensor_type")}


def read_model(
    source: str | os.PathLike[str] | onnx.ModelProto,
    shapes: Mapping[str, Sequence[int]] | None = None,
    requant_shift: str = FLOOR,
) -> Model:
    """Return the model of a file or of a protobuf, with the sizes of inputs that `shapes` gives. Raises ModelError.

    requant_shift: how RequantShift rounds, as `round_requant_shifts` takes it.
    """
    if isinstance(source, onnx.ModelProto):
        label = source.graph.name or "model"
        proto = onnx.ModelProto()
        proto.CopyFrom(source)
        _set_shapes(proto.graph, shapes or {}, label, notes=True)
        round_requant_shifts(proto, requant_shift, label)
        return _check(proto, proto.SerializeToString(), label, c_identifier(label), folder=None)
    path = Path(source)
    content, proto = _read(path)
    label = label_of(path)
    is_changed = _set_shapes(proto.graph, shapes or {}, label, notes=True)
    if round_requant_shifts(proto, requant_shift, label) or is_changed:
        content = proto.SerializeToString()
    return _check(proto, content, label, c_identifier(path.stem), path.parent)


def _read(path: Path) -> tuple[bytes, onnx.ModelProto]:
    """Return a file's bytes and the model that they are. Raises ModelError."""
    try:
        if path.is_dir():
            raise ModelError([f"{path}: is a folder, expected an ONNX file"])
        if path.exists() and not path.is_file():
            raise ModelError([f"{path}: is no regular file, expected an ONNX file"])
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise ModelError([f"{path}: has {size_bytes:,} bytes, expected at most {MAX_FILE_BYTES:,}"])
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError([f"{path}: no such file"]) from None
    except (OSError, ValueError) as error:
        raise ModelError([f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    if not content:
        raise ModelError([f"{path}: is empty, expected an ONNX file"])
    try:
        return content, onnx.ModelProto.FromString(content)
    except DecodeError:
        found = f"is no ONNX file, or only the beginning of one ({len(content):,} bytes do not parse)"
        raise ModelError([f"{label_of(path)}: {found}"]) from None


def label_of(path: str | os.PathLike[str]) -> str:
    """Return what messages call the model in a file: its name, in which bytes that are no UTF-8 become a mark."""
    return readable(Path(path).name)


def readable(text: str) -> str:
    """Return a text that may have come from a file's name as one that can be written in UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def with_shapes(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], label: str, requant_shift: str = FLOOR
) -> onnx.ModelProto:
    """Return a copy of a model, with the sizes of inputs that `shapes` gives, and batches of 1. Raises ModelError.

    requant_shift: how RequantShift rounds, as `round_requant_shifts` takes it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _set_shapes(copy.graph, shapes, label)
    round_requant_shifts(copy, requant_shift)
    return copy


def round_requant_shifts(model: onnx.ModelProto, rounding: str, label: str | None = None) -> bool:
    """Write into RequantShift nodes that they add half of div, if `rounding` is "half"; say whether any has changed.

    A node that has the attribute `rounding` keeps it. label: of a warning that says how nodes without it are taken.
    """
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    nodes = [node for body in bodies for node in body if node.op_type == REQUANT_SHIFT]
    nodes = [node for node in nodes if all(each.name != ROUNDING for each in node.attribute)]
    if rounding == HALF:
        for node in nodes:
            node.attribute.append(onnx.helper.make_attribute(ROUNDING, 1))
        return bool(nodes)
    if nodes and label is not None:
        more = f" and {len(nodes) - 1:,} more" if len(nodes) > 1 else ""
        text = (
            f"{label}: node '{nodes[0].name or nodes[0].output[0]}'{more}: RequantShift is taken to round down, as "
            "quantlib means it; networks of Deeploy add half of div first: --requant-shift half"
        )
        warnings.warn(ModelWarning(text), stacklevel=3)
    return False


def open_batches(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Return the shapes, with a batch of 1, of the inputs of which the first axis alone has no size."""
    constants = {tensor.name for tensor in graph.initializer}
    found: dict[str, tuple[int, ...]] = {}
    for value in graph.input:
        sizes = value.type.tensor_type.shape.dim
        fixed = [axis.HasField("dim_value") for axis in sizes]
        if value.name not in constants and len(sizes) > 1 and not fixed[0] and all(fixed[1:]):
            found[value.name] = (1, *(axis.dim_value for axis in sizes[1:]))
    return found


def open_shapes(source: str | os.PathLike[str]) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of inputs of which more than the batch has no size; None for each that has none.

    Raises ModelError for a file that is no model.
    """
    graph = _read(Path(source))[1].graph
    known = {*open_batches(graph), *(tensor.name for tensor in graph.initializer)}
    shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.input if value.name not in known}
    found = {
        name: tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)
        for name, axes in shapes.items()
    }
    return {name: sizes for name, sizes in found.items() if None in sizes}


def _set_shapes(graph: onnx.GraphProto, given: Mapping[str, Sequence[int]], label: str, *, notes: bool = False) -> bool:
    """Give inputs whose axes have no size, or a symbolic one, the sizes that the user says; a batch alone is 1.

    notes: warn of each batch that is taken to be 1. Return whether anything has changed.
    """
    inputs = {value.name: value for value in graph.input}
    batches = {name: shape for name, shape in open_batches(graph).items() if name not in given}
    for name, shape in batches.items() if notes else ():
        symbol = inputs[name].type.tensor_type.shape.dim[0].dim_param
        axis = f"axis 0 has size '{symbol}'" if symbol else "axis 0 has no size"
        text = f"{label}: input '{name}': {axis}: taken to be 1, shape {shape_text(shape)}; samples run one by one"
        warnings.warn(ModelWarning(text), stacklevel=3)
    shapes = {**batches, **given}
    problems: list[str] = []
    for name, shape in shapes.items():
        if name not in inputs:
            names = ", ".join(map(str, inputs)) or "none"
            problems.append(f"{label}: a shape is given for '{name}', the inputs are {names}")
            continue
        tensor = inputs[name].type.tensor_type
        stated = [axis.dim_value if axis.dim_value > 0 else None for axis in tensor.shape.dim]
        if not tensor.HasField("shape"):
            stated = [None] * len(shape)
        fits = len(stated) == len(shape) and all(
            size > 0 and known in (None, size) for size, known in zip(shape, stated, strict=True)
        )
        if not fits:
            wanted = "x".join("?" if size is None else str(size) for size in stated) or "scalar"
            problems.append(f"{label}: input '{name}': the shape given is {shape_text(shape)}, expected {wanted}")
            continue
        del tensor.shape.dim[:]
        tensor.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in shape)
    if problems:
        raise ModelError(problems)
    if shapes:
        del graph.value_info[:]  # what the exporter inferred for other sizes; onnx infers it again
    return bool(shapes)


def with_functions_inlined(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Return a model without functions of its own, whose nodes take the place of the calls. Raises ModelError."""
    bodies = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(node: onnx.NodeProto, callers: tuple[tuple[str, str], ...]) -> int:
        key = (node.domain, node.op_type)
        if key not in bodies:
            return 1
        if key in callers:
            raise ModelError([f"{label}: function '{node.op_type}' calls itself, expected functions that end"])
        if key not in sizes:
            sizes[key] = sum(size(inner, (*callers, key)) for inner in bodies[key].node)
        return sizes[key]

    count = sum(size(node, ()) for node in model.graph.node)
    if count > MAX_NODES:
        raise ModelError([f"{label}: has {count:,} nodes with its functions, expected at most {MAX_NODES:,}"])
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the inliner raises exceptions of several unrelated types
        raise ModelError(
            [f"{label}: its functions cannot be put in place of their calls: {checks.one_line(error)}"]
        ) from None


def c_identifier(text: str) -> str:
    """Return a C identifier that resembles `text`: other characters become underscores."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)[:64]
    return name if re.match(r"[A-Za-z]", name) else f"model_{name}".rstrip("_")


def _check(proto: onnx.ModelProto, content: bytes, label: str, name: str, folder: Path | None) -> Model:
    """Return the model, or raise ModelError if something is wrong that is not a single node's fault."""
    if proto.functions:
        proto = with_functions_inlined(proto, label)
        content = proto.SerializeToString()
    if not proto.HasField("graph") or not proto.graph.node:
        raise ModelError([f"{label}: holds no graph with nodes: is no ONNX file, or only a part of one"])
    if len(proto.graph.node) > MAX_NODES:
        raise ModelError([f"{label}: has {len(proto.graph.node):,} nodes, expected at most {MAX_NODES:,}"])
    if wrong := [name for name in _names(proto.graph) if isinstance(name, bytes)]:
        raise ModelError(f"{label}: the name {name!r} is not UTF-8 text" for name in wrong)
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ONNX_DOMAINS), None)
    if opset is None or opset not in OPSETS:
        found = "no version" if opset is None else f"version {opset}"
        wanted = f"expected {OPSETS.start} to {OPSETS.stop - 1}"
        hint = "; onnx.version_converter converts models" if opset is not None and opset < OPSETS.start else ""
        raise ModelError([f"{label}: uses {found} of ONNX's operators (opset), {wanted}{hint}"])
    if _has_external_data(proto.graph):
        _load_external_data(proto.graph, label, folder)
        content = proto.SerializeToString()
    unknown = {index for index, node in enumerate(proto.graph.node) if not _known_to_onnx(node, opset)}
    problems: dict[int, str] = {}
    try:
        onnx_files.check(content)
    except Exception as error:  # the checker raises exceptions of several unrelated types
        problems = checks.problems_of_nodes(proto, opset, skip=unknown)
        if not problems and not unknown:
            raise ModelError([f"{label}: is no valid ONNX model: {checks.one_line(error)}"]) from None
    if not problems and not unknown:
        problems = checks.contradictions(content, label)
        if problems and checks.take_integers(proto, problems):
            proto = checks.with_outputs_inferred(proto, label)
            content = proto.SerializeToString()
            problems = checks.contradictions(content, label, types=False)
    return Model(label, name, proto.graph, opset, content, problems)


def _known_to_onnx(node: onnx.NodeProto, opset: int) -> bool:
    return node.domain in ONNX_DOMAINS and onnx.defs.has(node.op_type, opset, "")


def _names(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    """Yield every name in a graph; protobuf gives bytes for those that are not UTF-8."""
    yield graph.name
    for named in (*graph.input, *graph.output, *graph.initializer, *graph.node):
        yield named.name
    for node in graph.node:
        yield from (node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _has_external_data(graph: onnx.GraphProto) -> bool:
    return any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer)


def _load_external_data(graph: onnx.GraphProto, label: str, folder: Path | None) -> None:
    """Read the initialisers that lie in other files into the model. Only files below `folder` are touched."""
    problems: list[str] = []
    total_bytes = 0
    for tensor in graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location, place = entries.get("location", ""), f"{label}: initialiser '{tensor.name}'"
        if folder is None:
            problems.append(f"{place}: its data is in the file '{location}'; load it first, or give the model's path")
            continue
        path = Path(os.path.realpath(folder / location)) if "\0" not in location else folder
        if not location or not path.is_relative_to(os.path.realpath(folder)):
            problems.append(f"{place}: its data is in '{location}', which is outside the model's folder")
            continue
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
            if not path.is_file() and path.exists():
                raise ValueError("it is no regular file")
            size_bytes = path.stat().st_size
            length = size_bytes - offset if length < 0 else length
            if not 0 <= offset <= offset + length <= size_bytes:
                raise ValueError(f"bytes {offset:,} to {offset + length:,} of a file of {size_bytes:,}")
            total_bytes += length
            if total_bytes > MAX_FILE_BYTES:
                raise ValueError(f"more than {MAX_FILE_BYTES:,} bytes in all")
            with path.open("rb") as file:
                file.seek(offset)
                tensor.raw_data = file.read(length)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            problems.append(f"{place}: its data cannot be read from '{location}': {reason}")
            continue
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
    if problems:
        raise ModelError(problems)
