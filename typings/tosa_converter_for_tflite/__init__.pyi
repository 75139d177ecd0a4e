"""tosa_converter_for_tflite as far as htvm uses it."""

from enum import Enum
from typing import BinaryIO

class TosaConverterOutputFormat(Enum):
    Bytecode = 0

class TosaConverterDebugInfo(Enum):
    Enable = 1

def tflite_flatbuffer_to_tosa_mlir(
    tflite_input_file: str,
    tosa_sink: str | BinaryIO,
    output_format: TosaConverterOutputFormat = ...,
    debug_info: TosaConverterDebugInfo = ...,
) -> None: ...
