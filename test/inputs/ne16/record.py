"""Record what sequences of random jobs do on NE16's RTL. Usage: record.py BENCH [JOBS] (BENCH: of build.sh)

Writes sequences.npz: jobs in sequences of up to six, each from a reset; some after SOFT_CLEAR, some queued. It is made
so that jobs often start on what others have left: see backend/targets/engines/ne16/state.py. The file's arrays are
described in backend/targets/engines/ne16/vectors.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from htvm.backend.targets.engines.ne16 import vectors
from htvm.backend.targets.engines.ne16.job import (
    Addresses,
    Blocks,
    Job,
    Mode,
    Requantisation,
    Sides,
    Strides,
    Width,
)
from htvm.backend.targets.engines.ne16.vectors import Bytes, Start, Vector
from htvm.backend.targets.engines.ne16.weights import Layout

SEED, JOBS = 16, 160
OTHER_SEED, OTHER_JOBS, OTHER_SEQUENCE = 99, 300, 60
"""One more sequence, of many: a depthwise job with stream-in reads, behind its last channels, what it has written."""

JOB_SPACE = 0x100000
"""Bytes of the memory that a job has for itself; a queued one has the next."""

MARGIN_BYTES = 64
"""Around an output, to see that nothing is written there; behind scales and biases, for channels beyond the last."""

FIRST_JOB_REGISTER, TRIGGER, SOFT_CLEAR = 8, 0, 5
LONGEST_CYCLES = 200_000


@dataclass(frozen=True)
class Planned:
    """A job, and the bytes that it is given."""

    words: tuple[int, ...]
    given: tuple[Bytes, ...]
    output: tuple[int, int]
    start: Start


def random_job(rng: np.random.Generator, space: int) -> tuple[Job, tuple[Bytes, ...], tuple[int, int]]:
    """Return a job with its operands in one part of the memory, their bytes, and where its output is."""

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    mode = list(Mode)[rng.choice(4, p=(0.45, 0.15, 0.3, 0.1))]
    bits, linear = int(rng.integers(2, 5)), mode is Mode.LINEAR
    rows, columns = (1, 1) if linear else map(int, rng.integers(1, 8, 2))
    inputs, outputs = int(rng.integers(1, 20)), int(rng.integers(1, 40))
    if mode is Mode.DEPTHWISE3X3:
        outputs = inputs
    output = Width.BITS_32 if chance(0.6) else Width.BITS_8
    layout = Layout(mode, bits, outputs, 1 if mode is Mode.DEPTHWISE3X3 else inputs)
    stream_in = output is Width.BITS_32 and not linear and chance(0.15)
    scale = Width(int(rng.integers(0, 3)))
    requantisation = Requantisation(
        scale=scale,
        shift=int(rng.integers(0, 12)) + 8 * scale.value,
        has_bias=chance(0.7),
        has_shift_array=chance(0.3),
        relu=chance(0.5),
        enabled=chance(0.6),
    )
    at = Addresses(space + 0x50000, space + 0x10000, space + 0x98000, space + 0x90000, space + 0x94000, space + 0x92000)
    side = 3 if mode in (Mode.CONV3X3, Mode.DEPTHWISE3X3) else 1
    pixel = 16 * -(-inputs // 16) if linear else inputs
    width = columns + side - 1
    out_pixel = outputs * output.size_bytes
    step = 16 if mode is Mode.DEPTHWISE3X3 else 32
    row_blocks, column_blocks = Blocks.of(rows, 3), Blocks.of(columns, 3)
    job = Job(
        mode=mode,
        weight_bits=bits,
        outputs=Blocks.of(outputs, step),
        inputs=Blocks(1, -(-inputs // 16)) if linear else Blocks.of(inputs, 16),
        rows=row_blocks,
        columns=column_blocks,
        addresses=at,
        input_strides=Strides(16 if linear else pixel, 0 if linear else pixel * width, 0),
        output_strides=Strides(32, out_pixel, out_pixel * columns),
        weight_strides=layout.strides,
        input_rows=0 if linear else row_blocks.remainder + side - 1,
        input_columns=0 if linear else column_blocks.remainder + side - 1,
        weight_offset=int(rng.integers(-256, 256)),
        requantisation=requantisation,
        output=output,
        stream_in=stream_in,
        strided=not linear and not stream_in and chance(0.1),
        pads=Sides(int(rng.integers(0, 2)), 0, 0, int(rng.integers(0, 2))) if side == 3 else Sides(),
        pad_value=int(rng.integers(0, 256)),
    )
    stored = rng.integers(0, 1 << bits, (outputs, layout.inputs, side, side), np.uint8)

    def content(size: int) -> bytes:
        return rng.integers(0, 256, size, np.uint8).tobytes()

    x = np.zeros(pixel * width * (rows + side - 1), np.uint8)
    x[:] = rng.integers(0, 256, len(x), np.uint8)
    if linear:
        x[inputs:] = 0
    out_size = out_pixel * rows * columns + 2 * MARGIN_BYTES
    given = [Bytes(at.input, x.tobytes()), Bytes(at.weights, layout.pack(stored).tobytes())]
    given.append(Bytes(at.output - MARGIN_BYTES, content(out_size) if stream_in else b"\xa5" * out_size))
    if requantisation.enabled:
        given.append(Bytes(at.scale, content(outputs * scale.size_bytes + MARGIN_BYTES)))
        if requantisation.has_bias:
            given.append(Bytes(at.bias, content(4 * outputs + MARGIN_BYTES)))
        if requantisation.has_shift_array:
            given.append(Bytes(at.shift, content(outputs + MARGIN_BYTES)))
    return job, tuple(given), (at.output - MARGIN_BYTES, out_size)


def plan(rng: np.random.Generator, count: int) -> list[list[Planned]]:
    """Return sequences of jobs, each to start with a reset."""
    sequences: list[list[Planned]] = []
    while sum(map(len, sequences)) < count:
        sequence: list[Planned] = []
        with_cure = rng.random() < 0.25
        repeated = rng.random() < 0.2
        space = 0
        job, given, output = random_job(rng, space)
        for _ in range(int(rng.integers(2, 7))):
            is_after_one = bool(sequence) and sequence[-1].start is not Start.QUEUED
            queued = is_after_one and not with_cure and rng.random() < 0.4
            if not repeated or queued:
                space = JOB_SPACE - space if queued else space
                job, given, output = random_job(rng, space)
            start = Start.QUEUED if queued else Start.SOFT_CLEAR if with_cure else Start.IDLE
            sequence.append(Planned(job.words(), given, output, start if sequence else Start.RESET))
        sequences.append(sequence)
    return sequences


def queue(sequence: list[Planned], index: int) -> list[Planned]:
    """Return a job and the one that is queued behind it, if there is one."""
    behind = sequence[index + 1 : index + 2]
    return [sequence[index], *(job for job in behind if job.start is Start.QUEUED)]


def commands(sequence: list[Planned]) -> Iterator[str]:
    """Yield what the bench is told for a sequence."""
    yield "reset"
    for index, job in enumerate(sequence):
        if job.start is Start.QUEUED:
            continue
        group = queue(sequence, index)
        for each in group:
            yield from (f"fill {run.address:x} {run.content.hex()}" for run in each.given)
        if job.start is Start.SOFT_CLEAR:
            yield f"write {SOFT_CLEAR:x} 1"
        for each in group:
            yield from (f"write {FIRST_JOB_REGISTER + n:x} {word:x}" for n, word in enumerate(each.words))
            yield f"write {TRIGGER:x} 0"
        yield f"wait {len(group):x} {LONGEST_CYCLES:x}"
        yield from (f"dump {each.output[0]:x} {each.output[1]:x}" for each in group)


def run(bench: Path, sequence: list[Planned]) -> list[Vector]:
    """Return what the RTL does with a sequence."""
    script = "\n".join(commands(sequence)) + "\n"
    lines = iter(subprocess.run([bench], input=script, text=True, check=True, capture_output=True).stdout.split("\n"))
    found: list[Vector] = []
    for index, job in enumerate(sequence):
        if job.start is Start.QUEUED:
            continue
        group = queue(sequence, index)
        events = [int(next(lines).split()[1]) for _ in group]
        # Of two, cycles are counted from the second write of TRIGGER: the first one's are not known.
        cycles = [events[0]] if len(group) == 1 else [None, events[1] - events[0]]
        for each, taken in zip(group, cycles, strict=True):
            wanted = (Bytes(each.output[0], bytes.fromhex(next(lines))),)
            found.append(Vector(each.words, each.given, wanted, each.start, taken))
    return found


def main() -> None:
    bench = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else JOBS
    found: list[Vector] = []
    other = plan(np.random.default_rng(OTHER_SEED), OTHER_JOBS)[OTHER_SEQUENCE]
    for sequence in (*plan(np.random.default_rng(SEED), count), other):
        found.extend(run(bench, sequence))
    vectors.save(Path(__file__).parent / "sequences.npz", found)
    print(f"{len(found)} jobs")


if __name__ == "__main__":
    main()
