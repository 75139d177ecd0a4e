"""A plan is a user's file: whatever it says, the command ends with C that is right or with one clear error."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from limited import outcomes

MODEL = Path(__file__).parents[1] / "inputs" / "models" / "htvm" / "layers" / "residual_block.onnx"
TARGET = ("--target", "diana")


def edits(plan: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield a name for each hostile plan, and the bytes of its file; `plan` is one that was saved."""
    number = next(number for number, entry in enumerate(plan["layers"]) if "tiling" in entry)
    layer = plan["layers"][number]
    yield "lists without end", b"[" * 200_000
    yield "objects without end", b'{"layers":' * 5_000
    yield "half an object", b"{"
    yield "a list", b"[]"
    yield "a zero byte", b"\0"
    yield "UTF-16", json.dumps(plan).encode("utf-16")
    yield "an integer of 10,000 digits", b'{"layers": [' + b"1" * 10_000 + b"]}"
    yield "a layer twice", json.dumps({"layers": [layer, layer]}).encode()
    odd = (None, -1, [], {}, "x" * 100_000, True, 1.5, 10**30, "\0", "\ud800")
    for key in ("node", "op", "engine", "tiling", "number"):
        for at, value in enumerate(odd):
            edited = copy.deepcopy(plan)
            edited["layers"][number][key] = value
            yield f"{key}, value {at}", json.dumps(edited).encode()
    sizes = (0, -1, 10**30, 2**63 - 1, 2**31, True, False, None, 1.5, "1", 7)
    for key in (*layer["tiling"], "foo"):
        for value in sizes:
            edited = copy.deepcopy(plan)
            edited["layers"][number]["tiling"][key] = value
            yield f"tiling.{key} = {value}", json.dumps(edited).encode()


@pytest.mark.slow
def test_a_hostile_plan_is_an_error_or_compiles(tmp_path: Path) -> None:
    (saved,) = outcomes([("compile", MODEL, *TARGET, "-o", "c", "--save-plan", "plan.json", "--quiet")], tmp_path)
    assert saved.status == 0, saved.output
    plans = dict(edits(json.loads((tmp_path / "plan.json").read_text())))
    assert len(plans) > 130
    for number, text in enumerate(plans.values()):
        (tmp_path / f"{number}.json").write_bytes(text)
    found = outcomes(
        [("compile", MODEL, *TARGET, "-o", "c", "--plan", f"{number}.json", "--quiet") for number in range(len(plans))],
        tmp_path,
    )
    assert not {name: problem for name, outcome in zip(plans, found) if (problem := outcome.problem())}
    refused = {name: outcome.output for name, outcome in zip(plans, found) if outcome.status}
    assert len(refused) > 80
    assert not {name: said for name, said in refused.items() if not re.search(r"\d\.json: |the plan|tiling", said)}
    assert not {name: said for name, said in refused.items() if len(said) > 4_000}
