"""A .tflite file as a module of tosa, by Arm's converter, with the names and scales of its inputs and outputs.

The converter keeps integers only; what they mean is read from the file itself, a FlatBuffer. Source of the format: the
schema of TensorFlow Lite (schema.fbs), whose field numbers are below, and FlatBuffers' description of its binary form.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from mlir import ir
from mlir.dialects import func

from htvm import dialects
from htvm.dialects import accel

from .module import TosaError

SUBGRAPHS, TENSORS, INPUTS, OUTPUTS = 2, 0, 1, 2
"""Fields of Model and SubGraph."""
SHAPE, TYPE, NAME, QUANTISATION = 0, 1, 3, 4
"""Fields of Tensor."""
SCALE, ZERO_POINT = 2, 3
"""Fields of QuantizationParameters."""
TYPES = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
"""Of TensorType, those that inputs have."""
IDENTIFIER = b"TFL3"
"""Bytes 4 to 7 of a file."""


@dataclass(frozen=True)
class Tensor:
    """What a file says of a tensor. scale, zero_point: None for one that is not quantised, or by channel."""

    name: str
    type: str
    scale: float | None
    zero_point: int | None


def tosa_of_tflite(path: Path) -> str | bytes:
    """Return the module of a .tflite file, as MLIR's bytecode. Raises TosaError."""
    content = path.read_bytes()
    inputs, outputs = interface(content)
    try:
        import tosa_converter_for_tflite as converter
    except ImportError:
        raise TosaError("to read .tflite files, install Arm's converter: pip install 'htvm[tflite]'") from None
    sink = io.BytesIO()
    try:
        converter.tflite_flatbuffer_to_tosa_mlir(
            str(path), sink, converter.TosaConverterOutputFormat.Bytecode, converter.TosaConverterDebugInfo.Enable
        )
    except Exception as error:  # what the converter says comes as any of several kinds
        raise TosaError(f"Arm's converter refuses it: {str(error).strip() or type(error).__name__}") from None
    context = dialects.context()
    with context:
        module = ir.Module.parse(sink.getvalue())
        (function,) = (op for op in module.body if isinstance(op, func.FuncOp))
        function.attributes["arg_attrs"] = described(inputs)
        function.attributes["res_attrs"] = described(outputs)
        function.attributes["sym_name"] = ir.StringAttr.get(path.stem)
        made = io.BytesIO()
        module.operation.write_bytecode(made)
    return made.getvalue()


def described(tensors: list[Tensor]) -> ir.ArrayAttr:
    """Return what arguments or results say: names, types outside, scales."""
    found: list[ir.Attribute] = []
    for tensor in tensors:
        facts: dict[str, ir.Attribute] = {"accel.name": ir.StringAttr.get(tensor.name)}
        if tensor.scale is not None and tensor.zero_point is not None:
            facts["accel.scale"] = ir.FloatAttr.get_f64(tensor.scale)
            facts["accel.zero_point"] = accel.integer(tensor.zero_point)
        found.append(ir.DictAttr.get(facts))
    return ir.ArrayAttr.get(found)


def interface(content: bytes) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and outputs of a file's network. Raises TosaError on what is no such file."""
    if content[4:8] != IDENTIFIER:
        raise TosaError(f"is no TensorFlow Lite file: bytes 4 to 7 are {content[4:8]!r}, expected {IDENTIFIER!r}")
    try:
        model = Table(content, struct.unpack_from("<I", content, 0)[0])
        graphs = model.tables(SUBGRAPHS)
        if len(graphs) != 1:
            raise TosaError(f"has {len(graphs)} subgraphs, expected 1: control flow is not compiled")
        tensors = graphs[0].tables(TENSORS)
        for tensor in tensors:
            tensor.text(NAME)  # MLIR takes names of any bytes, and its Python bindings end the process on them
        inputs, outputs = (
            [_tensor(tensors[index]) for index in graphs[0].integers(side)] for side in (INPUTS, OUTPUTS)
        )
        return inputs, outputs
    except (struct.error, IndexError, UnicodeDecodeError):
        raise TosaError("is not a valid TensorFlow Lite file (damaged?)") from None


def _tensor(table: Table) -> Tensor:
    kind = table.byte(TYPE)
    quantisation = table.table(QUANTISATION)
    scales = quantisation.floats(SCALE) if quantisation else []
    zeros = quantisation.integers(ZERO_POINT, "q") if quantisation else []
    one = len(scales) == 1
    return Tensor(table.text(NAME), TYPES.get(kind, f"type {kind}"), scales[0] if one else None,
                  (zeros[0] if zeros else 0) if one else None)  # fmt: skip


class Table:
    """A table of a FlatBuffer: fields by number; one that is left out is 0, empty or None."""

    def __init__(self, content: bytes, place: int):
        self.content, self.place = content, place
        self.fields = place - struct.unpack_from("<i", content, place)[0]

    def _at(self, field: int) -> int | None:
        """Return where a field is; None if it is left out."""
        size = struct.unpack_from("<H", self.content, self.fields)[0]
        slot = 4 + 2 * field
        offset = struct.unpack_from("<H", self.content, self.fields + slot)[0] if slot < size else 0
        return self.place + offset if offset else None

    def _target(self, field: int) -> int | None:
        """Return where a field points to; None if it is left out."""
        at = self._at(field)
        return None if at is None else at + struct.unpack_from("<I", self.content, at)[0]

    def byte(self, field: int) -> int:
        at = self._at(field)
        return 0 if at is None else struct.unpack_from("<b", self.content, at)[0]

    def table(self, field: int) -> Table | None:
        target = self._target(field)
        return None if target is None else Table(self.content, target)

    def _vector(self, field: int) -> tuple[int, int]:
        """Return where the elements of a vector begin, and how many they are."""
        target = self._target(field)
        return (0, 0) if target is None else (target + 4, struct.unpack_from("<I", self.content, target)[0])

    def tables(self, field: int) -> list[Table]:
        start, count = self._vector(field)
        places = range(start, start + 4 * count, 4)
        return [Table(self.content, at + struct.unpack_from("<I", self.content, at)[0]) for at in places]

    def integers(self, field: int, kind: str = "i") -> list[int]:
        start, count = self._vector(field)
        return list(struct.unpack_from(f"<{count}{kind}", self.content, start))

    def floats(self, field: int) -> list[float]:
        start, count = self._vector(field)
        return list(struct.unpack_from(f"<{count}f", self.content, start))

    def text(self, field: int) -> str:
        start, count = self._vector(field)
        return self.content[start : start + count].decode("utf-8")
