"""What each step of a run has made, by the ONNX tensor that it is: to lay beside what a board has in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from htvm.backend.c.program import read_program
from htvm.backend.c.step import Step
from htvm.dialects import accel
from htvm.driver import CompiledModel
from htvm.execution.observation import Observation, observed
from htvm.execution.program import Program


def tensors(steps: Sequence[Step], compiled: CompiledModel) -> dict[int, str]:
    """Return the name of the model's tensor that each step makes, by its number; without steps that make none."""
    outer = [step for step in steps if accel.INNER_ATTRIBUTE not in step.layer.operation.attributes]
    return {
        step.number: found
        for step in outer
        if (found := compiled.source.tensor(accel.nodes(step.layer), compiled.options))
    }


def step_values(compiled: CompiledModel, program: Program, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a sample and return what each step has made, as the simulated program computed it, in the order of the steps.

    Keys are ONNX names, axes are in the order of the ONNX tensor, elements are what memory has. A step that makes no
    tensor of the file is left out.
    """
    steps = read_program(compiled.module, compiled.soc).steps
    names = tensors(steps, compiled)
    made = groupby(observed(program, compiled.module, steps, sample), lambda each: each.step)
    return {names[step.number]: _whole(list(parts)) for step, parts in made if step.number in names}


def _whole(tiles: Sequence[Observation]) -> np.ndarray:
    """Put the tiles of a result together."""
    ends = [np.add(tile.origin, tile.values.shape) for tile in tiles]
    whole = np.zeros(np.max(ends, axis=0), tiles[0].values.dtype)
    for tile in tiles:
        whole[tuple(slice(first, first + size) for first, size in zip(tile.origin, tile.values.shape))] = tile.values
    return whole
