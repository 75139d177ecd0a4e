"""A pass that raises: the user is told where, and gets a line that repeats it."""

import re
import shlex
import sys
from pathlib import Path

import pytest

import htvm
from htvm.commands import htvm as command
from htvm.commands import htvm_opt, htvm_translate
from htvm.passes.mapping.order_layers import OrderLayers
from htvm.passes.planning.plan_memory import PlanMemory
from htvm.passes.verification.verify_stage import VerifyStage
from htvm.run_passes import InternalError

MODEL = Path(__file__).parents[2] / "inputs" / "models" / "mlperf_tiny" / "toyadmos.onnx"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that are written go into the folder of the test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("HTVM_DEBUG", raising=False)


def failing(*_: object) -> None:
    """The planted bug."""
    raise IndexError("tile 7 of 7")


def status(main: object, line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command in this process, where the bug is planted; return its exit status."""
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main())
    return ended.value.code


def test_the_message_says_where_and_the_line_repeats_it(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(OrderLayers, "__call__", failing)
    assert status(command.main, f"htvm compile {MODEL} -o out", monkeypatch) == 70
    said = capsys.readouterr().err
    assert "htvm compile: internal error: toyadmos.onnx: pass 'order-layers' failed: IndexError: tile 7 of 7" in said
    assert f"({Path(__file__).name}:" in said and "in failing)" in said
    assert "Traceback" not in said and "HTVM_DEBUG=1" in said

    line = re.search(r"^  (htvm-opt .*)$", said, re.MULTILINE)[1]
    file = Path(shlex.split(line)[1])
    assert "engine" in file.read_text() and 'loc("' in file.read_text()
    assert status(htvm_opt.main, line, monkeypatch) == 70
    assert "pass 'order-layers' failed: IndexError: tile 7 of 7" in capsys.readouterr().err

    monkeypatch.undo()  # the bug is gone: the line runs
    assert status(htvm_opt.main, line, monkeypatch) == 0


def test_the_target_in_the_line_is_the_one_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """A file has its own name, not that of the target; what the options made of it are options again."""
    file = tmp_path / "mine.py"
    file.write_text("from dataclasses import replace\nfrom htvm.backend.targets.socs.diana import SOC\n"
                    "SOC = replace(SOC, name='other')\n")  # fmt: skip
    monkeypatch.setattr(OrderLayers, "__call__", failing)
    options = f"--target {file} --engines digital,host --cost-model odimo --memory l1=64k"
    assert status(command.main, f"htvm compile {MODEL} -o out {options}", monkeypatch) == 70
    line = re.search(r"^  (htvm-opt .*)$", capsys.readouterr().err, re.MULTILINE)[1]
    assert f"--target {file} --engines digital,host --cost-model odimo --memory l1=65536 -p" in line
    monkeypatch.undo()
    assert status(htvm_opt.main, line, monkeypatch) == 0


def test_options_of_the_pass_are_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerifyStage, "__call__", failing)
    with pytest.raises(InternalError, match=r"-p 'verify-stage\{stage=imported\}'"):
        htvm.compile(MODEL)


def test_kernels_that_the_network_may_have_are_in_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that another compilation of this process had."""
    (tmp_path / "own.h").write_text("/* of a kernel that takes no layer */\n")
    file = tmp_path / "own.py"
    file.write_text(
        "from htvm.kernels import KernelSpec\n"
        "OWN = KernelSpec('own', header='own.h', function='own', violations=lambda layer: ['no layer'])\n"
    )
    monkeypatch.setattr(OrderLayers, "__call__", failing)
    with pytest.raises(InternalError, match=re.escape(f"--kernels {file} -p order-layers")):
        htvm.compile(MODEL, kernels=[str(file)])
    with pytest.raises(InternalError) as caught:
        htvm.compile(MODEL)
    assert "--kernels" not in str(caught.value)


def test_a_value_error_of_a_pass_is_no_mistake_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise ValueError("shift is 99")

    monkeypatch.setattr(PlanMemory, "__call__", wrong)
    with pytest.raises(InternalError, match="pass 'plan-memory' failed: ValueError: shift is 99"):
        htvm.compile(MODEL)


def test_an_operation_that_a_pass_builds_wrongly_is_no_mistake_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlir import ir

    monkeypatch.setattr(PlanMemory, "__call__", lambda _, module, this_pass: ir.Attribute.parse("#nonsense<"))
    with pytest.raises(InternalError, match="pass 'plan-memory' failed: MLIRError"):
        htvm.compile(MODEL)


def test_a_failing_backend_is_repeated_by_htvm_translate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("htvm.driver.emit_c", failing)
    with pytest.raises(InternalError, match="the C backend failed: IndexError: tile 7 of 7") as caught:
        htvm.compile(MODEL)
    monkeypatch.undo()
    line = str(caught.value).splitlines()[-1]
    assert status(htvm_translate.main, f"{line} -o {Path(shlex.split(line)[2]).parent / 'c'}", monkeypatch) == 0


def test_the_traceback_is_shown_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlanMemory, "__call__", failing)
    monkeypatch.setenv("HTVM_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["htvm", "compile", str(MODEL), "-o", "out"])
    with pytest.raises(InternalError) as caught:
        command.main()
    assert isinstance(caught.value.__cause__, IndexError)
