"""What quantising changes: at the outputs, in each layer, and where numbers are lost altogether."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from htvm.dialects.semantics.real import Real
from htvm.quantization.completion import evaluated, float_name
from htvm.quantization.fusion import ACTIVATIONS
from htvm.quantization.samples import Sample, split

if TYPE_CHECKING:
    from htvm.sources import OnnxModel

SAMPLES = 8
"""Of the calibration, by which the noise of layers is measured."""


@dataclass(frozen=True)
class Noise:
    """How far the numbers of a tensor move: the signal over the noise, in decibels; inf where nothing moves."""

    name: str
    node: str
    operator: str
    decibels: float


def noise(ready: onnx.ModelProto, quantised: onnx.ModelProto, samples: Sequence[Sample]) -> list[Noise]:
    """Return the noise of each layer's result, the worst first; the quantised meaning is exact."""
    from htvm.reference import evaluate

    made = {name: node for node in ready.graph.node for name in node.output if name}
    there = {name for node in quantised.graph.node for name in node.output}
    names = {name: next((n for n in _stored_as(name) if n in there), None) for name in made}
    # What only an activation reads may be rounded as the activation's result is.
    inner = {
        name
        for name in made
        if (read_by := [node.op_type for node in ready.graph.node if name in node.input])
        and all(kind in ACTIVATIONS for kind in read_by)
    }
    kept = {name: held for name, held in names.items() if held is not None and name not in inner}
    signal, error = dict.fromkeys(kept, 0.0), dict.fromkeys(kept, 0.0)
    for sample, floats in zip(samples[:SAMPLES], evaluated(ready, samples[:SAMPLES]), strict=False):
        meant = evaluate(quantised, sample, keep=set(kept.values()))
        for name, held in kept.items():
            value = meant[held]
            if name in floats and (isinstance(value, Real) or value.dtype.kind == "f"):
                array = value.to_float64() if isinstance(value, Real) else value
                was = floats[name].astype(np.float64)
                signal[name] += float(np.square(was).sum())
                error[name] += float(np.square(was - array.reshape(was.shape)).sum())
    found = [
        Noise(name, made[name].name or name, made[name].op_type, _decibels(signal[name], error[name]))
        for name in kept
        if signal[name]
    ]
    return sorted(found, key=lambda each: each.decibels)


def _stored_as(name: str) -> tuple[str, ...]:
    """Return what quantised models call a tensor after its rounding, or else without one."""
    return f"{name}_dequantised", f"{name}_DequantizeLinear_Output", name


def _decibels(signal: float, error: float) -> float:
    return 10 * math.log10(signal / error) if error else math.inf


def lost(ready: onnx.ModelProto, quantised: onnx.ModelProto, samples: Sequence[Sample]) -> list[str]:
    """Say of each Concat which of its parts become one number, because others are so much larger."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
    scales = {
        float_name(node): float(tensors[node.input[1]])
        for node in quantised.graph.node
        if node.op_type == "QuantizeLinear" and node.input[1] in tensors and tensors[node.input[1]].size == 1
    }
    found: list[str] = []
    runs = evaluated(ready, samples[:SAMPLES])
    for node in ready.graph.node:
        scale = scales.get(node.output[0])
        if node.op_type != "Concat" or scale is None:
            continue
        for name in node.input:
            parts = [run[name] for run in runs if name in run]
            spread = max((float(np.ptp(part)) for part in parts), default=0.0)
            if parts and 0 < spread < scale:
                found.append(
                    f"node '{node.name}' (Concat): '{name}' reaches over {spread:.3g}, less than a step of the result "
                    f"({scale:.3g}): its numbers are lost; make it an output of its own, or scale it before the Concat"
                )
    return found


def judged(
    model: onnx.ModelProto, quantised: onnx.ModelProto, samples: Sequence[Sample]
) -> tuple[list[Noise], list[str]]:
    """Return the noise of each layer of a float model that has been quantised, and what numbers are lost."""
    from htvm.quantization.quantize import prepared

    ready = prepared(model)
    return noise(ready, quantised, samples), lost(ready, quantised, samples)


def changes(
    model: OnnxModel,
    quantised: onnx.ModelProto,
    given: Mapping[str, np.ndarray],
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, dict[str, float]]:
    """Return how far each output moves from the float model's on some samples, the quantised meaning being exact.

    For outputs [1, K]: how often the largest one is the same ("same_class"), and with `label` in `given` the accuracy
    of both. `range` is that of the float outputs.
    """
    import onnxruntime

    from htvm.quantization.quantize import float_model
    from htvm.reference import evaluate

    proto = float_model(model, shapes)
    samples = split(proto, given)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in proto.graph.output]
    before = [dict(zip(names, session.run(names, sample))) for sample in samples]
    after = [evaluate(quantised, sample) for sample in samples]
    found: dict[str, dict[str, float]] = {}
    for name in names:
        was: np.ndarray = np.stack([run[name] for run in before])
        now: np.ndarray = np.stack([run[name] for run in after])
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
