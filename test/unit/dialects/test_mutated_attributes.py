"""An attribute of another kind than the dialect says is an error where it stands: no crash, no surprise later."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from mlir import ir

from htvm import dialects, driver
from htvm.backend import targets
from htvm.dialects import accel
from htvm.passes import pipeline

MODELS = Path(__file__).parents[2] / "inputs/models/layers"

DIALECT = Path(__file__).parents[3] / "dialects/accel"

STRING, NUMBER = '"of another kind"', "7 : i64"


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each attribute of the dialect, and the text with a value of another kind for it."""
    start = 0
    for line in text.splitlines(keepends=True):
        of_accel = re.search(r'(= |^ *)"?accel\.\w+"?[ (]', line) is not None
        for match in re.finditer(r"(?<=[{ ])([\w.]+) = (?=\S)", line):
            name = match[1]
            is_own = name.startswith("accel.") or (of_accel and _is_own(line, match.start()))
            if not is_own:
                continue
            first = start + match.end()
            end = _end(text, first)
            value = text[first:end]
            other = NUMBER if value.startswith('"') else STRING
            yield f"{name} = {value[:60]}", text[:first] + other + text[end:]
        start += len(line)


def _is_own(line: str, place: int) -> bool:
    """Say whether a place is directly in the properties of its operation, `<{..}>`, or `{..}` in the custom form."""
    is_generic = "<{" in line
    begin = line.find("<{") if is_generic else line.find(" {")
    inside = line[begin:place]
    depth = sum(inside.count(each) for each in "{[<") - sum(inside.count(each) for each in "}]>")
    return 0 <= begin < place and depth == (2 if is_generic else 1)


def _end(text: str, first: int) -> int:
    """Return where the value that begins at `first` ends."""
    depth, place, quoted = 0, first, False
    while True:
        letter = text[place]
        quoted ^= letter == '"'
        if not quoted and depth == 0 and letter in ",}>":
            return place
        if not quoted:
            depth += (letter in "{[<(") - (letter in "}]>)")
        place += 1


@pytest.mark.parametrize(("model", "target"), [("conv3x3_s1", "diana"), ("avgpool8x8", "rv32"), ("requant", "diana")])
def test_an_attribute_of_another_kind_is_an_error_with_a_place(model: str, target: str) -> None:
    soc = targets.load(target)
    stages = pipeline.STAGES
    module, texts = driver.lower(MODELS / f"{model}.onnx", soc, stages[-1], keep_stages=stages)
    tried = 0
    for stage in stages:
        context = dialects.context()
        generic = ir.Module.parse(texts[stage], context).operation.get_asm(print_generic_op_form=True)
        for what, text in (*mutants(generic), *mutants(texts[stage])):
            tried += 1
            with pytest.raises(ir.MLIRError) as error:
                ir.Module.parse(text, context)
            places = [each.location for each in error.value.error_diagnostics]
            assert places and not any(str(each) == "loc(unknown)" for each in places), (stage, what)
    assert tried > 100


@cache
def shared_context() -> ir.Context:
    return dialects.context()


def refused(text: str, what: str) -> None:
    """Expect an error with a place."""
    with pytest.raises(ir.MLIRError) as error:
        ir.Module.parse(text, shared_context())
    places = [each.location for each in error.value.error_diagnostics]
    assert places and not any(str(each) == "loc(unknown)" for each in places), what


def every() -> str:
    """Return a module that has each operation, and each attribute that passes write, in the generic form."""
    text = (Path(__file__).parents[2] / "dialects/round_trip.mlir").read_text()
    return ir.Module.parse(text, dialects.context()).operation.get_asm(print_generic_op_form=True)


TEXTS = ("engine", "name")
"""Attributes of operations that are names, which no list has."""


def test_each_attribute_of_each_operation_has_its_kind() -> None:
    """Also those that the operations of a network do not have: each is given where it is missing."""
    text = every()
    classes = {each.OPERATION_NAME: each for each in vars(accel).values() if hasattr(each, "OPERATION_NAME")}
    for operation, kind in classes.items():
        match = re.search(rf'"{re.escape(operation)}"\([^)]*\)( <{{.*?}}>(?= :| {{))?', text)
        assert match is not None, f"round_trip.mlir has no {operation}"
        own = match[1] or " <{}>"
        for name in (each for each, value in vars(kind).items() if isinstance(value, property) and value.fset):
            given = re.search(rf"(?<=[{{ ]){name}( = |(?=[,}}]))", own)
            end = len(own) if given is None else _end(own, given.end()) if given[1] else given.end()
            others = (
                own[3:-2] if given is None else (own[3 : given.start()] + own[end:-2]).strip(", ").replace(", ,", ",")
            )
            other = f"{name} = {NUMBER if name in TEXTS else STRING}"
            changed = f" <{{{', '.join(each for each in (other, others) if each)}}}>"
            start = match.end() - len(match[1] or "")
            refused(text[:start] + changed + text[match.end() :], f"{operation}: {name}")


