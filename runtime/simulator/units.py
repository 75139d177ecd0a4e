"""The units beside the host, as devices that it sees through registers: transfer engines and accelerators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from unicorn import UC_HOOK_CODE, Uc, UcError
from unicorn.riscv_const import UC_RISCV_REG_A0

from htvm.backend.targets import registers
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, OPERANDS, Job
from htvm.backend.targets.soc import (
    Accelerator,
    Dma,
    Driven,
    Launched,
    Route,
    Soc,
    has_launcher,
    is_driven,
    keeps_sums,
    queue_depth,
)
from htvm.runtime.simulator.counter import Counter
from htvm.runtime.simulator.error import SimulationError
from htvm.runtime.simulator.memories import UNDEFINED, Memories, Region
from htvm.runtime.simulator.polling import Polling
from htvm.runtime.simulator.program import Program
from htvm.runtime.simulator.timeline import Interval
from htvm.runtime.simulator.transactions import InFlight, Work

MAX_IDLE_READS = 100_000
"""Of the count of a unit that has nothing to do; the optimised loop of htvm_wait is found out at its second read."""


class Units:
    """All transfer engines and accelerators of a target, mapped into a machine."""

    def __init__(self, soc: Soc, machine: Uc, program: Program, counter: Counter, planned: Mapping[str, int]) -> None:
        """planned: see Memories. Raises SimulationError if the target does not say what the units take."""
        if soc.cost_model is None:
            raise SimulationError(f"target '{soc.name}' has units beside the host, but no cost model for them")
        self.soc, self.counter = soc, counter
        self.memories = Memories(soc, machine, program, planned)
        self.in_flight = InFlight(self.memories)
        self.polling = Polling(counter)
        self.units = (
            *(TransferUnit(self, dma) for dma in soc.dmas),
            *(unit_of(self, each) for each in soc.accelerators),
        )
        for unit in self.units:
            if isinstance(unit, DriverUnit):
                unit.watch(machine, program.symbols)
                continue
            try:
                machine.mmio_map(unit.base, registers.SIZE_BYTES, unit.on_read, None, unit.on_write, None)
            except UcError:
                raise SimulationError(
                    f"target '{soc.name}' has the registers of '{unit.name}' at {unit.base:#x}; "
                    f"expected a multiple of {registers.SIZE_BYTES:,} where nothing else is"
                ) from None

    def begin(self) -> None:
        """Start a run: nothing is in flight."""
        self.memories.begin()
        self.in_flight.begin()
        self.polling.begin()
        for unit in self.units:
            unit.begin()

    def finish(self) -> None:
        """End the run. Raises SimulationError if a unit is at work."""
        self.in_flight.finish(self.counter.cycles)

    def now(self) -> int:
        """Let happen what has happened up to now, and return the cycle."""
        cycle = self.counter.cycles
        self.in_flight.advance(cycle)
        return cycle

    @property
    def timeline(self) -> tuple[Interval, ...]:
        """All copies and jobs of the run, in the order of being given."""
        return tuple(self.in_flight.timeline)

    @property
    def wait_cycles(self) -> Sequence[int]:
        """Cycles in which the host did nothing but read a unit's count, by account of the counter."""
        return self.polling.wait_cycles


