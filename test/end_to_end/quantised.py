"""What onnxruntime's quantiser makes of a float network: QDQ or QOperator, s8 or u8, per channel or tensor."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SAMPLES = 4


class Form(NamedTuple):
    """format: "QDQ" or "QOperator". activations: "QInt8", "QUInt8" or "QInt16"."""

    format: str
    activations: str
    per_channel: bool
    weights: str = "QInt8"

    def __str__(self) -> str:
        return f"{self.format}-{self.activations}-{'channel' if self.per_channel else 'tensor'}"


FORMS = [
    Form(format_, activations, per_channel)
    for format_ in ("QDQ", "QOperator")
    for activations in ("QInt8", "QUInt8")
    for per_channel in (False, True)
]


def quantised(model: onnx.ModelProto, form: Form, seed: int = 0) -> onnx.ModelProto:
    """Return a float model, quantised by onnxruntime after a few random inputs."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "quantised.onnx"
        onnx.save(model, before)
        logging.disable(logging.WARNING)  # it advises to pre-process
        try:
            quantize_static(
                before,
                after,
                _Samples(model, seed),
                quant_format=QuantFormat[form.format],
                activation_type=QuantType[form.activations],
                weight_type=QuantType[form.weights],
                per_channel=form.per_channel,
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(after)


class _Samples(CalibrationDataReader):
    """Random inputs of a model."""

    def __init__(self, model: onnx.ModelProto, seed: int) -> None:
        self._samples = self._random(model, np.random.default_rng(seed))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._samples, None)

    @staticmethod
    def _random(model: onnx.ModelProto, generator: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        for _ in range(SAMPLES):
            yield {
                value.name: generator.normal(
                    0, 1, [size.dim_value for size in value.type.tensor_type.shape.dim]
                ).astype(np.float32)
                for value in model.graph.input
            }
