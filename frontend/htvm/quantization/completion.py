"""What onnxruntime's quantiser leaves in float between two layers gets a quantiser of its own.

It quantises around the operators that it knows. The compiler needs one wherever a rounding is unavoidable: at the
network's inputs and outputs, and behind operators that neither move numbers nor are taken in by the next one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from htvm.quantization.fusion import ACTIVATIONS
from htvm.quantization.samples import Sample

MOVES = frozenset(
    "DepthToSpace Expand Flatten Gather Identity MaxPool GlobalMaxPool ReduceMax ReduceMin Reshape Slice SpaceToDepth "
    "Split Squeeze Tile Transpose Unsqueeze Dropout".split()
)
"""Operators whose results are elements of their first input: what quantises that quantises them."""

OF_ELEMENTS = frozenset("Add Sub Mul Div Clip Relu Neg Abs Cast".split())
"""Operators that, with constants, are an expression of one value: one table, rounded once."""

REAL = "_real"
"""Ends the name of an output before it is quantised: what is quantised has the output's own name."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Bits:
    """How wide activations are stored: 8 bits, and 16 for the tensors named."""

    wide: frozenset[str] = frozenset()

    def of(self, name: str) -> np.dtype:
        return np.dtype(np.int16 if name in self.wide else np.int8)


def ranges(model: onnx.ModelProto, samples: Sequence[Sample]) -> dict[str, Range]:
    """Return the smallest and largest number of each float tensor of a model over some samples."""
    found: dict[str, Range] = {}
    for values in evaluated(model, samples):
        for name, array in values.items():
            low, high = found.get(name, (math.inf, -math.inf))
            if array.size:
                found[name] = min(low, float(array.min())), max(high, float(array.max()))
    return found


