"""Float models become quantised ones that compile well: onnxruntime's quantiser, and scales that are powers of two.

Weights are symmetric int8, activations int8, biases int32, as pairs of QuantizeLinear and DequantizeLinear. With powers
of two, everything is symmetric, both sides and the result of an addition have one scale, and no sum of a linear layer
lies halfway between two results: rounding half to even is then what an accelerator does that adds half and shifts.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import onnx
from onnx import helper, numpy_helper

from htvm.diagnostics import CompileError
from htvm.interface import InputError, described, shape_text
from htvm.runtime.interrupts import scratch_folder

if TYPE_CHECKING:
    from htvm.driver import Model

OPSET = 13
"""The oldest whose QuantizeLinear takes a scale per channel."""

SAMPLES = 32
"""Of the calibration, by which powers of two are chosen."""

LINEAR = ("Conv", "Gemm")
ACTIVATIONS = ("Relu", "Clip")


def quantise(
    model: Model,
    calibration: Mapping[str, np.ndarray],
    *,
    per_channel: bool = False,
    powers_of_two: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> onnx.ModelProto:
    """Return a float model with all that onnxruntime quantises in int8, after the ranges of some inputs.

    calibration: by input name, samples on axis 0. per_channel: a weight scale for each output channel.
    powers_of_two: of all scales; an engine that only shifts can then run the layers.

    Raises InputError if the calibration does not fit or onnxruntime is missing, CompileError on a model that cannot be
    quantised.
    """
    quantiser = _onnxruntime()
    from htvm.driver import label, loaded
    from htvm.import_onnx import with_shapes

    name = label(model)
    proto = with_shapes(loaded(model), shapes or {}, name)
    if any("Quantize" in node.op_type or "QLinear" in node.op_type for node in proto.graph.node):
        raise CompileError([f"{name}: is quantised already, expected a float model"])
    samples = split(proto, calibration)
    with _quiet(), scratch_folder() as folder, mock.patch("tempfile.tempdir", str(folder)):  # onnxruntime makes more
        try:
            ready = _prepared(proto, quantiser, folder)
            options = {"per_channel": per_channel, "symmetric": powers_of_two}
            found = _quantised(ready, samples, quantiser, folder, **options)
            if powers_of_two:
                overrides = _powers(ready, found, samples)
                found = _quantised(ready, samples, quantiser, folder, **options, overrides=overrides)
        except Exception as error:  # onnxruntime raises exceptions of several unrelated types
            raise CompileError([f"{name}: cannot be quantised: {' '.join(str(error).split())[:400]}"]) from error
    if powers_of_two:
        _fuse_activations(found.graph)
        _break_ties(found.graph)
    found.graph.name = name
    return found


def split(model: onnx.ModelProto, given: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Return the samples of a float model's inputs, as float32. Raises InputError on what does not fit."""
    constants = {tensor.name for tensor in model.graph.initializer}
    columns, problems = {}, []
    for value in model.graph.input:
        if value.name in constants:
            continue
        shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
        wanted = f"N samples of {shape_text((1, *shape[1:]))}"
        found = described(given, value.name)
        if found is None:
            problems.append(f"input '{value.name}' is missing; given: {', '.join(given) or 'none'}")
        elif not shape or len(found.shape) != len(shape) or list(found.shape[1:]) != shape[1:] or not found.shape[0]:
            problems.append(f"input '{value.name}' has shape {shape_text(found.shape)}, expected {wanted}")
        else:
            array = given[value.name]
            columns[value.name] = np.split(array.astype(np.float32), len(array))
    counts = {name: len(parts) for name, parts in columns.items()}
    if not problems and len(set(counts.values())) != 1:
        problems.append(f"the inputs hold different numbers of samples: {counts}")
    if problems:
        raise InputError("\n".join(problems))
    return [dict(zip(columns, parts)) for parts in zip(*columns.values())]


