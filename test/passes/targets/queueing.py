"""queueing: tiny_npu on a host whose commands take time; its array holds two jobs, that of ONE holds one."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from htvm.backend import targets
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.engines.host import CORE

TINY = targets.load(str(Path(__file__).with_name("tiny_npu.py")))


@dataclass(frozen=True)
class Queueing(ArrayEngine):
    queue_depth: int = 2


ONE = replace(TINY, name="one_job", host=CORE)
NPU, *OTHERS = ONE.engines
SOC = replace(
    ONE, name="queueing", engines=(Queueing(**{each.name: getattr(NPU, each.name) for each in fields(NPU)}), *OTHERS)
)
