"""Accelerators with registers and descriptors of their own, and targets with C of their own: executed exactly."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shift_networks import built, meant, planned, random_input, random_network, simulated

from htvm.backend import targets
from htvm.backend.c import emit_c
from htvm.backend.targets.validation import validate
from htvm.runtime.simulator import SimulationError

INPUTS = Path(__file__).parents[1] / "inputs" / "launchers"
SOC = targets.load(str(INPUTS / "own_start.py"))
NPU, *OTHERS = SOC.engines
SEED = 4


def test_jobs_are_started_by_the_engines_own_function() -> None:
    text = random_network(SEED)
    module, inputs = planned(text, SOC), random_input(text, SEED)
    source = emit_c(module, SOC).sources
    assert "own_start(UNIT_NPU" in source["network.c"] and "htvm_launch" not in source["network.c"]
    assert source["own_start.h"] == (INPUTS / "own_start.h").read_text()
    for name, values in simulated(module, SOC, inputs).items():
        np.testing.assert_array_equal(values, meant(text, inputs)[name])


def test_jobs_that_differ_only_in_places_share_a_descriptor() -> None:
    source = emit_c(planned(random_network(SEED), SOC), SOC).sources["network.c"]
    started = re.findall(r"own_start\(UNIT_NPU, (\w+),", source)
    assert len(set(started)) < len(started)
    assert all("[12]" in line for line in re.findall(r"static const uint32_t .*", source))


def test_what_a_call_takes_is_predicted() -> None:
    text = random_network(SEED)
    program = built(planned(text, SOC), SOC)
    run = program.run_one(random_input(text, SEED))
    predicted = sum(step.predicted_cycles or 0 for step in program.project.steps if step.engine == "npu")
    taken = sum(
        done.cycles for step, done in zip(program.project.steps, run.steps, strict=True) if step.engine == "npu"
    )
    assert predicted == pytest.approx(taken, rel=0.05), "the time of own_start counts"


def test_registers_that_ask_for_no_job_are_an_error_that_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    text = random_network(SEED)
    program = built(planned(text, SOC), SOC)

    def undecoded(*_: object) -> None:
        raise ValueError("kind 9 is none")

    monkeypatch.setattr(type(NPU), "decoded", undecoded)
    with pytest.raises(SimulationError, match=r"'npu' is started with registers that ask for no job \(0x10: .*kind 9"):
        program.run_one(random_input(text, SEED))


def test_a_target_has_c_of_its_own(tmp_path: Path) -> None:
    own = {"htvm_soc.h": "/* mine */\n", "start.S": "# mine\n"}
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    soc = replace(SOC, runtime=str(tmp_path))
    found = emit_c(planned(random_network(SEED), soc), soc).sources
    assert own.items() <= found.items() and "SECTIONS" in found["link.ld"], "htvm's, where the target has none"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"launcher": "own_start"}, "engines[0].launcher: found str, wanted a soc.Launcher"),
        ({"header": "other.h"}, "engines[0].launcher.header: found no file '"),
        ({"start": 0}, "engines[0].launcher.start: found 0x0, wanted a multiple of 4 from 4 to 0xffc"),
        ({"function": None}, "engines[0].launcher.function: found NoneType, wanted str"),
        ({"cycles": -1}, "engines[0].launcher.cycles: found -1, wanted 0 at least"),
    ],
)
def test_a_wrong_launcher_is_refused(changes: dict[str, object], problem: str) -> None:
    assert hasattr(NPU, "launcher")
    launcher = changes.get("launcher", None) or replace(NPU.launcher, **changes)
    (found,) = validate(replace(SOC, engines=(replace(NPU, launcher=launcher), *OTHERS)))
    assert found.startswith(problem)


def test_a_folder_that_is_not_there_is_refused() -> None:
    (found,) = validate(replace(SOC, runtime="/nowhere"))
    assert found == "runtime: found no folder '/nowhere', wanted one with start.S, link.ld or htvm_soc.h"
