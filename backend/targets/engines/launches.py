"""What accelerators share: a layer in the fewest launches that its engine can do it with, and their cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from htvm.backend.targets.jobs import Form, Job, JobStep, Place, Range
from htvm.backend.targets.soc import Accelerator, CostModel, offers_forms


def fewest(engine: Accelerator, job: Job) -> list[Job]:
    """Return a layer as the fewest jobs (not lowered) that its engine's weight memory, or its form, allows.

    Launches that do the same are one object, so that what is asked of jobs is asked once.
    """
    height, width = job.out_size
    rows = job.form.rows if job.form else height
    places = [(first, min(first + rows, height)) for first in range(0, height, rows)]
    alike: dict[tuple[int, Form | None], list[Job]] = {}
    found: list[Job] = []
    for outputs in _parts(job.outputs, engine.most_outputs(job)):
        key = outputs[1] - outputs[0], job.form and job.form.of_outputs(outputs, job.outputs)
        if key not in alike:
            alike[key] = _shared([job.tile(outputs, place, (0, width))[0] for place in places])
        found += alike[key]
    return found


def _shared(parts: Sequence[Job]) -> list[Job]:
    first: dict[Job, Job] = {}
    return [first.setdefault(part, part) for part in parts]


def _parts(count: int, most: int) -> list[Range]:
    return [(first, min(first + most, count)) for first in range(0, count, most)]


def steps(engine: Accelerator, tile: Job, plain: bool = False) -> Sequence[JobStep]:
    """Return the launches that a tile, not lowered, is computed in: one, if its form has no more.

    plain: without what only saves time.
    """
    if tile.form is not None and offers_forms(engine):
        return engine.steps(tile)
    return (one_step(engine.lowered(tile, plain)),)


def one_step(lowered: Job) -> JobStep:
    """Return the only launch of a tile."""
    return JobStep(lowered, (Place("input"), Place("rhs"))[: lowered.inputs], Place("output"))


def scratch(engine: Accelerator, tile: Job) -> Mapping[str, int]:
    """Return the buffers that the launches of a tile need beside its feature maps: bytes by name."""
    return engine.scratch(tile) if tile.form is not None and offers_forms(engine) else {}


def work(engine: Accelerator, tile: Job, cost_model: CostModel, plain: bool = False) -> int:
    """Return the cycles of a tile's launches, weights and feature maps being in place."""
    return sum(cost_model.job_cycles(engine.name, step.job) for step in steps(engine, tile, plain))


def cycles(engine: Accelerator, job: Job, cost_model: CostModel | None) -> int:
    """Return the cycles of a layer in the fewest launches, one after the other, weights and maps being in place."""
    assert cost_model is not None, "validated: a target with accelerators has a cost model"
    return sum(count * work(engine, part, cost_model) for part, count in Counter(fewest(engine, job)).items())
