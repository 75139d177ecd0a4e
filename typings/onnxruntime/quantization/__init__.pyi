"""onnxruntime.quantization as far as htvm uses it."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

class QuantType(Enum):
    QInt8 = 0
    QInt16 = 3
    QUInt8 = 1

class QuantFormat(Enum):
    QOperator = 0
    QDQ = 1

class CalibrationDataReader:
    def get_next(self) -> Mapping[str, NDArray[Any]] | None: ...

def quantize_static(
    model_input: str | Path,
    model_output: str | Path,
    calibration_data_reader: CalibrationDataReader,
    quant_format: QuantFormat = ...,
    *,
    per_channel: bool = False,
    activation_type: QuantType = ...,
    weight_type: QuantType = ...,
    extra_options: Mapping[str, object] | None = None,
) -> None: ...