class Unit:
    """A device: work that is done one after the other, and the count of what has ended."""

    def __init__(self, units: Units, name: str, base: int) -> None:
        self.units, self.name, self.base = units, name, base
        self.begin()

    def begin(self) -> None:
        """Start a run."""
        self.work: list[Work] = []  # not ended, in order
        self.done = 0
        self.idle_reads = 0

    def on_read(self, _: Uc, offset: int, size: int, __: object) -> int:
        """Unicorn's hook when the host reads a register."""
        try:
            return self.read(offset, size)
        except SimulationError as error:
            self.units.counter.stop(error)
            return 0

    def on_write(self, _: Uc, offset: int, size: int, value: int, __: object) -> None:
        """Unicorn's hook when the host writes a register."""
        try:
            self.write(offset, size, value)
        except SimulationError as error:
            self.units.counter.stop(error)

    def read(self, offset: int, size: int) -> int:
        """The host reads a register."""
        self.check_access("read", offset, size, (registers.DONE,))
        now = self.units.now()
        period = self.units.polling.read(self.name, self.done)
        if self.work:
            if period:
                self.units.polling.skip(period, self.work[0].interval.end_cycle, self.done + 1)
                self.units.now()
        else:
            self.idle_reads += 1
            if period or self.idle_reads > MAX_IDLE_READS:
                raise SimulationError(
                    f"waits for '{self.name}', which has nothing to do at cycle {now:,}; its count is {self.done}"
                )
        return self.done

    def write(self, offset: int, size: int, value: int) -> None:
        """The host writes a register."""
        self.check_access("write", offset, size, (registers.DONE, *self.written))
        self.units.polling.forget()
        self.idle_reads = 0
        if offset != registers.DONE:
            self.set(offset, value)
            return
        self.units.now()
        if self.work:
            raise SimulationError(f"resets the count of '{self.name}' before the end of {self.work[0]}")
        self.done = 0

    written: tuple[int, ...]
    """The offsets of the registers that give work."""

    def set(self, offset: int, value: int) -> None:
        """Take what is written to one of the registers that give work."""
        raise NotImplementedError

    def check_access(self, verb: str, offset: int, size: int, known: Sequence[int]) -> None:
        if size != 4 or offset not in known:
            offsets = ", ".join(map(str, known))
            raise SimulationError(
                f"{verb} of {size} bytes at offset {offset} of '{self.name}' ({self.base + offset:#x}), "
                f"which takes a {verb} of 4 bytes at {offsets}"
            )

    def region(self, what: str, address: int, size_bytes: int, writable: bool = False) -> Region:
        """Return an operand's place; SimulationError says what it is for."""
        try:
            return self.units.memories.region(address, size_bytes, writable)
        except SimulationError as error:
            raise SimulationError(f"'{self.name}' is given {what} {error}") from None

    def end_first(self) -> None:
        """Called when the oldest work has ended."""
        self.work.pop(0)
        self.done += 1

    def give(self, work: Work, now: int) -> None:
        """Start work now, or when what was given before has ended."""
        self.work.append(work)
        self.units.in_flight.give(work)
        self.units.in_flight.advance(now)

    @property
    def step(self) -> int:
        """The step that the host is in, -1 in the start-up."""
        return self.units.counter.step() - 1


class TransferUnit(Unit):
    """A transfer engine: 1-D copies, in order, with a queue."""

    written = (registers.DMA_SOURCE, registers.DMA_TARGET, registers.DMA_BYTES)

    def __init__(self, units: Units, dma: Dma) -> None:
        self.dma = dma
        super().__init__(units, dma.name, dma.base)

    def begin(self) -> None:
        super().begin()
        self.source = self.target = 0

    def set(self, offset: int, value: int) -> None:
        if offset == registers.DMA_SOURCE:
            self.source = value
        elif offset == registers.DMA_TARGET:
            self.target = value
        else:
            self.copy(value)

    def copy(self, size_bytes: int) -> None:
        """Take a command; the host waits until there is room for it."""
        now = self.units.now()
        if size_bytes == 0:
            raise SimulationError(
                f"'{self.name}' is given a copy of 0 bytes from {self.source:#x} to {self.target:#x}, expected some"
            )
        source = self.region("a copy from", self.source, size_bytes)
        target = self.region("a copy to", self.target, size_bytes, writable=True)
        route = Route(source.memory.name, target.memory.name)
        if route not in self.dma.routes:
            known = ", ".join(one.name for one in self.dma.routes)
            raise SimulationError(
                f"'{self.name}' is given a copy of {source} at {self.source:#x} to {target} at {self.target:#x}, "
                f"but has no route '{route.name}'; it has {known}"
            )
        excess = len(self.work) - self.dma.queue_depth - 1
        stall = self.work[excess].interval.end_cycle - now if excess >= 0 else 0
        if stall:
            self.units.counter.add(stall)
            now = self.units.now()
        start = max(now, self.work[-1].interval.end_cycle if self.work else 0)
        cycles = self.units.soc.copy_cycles(route, size_bytes)
        interval = Interval(
            unit=self.name,
            start_cycle=start,
            end_cycle=start + cycles,
            step=self.step,
            kind="copy",
            route=route.name,
            size_bytes=size_bytes,
            stall_cycles=stall,
        )
        self.give(Work(interval, (source,), (target,), lambda operands: operands[:1], self.end_first), now)


