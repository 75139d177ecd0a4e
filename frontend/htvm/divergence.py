"""Where a run first leaves the meaning of its model: the ONNX node, the element, and the number behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from htvm.accumulators import Accumulator, accumulator
from htvm.backend.c.program import read_program
from htvm.dialects import accel
from htvm.dialects.real import Real
from htvm.driver import CompiledModel
from htvm.execution import Program
from htvm.observation import observed
from htvm.origin import tensor
from htvm.reference import evaluate


@dataclass(frozen=True)
class Divergence:
    """The first step whose values differ, and the first of them. index: in the ONNX tensor's shape."""

    node: str
    step: int
    summary: str
    engine: str
    tensor: str
    values: int
    differing: int
    index: tuple[int, ...]
    found: int
    wanted: int
    behind: Accumulator | None = None

    def __str__(self) -> str:
        told = (
            f"node '{self.node}' is the first that differs (step {self.step}, {self.summary}, on {self.engine}): "
            f"{self.differing:,} of {self.values:,} values of '{self.tensor}'; the first is {list(self.index)}: "
            f"computed {self.found}, expected {self.wanted}"
        )
        return f"{told}\n  {self.behind.said(self.found, self.wanted)}" if self.behind else told


def first_divergence(
    compiled: CompiledModel, program: Program, proto: onnx.ModelProto, sample: Mapping[str, np.ndarray]
) -> Divergence | None:
    """Return where the values of a run first differ from the exact meaning; None if nowhere.

    Only nodes whose results the program has in memory, as integers, can be compared.
    """
    steps = read_program(compiled.module, compiled.soc).steps
    tensors = {step.number: found for step in steps if (found := tensor(accel.nodes(step.layer), proto))}
    meant = evaluate(proto, sample, keep=list(tensors.values()))
    for step, found in observed(program, steps, sample):
        if step.number not in tensors:
            continue
        name = tensors[step.number]
        wanted = meant[name]
        if isinstance(wanted, Real):
            wanted = wanted.exact()
            if any(value.denominator != 1 for value in wanted.flat):
                continue  # the program has these values on a grid of its own
        if wanted.size != found.size:
            continue  # a later node of the same step has changed the shape
        found = found.reshape(wanted.shape)
        differing = np.argwhere(found != wanted)
        if len(differing):
            index = tuple(int(axis) for axis in differing[0])
            flat = int(np.ravel_multi_index(index, wanted.shape)) if index else 0
            first = int(found[index])
            return Divergence(
                step.node, step.number, step.summary, step.engine, name, found.size, len(differing), index, first,
                int(wanted[index]), accumulator(compiled, step.node, sample, flat, first),
            )  # fmt: skip
    return None
