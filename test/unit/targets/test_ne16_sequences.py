"""What NE16 leaves from job to job, as recorded on the RTL; and the file that holds such a record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ne16_record import FOLDER

from htvm.backend.targets.engines.ne16 import vectors
from htvm.backend.targets.engines.ne16.execute import execute
from htvm.backend.targets.engines.ne16.job import Job
from htvm.backend.targets.engines.ne16.state import State, can_be_exposed
from htvm.backend.targets.engines.ne16.vectors import Start


def test_sequences_are_as_on_the_rtl() -> None:
    """Some jobs start on what others have left, idle or queued, and are wrong as on the RTL."""
    recorded = vectors.load(FOLDER / "sequences.npz")
    assert vectors.differences(recorded) == ()
    assert sum(each.start is Start.QUEUED for each in recorded) >= 20


def test_sequences_differ_from_jobs_that_start_clean() -> None:
    """The record shows what is left: as many jobs would have other bytes after SOFT_CLEAR."""
    recorded = vectors.load(FOLDER / "sequences.npz")
    cured = [replace(each, start=Start.RESET, cycles=None) for each in recorded]
    wrong = {difference.job for difference in vectors.differences(cured)}
    assert len(wrong) >= 5
    state, exposed = State(), set[int]()
    before: Job | None = None
    for index, vector in enumerate(recorded):
        job = Job.of_words(vector.words)
        state = vectors.started(vector, state)
        if state.is_exposed(job):
            exposed.add(index)
            assert before is not None and can_be_exposed(job, before)
        memory = np.zeros(0x200000, np.uint8)
        for run_of in vector.given:
            memory[run_of.address : run_of.end] = np.frombuffer(run_of.content, np.uint8)
        state, before = execute(job, memory, state).state, job
    assert wrong <= exposed


# Vectors


def test_vectors_are_found_again(tmp_path: Path) -> None:
    recorded = vectors.load(FOLDER / "sequences.npz")
    vectors.save(tmp_path / "again.npz", recorded)
    assert vectors.load(tmp_path / "again.npz") == recorded


def test_a_wrong_byte_and_wrong_cycles_are_found() -> None:
    recorded = vectors.load(FOLDER / "sequences.npz")
    first = next(each for each in recorded if each.start is Start.RESET and each.cycles is not None)
    (run_of,) = first.wanted
    middle = len(run_of.content) // 2
    changed = bytearray(run_of.content)
    changed[middle] ^= 1
    other = replace(first, wanted=(replace(run_of, content=bytes(changed)),), cycles=(first.cycles or 0) + 1)
    cycles, byte = vectors.differences([other])
    assert (cycles.address, cycles.wanted - cycles.found) == (None, 1)
    assert (byte.address, byte.found ^ byte.wanted) == (run_of.address + middle, 1)


def test_a_file_without_vectors_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no array 'start'"):
        vectors.load(FOLDER / "jobs.npz")
    with np.load(FOLDER / "sequences.npz") as file:
        arrays = dict(file)
    for name, value, message in (
        ("words", arrays["words"][:, :3], r"'words' is \(\d+, 3\), expected \(jobs, 24\)"),
        ("cycles", arrays["cycles"][1:], r"'cycles' is \(\d+,\), expected \(\d+,\)"),
        ("start", arrays["start"] + 4, "'start': 7 is not a valid Start"),
        ("given", arrays["given"][1:], "'given' has .* bytes, expected as many"),
        ("wanted_job", arrays["wanted_job"] - 1, "'wanted_job' has -1, expected 0"),
    ):
        np.savez(tmp_path / "other.npz", **{**arrays, name: value})
        with pytest.raises(ValueError, match=message):
            vectors.load(tmp_path / "other.npz")