class AcceleratorUnit(Unit):
    """An accelerator: jobs one after the other, which its engine's own model computes."""

    written = (registers.JOB,)

    def __init__(self, units: Units, engine: Accelerator) -> None:
        self.engine = engine
        super().__init__(units, engine.name, engine.base)

    def set(self, offset: int, value: int) -> None:
        self.launch(*self.descriptor(value))

    def launch(self, job: Job, addresses: Mapping[str, int]) -> None:
        """Start a job."""
        now = self.units.now()
        engine = self.engine
        if len(self.work) >= queue_depth(engine):
            raise SimulationError(f"launches '{self.name}' before the end of {self.work[0]}")
        start = max(now, self.work[-1].interval.end_cycle if self.work else 0)
        reads = [
            self.operand(name, addresses, engine.input.memory, job.bytes_of_input(number))
            for number, name in enumerate(OPERANDS[: job.inputs])
        ]
        inputs, weight_bytes = len(reads), engine.weight_bytes(job)
        if weight_bytes:
            reads.append(self.operand("weights", addresses, engine.weights.memory, weight_bytes))
        outputs = [] if job.keeps else [self.operand("output", addresses, engine.output.memory, job.output_bytes)]
        sums: list[Region] = []
        if keeps_sums(engine) and (kept := engine.sums_bytes(job)):
            sums.append(self.operand("sums", addresses, engine.sums.memory, kept))
        interval = Interval(
            unit=self.name,
            start_cycle=start,
            end_cycle=start + self.units.soc.figures.job_cycles(self.name, job),
            step=self.step,
            kind=job.kind,
            macs=job.macs,
        )

        def compute(operands: Sequence[bytes]) -> list[bytes]:
            kept = [self.units.memories.read(region) for region in sums]
            return self.result(job, operands[:inputs], b"".join(operands[inputs:]), *kept)

        is_in_order = bool(outputs) and self.may_lie_over(job, reads[0], outputs[0])
        work = Work(interval, reads, (*outputs, *sums), compute, self.end_first, is_in_order)
        if job.adds and (missing := next(filter(None, map(self.units.memories.unwritten, sums)), None)):
            raise SimulationError(f"{work} adds to {sums[0]}, but nobody has written {missing} in this run")
        self.give(work, now)

    def may_lie_over(self, job: Job, read: Region, written: Region) -> bool:
        """Say whether a job's output may begin where it does over its input: computed as a whole, it may not."""
        return False

    def descriptor(self, address: int) -> tuple[Job, Mapping[str, int]]:
        """Read a job and its operands' addresses."""
        region = self.region("a descriptor of", address, 4 * DESCRIPTOR_WORDS)
        if not region.memory.host_visible:
            raise SimulationError(f"'{self.name}' is given a descriptor in {region}, which the host does not reach")
        words = np.frombuffer(self.units.memories.read(region), "<u4").tolist()
        try:
            return Job.of_words(words, self.engine.job_fields)
        except IndexError:
            first = ", ".join(map(str, words[:4]))
            raise SimulationError(
                f"'{self.name}' is given a descriptor at {address:#x} that describes no job: it begins with {first}"
            ) from None

    def operand(self, name: str, addresses: Mapping[str, int], memory: str, size_bytes: int) -> Region:
        """Return where an operand is. Raises SimulationError unless it is in the memory where the engine has it."""
        region = self.region(f"{name} of", addresses[name], size_bytes, writable=name in ("sums", "output"))
        if region.memory.name != memory:
            raise SimulationError(f"'{self.name}' is given {name} in {region}, expected memory '{memory}'")
        if region.first % (row := region.memory.row_bytes):
            raise SimulationError(
                f"'{self.name}' is given {name} in {region}, expected the start of a row of {row} bytes"
            )
        return region

    def result(self, job: Job, inputs: Sequence[bytes], weights: bytes, sums: bytes = b"") -> list[bytes]:
        """Compute a job as the engine does: its output, and what it leaves of sums, if it keeps some."""
        arrays, kept = [np.frombuffer(each, np.uint8) for each in inputs], np.array(bytearray(sums), np.uint8)
        packed = np.frombuffer(weights, np.uint8)
        try:
            if keeps_sums(self.engine) and sums:
                output = self.engine.execute(job, arrays, packed, kept)
            else:
                output = self.engine.execute(job, arrays, packed)
        except (ValueError, ArithmeticError, TypeError, LookupError, AttributeError) as error:
            raise SimulationError(f"'{self.name}' cannot run {job}: {type(error).__name__}: {error}") from error
        size = 0 if job.keeps else job.output_bytes
        if not isinstance(cast("object", output), np.ndarray) or output.dtype != np.uint8 or output.size != size:
            found = f"{output.size:,} of {output.dtype}" if isinstance(cast("object", output), np.ndarray) else output
            raise SimulationError(f"'{self.name}' has made {found} of {job}, expected {size:,} of uint8")
        return [*([] if job.keeps else [output.tobytes()]), *([kept.tobytes()] if sums else [])]


