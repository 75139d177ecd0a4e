"""An attribute of another kind than the dialect says is an error where it stands: no crash, no surprise later."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlir import ir

from htvm import dialects, driver
from htvm.backend import targets
from htvm.passes import pipeline

MODELS = Path(__file__).parents[2] / "inputs/models/layers"

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


def test_attributes_that_passes_write_say_what_is_wanted() -> None:
    text = "module attributes {accel.objective = 3 : i64} {}"
    with pytest.raises(ir.MLIRError, match="'accel.objective' of 'builtin.module' is 3 : i64, expected a string"):
        ir.Module.parse(text, dialects.context())
