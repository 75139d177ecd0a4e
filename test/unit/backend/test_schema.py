"""JSON of dataclasses: what is read is what was written, and every mistake is one line with key, found and wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

import pytest

from htvm.backend.c.schema import INLINE, Matching, SchemaError, Within, as_object, read, shown

Number = Annotated[int, Within(0, 1000)]


class Kind(Enum):
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True)
class Extent:
    first: Number
    last: Number


@dataclass(frozen=True, kw_only=True)
class Thing:
    name: Annotated[str, Matching("[a-z]+", "lower-case letters")]
    kind: Kind
    scale: float | None
    shape: tuple[Number, ...]
    range: tuple[int, int]
    flag: Literal[True] | None = None
    parts: Mapping[str, Extent]
    source: Number | str
    extent: Extent | None = field(default=None, metadata=INLINE)
    target: str = field(default="", metadata={"key": "for"})


THING = {
    "name": "x", "kind": "input", "scale": None, "shape": [1, 2], "range": [-1, 1],
    "parts": {"a": {"first": 0, "last": 1}}, "source": "y", "for": "z",
}  # fmt: skip


def test_what_is_read_is_what_is_written() -> None:
    thing = read(Thing, THING)
    assert thing.kind is Kind.INPUT and thing.shape == (1, 2) and thing.extent is None and thing.target == "z"
    assert as_object(thing) == THING
    inner = THING | {"first": 3, "last": 4, "flag": True, "scale": 2}
    assert read(Thing, inner).extent == Extent(3, 4) and read(Thing, inner).scale == 2.0
    assert as_object(read(Thing, inner)) == inner


@pytest.mark.parametrize(
    "edit, line",
    [
        ({"name": "X"}, "name is \"X\", expected lower-case letters"),
        ({"name": None}, "name is null, expected lower-case letters"),
        ({"kind": "other"}, "kind is \"other\", expected 'input' or 'output'"),
        ({"scale": "1"}, 'scale is "1", expected a number'),
        ({"scale": True}, "scale is true, expected a number"),
        ({"scale": 10**400}, "scale is an integer of more than 40 digits, expected a number"),
        ({"shape": [1, -1]}, "shape[1] is -1, expected an integer from 0 to 1,000"),
        ({"shape": [1, 1.5]}, "shape[1] is 1.5, expected an integer from 0 to 1,000"),
        ({"shape": [True]}, "shape[0] is true, expected an integer from 0 to 1,000"),
        ({"shape": {}}, "shape is an empty object, expected a list"),
        ({"range": [1]}, "range is a list of 1, expected a list of 2"),
        ({"flag": False}, "flag is false, expected true"),
        ({"parts": {"a": {"first": 1}}}, "parts.a.last is missing, expected an integer from 0 to 1,000"),
        ({"parts": {"a": 1}}, "parts.a is 1, expected an object"),
        ({"source": []}, "source is an empty list, expected an integer from 0 to 1,000 or a text"),
        ({"source": "\ud800"}, 'source is "\\ud800", expected an integer from 0 to 1,000 or a text'),
        ({"first": 1}, "last is missing, expected an integer from 0 to 1,000"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_line_with_key_found_and_wanted(edit: dict, line: str) -> None:
    with pytest.raises(SchemaError) as error:
        read(Thing, THING | edit)
    assert str(error.value) == line


def test_all_mistakes_are_told() -> None:
    with pytest.raises(SchemaError) as error:
        read(Thing, {"kind": "input", "shape": [-1, 2000]})
    keys = ["name", "scale", "shape[0]", "shape[1]", "range", "parts", "source"]
    assert [problem.key for problem in error.value.problems] == keys


def test_a_long_text_is_shown_in_part() -> None:
    assert shown("a" * 100) == '"' + "a" * 37 + ".."