NAMES = ("accel.memory", "accel.name", "accel.op", "accel.weights_memory")
"""Attributes that passes write whose value is a name."""


def test_each_attribute_that_passes_write_has_its_kind() -> None:
    """All of them, those of the dialect's list of them too: none is left out of the module that is mutated."""
    text = every()
    rules = (
        (DIALECT / "AccelDiscardable.cpp").read_text().split("constexpr Rule", 1)[1].split("// What version 0.1 wrote")
    )
    listed = re.findall(r'\{"(\w+)", "', rules[0] + rules[1].split("};", 1)[1])
    found = {name: match for name in listed for match in re.finditer(rf"(?<=[{{ ])accel\.{name}(?= = |[,}}])", text)}
    assert set(listed) == set(found) and len(found) > 25
    for name, match in found.items():
        begins = match.end() + len(" = ") if text.startswith(" = ", match.end()) else None
        end = match.end() if begins is None else _end(text, begins)
        for other in (STRING, NUMBER, "[1]", "{a = [1]}", "@symbol", "1.0 : f32"):
            if name in ("name", "memory", "weights_memory") and other == STRING:
                continue
            is_count = begins is not None and re.match(r"\d+ : i64", text[begins:])
            if other == NUMBER and (is_count or name == "zero_point"):
                continue
            refused(f"{text[: match.start()]}accel.{name} = {other}{text[end:]}", f"{name} = {other}")


def test_all_that_passes_write_is_in_the_list() -> None:
    code = (DIALECT / "AccelDiscardable.cpp").read_text()
    listed = {f"accel.{name}" for name in re.findall(r'\{"(\w+)", "', code)}
    operations = {each.OPERATION_NAME for each in vars(accel).values() if hasattr(each, "OPERATION_NAME")}
    parts = ("dialects", "passes", "frontend/import_onnx", "frontend/htvm", "backend")
    for file in (file for part in parts for file in (DIALECT.parents[1] / part).rglob("*.py")):
        for name in re.findall(r'"(accel\.\w+)"', file.read_text()):
            assert name in listed | operations, f"{file}: {name}"


def test_each_parameter_of_an_attribute_has_its_kind() -> None:
    text, tried = every(), set()
    for attribute in re.finditer(r"#accel\.(\w+)<", text):
        place, depth = attribute.end(), 0
        while depth >= 0:
            parameter = re.compile(r"(\w+) = ").match(text, place) if text[place - 1] in "< " else None
            if parameter and depth == 0:
                end = _end_of_parameter(text, parameter.end())
                value = text[parameter.end() : end]
                other = "7" if value.startswith('"') or value.isalpha() else '"of another kind"'
                refused(text[: parameter.end()] + other + text[end:], f"{attribute[1]}: {parameter[1]} = {value}")
                tried.add((attribute[1], parameter[1]))
                place = end
            else:
                depth += (text[place] in "<[{(") - (text[place] in ">]})")
                place += 1
    assert {
        ("job", "own"),
        ("job", "kind"),
        ("options", "constants"),
        ("pin", "tiling"),
        ("inserted", "before"),
    } <= tried


def _end_of_parameter(text: str, first: int) -> int:
    """Return where the value of an attribute's parameter ends, in front of the next one or of `>`."""
    depth, place, quoted = 0, first, False
    while quoted or depth or text[place] not in ",>":
        quoted ^= text[place] == '"'
        depth += 0 if quoted else (text[place] in "<[{(") - (text[place] in ">]})")
        place += 1
    return place


def test_attributes_that_passes_write_say_what_is_wanted() -> None:
    text = "module attributes {accel.options = 3 : i64} {}"
    wanted = "'accel.options' of 'builtin.module' is 3 : i64, expected #accel.options<..>"
    with pytest.raises(ir.MLIRError, match=re.escape(wanted)):
        ir.Module.parse(text, dialects.context())
