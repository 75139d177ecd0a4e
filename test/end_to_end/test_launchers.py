"""Accelerators with registers and descriptors of their own, and targets with C of their own: executed exactly."""

import re
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from shift_networks import built, meant, planned, random_input, random_network, simulated

from htvm.backend import targets
from htvm.backend.c import emit_c
from htvm.backend.targets.validation import validate
from htvm.runtime.simulator import SimulationError
from htvm.verification.engines import check_engine

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


def test_a_program_runs_with_c_of_the_targets_own(tmp_path: Path) -> None:
    """The header spends time where it gives a command: it is the one that the program is compiled with."""
    kernels = resources.files("htvm.runtime") / "kernels"
    begin = "static inline void htvm_barrier(void) {"
    header = (kernels / "htvm_soc.h").read_text(encoding="utf-8")
    wasting = ' __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop");'
    (tmp_path / "htvm_soc.h").write_text(header.replace(begin, begin + wasting), encoding="utf-8")
    text = random_network(SEED)
    inputs, cycles = random_input(text, SEED), []
    for soc in (SOC, replace(SOC, runtime=str(tmp_path))):
        program = built(planned(text, soc), soc)
        cycles.append(program.run_one(inputs).cycles)
        for port in program.project.outputs:
            np.testing.assert_array_equal(program.output(port), meant(text, inputs)[port.name])
    assert cycles[0] + 8 < cycles[1]


def test_descriptors_are_compared_with_what_the_hardware_makes_of_them() -> None:
    found = check_engine(SOC, NPU, range(0, 16, 8))
    assert found.is_sound

    class Deaf(type(NPU)):
        def decoded(self, registers):
            job, places = super().decoded(registers)
            return replace(job, outputs=1), places

    class Astray(type(NPU)):
        def decoded(self, registers):
            job, places = super().decoded(registers)
            return job, {**places, "output": places["output"] + 4}

    class Wordless(type(NPU)):
        def descriptor(self, job):
            return [-1]

    for kind, problem in (
        (Deaf, "is decoded as job 'conv2d' ("),
        (Astray, "the output of job 'conv2d' ("),
        (Wordless, "descriptor has a word -1, expected an integer from 0 to 0xffffffff"),
    ):
        wrong = kind(**{each.name: getattr(NPU, each.name) for each in fields(NPU)})
        assert problem in check_engine(SOC, wrong, range(0, 16, 8)).problems[0]
    launcher = replace(NPU.launcher, function="unknown")
    (problem,) = check_engine(SOC, replace(NPU, launcher=launcher), range(1)).problems
    assert problem.startswith("launcher 'own_start.h' cannot be compiled for this computer: ") and "unknown" in problem


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
