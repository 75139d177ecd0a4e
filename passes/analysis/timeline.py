"""When each unit of a machine is busy, if the host gives its commands one after the other.

The host spends cycles on every command and every wait; transfer engines work through their commands in order, and
accelerators through their jobs. What a command takes is the target's: its cost model and its host's figures.
"""

from __future__ import annotations

from collections import defaultdict, deque

from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Dma, Route, Soc, is_driven


class Timeline:
    """The time at the host, in cycles, and until when each unit is busy."""

    def __init__(self, soc: Soc) -> None:
        self.soc = soc
        self.now = 0
        self.free_at: dict[str, int] = defaultdict(int)
        self.last: dict[str, deque[int]] = {}  # when the last commands of each transfer engine end

    def copy(self, route: Route, count: int, run_bytes: int) -> int:
        """Give a transfer engine `count` copies of `run_bytes` bytes each; return when the last one ends.

        A full queue makes the host wait: until the command ends that was given as many before as it holds and one.
        """
        dma, issue = self.soc.dma(route), self.soc.host.copy_cycles
        each = self.soc.copy_cycles(route, run_bytes)
        room = dma.queue_depth + 1
        ends = self.last.setdefault(dma.name, deque(maxlen=room))
        for _ in range(min(count, room)):
            self.now = max(self.now + issue, ends[0] if len(ends) == room else 0)
            ends.append(max(self.now, ends[-1] if ends else 0) + each)
        if rest := max(count - room, 0):  # all that is in the queue is alike now
            end = max(ends[-1] + rest * each, self.now + rest * issue + each)
            self.now = max(self.now + rest * issue, end - room * each)
            ends.extend(end - before * each for before in reversed(range(room)))
        self.free_at[dma.name] = ends[-1]
        return ends[-1]

    def takes(self, dma: Dma) -> bool:
        """Say whether a transfer engine takes a command now, and the host need not wait until its queue has room."""
        ends = self.last.get(dma.name)
        return ends is None or len(ends) <= dma.queue_depth or ends[0] <= self.now

    def launch(self, engine: str, job: Job) -> int:
        """Start a lowered job; return when it ends."""
        return self.run(engine, self.soc.figures.job_cycles(engine, job))

    def run(self, engine: str, cycles: int) -> int:
        """Start a job that takes so many cycles; return when it ends. A driver keeps the host until then."""
        self.now += self.soc.launch_cycles(engine)
        end = max(self.now, self.free_at[engine]) + cycles
        self.free_at[engine] = end
        if is_driven(self.soc.engine(engine)):
            self.now = end
        return end

    def wait(self, end: int) -> None:
        """Let the host wait for something that ends at a time."""
        self.now = max(self.now, end) + self.soc.host.wait_cycles

    def work(self, cycles: int) -> None:
        """Let the host itself work."""
        self.now += cycles

    @property
    def end(self) -> int:
        """When host and units have all ended."""
        return max(self.now, *self.free_at.values(), 0)
