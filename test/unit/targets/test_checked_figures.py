"""What a target's file answers while passes ask: a mistake there is said in one line, and is no bug of htvm."""

import re
from pathlib import Path

import numpy as np
import pytest

import htvm
from htvm.backend import targets
from htvm.backend.targets.checked_figures import CheckedFigures, TargetError
from htvm.backend.targets.soc import Route
from htvm.run_passes import InternalError

TESTS = Path(__file__).parents[2]
MODEL = TESTS / "inputs" / "models" / "htvm" / "ds_cnn_digital.onnx"
TARGET = f"""
import sys
sys.path.insert(0, {str(TESTS / "passes" / "targets")!r})
from dataclasses import replace
from tiny_npu import SOC as TINY, Round

class Figures(Round):
    def job_cycles(self, engine, job):
        return ANSWER

SOC = replace(TINY, cost_models=(Figures(),))
"""

NO_JOB = """
NPU, *OTHERS = TINY.engines
class Lost(type(NPU)):
    def lowered(self, job, plain=False):
        return None
NPU = Lost("npu", input=NPU.input, weights=NPU.weights, output=NPU.output, base=NPU.base, source=NPU.source)
ENGINES = (NPU, *OTHERS)
"""


class Answers:
    """A cost model that answers whatever it is to."""

    name, source = "answers", "made up"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def job_cycles(self, engine: str, job: object) -> object:
        return self.answer

    copy_cycles = job_cycles


@pytest.mark.parametrize("answer", [1.5, None, -3, 0, True, "4"])
def test_cycles_that_are_none_are_refused(answer: object) -> None:
    with pytest.raises(TargetError) as refused:
        CheckedFigures(Answers(answer), "soc.py").copy_cycles(Route("ram", "l1"), 1024)  # pyright: ignore[reportArgumentType]
    assert str(refused.value) == (
        f"target file 'soc.py': copy_cycles of cost model 'answers': found {answer!r}, wanted an integer of 1 at least "
        "(route ram_to_l1, 1,024 bytes)"
    )


def test_numbers_of_numpy_are_cycles() -> None:
    figures = CheckedFigures(Answers(np.int64(7)), "soc.py")  # pyright: ignore[reportArgumentType]
    assert figures.copy_cycles(Route("ram", "l1"), 8) == 7
    assert (figures.name, figures.source) == ("answers", "made up")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("None", ": job_cycles of cost model 'round': found None, wanted an integer of 1 at least (engine 'npu', job"),
        ("job.length", " fails: AttributeError: 'Job' object has no attribute 'length' (line 9, in job_cycles)"),
    ],
)
def test_a_mistake_in_the_file_is_no_bug_of_htvm(tmp_path: Path, answer: str, said: str) -> None:
    (tmp_path / "soc.py").write_text(TARGET.replace("ANSWER", answer))
    with pytest.raises(htvm.CompileError, match=re.escape(f"target file '{tmp_path / 'soc.py'}'{said}")):
        htvm.compile(MODEL, targets.load(tmp_path / "soc.py"))


def test_a_wrong_answer_that_htvm_stumbles_over_names_what_tests_engines(tmp_path: Path) -> None:
    lost = TARGET.replace("ANSWER", "100").replace("SOC = replace(TINY", NO_JOB + "SOC = replace(TINY, engines=ENGINES")
    (tmp_path / "soc.py").write_text(lost)
    with pytest.raises(InternalError, match=re.escape(f"htvm test-engine {tmp_path / 'soc.py'}")):
        htvm.compile(MODEL, targets.load(tmp_path / "soc.py"))
