"""What an NE16 does with given jobs, as a file: recorded on RTL or silicon, or computed by another model.

A file of numpy (.npz) with an entry for each job, in the order in which they ran on one memory and one engine:

    words    uint32[jobs, 24]   the registers
    start    uint8[jobs]        what came before the job: a number of `Start`
    cycles   int64[jobs]        from the write of TRIGGER, or for a queued one from the event before, to the event; -1:
                                not known
    stalls   int64[jobs]        refused accesses

and with an entry for each run of bytes, of which a job has any number:

    given_job, wanted_job          int64[runs]   the job's index
    given_address, wanted_address  int64[runs]   of the first byte
    given_size, wanted_size        int64[runs]   bytes
    given, wanted                  uint8[..]     the bytes of all runs, one after the other

`given` is what is written to the memory before the job, or before the job that it is queued behind; the rest stays.
`wanted` is what is there when the job has ended, and all that are queued behind it. Runs and jobs ascend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from htvm.backend.targets.engines.ne16 import cycles as timing
from htvm.backend.targets.engines.ne16.execute import execute
from htvm.backend.targets.engines.ne16.job import REGISTERS, Job
from htvm.backend.targets.engines.ne16.state import State


class Start(IntEnum):
    """What comes before a job."""

    IDLE = 0
    """It is programmed when the job before has ended."""

    QUEUED = 1
    """It is programmed while the job before is running."""

    SOFT_CLEAR = 2
    """A write of 1 to SOFT_CLEAR."""

    RESET = 3


@dataclass(frozen=True)
class Bytes:
    """Bytes at an address."""

    address: int
    content: bytes

    @property
    def end(self) -> int:
        """The address behind the last byte."""
        return self.address + len(self.content)


@dataclass(frozen=True)
class Vector:
    """One job, what it was given and what it did. cycles: None if they are not known."""

    words: tuple[int, ...]
    given: tuple[Bytes, ...]
    wanted: tuple[Bytes, ...]
    start: Start = Start.IDLE
    cycles: int | None = None
    stalls: int = 0


@dataclass(frozen=True)
class Difference:
    """What the model and a vector do not agree about: a byte (address is its own), or the cycles (address is None)."""

    job: int
    address: int | None
    found: int
    wanted: int


def save(path: Path, vectors: Sequence[Vector]) -> None:
    """Write vectors to a file."""
    arrays: dict[str, np.ndarray] = {
        "words": np.array([vector.words for vector in vectors], np.uint32).reshape(-1, REGISTERS),
        "start": np.array([vector.start for vector in vectors], np.uint8),
        "cycles": np.array([-1 if vector.cycles is None else vector.cycles for vector in vectors], np.int64),
        "stalls": np.array([vector.stalls for vector in vectors], np.int64),
    }
    for name, runs_of in (("given", [v.given for v in vectors]), ("wanted", [v.wanted for v in vectors])):
        runs = [(job, run) for job, runs in enumerate(runs_of) for run in runs]
        arrays[f"{name}_job"] = np.array([job for job, _ in runs], np.int64)
        arrays[f"{name}_address"] = np.array([run.address for _, run in runs], np.int64)
        arrays[f"{name}_size"] = np.array([len(run.content) for _, run in runs], np.int64)
        arrays[name] = np.frombuffer(b"".join(run.content for _, run in runs), np.uint8)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def load(path: Path) -> tuple[Vector, ...]:
    """Read vectors from a file. Raises ValueError for one that does not hold them."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    by_job = ("words", "start", "cycles", "stalls")
    by_run = tuple(f"{kind}{part}" for kind in ("given", "wanted") for part in ("_job", "_address", "_size", ""))
    if missing := [name for name in (*by_job, *by_run) if name not in arrays]:
        raise ValueError(f"{path}: has no array '{missing[0]}'")
    words = arrays["words"]
    if words.ndim != 2 or words.shape[1] != REGISTERS:
        raise ValueError(f"{path}: 'words' is {words.shape}, expected (jobs, {REGISTERS})")
    for name in by_job[1:]:
        if arrays[name].shape != (len(words),):
            raise ValueError(f"{path}: '{name}' is {arrays[name].shape}, expected ({len(words)},)")
    try:
        starts = [Start(start) for start in arrays["start"].tolist()]
    except ValueError as error:
        raise ValueError(f"{path}: 'start': {error}") from None
    given, wanted = (_runs(path, arrays, kind, len(words)) for kind in ("given", "wanted"))
    return tuple(
        Vector(
            words=tuple(words[job].tolist()),
            given=given[job],
            wanted=wanted[job],
            start=starts[job],
            cycles=None if arrays["cycles"][job] < 0 else int(arrays["cycles"][job]),
            stalls=int(arrays["stalls"][job]),
        )
        for job in range(len(words))
    )


