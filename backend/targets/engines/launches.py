"""What accelerators share: a layer in the fewest launches that its engine can do it with, and their cycles."""

from __future__ import annotations

from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Accelerator, CostModel


def fewest(engine: Accelerator, job: Job) -> list[Job]:
    """Return a layer as the fewest jobs (not lowered) that its engine's weight memory allows."""
    most = engine.most_outputs(job)
    whole = (0, job.out_size[0]), (0, job.out_size[1])
    return [job.tile((first, min(first + most, job.outputs)), *whole)[0] for first in range(0, job.outputs, most)]


def cycles(engine: Accelerator, job: Job, cost_model: CostModel | None) -> int:
    """Return the cycles of a layer in the fewest launches, one after the other, weights and maps being in place."""
    assert cost_model is not None, "validated: a target with accelerators has a cost model"
    return sum(cost_model.job_cycles(engine.name, engine.lowered(part)) for part in fewest(engine, job))