def evaluated(model: onnx.ModelProto, samples: Sequence[Sample]) -> list[dict[str, np.ndarray]]:
    """Return all float tensors of a model for each sample, as onnxruntime computes them."""
    import onnxruntime

    inferred = onnx.shape_inference.infer_shapes(model)
    types = {value.name: value.type for value in (*inferred.graph.value_info, *inferred.graph.output)}
    names = [name for node in model.graph.node for name in node.output if name]
    names = [name for name in names if name in types and types[name].tensor_type.elem_type == TensorProto.FLOAT]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = {value.name for value in model.graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    runs: list[dict[str, np.ndarray]] = []
    for sample in samples:
        made = dict(zip(names, session.run(names, sample), strict=True)) if names else {}
        runs.append(made | {name: array for name, array in sample.items() if name in inputs})
    return runs


def complete(model: onnx.ModelProto, known: Mapping[str, Range], symmetric: bool, bits: Bits) -> None:
    """Quantise every float tensor of a quantised model that needs it, after the range that it has."""
    constants = {tensor.name for tensor in model.graph.initializer}
    outputs = {value.name for value in model.graph.output}
    for name, (low, high) in known.items():
        graph = model.graph
        readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        makers: dict[str, onnx.NodeProto] = {}
        for node in graph.node:
            makers.update(dict.fromkeys(node.output, node))
            for read in node.input:
                readers[read].append(node)
        maker = makers.get(name)
        if name in constants or (maker is None and name not in {value.name for value in graph.input}):
            continue
        if maker is not None and (maker.op_type == "DequantizeLinear" or maker.op_type in MOVES):
            continue
        plain = [node for node in readers[name] if node.op_type != "QuantizeLinear"]
        if not plain and name not in outputs:
            continue
        if name not in outputs and _is_inner(maker, readers[name], readers, constants):
            continue
        dequantised = _existing(readers[name], readers)
        if dequantised is None or name in outputs:
            dequantised = _insert(model, name, maker, (low, high), symmetric, bits.of(name), name in outputs)
        for node in plain:
            for place, read in enumerate(node.input):
                if read == name:
                    node.input[place] = dequantised


def float_name(quantise: onnx.NodeProto) -> str:
    """Return what the float model calls the tensor that a QuantizeLinear reads: quantising may have renamed it."""
    return quantise.input[0].removesuffix("_QuantizeLinear_Input").removesuffix(REAL)


def guard_divisors(model: onnx.ModelProto, known: Mapping[str, Range]) -> None:
    """Keep quantised divisors from 0, which every quantised tensor can be: at the smallest size that they have.

    Those of both signs stay as they are: there is no number to keep them at.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    for node in [each for each in graph.node if each.op_type == "Div"]:
        dequantise = makers.get(node.input[1])
        quantise = makers.get(dequantise.input[0]) if dequantise and "Dequantize" in dequantise.op_type else None
        if quantise is None or quantise.op_type != "QuantizeLinear":
            continue
        name = float_name(quantise)
        low, high = known.get(name, (0.0, 0.0))
        if low <= 0 <= high:
            continue
        bound, place = f"{node.output[0]}_least", list(graph.node).index(node)
        graph.initializer.append(numpy_helper.from_array(np.array(low if low > 0 else high, np.float32), bound))
        bounds = [bound] if low > 0 else ["", bound]
        clip = helper.make_node("Clip", [node.input[1], *bounds], [f"{bound}_divisor"], f"{node.name}_keeps_from_0")
        graph.node.insert(place, clip)
        node.input[1] = clip.output[0]


def _is_inner(
    maker: onnx.NodeProto | None,
    read_by: Sequence[onnx.NodeProto],
    readers: Mapping[str, Sequence[onnx.NodeProto]],
    constants: set[str],
) -> bool:
    """Say whether the one operator that reads a tensor takes its maker in, so that nothing need be rounded between."""
    if len(read_by) != 1 or maker is None:
        return False
    (reader,) = read_by
    if reader.op_type in ACTIVATIONS and maker.op_type not in ("Softmax", "LayerNormalization"):
        behind = readers[reader.output[0]]
        return bool(behind) and all(node.op_type == "QuantizeLinear" for node in behind)
    with_constants = all(
        node.op_type in OF_ELEMENTS and sum(name not in constants for name in node.input if name) == 1
        for node in (maker, reader)
    )
    return with_constants


def _existing(read_by: Sequence[onnx.NodeProto], readers: Mapping[str, Sequence[onnx.NodeProto]]) -> str | None:
    """Return what a quantiser of the tensor that is there already gives back."""
    for node in read_by:
        if node.op_type == "QuantizeLinear":
            for behind in readers[node.output[0]]:
                if behind.op_type == "DequantizeLinear":
                    return behind.output[0]
    return None


def _insert(
    model: onnx.ModelProto,
    name: str,
    maker: onnx.NodeProto | None,
    limits: Range,
    symmetric: bool,
    dtype: np.dtype,
    is_output: bool,
) -> str:
    """Put QuantizeLinear and DequantizeLinear behind a tensor; return the name of what they give."""
    info = np.iinfo(dtype)
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    if symmetric:
        scale, zero_point = max(abs(low), abs(high)) / info.max, 0
    else:
        scale = (high - low) / (info.max - info.min)
        zero_point = int(np.clip(np.rint(info.min - low / scale), info.min, info.max)) if scale else 0
    scale = scale if scale >= np.finfo(np.float32).smallest_normal else 1.0
    domain = "com.microsoft" if dtype == np.int16 else ""
    source, result = name, f"{name}_dequantised"
    if is_output and maker is not None:
        source, result = f"{name}{REAL}", name
        maker.output[list(maker.output).index(name)] = source
    constants = {"scale": np.array(scale, np.float32), "zero_point": np.array(zero_point, dtype)}
    for what, array in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(array, f"{name}_{what}_own"))
    parameters = [f"{name}_{what}_own" for what in constants]
    pair = (
        helper.make_node("QuantizeLinear", [source, *parameters], [f"{name}_stored"], f"{name}_quantise"),
        helper.make_node("DequantizeLinear", [f"{name}_stored", *parameters], [result], f"{name}_dequantise"),
    )
    place = 0 if maker is None else list(model.graph.node).index(maker) + 1
    for node in reversed(pair):
        node.domain = domain
        model.graph.node.insert(place, node)
    if domain and all(entry.domain != domain for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return result