def changes(
    model: Model,
    quantised: onnx.ModelProto,
    given: Mapping[str, np.ndarray],
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, dict[str, float]]:
    """Return how far each output moves from the float model's on some samples, the quantised meaning being exact.

    For outputs [1, K]: how often the largest one is the same ("same_class"), and with `label` in `given` the accuracy
    of both. `range` is that of the float outputs.
    """
    import onnxruntime

    from htvm.driver import label, loaded
    from htvm.import_onnx import with_shapes
    from htvm.reference import evaluate

    proto = with_shapes(loaded(model), shapes or {}, label(model))
    samples = split(proto, given)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in proto.graph.output]
    before = [dict(zip(names, session.run(names, sample))) for sample in samples]
    after = [evaluate(quantised, sample) for sample in samples]
    found = {}
    for name in names:
        was, now = (np.stack([run[name] for run in runs]) for runs in (before, after))
        moved = np.abs(was - now)
        facts = {
            "samples": len(samples),
            "mean_change": float(moved.mean()),
            "largest_change": float(moved.max()),
            "range": float(np.ptp(was)),
        }
        if was.ndim == 3 and was.shape[1] == 1 < was.shape[2]:
            classes, others = was.argmax(2)[:, 0], now.argmax(2)[:, 0]
            facts["same_class"] = float((classes == others).mean())
            labels = given.get("label")
            if labels is not None and labels.shape == classes.shape:
                facts |= {
                    "accuracy": float((others == labels).mean()),
                    "float_accuracy": float((classes == labels).mean()),
                }
        found[name] = facts
    return found


def _onnxruntime() -> Any:
    """Return onnxruntime's quantiser. Raises InputError if it is not installed."""
    try:
        # Its telemetry leaves a file among the temporary ones as it is imported.
        with scratch_folder() as folder, mock.patch.dict(os.environ, {"TMPDIR": str(folder)}):
            from onnxruntime import quantization
    except ImportError:
        raise InputError("quantising needs onnxruntime, which is not installed: pip install 'htvm[quantize]'") from None
    return quantization


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what onnxruntime says to those who call it by hand to itself."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _prepared(model: onnx.ModelProto, quantiser: Any, folder: Path) -> Path:
    """Return a file with the model, its batch normalisations folded into convolutions."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    before, after = folder / "float.onnx", folder / "ready.onnx"
    onnx.save(model, before)
    quant_pre_process(before, after, skip_symbolic_shape=True)
    return after


def _quantised(
    ready: Path,
    samples: Sequence[Mapping[str, np.ndarray]],
    quantiser: Any,
    folder: Path,
    *,
    per_channel: bool,
    symmetric: bool,
    overrides: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    class Reader(quantiser.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(samples)

        def get_next(self) -> Mapping[str, np.ndarray] | None:
            return next(self.left, None)

    target = folder / "quantised.onnx"
    quantiser.quantize_static(
        ready,
        target,
        Reader(),
        quant_format=quantiser.QuantFormat.QDQ,
        activation_type=quantiser.QuantType.QInt8,
        weight_type=quantiser.QuantType.QInt8,
        per_channel=per_channel,
        extra_options={
            "WeightSymmetric": True,
            "ActivationSymmetric": symmetric,
            **({"TensorQuantOverrides": overrides} if overrides else {}),
        },
    )
    return onnx.load(target)


# Powers of two


def _powers(
    ready: Path, found: onnx.ModelProto, samples: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, list[dict[str, Any]]]:
    """Return, for each tensor that has a scale of its own, one that is a power of two, as onnxruntime's overrides.

    Of the two beside the scale it is the one with less error, over the weights or some samples.
    """
    from onnxruntime.quantization import QuantType

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(ready).graph.initializer}
    scales = {
        tensor.name.removesuffix("_scale"): numpy_helper.to_array(tensor)
        for tensor in found.graph.initializer
        if tensor.name.endswith("_scale")
    }
    axes = _axes(found.graph)
    own = [name for name, scale in scales.items() if name not in weights and not scale.ndim]
    numbers = _activations(ready, own, samples[:SAMPLES])
    activations = {name: _best(numbers[name], float(scales[name])) for name in own}
    _unify_additions(onnx.load(ready).graph, activations)

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


def _activations(
    ready: Path, names: Sequence[str], samples: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the numbers that some tensors of the float model hold, for each sample."""
    import onnxruntime

    model = onnx.load(ready)
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


def _fuse_activations(graph: onnx.GraphProto) -> None:
    """Remove the rounding between a layer and its activation."""
    readers = Counter(name for node in graph.node for name in node.input)
    makers = {node.output[0]: node for node in graph.node}
    gone = []
    for node in graph.node:
        dequantise = makers.get(node.input[0]) if node.op_type in ACTIVATIONS else None
        quantise = makers.get(dequantise.input[0]) if dequantise and dequantise.op_type == "DequantizeLinear" else None
        layer = makers.get(quantise.input[0]) if quantise and quantise.op_type == "QuantizeLinear" else None
        if (
            layer
            and layer.op_type in LINEAR
            and all(readers[made.output[0]] == 1 for made in (layer, quantise, dequantise))
        ):
            node.input[0] = layer.output[0]
            gone += [quantise, dequantise]
    for node in gone:
        graph.node.remove(node)


def _break_ties(graph: onnx.GraphProto) -> None:
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
