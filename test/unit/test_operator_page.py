"""The page of operators is what the code says, and says which operation each becomes."""

import json
from pathlib import Path

import pytest

from htvm import operators
from htvm.backend import targets
from htvm.commands import htvm as command
from htvm.import_onnx.catalogue import DOMAINS, catalogue
from htvm.interface import InputError

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"

BECOMES = {entry.name: entry.becomes for entry in reversed(catalogue())}


def test_the_page_is_what_the_code_says() -> None:
    found = operators.facts((), [targets.load(name) for name in targets.BUILT_IN])
    assert PAGE.read_text(encoding="utf-8") == operators.markdown(found) + "\n", (
        "htvm ops --markdown > docs/operators.md"
    )


def test_every_operator_says_its_forms() -> None:
    assert len(catalogue()) == sum(map(len, DOMAINS.values()))
    assert all(len(entry.forms) > 5 and entry.forms.endswith(".") for entry in catalogue())


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("Conv", "conv2d"),
        ("QLinearMatMul", "dense"),
        ("MaxPool", "pool2d"),
        ("RequantShift", "quantize"),
        ("Sub", "sub"),
    ],
)
def test_what_an_operator_becomes(name: str, operation: str) -> None:
    assert f"accel.{operation}" in BECOMES[name]


def test_names_filter_operators_and_rules() -> None:
    found = operators.facts(["conv"], [targets.load("diana")])
    assert [operator["name"] for operator in found["operators"]] == ["Conv"]
    (soc,) = found["targets"]
    assert set(soc["engines"][0]["rules"]) == {"accel.conv2d"}
    assert any(rule["subject"] == "kernel" for rule in soc["engines"][0]["rules"]["accel.conv2d"])
    with pytest.raises(InputError, match="operator 'LSTM' is not supported"):
        operators.facts(["LSTM", "Conv"], [])


def test_the_command_writes_json(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["htvm", "ops", "Conv", "--engine", "digital", "--json", "-"])
    assert command.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert [engine["name"] for soc in found["targets"] for engine in soc["engines"]] == ["digital"]
