"""The simulated host: runs a linked program on the memories of a target, and counts what it does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from unicorn import (
    UC_ARCH_RISCV,
    UC_ERR_EXCEPTION,
    UC_ERR_INSN_INVALID,
    UC_HOOK_MEM_INVALID,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UC_MEM_READ_PROT,
    UC_MEM_READ_UNMAPPED,
    UC_MEM_WRITE_PROT,
    UC_MODE_RISCV32,
    UC_PROT_EXEC,
    UC_PROT_READ,
    UC_PROT_WRITE,
    Uc,
    UcError,
)
from unicorn.riscv_const import UC_RISCV_REG_PC, UC_RISCV_REG_X1, UC_RISCV_REG_X31

from htvm.backend.targets.soc import Soc
from htvm.runtime.simulator.counter import Counter
from htvm.runtime.simulator.error import OutOfCyclesError, SimulationError
from htvm.runtime.simulator.memories import PAGE_BYTES, UNDEFINED
from htvm.runtime.simulator.program import DONE, STACK_BOTTOM, STACK_TOP, START, Segment, memory_at, read_program
from htvm.runtime.simulator.timeline import EngineTotals, Interval, RouteTotals, engine_totals, route_totals
from htvm.runtime.simulator.units import Units

TRANSLATION_BYTES = 64 << 20  # of translated code; Unicorn's default is 1 GiB of addresses per machine
DEFAULT_MAX_CYCLES = 1 << 40

FETCHES = (UC_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_PROT)
READS = (UC_MEM_READ_UNMAPPED, UC_MEM_READ_PROT)


@dataclass(frozen=True)
class StepProfile:
    """What one step took, from its function's first instruction to the next step's.

    The start-up has index -1. Of the cycles, the host spent stall_cycles before a full queue of a transfer engine, and
    wait_cycles in loops that do nothing but read a unit's count.
    """

    index: int
    instructions: int
    cycles: int
    stall_cycles: int = 0
    wait_cycles: int = 0


@dataclass(frozen=True)
class Execution:
    """One run, from _start to htvm_done.

    start_up: what precedes step 0. steps: one per htvm_step_<n>, in order; what follows the last step, up to
    the end, is charged to it. stack_bytes: the most that was used of the stack. timeline: each copy and job, in the
    order of being given. engines: by accelerator. routes: by name of the route.
    """

    instructions: int
    cycles: int
    start_up: StepProfile
    steps: tuple[StepProfile, ...]
    stack_bytes: int
    timeline: tuple[Interval, ...] = ()
    engines: Mapping[str, EngineTotals] = field(default_factory=dict[str, EngineTotals])
    routes: Mapping[str, RouteTotals] = field(default_factory=dict[str, RouteTotals])

    @property
    def stall_cycles(self) -> int:
        return sum(one.stall_cycles for one in (self.start_up, *self.steps))

    @property
    def wait_cycles(self) -> int:
        return sum(one.wait_cycles for one in (self.start_up, *self.steps))


@dataclass(frozen=True)
class Fault:
    """An access that Unicorn refused."""

    access: int
    address: int
    size_bytes: int


class Host:
    """A program on a target, ready to run any number of times.

    A run begins with the program's initialised variables as they are in the file, zero in all registers and
    an undefined stack. All other memory keeps what it holds: what the caller wrote, what an earlier run left.
    """

    def __init__(self, elf: str | PathLike[str], soc: Soc, planned: Mapping[str, int] | None = None) -> None:
        """Load `elf`. Raises SimulationError if it does not fit the target or lacks a symbol.

        planned: how many bytes, from the first one on, the program may use of memories that the host does not reach;
        all of one that is not named.
        """
        self.soc = soc
        self.program = read_program(Path(elf), soc)
        self.machine = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
        self.machine.ctl_set_tcg_buffer_size(TRANSLATION_BYTES)
        self.start, self.done = self.symbol(START), self.symbol(DONE)
        self.stack_bottom, self.stack_top = self.symbol(STACK_BOTTOM), self.symbol(STACK_TOP)
        self.fault: Fault | None = None
        self.guarded = self.load()
        self.machine.hook_add(UC_HOOK_MEM_INVALID, self.on_fault)
        self.counter = self.new_counter()
        self.units: Units | None = None
        if soc.dmas or soc.accelerators:
            self.units = Units(soc, self.machine, self.program, self.counter, planned or {})

    def symbol(self, name: str) -> int:
        """Return the address of a symbol of the program."""
        return self.program.symbol(name)

    def write(self, address: int, data: bytes) -> None:
        """Set memory, before a run. Raises SimulationError unless all of it is the program's and writable."""
        self.check_range(address, len(data), "write", [one for one in self.program.segments if one.writable])
        self.machine.mem_write(address, bytes(data))

    def read(self, address: int, size_bytes: int) -> bytes:
        """Return memory, after a run. Raises SimulationError unless all of it is the program's."""
        self.check_range(address, size_bytes, "read", self.program.segments)
        return bytes(self.machine.mem_read(address, size_bytes))

    def run(self, max_cycles: int = DEFAULT_MAX_CYCLES) -> Execution:
        """Run the program once. Raises SimulationError if it does what it must not, or takes more cycles."""
        self.reset()
        self.counter.begin(max_cycles)
        if self.units:
            self.units.begin()
        at = self.start
        while True:
            self.fault = None
            try:
                with self.counter.interruptible():
                    self.machine.emu_start(at, self.done)
                again = self.counter.resume()
            except (UcError, SimulationError) as error:
                raise SimulationError(self.explain(error)) from None
            at = self.machine.reg_read(UC_RISCV_REG_PC)
            if not again:
                break
        if not self.counter.out_of_cycles:
            self.counter.finish()
        if self.counter.cycles > max_cycles:
            raise OutOfCyclesError(f"{self.here(at)}: still running after {max_cycles:,} cycles, this run's limit")
        if self.units:
            self.finish_units(self.units)
        self.check_guarded()
        return self.execution()

    def finish_units(self, units: Units) -> None:
        """Raise SimulationError if a unit is at work at the end of the run."""
        try:
            units.finish()
        except SimulationError as error:
            raise SimulationError(f"{self.here(self.done)}: {error}") from None

    def execution(self) -> Execution:
        """Read the counters of the run that ended."""
        timeline = self.units.timeline if self.units else ()
        waits = self.units.wait_cycles if self.units else [0] * len(self.counter.accounts)
        stalls = [0] * len(waits)
        for one in timeline:
            stalls[one.step + 1] += one.stall_cycles
        start_up, *steps = (
            StepProfile(index, account.instructions, account.cycles, stall, wait)
            for index, (account, stall, wait) in enumerate(zip(self.counter.accounts, stalls, waits, strict=True), -1)
        )
        return Execution(
            instructions=sum(one.instructions for one in (start_up, *steps)),
            cycles=sum(one.cycles for one in (start_up, *steps)),
            start_up=start_up,
            steps=tuple(steps),
            stack_bytes=self.stack_bytes(),
            timeline=timeline,
            engines=engine_totals(self.soc, timeline),
            routes=route_totals(self.soc, timeline),
        )

    def stack_bytes(self) -> int:
        """Return how much of the stack was written to. Raises SimulationError if that is all of it."""
        stack = self.machine.mem_read(self.stack_bottom, self.stack_top - self.stack_bottom)
        used = len(stack.lstrip(bytes([UNDEFINED])))
        if stack and used == len(stack):
            raise SimulationError(f"{self.program.path.name}: used all {used:,} bytes of its stack, or more")
        return used

    def load(self) -> list[tuple[int, bytes]]:
        """Map the pages that the program uses and fill them; return the constants that no page protects."""
        pages: dict[int, int] = {}
        for segment in self.program.segments:
            for page in segment_pages(segment):
                pages[page] = pages.get(page, 0) | rights(segment)
        for first, end, allowed in regions(pages):  # as few as possible: Unicorn looks them up
            self.machine.mem_map(first, end - first, allowed)
            self.machine.mem_write(first, bytes([UNDEFINED]) * (end - first))
        guarded: list[tuple[int, bytes]] = []
        for segment in self.program.segments:
            self.machine.mem_write(segment.address, segment.data)
            if not segment.writable:
                for page in segment_pages(segment):
                    if pages[page] & UC_PROT_WRITE:
                        first = max(page - segment.address, 0)
                        piece = segment.data[first : page + PAGE_BYTES - segment.address]
                        guarded.append((segment.address + first, piece))
        return guarded

    def new_counter(self) -> Counter:
        """Hook the machine, whose code is all there."""
        code = [segment for segment in self.program.segments if segment.executable]
        if not code or any(segment.writable for segment in code):
            raise SimulationError(
                f"{self.program.path.name}: has {'code that is writable' if code else 'no code'}, "
                "expected code in a segment that is executable and not writable"
            )
        base, end = code[0].address, max(segment.end for segment in code)
        return Counter(
            self.machine, base, bytes(self.machine.mem_read(base, end - base)), self.done, self.program.steps
        )

    def reset(self) -> None:
        """Make registers, initialised variables and the stack what they are before a run."""
        for register in range(UC_RISCV_REG_X1, UC_RISCV_REG_X31 + 1):
            self.machine.reg_write(register, 0)
        for segment in self.program.segments:
            if segment.writable and segment.data:
                self.machine.mem_write(segment.address, segment.data)
        self.machine.mem_write(self.stack_bottom, bytes([UNDEFINED]) * (self.stack_top - self.stack_bottom))

    def check_range(self, address: int, size_bytes: int, verb: str, allowed: Sequence[Segment]) -> None:
        """Raise SimulationError unless a range lies in one of the segments."""
        if not any(one.address <= address and address + size_bytes <= one.end for one in allowed):
            ranges = ", ".join(f"{one.address:#x}..{one.end:#x}" for one in allowed)
            raise SimulationError(
                f"{self.program.path.name}: cannot {verb} {size_bytes:,} bytes at {address:#x}; can {verb} {ranges}"
            )

    def check_guarded(self) -> None:
        """Raise SimulationError if the run has changed a constant that shares its page with variables."""
        for address, piece in self.guarded:
            found = self.machine.mem_read(address, len(piece))
            if bytes(found) != piece:
                first = address + next(k for k, (a, b) in enumerate(zip(found, piece, strict=True)) if a != b)
                self.machine.mem_write(address, piece)
                raise SimulationError(
                    f"{self.program.path.name}: the run has changed the constant at {first:#010x} "
                    f"({self.program.data_place(first)})"
                )

    def on_fault(self, _: Uc, access: int, address: int, size: int, *__: object) -> bool:
        """Unicorn's hook on refused accesses: remember, and let it stop."""
        self.fault = Fault(access, address, size)
        return False

    def here(self, pc: int) -> str:
        """Name a point of the run for a message."""
        step = self.counter.step() - 1
        when = f"step {step}" if step >= 0 else "start-up"
        return f"{self.program.path.name}: at {pc:#010x} ({self.program.place(pc)}, {when})"

    def explain(self, error: UcError | SimulationError) -> str:
        """Say why the run has stopped, and where."""
        pc = self.machine.reg_read(UC_RISCV_REG_PC)
        if isinstance(error, SimulationError):
            return f"{self.here(pc)}: {error}"
        if self.fault is None:
            what = "illegal instruction" if error.errno in (UC_ERR_EXCEPTION, UC_ERR_INSN_INVALID) else str(error)
            return f"{self.here(pc)}: {what}"
        fault = self.fault
        if fault.access in FETCHES:
            block = self.counter.record.current
            origin = f" from {self.program.place(block.contents.address)}" if block else ""
            return f"{self.here(pc)}: jump to {fault.address:#010x}{origin}, where there is no code"
        verb = "read" if fault.access in READS else "write"
        reason = f"code or constants ({self.program.data_place(fault.address)})"
        if fault.access != UC_MEM_WRITE_PROT:
            memory = memory_at(self.soc, fault.address)
            reason = "no memory of the program"
            if memory is not None and not memory.host_visible:
                reason = f"in '{memory.name}', which the host does not reach"
        return f"{self.here(pc)}: {verb} of {fault.size_bytes} bytes at {fault.address:#010x}, which is {reason}"


def segment_pages(segment: Segment) -> Iterator[int]:
    """Yield the addresses of the pages that a segment touches."""
    yield from range(segment.address // PAGE_BYTES * PAGE_BYTES, segment.end, PAGE_BYTES)


def regions(pages: dict[int, int]) -> Iterator[tuple[int, int, int]]:
    """Join neighbouring pages with the same rights; yield first address, end and rights of each region."""
    for first, allowed in sorted(pages.items()):
        if pages.get(first - PAGE_BYTES) != allowed:
            end = first + PAGE_BYTES
            while pages.get(end) == allowed:
                end += PAGE_BYTES
            yield first, end, allowed


def rights(segment: Segment) -> int:
    """Return what the host may do in a segment."""
    return UC_PROT_READ | (UC_PROT_WRITE if segment.writable else 0) | (UC_PROT_EXEC if segment.executable else 0)
