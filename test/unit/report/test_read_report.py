"""report.json that somebody has edited: each mistake is one line with key, found and wanted, whatever the mistake."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import htvm
from htvm.backend.c.record import FORMAT
from htvm.backend.c.schema import Json, JsonObject, as_object
from htvm.project import Project, ProjectError, read_report

LAYERS = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "layers"
FOLDER = Path("net_c")
DELETED = object()
VALUES = {"deleted": DELETED, "null": None, "-1": -1, "path": "../../x", "list": [], "10^30": 10**30, "object": {}}

TEXTS = {
    "versions.htvm", "model", "target", "cost_model", "buffers[0].name", "outputs[0].name", "steps[0].name",
    "steps[0].nodes[0]", "steps[0].op", "steps[0].summary", "steps[0].engine", "steps[0].tensor",
}  # fmt: skip
"""Keys whose text is only shown, or looked up with a message of its own."""

OPTIONAL = {
    "cost_model", "outputs[0].source", "steps[0].predicted_cycles", "steps[0].tiling.loads",
    "steps[0].tiling.stores", "steps[0].tiling.outputs_first", "origin", "stack_bytes", "order",
}  # fmt: skip
"""Keys that a project may lack."""

MAY_BE_NULL = OPTIONAL | {
    f"{port}[0].{key}" for port in ("inputs", "outputs") for key in ("zero_point", "range")
} | {"steps[0].tensor"}  # fmt: skip


@pytest.fixture(scope="module")
def facts() -> JsonObject:
    """The report of a convolution on an accelerator, as a file has it."""
    report = htvm.compile(LAYERS / "conv2d_3x3_s1.onnx", "diana").project.report
    return json.loads(json.dumps(as_object(report)))


def places(value: Json, key: str = "") -> Iterator[tuple[str, list[str | int]]]:
    """Yield each key as messages call it, of lists the first element's, and the way to it."""
    items: list[tuple[str | int, Json]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value[:1]))
    for step, inner in items:
        name = f"{key}[{step}]" if isinstance(step, int) else f"{key}.{step}" if key else step
        yield name, [step]
        yield from ((deeper, [step, *way]) for deeper, way in places(inner, name))


def edited(facts: JsonObject, way: list[str | int], value: object) -> str:
    """Return the text of a report with one key changed."""
    report = copy.deepcopy(facts)
    *outer, last = way
    holder = report
    for step in outer:
        holder = holder[step]
    if value is DELETED:
        del holder[last]
    else:
        holder[last] = value
    return json.dumps(report)


@pytest.mark.parametrize("kind", VALUES)
def test_every_key_is_checked(facts: JsonObject, kind: str) -> None:
    """An edit is refused with lines that name a key, or it is one that cannot do harm."""
    for key, way in places(facts):
        try:
            read_report(edited(facts, way, VALUES[kind]), FOLDER)
        except ProjectError as error:
            lines = str(error).splitlines()
            assert all(line.startswith("net_c") for line in lines), lines
            if key not in ("generator", "format"):
                assert all(", expected " in line or line.endswith("more keys are wrong") for line in lines), lines
            continue
        if kind == "path":
            assert key in TEXTS, key
        elif kind == "deleted" and not key.endswith("]"):
            assert key in OPTIONAL | {"versions.htvm"}, key
        elif kind == "null":
            assert key in MAY_BE_NULL, key


@pytest.mark.parametrize(
    "key, value, line",
    [
        (["name"], "../../evil", 'name is "../../evil", expected a C identifier'),
        (["steps", 0, "macs"], -1, "steps[0].macs is -1, expected an integer from 0 to 281,474,976,710,656"),
        (["steps", 0, "writes"], [99], "steps[0].writes is 99, expected the number of one of"),
        (["inputs", 0, "bytes"], 7, "inputs[0].bytes is 7, expected"),
        (["inputs", 0, "dtype"], "float64", "inputs[0].dtype is \"float64\", expected 'int8' or 'uint8' or"),
        (["inputs", 0, "range"], [5, 1], "inputs[0].range is [5, 1], expected a range of int8, the lower end first"),
        (["buffers", 0, "memory"], "l9", "buffers[0].memory is 'l9', expected one of"),
        (["steps", 0, "sources"], [7], "steps[0].sources is 7, expected an input of the network, or a step before"),
        (["model"], "\ud800", 'model is "\\ud800", expected a text'),
    ],
)  # fmt: skip
def test_a_mistake_is_told(facts: JsonObject, key: list[str | int], value: object, line: str) -> None:
    with pytest.raises(ProjectError) as error:
        read_report(edited(facts, key, value), FOLDER)
    assert str(error.value).startswith(f"net_c/report.json: {line}")


def test_a_report_of_another_htvm_says_so(facts: JsonObject) -> None:
    with pytest.raises(ProjectError, match="an older htvm wrote it: its format is 1, .*; compile the model again"):
        read_report(edited(facts, ["format"], DELETED), FOLDER)
    with pytest.raises(ProjectError, match="a newer htvm wrote it"):
        read_report(edited(facts, ["format"], FORMAT + 1), FOLDER)


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, "[]", '{"generator": "other"}', "1" * 5000, "NaN"])
def test_what_is_no_report_makes_no_project(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ProjectError, match="is no project of htvm"):
        Project.read(tmp_path)


def test_only_sources_must_be_text(facts: JsonObject, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(facts))
    (tmp_path / "net.elf").write_bytes(b"\x7fELF\xff")
    (tmp_path / "net.c").write_text("int x;")
    assert set(Project.read(tmp_path).files) == {"report.json", "net.c"}
    (tmp_path / "net.c").write_bytes(b"int \xff;")
    with pytest.raises(ProjectError, match="net.c: byte 4 is no UTF-8 text"):
        Project.read(tmp_path)


def test_the_keys_of_a_report_are_those_that_programs_know(facts: JsonObject) -> None:
    """Keys may be added, not renamed."""
    assert {
        "generator", "versions", "name", "model", "target", "cost_model", "inputs", "outputs", "memories",
        "constant_bytes", "scratch_bytes", "buffers", "steps", "origin",
    } <= set(facts)  # fmt: skip
    port = {
        "name", "c_name", "onnx_type", "dtype", "shape", "offset", "bytes", "scale", "zero_point", "range", "rounding",
    }  # fmt: skip
    assert port <= set(facts["inputs"][0]) and port | {"source"} <= set(facts["outputs"][0])
    assert {"planned_peak_bytes", "lower_bound_bytes", "capacity_bytes"} <= set(facts["memories"]["l1"])
    assert {
        "name", "kind", "memory", "offset", "bytes", "dtype", "shape", "strides", "first", "last",
    } <= set(facts["buffers"][0])  # fmt: skip
    assert {
        "name", "nodes", "op", "summary", "engine", "macs", "shape", "scratch_bytes", "weight_bytes", "reads", "writes",
        "predicted_cycles", "tiling", "alone_cycles", "bound_cycles", "tensor", "sources",
    } <= set(facts["steps"][0])  # fmt: skip
    assert {"sha256", "input_types", "shapes"} <= set(facts["origin"])
