"""An accelerator that holds two jobs: the next is started while one runs, in fewer cycles, with the same numbers."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shift_networks import built, meant, planned, random_input, random_network

from htvm.backend.targets.validation import validate
from htvm.runtime.simulator import SimulationError

sys.path.insert(0, str(Path(__file__).parents[1] / "passes" / "targets"))

from queueing import ONE, SOC

SEED = 4


def test_jobs_are_queued_exactly_in_fewer_cycles_as_predicted() -> None:
    text = random_network(SEED)
    inputs, cycles = random_input(text, SEED), []
    for soc in (ONE, SOC):
        program = built(planned(text, soc), soc)
        run = program.run_one(inputs)
        for port in program.project.outputs:
            np.testing.assert_array_equal(program.output(port), meant(text, inputs)[port.name])
        on_npu = [n for n, step in enumerate(program.project.steps) if step.engine == "npu"]
        cycles.append(sum(run.steps[n].cycles for n in on_npu))
        predicted = sum(program.project.steps[n].predicted_cycles or 0 for n in on_npu)
        assert predicted == pytest.approx(cycles[-1], rel=0.1)
        jobs = [each for each in run.timeline if each.unit == "npu"]
        assert all(one.end_cycle <= other.start_cycle for one, other in zip(jobs, jobs[1:])), "in their order"
    assert cycles[1] < 0.99 * cycles[0]


def test_a_job_too_many_is_an_error_of_the_program() -> None:
    text = random_network(SEED)
    program = built(planned(text, SOC), ONE)
    with pytest.raises(SimulationError, match=r"launches 'npu' before the end of "):
        program.run_one(random_input(text, SEED))


def test_a_queue_of_no_job_is_refused() -> None:
    npu, *others = SOC.engines
    (found,) = validate(replace(SOC, engines=(replace(npu, queue_depth=0), *others)))
    assert found == "engines[0].queue_depth: found 0, wanted 1 at least"
