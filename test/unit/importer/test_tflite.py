"""What is read from a .tflite file: a FlatBuffer that is written here, and files that are none."""

import struct
from importlib.util import find_spec

import pytest

from htvm.import_tosa import TosaError, tosa_of_tflite
from htvm.import_tosa.tflite import Tensor, interface


class Writer:
    """Write a FlatBuffer back to front: what is pointed to lies behind what points there."""

    def __init__(self):
        self.tail = b""

    def put(self, data: bytes) -> int:
        """Put bytes in front; return their distance from the end, at a multiple of 8."""
        self.tail = data + b"\0" * (-(len(data) + len(self.tail)) % 8) + self.tail
        return len(self.tail)

    def vector(self, kind: str, numbers) -> int:
        return self.put(struct.pack(f"<I{len(numbers)}{kind}", len(numbers), *numbers))

    def text(self, text: str) -> int:
        return self.put(struct.pack("<I", len(text)) + text.encode() + b"\0")

    def pointers(self, targets) -> int:
        """Put a vector of offsets."""
        size = 4 + 4 * len(targets)
        here = len(self.tail) + size + (-(size + len(self.tail)) % 8)
        offsets = [here - 4 - 4 * number - target for number, target in enumerate(targets)]
        return self.put(struct.pack(f"<I{len(targets)}I", len(targets), *offsets))

    def table(self, fields: dict[int, tuple[str, int]]) -> int:
        """Put a table; a field is ("byte", value) or ("at", target)."""
        slots = max(fields, default=-1) + 1
        table = 2 * slots + 4
        size = table + 4 + 4 * slots
        here = len(self.tail) + size + (-(size + len(self.tail)) % 8)
        entries = [4 + 4 * number if number in fields else 0 for number in range(slots)]
        data = struct.pack(f"<HH{slots}H", table, 4 + 4 * slots, *entries)
        data += struct.pack("<i", table)
        for number in range(slots):
            kind, value = fields.get(number, ("byte", 0))
            place = here - len(data)
            data += struct.pack("<i", value) if kind == "byte" else struct.pack("<I", place - value)
        return self.put(data) - table


def model(**changes) -> bytes:
    """Return a model with an input of 8 bits and an output without quantisation."""
    w = Writer()
    quantisation = w.table({2: ("at", w.vector("f", [0.5])), 3: ("at", w.vector("q", [-3]))})
    x = w.table({1: ("byte", 9), 3: ("at", w.text("input")), 4: ("at", quantisation)})
    y = w.table({1: ("byte", 2), 3: ("at", w.text("output"))})
    z = w.table({3: ("at", w.put(struct.pack("<I", 2) + changes.get("inner", b"in") + b"\0"))})
    graph = w.table({0: ("at", w.pointers([x, y, z])), 1: ("at", w.vector("i", [0])), 2: ("at", w.vector("i", [1]))})
    root = w.table({2: ("at", w.pointers([graph] * changes.get("graphs", 1)))})
    body = w.tail
    return struct.pack("<I", 8 + len(body) - root) + b"TFL3" + body


def test_names_types_and_scales_are_those_of_the_file() -> None:
    inputs, outputs = interface(model())
    assert inputs == [Tensor("input", "int8", 0.5, -3)]
    assert outputs == [Tensor("output", "int32", None, None)]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x08\0\0\0ONNX", "is no TensorFlow Lite file: bytes 4 to 7 are b'ONNX', expected b'TFL3'"),
        (b"", "is no TensorFlow Lite file"),
        (model()[:60], "is not a valid TensorFlow Lite file"),
        (model(inner=b"\xffn"), "is not a valid TensorFlow Lite file (damaged?)"),
        (model(graphs=2), "has 2 subgraphs, expected 1: control flow is not compiled"),
    ],
)
def test_what_is_no_such_file_is_said(content: bytes, message: str, tmp_path) -> None:
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(TosaError) as raised:
        tosa_of_tflite(tmp_path / "model.tflite")
    assert message in str(raised.value)


@pytest.mark.skipif(find_spec("tosa_converter_for_tflite") is not None, reason="the converter is installed")
def test_a_missing_converter_is_named(tmp_path) -> None:
    (tmp_path / "model.tflite").write_bytes(model())
    with pytest.raises(TosaError, match=r"pip install 'htvm\[tflite\]'"):
        tosa_of_tflite(tmp_path / "model.tflite")
