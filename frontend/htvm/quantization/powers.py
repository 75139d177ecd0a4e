"""Scales that are powers of two, and biases with which rounding half up is rounding half to even.

Everything is symmetric, both sides and the result of an addition have one scale, and no sum of a linear layer lies
halfway between two results: rounding half to even is then what an accelerator does that adds half and shifts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from htvm.import_onnx import onnx_files
from htvm.quantization.fusion import ACTIVATIONS, LINEAR

SAMPLES = 32
"""Of the calibration, by which powers of two are chosen."""


def powers(
    ready: Path, found: onnx.ModelProto, samples: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, list[dict[str, Any]]]:
    """Return, for each tensor that has a scale of its own, one that is a power of two, as onnxruntime's overrides.

    Of the two beside the scale it is the one with less error, over the weights or some samples.
    """
    from onnxruntime.quantization import QuantType

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx_files.load(ready).graph.initializer}
    scales = {
        tensor.name.removesuffix("_scale"): numpy_helper.to_array(tensor)
        for tensor in found.graph.initializer
        if tensor.name.endswith("_scale")
    }
    axes = _axes(found.graph)
    own = [name for name, scale in scales.items() if name not in weights and not scale.ndim]
    numbers = _activations(ready, own, samples[:SAMPLES])
    activations = {name: _best(numbers[name], float(scales[name])) for name in own}
    _unify_additions(onnx_files.load(ready).graph, activations)

    def override(scale: float, **more: int) -> dict[str, Any]:
        kind = {"quant_type": QuantType.QInt8}
        return {**kind, "scale": np.array(scale, np.float32), "zero_point": np.array(0, np.int8), **more}

    made = {name: [override(scale)] for name, scale in activations.items()}
    for name, array in weights.items():
        scale = scales.get(name)
        if scale is None or f"{name}_quantized" not in axes:
            continue
        if scale.ndim:
            axis = axes[f"{name}_quantized"]
            channels = np.moveaxis(array, axis, 0)
            made[name] = [override(_best(part, float(s)), axis=axis) for part, s in zip(channels, scale)]
        else:
            made[name] = [override(_best(array, float(scale)))]
    return made


def widened(overrides: Mapping[str, list[dict[str, Any]]], names: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the overrides of `powers`, with 16 bits for some activations: as far as 8 reach, in steps of 1/256."""
    from onnxruntime.quantization import QuantType

    def wide(override: dict[str, Any]) -> dict[str, Any]:
        scale = np.array(override["scale"] / 256, np.float32)
        return {**override, "quant_type": QuantType.QInt16, "scale": scale, "zero_point": np.array(0, np.int16)}

    return {name: [wide(each) for each in given] if name in names else given for name, given in overrides.items()}


def _activations(
    ready: Path, names: Sequence[str], samples: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the numbers that some tensors of the float model hold, for each sample."""
    import onnxruntime

    model = onnx_files.load(ready)
    inputs = {value.name for value in model.graph.input}
    inner = [name for name in names if name not in inputs]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [{**sample, **dict(zip(inner, session.run(inner, sample)))} for sample in samples]
    return {name: np.stack([run[name] for run in runs]) for name in names}


def _axes(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the axis of scales for each tensor of int8 that is dequantised and constant."""
    stored = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    return {
        node.input[0]: next((a.i for a in node.attribute if a.name == "axis"), 1)
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }


def _above(scale: float) -> float:
    return 2.0 ** math.ceil(math.log2(scale))


def _best(numbers: np.ndarray, scale: float) -> float:
    """Return the power of two beside `scale` that stores the numbers in int8 with the smaller squared error."""

    def error(step: float) -> float:
        stored = np.clip(np.rint(numbers / step), -127, 127)
        return float(np.square(stored * step - numbers).sum())

    above = _above(scale)
    return min((above, above / 2), key=error)


def _unify_additions(graph: onnx.GraphProto, scales: dict[str, float]) -> None:
    """Give both sides and the result of each addition the largest of their scales, directly or through activations."""
    makers = {node.output[0]: node for node in graph.node}
    group: dict[str, str] = {}

    def root(name: str) -> str:
        while group.setdefault(name, name) != name:
            name = group[name]
        return name

    for node in graph.node:
        if node.op_type == "Add":
            for name in node.input:
                group[root(name)] = root(node.output[0])
        elif node.op_type in ACTIVATIONS and makers.get(node.input[0], node).op_type == "Add":
            group[root(node.input[0])] = root(node.output[0])
    largest: dict[str, float] = {}
    for name in group:
        if name in scales:
            largest[root(name)] = max(largest.get(root(name), 0.0), scales[name])
    for name in group:
        if name in scales:
            scales[name] = largest[root(name)]


def break_ties(graph: onnx.GraphProto) -> None:
    """Add half a step of the sum to each bias, so that no sum lies halfway between two results.

    The bias b in steps of s becomes 2 b + 1 in steps of s / 2. Layers without bias get one.
    """
    makers = {node.output[0]: node for node in graph.node}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        if node.op_type not in LINEAR:
            continue
        inputs, weights = (makers[name] for name in node.input[:2])
        scale = numpy_helper.to_array(tensors[inputs.input[1]]) * numpy_helper.to_array(tensors[weights.input[1]])
        shape = tensors[weights.input[0]].dims
        transposed = next((a.i for a in node.attribute if a.name == "transB"), 0)
        channels = shape[0] if node.op_type == "Conv" or transposed else shape[1]
        stored = np.zeros(channels, np.int32)
        if len(node.input) > 2 and node.input[2]:
            stored = numpy_helper.to_array(tensors[makers[node.input[2]].input[0]])
        name = f"{node.output[0]}_tieless_bias"
        graph.initializer.append(
            numpy_helper.from_array((2 * stored.astype(np.int64) + 1).astype(np.int32), f"{name}_stored")
        )
        graph.initializer.append(
            numpy_helper.from_array((scale / 2).astype(np.float32).reshape(scale.shape), f"{name}_scale")
        )
        bias = helper.make_node("DequantizeLinear", [f"{name}_stored", f"{name}_scale"], [name], name=f"{name}_dq")
        if scale.size > 1:
            bias.attribute.append(helper.make_attribute("axis", 0))
        graph.node.insert(list(graph.node).index(node), bias)
        node.input[2:] = [name]
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for node in [node for node in graph.node if node.output[0] not in used]:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
