"""own_start: tiny_npu with registers of its own, and C that writes them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.jobs import OPERANDS, Job
from htvm.backend.targets.soc import Launcher

sys.path.insert(0, str(Path(__file__).parents[2] / "passes" / "targets"))

from tiny_npu import SOC as TINY

FIELDS, PLACES, GO = 0x40, 0x10, 0x80


@dataclass(frozen=True)
class Started(ArrayEngine):
    """The array of tiny_npu: the words of a job and the addresses of operands are registers."""

    launcher: Launcher = Launcher("own_start.h", "own_start", str(Path(__file__).parent), start=GO, cycles=48)

    def descriptor(self, job: Job) -> list[int]:
        return job.words({}, self.job_fields)[: -len(OPERANDS)]

    def decoded(self, registers: Mapping[int, int]) -> tuple[Job, Mapping[str, int]]:
        words = [registers[each] for each in range(FIELDS, GO, 4) if each in registers]
        return Job.of_words([*words, *(registers[PLACES + 4 * n] for n in range(len(OPERANDS)))], self.job_fields)


ARRAY, *OTHERS = TINY.engines
NPU = Started(**{each.name: getattr(ARRAY, each.name) for each in fields(ArrayEngine)})
SOC = replace(TINY, name="own_start", engines=(NPU, *OTHERS))