def _runs(path: Path, arrays: Mapping[str, np.ndarray], kind: str, jobs: int) -> list[tuple[Bytes, ...]]:
    """Return the runs of bytes of each job."""
    owners, addresses, sizes = ([int(n) for n in arrays[f"{kind}_{part}"]] for part in ("job", "address", "size"))
    content = arrays[kind].tobytes()
    if not len(owners) == len(addresses) == len(sizes) or sum(sizes) != len(content):
        found = f"{len(owners)} jobs, {len(addresses)} addresses, {len(sizes)} sizes of {sum(sizes):,} bytes"
        raise ValueError(f"{path}: '{kind}' has {found} and {len(content):,} bytes, expected as many")
    runs: list[list[Bytes]] = [[] for _ in range(jobs)]
    start = 0
    for owner, address, size in zip(owners, addresses, sizes, strict=True):
        if not 0 <= owner < jobs:
            raise ValueError(f"{path}: '{kind}_job' has {owner}, expected 0..{jobs - 1}")
        runs[owner].append(Bytes(address, content[start : start + size]))
        start += size
    return [tuple(each) for each in runs]


def started(vector: Vector, state: State) -> State:
    """Return the state in which a vector's job starts, of that behind the job before."""
    if vector.start is Start.RESET:
        state = State()
    elif vector.start is Start.SOFT_CLEAR:
        state = state.soft_cleared()
    return state.given(vector.words, vector.start is Start.QUEUED)


def differences(vectors: Sequence[Vector]) -> tuple[Difference, ...]:
    """Compute every job, one after the other, and return where the model does something else.

    Cycles are compared where no access was refused. Raises what `execute` raises.
    """
    base = min(run.address for vector in vectors for run in (*vector.given, *vector.wanted))
    end = max(run.end for vector in vectors for run in (*vector.given, *vector.wanted))
    memory, state = np.zeros(end - base, np.uint8), State()
    found: list[Difference] = []
    for queue in _queues(vectors):
        for index in queue:
            for run in vectors[index].given:
                memory[run.address - base : run.end - base] = np.frombuffer(run.content, np.uint8)
        for index in queue:
            vector = vectors[index]
            job, state = Job.of_words(vector.words), started(vector, state)
            outcome = execute(job, memory, state, base)
            outcome.store(memory, base)
            state = outcome.state
            taken = timing.cycles(job) - (timing.QUEUED_CYCLES_LESS if vector.start is Start.QUEUED else 0)
            if vector.cycles not in (None, taken) and not vector.stalls:
                found.append(Difference(index, None, taken, vector.cycles or 0))
        for index in queue:
            found.extend(_differing(memory, base, index, vectors[index].wanted))
    return tuple(found)


def _queues(vectors: Sequence[Vector]) -> Iterable[list[int]]:
    """Yield the indices of jobs that are programmed together: one, and those that are queued behind it."""
    starts = [index for index, vector in enumerate(vectors) if index == 0 or vector.start is not Start.QUEUED]
    for start, end in zip(starts, [*starts[1:], len(vectors)], strict=True):
        yield list(range(start, end))


def _differing(memory: np.ndarray, base: int, job: int, wanted: Iterable[Bytes]) -> Iterable[Difference]:
    """Yield the bytes of a memory that are not as wanted."""
    for run in wanted:
        is_there = memory[run.address - base : run.end - base]
        should_be = np.frombuffer(run.content, np.uint8)
        for place in np.flatnonzero(is_there != should_be).tolist():
            yield Difference(job, run.address + place, int(is_there[place]), int(should_be[place]))
