"""Where a run first leaves the meaning of its model: the ONNX node, the element, and the number behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from htvm.backend.c.program import read_program
from htvm.dialects import accel, inserted
from htvm.dialects.accel import Purpose
from htvm.dialects.semantics.real import Real
from htvm.driver import CompiledModel
from htvm.execution.observation import Observation, observed
from htvm.execution.program import Program
from htvm.execution.step_values import tensors
from htvm.verification.accumulators import Accumulator, accumulator


@dataclass(frozen=True)
class Divergence:
    """The first step whose values differ, and the first of them. index: in the ONNX tensor's shape.

    tile: the part of the tensor that was made together with the element, as (first, end) on each axis; None if all was.
    """

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
    tile: tuple[tuple[int, int], ...] | None = None
    behind: Accumulator | None = None

    def __str__(self) -> str:
        told = (
            f"node '{self.node}' is the first that differs (step {self.step} on {self.engine}, {self.summary}): "
            f"{self.differing:,} of {self.values:,} values of '{self.tensor}'; the first is {list(self.index)}: "
            f"computed {self.found}, expected {self.wanted}"
        )
        if self.tile:
            told += f"\n  it is in the tile [{', '.join(f'{first}:{end}' for first, end in self.tile)}]"
        return f"{told}\n  {self.behind.said(self.found, self.wanted)}" if self.behind else told


def first_divergence(compiled: CompiledModel, program: Program, sample: Mapping[str, np.ndarray]) -> Divergence | None:
    """Return where the values of a run first differ from the exact meaning; None if nowhere.

    Only steps whose results are in memory, as integers, can be compared.
    """
    steps = read_program(compiled.module, compiled.soc).steps
    names = tensors(steps, compiled)
    meant = compiled.source.values(sample, compiled.project.inputs, names.values(), compiled.options)
    made = observed(program, compiled.module, steps, sample)
    for step, parts in groupby(made, lambda each: each.step):
        name = names.get(step.number)
        if inserted.purpose(step.layer) is Purpose.LEGALIZE_CONV:
            continue  # what a convolution reads in place of its input is no tensor of the network
        wanted = None if name is None else _integers(meant[name])
        if name is None or wanted is None:
            continue
        if accel.UNSIGNED_ATTRIBUTE in step.layer.operation.attributes:
            wanted = wanted + 128
        tiles = list(parts)
        found = _assembled(tiles, wanted)
        if found is None:
            continue  # a later node of the same step has changed the shape
        differing = np.argwhere(found != wanted)
        if len(differing):
            index = tuple(int(axis) for axis in differing[0])
            flat = int(np.ravel_multi_index(index, wanted.shape)) if index else 0
            first = int(found[index])
            return Divergence(
                step.node, step.number, step.summary, step.engine, name, found.size, len(differing), index, first,
                int(wanted[index]), _tile_of(index, tiles), accumulator(compiled, step.node, sample, flat, first),
            )  # fmt: skip
    return None


def _integers(values: np.ndarray | Real) -> np.ndarray | None:
    """Return integers as they are; None for numbers that the program has on a grid of its own."""
    if isinstance(values, Real):
        values = values.exact()
        if any(value.denominator != 1 for value in values.flat):
            return None
    return values


def _assembled(tiles: Sequence[Observation], wanted: np.ndarray) -> np.ndarray | None:
    """Return what was found, where it was looked at, and elsewhere what is wanted; None if the shapes do not match."""
    if len(tiles) == 1 and tiles[0].values.size == wanted.size:
        return tiles[0].values.reshape(wanted.shape)
    found = wanted.copy()
    for tile in tiles:
        if tile.values.ndim != wanted.ndim:
            return None
        part = tuple(slice(*axis) for axis in _ranges(tile))
        if found[part].shape != tile.values.shape:
            return None
        found[part] = tile.values
    return found


def _ranges(tile: Observation) -> tuple[tuple[int, int], ...]:
    return tuple((first, first + size) for first, size in zip(tile.origin, tile.values.shape, strict=True))


def _tile_of(index: tuple[int, ...], tiles: Sequence[Observation]) -> tuple[tuple[int, int], ...] | None:
    """Return the ranges, by axis, of the tile that an element is in; None if the result was made at once."""
    if len(tiles) == 1:
        return None
    ranges = map(_ranges, tiles)
    return next((one for one in ranges if all(a <= at < b for at, (a, b) in zip(index, one, strict=True))), None)