class LaunchedUnit(AcceleratorUnit):
    """An accelerator with registers of its own: its engine says which job they ask for.

    registers: what was written last to each, by offset.
    """

    written = tuple(range(4, registers.SIZE_BYTES, 4))

    def __init__(self, units: Units, engine: Launched) -> None:
        self.launched = engine
        super().__init__(units, engine)

    def begin(self) -> None:
        super().begin()
        self.registers: dict[int, int] = {}

    def set(self, offset: int, value: int) -> None:
        self.registers[offset] = value
        if offset != self.launched.launcher.start:
            return
        try:
            job, addresses = self.launched.decoded(self.registers)
        except (ValueError, LookupError) as error:
            written = ", ".join(f"{each:#x}: {value:#x}" for each, value in sorted(self.registers.items()))
            raise SimulationError(
                f"'{self.name}' is started with registers that ask for no job ({written}): {error}"
            ) from error
        self.launch(job, dict.fromkeys(OPERANDS, 0) | dict(addresses))


def unit_of(units: Units, engine: Accelerator) -> AcceleratorUnit:
    """Return the device of an accelerator."""
    if is_driven(engine):
        return DriverUnit(units, engine)
    return LaunchedUnit(units, engine) if has_launcher(engine) else AcceleratorUnit(units, engine)


class DriverUnit(AcceleratorUnit):
    """An accelerator whose driver the host executes, in no time: a job takes what the cost model says.

    made: what the driver has written of a job's operands. began, before: instructions when it was called, and what the
    memories held that it reaches beside the host's.
    """

    def __init__(self, units: Units, engine: Driven) -> None:
        self.driven, self.function = engine, engine.function
        self.made: list[bytes] = []
        self.began = 0
        self.before: dict[str, bytes] = {}
        super().__init__(units, engine)

    def may_lie_over(self, job: Job, read: Region, written: Region) -> bool:
        """Say what the driver's description does; the driver itself then reads and writes, in its own order."""
        trail = None if read.memory.host_visible else self.driven.trail(job)
        return trail is not None and read.memory == written.memory and trail.allows(read.first - written.first)

    def watch(self, machine: Uc, symbols: Mapping[str, int]) -> None:
        """Have the machine say when the driver begins and ends, if the program calls it."""
        for name, event in (("begins", self.on_begin), ("ends", self.on_end)):
            address = symbols.get(f"{self.function}_{name}")
            if address is not None:
                machine.hook_add(UC_HOOK_CODE, event, None, address, address)

    def on_begin(self, machine: Uc, *_: object) -> None:
        """Unicorn's hook before the driver is called."""
        try:
            self.units.polling.forget()
            self.set(registers.JOB, machine.reg_read(UC_RISCV_REG_A0))
            self.began = self.units.counter.executed
            self.before = {name: bytes(content) for name, content in self.units.memories.of_drivers.items()}
        except SimulationError as error:
            self.units.counter.stop(error)

    def on_end(self, *_: object) -> None:
        """Unicorn's hook behind the driver's return."""
        try:
            self.end_call(self.work[0])
        except SimulationError as error:
            self.units.counter.stop(error)

    def end_call(self, work: Work) -> None:
        """Take what the driver has written, and let the job's cycles pass."""
        self.check_strays(work)
        memories, counter = self.units.memories, self.units.counter
        self.made = [memories.read(region) for region in work.writes]
        for region in work.writes:
            if region.memory.host_visible:  # it is there when the job has ended
                memories.write(region, bytes([UNDEFINED]) * region.size_bytes)
        counter.set(work.interval.end_cycle, self.began)
        self.units.polling.wait_cycles[counter.step()] += work.interval.cycles
        self.units.now()

    def check_strays(self, work: Work) -> None:
        """Raise SimulationError if the driver has written something else than its output and scratch memory."""
        for name, before in self.before.items():
            changed = np.frombuffer(before, np.uint8) != np.frombuffer(self.units.memories.of_drivers[name], np.uint8)
            for region in work.writes:
                if region.memory.name == name:
                    changed[region.first : region.end] = False
            if (places := np.flatnonzero(changed)).size:
                first, end = int(places[0]), int(places[-1]) + 1
                own = ", ".join(map(str, work.writes))
                raise SimulationError(f"the driver of {work} has written {name}[{first}:{end}], expected {own} only")

    def result(self, job: Job, inputs: Sequence[bytes], weights: bytes, sums: bytes = b"") -> list[bytes]:
        """Return what the driver has written."""
        return self.made
