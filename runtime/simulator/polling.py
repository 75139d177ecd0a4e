"""Loops that read a count until it has changed: their iterations are counted, but most are not executed."""

from dataclasses import dataclass, replace

from htvm.runtime.simulator.counter import Counter
from htvm.runtime.simulator.instructions import ALU, BRANCH, LOAD, Instruction


@dataclass(frozen=True)
class Poll:
    """A read of a unit's count: the block it is in, and what had been counted by then."""

    unit: str
    count: int
    block: int
    cycles: int
    executed: int


class Polling:
    """Notices that the host goes round in a loop of one block that does nothing but read a unit's count.

    All its iterations are alike until the count changes, so that those up to there can be charged at once.
    """

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.idle: dict[tuple[int, int], bool] = {}  # blocks, by address and size: whether iterations are alike
        self.begin()

    def begin(self) -> None:
        """Start a run."""
        self.last: Poll | None = None
        self.wait_cycles = [0] * len(self.counter.accounts)  # in such loops, by account

    def forget(self) -> None:
        """Note that the host has done something else with a unit."""
        self.last = None

    def read(self, unit: str, count: int) -> int | None:
        """Note a read; return how many cycles an iteration takes if the next one must be like this one, else None."""
        counter, last = self.counter, self.last
        block = counter.record.current.contents
        this = self.last = Poll(unit, count, block.address, counter.cycles, counter.executed)
        if (
            last is None
            or (last.unit, last.block) != (unit, block.address)
            or this.executed - last.executed != block.instructions
            or not self.does_nothing_else(block.address, block.size)
        ):
            return None
        cycles = this.cycles - last.cycles
        self.wait_cycles[counter.step()] += cycles
        return cycles if last.count == count else None

    def skip(self, cycles: int, until_cycle: int, count: int) -> None:
        """Charge the iterations, of so many cycles each, up to the first read at until_cycle or later, of `count`.

        As many at most as the run has cycles left for, and one.
        """
        counter, block = self.counter, self.counter.record.current.contents
        assert self.last is not None, "`read` has said how many cycles an iteration takes"
        iterations = -(-(until_cycle - self.last.cycles) // cycles)
        iterations = min(iterations, (counter.record.max_cycles - counter.cycles) // cycles + 1)
        counter.add(iterations * cycles, iterations * block.instructions)
        self.wait_cycles[counter.step()] += iterations * cycles
        self.last = replace(self.last, count=count, cycles=counter.cycles, executed=counter.executed)

    def does_nothing_else(self, address: int, size: int) -> bool:
        """Say whether a block only loads one value and computes on it: no register is changed that it starts from."""
        key = address, size
        if key not in self.idle:
            self.idle[key] = iterates_alike(self.counter.instructions(address, size))
        return self.idle[key]


def iterates_alike(code: list[Instruction]) -> bool:
    """Say whether a block that is a loop does the same in each iteration, if its one load gives the same."""
    kinds = [instruction.kind for instruction in code]
    if kinds.count(LOAD) != 1 or kinds[-1] != BRANCH or not set(kinds) <= {LOAD, ALU, BRANCH}:
        return False
    written: set[int] = {0}
    needed: set[int] = set()
    for instruction in code:
        needed |= set(instruction.reads) - written
        written.add(instruction.rd)
    return not needed & (written - {0})
