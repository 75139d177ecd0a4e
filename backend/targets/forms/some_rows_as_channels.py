"""Depthwise layers of which some channels have their rows as channels (rows_as_channels.py), the others do not.

Matrices of rows take many times the bytes of a layer's weights. Where memory has no room for those of all channels, the
last `count` channels are computed from matrices, which is the faster the more they are, and those before in the plain
form, whose launches last while the matrices come:

    constants    count, and the channels and rows of a launch of those

A tile is one of the plain form: as many whole channels as a launch has lanes for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from htvm.backend.targets.jobs import Form, Job, Place, Range
from htvm.dialects.accel import FormKind

MOST_COUNTS = 16
"""How many numbers of channels are offered for a layer: a sixteenth of its channels is near enough."""


@dataclass(frozen=True)
class Part:
    """What a launch computes of a tile. job: not lowered, in the form rows_as_channels or in the plain one.

    outputs: the channels, counted from the tile's first. input, output: where they are in the tile's maps.
    """

    job: Job
    outputs: Range
    input: Place
    output: Place


def variants(job: Job, whole: Form, lanes: int) -> Iterator[Form]:
    """Yield forms that have some channels in the form `whole`, fewest first. lanes: the channels of a plain launch."""
    step = -(-job.outputs // (MOST_COUNTS * whole.outputs)) * whole.outputs
    for count in range(step, job.outputs, step):
        constants = count, whole.outputs, whole.rows
        yield Form(FormKind.SOME_ROWS_AS_CHANNELS, min(lanes, job.outputs), job.out_size[0], constants)


def parts(tile: Job) -> Sequence[Part]:
    """Return the launches that a tile is computed in."""
    assert tile.form is not None, tile
    (count, channels, rows), (height, _) = tile.form.constants, tile.out_size
    in_rows = replace(tile, form=Form(FormKind.ROWS_AS_CHANNELS, channels, rows))
    plain = tile.outputs - count
    found = [part_of(replace(tile, form=None), (0, plain), (0, height))] if plain else []
    for first in range(plain, tile.outputs, channels):
        outputs = first, min(first + channels, tile.outputs)
        found += [part_of(in_rows, outputs, (top, min(top + rows, height))) for top in range(0, height, rows)]
    return found


def part_of(tile: Job, outputs: Range, rows: Range) -> Part:
    """Return some channels and output rows of a tile. Maps lie channel by channel and row by row."""
    job, (top, _), _ = tile.tile(outputs, rows, (0, tile.out_size[1]))
    (height, width), (out_height, out_width) = tile.size, tile.out_size
    read, written = (outputs[0] * height + top) * width, (outputs[0] * out_height + rows[0]) * out_width
    return Part(job, outputs, Place("input", read, job.input_bytes), Place("output", written, job.output_bytes))
