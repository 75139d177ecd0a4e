"""The words a target is described with. A target is one file that builds one `Soc`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast, runtime_checkable

from mlir import ir

from htvm.backend.targets.checked_figures import CheckedFigures
from htvm.dialects.accel import Layout

if TYPE_CHECKING:
    import numpy as np

    from htvm.backend.kernels import KernelSpec
    from htvm.backend.kernels.trails import Trail
    from htvm.backend.targets.jobs import Form, Job, JobStep, Range
    from htvm.backend.targets.violations import Violation

HOST = "host"
"""The name of the engine that is the RISC-V core itself."""

STACK_BYTES = 4096
"""Room for the stack: more than ten times what the kernels were measured to need at -O3; an unoptimised build fits."""

KERNELS_BYTES = 12 << 10
"""Room for what only a compiler knows, the code of kernels, and for variables, beside the code that gives commands."""

MOST_STRAIGHT = 128
"""The most commands of a step that the C gives one after the other, if there is room; more of them become loops."""


class Engine(Protocol):
    """Something that runs accel ops: the host or an accelerator."""

    @property
    def name(self) -> str: ...

    def violations(self, op: ir.Operation | ir.OpView) -> Sequence[Violation]:
        """Return the rules that `op` breaks; none if this engine runs it."""
        ...

    def cycles(self, op: ir.Operation | ir.OpView, cost_model: CostModel | None) -> int:
        """Predict the cycles of an op that this engine runs, transfers left out."""
        ...


@dataclass(frozen=True)
class Operand:
    """What an engine's jobs read or write of one kind, and how it must lie.

    memory: where it is; any, also the host's own or one that other operands are in. elements: the element types of
    maps, as MLIR prints them. layouts: of maps; the first is the natural one. limit_bytes: the most that one launch can
    have; where that is all of the memory, it follows the memory's size.
    """

    memory: str
    elements: tuple[str, ...] = ("i8",)
    layouts: tuple[Layout, ...] = (Layout.NCHW,)
    limit_bytes: int = 1 << 32


@runtime_checkable
class Accelerator(Engine, Protocol):
    """An engine that the host starts job by job.

    input, weights, output: what its jobs read and write. Inputs have one layout; jobs of several inputs, additions,
    take any in which all are. base: the address of its registers. output_step: the output channels that its lanes take
    at once. job_fields: the names of its jobs' own fields, in the order of a descriptor, at most jobs.MOST_OWN.
    """

    @property
    def input(self) -> Operand: ...

    @property
    def weights(self) -> Operand: ...

    @property
    def output(self) -> Operand: ...

    @property
    def base(self) -> int: ...

    @property
    def output_step(self) -> int: ...

    @property
    def job_fields(self) -> tuple[str, ...]: ...

    def job(self, op: ir.Operation | ir.OpView) -> Job:
        """Return an op that this engine runs as one job, however large."""
        ...

    def most_outputs(self, job: Job) -> int:
        """Return the most output channels that one launch can have: its weights must fit the weight memory."""
        ...

    def lowered(self, job: Job, plain: bool = False) -> Job:
        """Return the job that the hardware is given for a tile: with the same result, of a kind that it has.

        plain: without what only saves time.
        """
        ...

    def weight_bytes(self, job: Job) -> int:
        """Return the bytes of the packed weights of a tile (not lowered), biases included; 0 if it has none."""
        ...

    def pack(self, job: Job, op: ir.Operation | ir.OpView, outputs: tuple[int, int]) -> np.ndarray:
        """Return the packed weights, uint8[weight_bytes], of the output channels of `op` that a tile computes."""
        ...

    def execute(self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """Compute a lowered job as the hardware does: uint8[output_bytes] from the bytes of inputs and weights."""
        ...


class KeepsSums(Accelerator, Protocol):
    """An accelerator some of whose jobs keep sums in a memory that others use too, beside their operands.

    sums: where. A launch may overwrite all that it has of them. input_step: a layer may be cut at multiples of so many
    input channels, into jobs that keep their sums and jobs that add to them; 0: it may not.
    """

    @property
    def sums(self) -> Operand: ...

    @property
    def input_step(self) -> int: ...

    def sums_bytes(self, job: Job) -> int:
        """Return the bytes of the sums of a tile (not lowered); 0 if it keeps none there."""
        ...

    def execute(
        self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray, sums: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute a lowered job as the hardware does, and leave in `sums`, uint8[sums_bytes], what it leaves there.

        Of a job that keeps its sums the result is empty.
        """
        ...

    def pack(
        self,
        job: Job,
        op: ir.Operation | ir.OpView,
        outputs: Range,
        channels: Range | None = None,
    ) -> np.ndarray:
        """Return the packed weights of some outputs, and of the input channels that a tile sums up, if not all."""
        ...


class Driven(KeepsSums, Protocol):
    """An accelerator whose jobs are calls of a function of C, its driver (engines/driver_engine.py).

    driver: the description. function, macro_arguments: the function of C that calls it for a job, and what
    HTVM_DEFINE_DRIVER (htvm_driver.h) takes behind that name. Its registers are the driver's business.
    """

    @property
    def driver(self) -> KernelSpec: ...

    @property
    def function(self) -> str: ...

    @property
    def macro_arguments(self) -> tuple[str, ...]: ...

    def computes(self, job: Job) -> bool:
        """Say whether the driver computes a tile, not lowered."""
        ...

    def trail(self, job: Job) -> Trail | None:
        """Return how far the output of a call may begin before its input, in one memory; None: they must be apart."""
        ...

    def execute_over(
        self, job: Job, x: np.ndarray, weights: np.ndarray, gap: int, sums: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute as `execute` does, where the output begins `gap` bytes before the input."""
        ...


@dataclass(frozen=True)
class Launcher:
    """The C that starts the jobs of an accelerator with registers of its own, in place of htvm_launch (htvm_soc.h).

    header, folder: a header, and where it is; what it includes may be there too. function: a function in it

        void function(uintptr_t unit, const uint32_t *descriptor, uint32_t input, uint32_t second, uint32_t weights,
                      uint32_t sums, uint32_t output);

    which writes the unit's registers: the address of each operand is 0 if the job has none. start: the offset of the
    register whose write starts the job; that at 0 counts jobs that have ended, as htvm_wait reads it. cycles: what
    the host spends on a call, beside Host.launch_cycles.
    """

    header: str
    function: str
    folder: str
    start: int
    cycles: int = 0


class Launched(Accelerator, Protocol):
    """An accelerator whose descriptors and registers are its own. Its jobs may have any number of fields."""

    @property
    def launcher(self) -> Launcher: ...

    def descriptor(self, job: Job) -> Sequence[int]:
        """Return what the launcher's function is given of a lowered job, addresses left out: words of 32 bits."""
        ...

    def decoded(self, registers: Mapping[int, int]) -> tuple[Job, Mapping[str, int]]:
        """Return the job that registers ask for, and the addresses of its operands (jobs.OPERANDS): what the simulator
        executes. registers: what was written last to each, by offset. Raises ValueError for what is no job."""
        ...


@runtime_checkable
class OffersForms(Protocol):
    """An accelerator that computes some layers in forms beside the plain one (backend/targets/forms)."""

    def forms(self, op: ir.Operation | ir.OpView) -> Sequence[Form]:
        """Return the other forms in which this engine runs an op, also one whose plain form breaks a rule."""
        ...

    def job_in(self, op: ir.Operation | ir.OpView, form: Form | None) -> Job:
        """Return an op that this engine runs in a form, None is the plain one, as one job, however large."""
        ...

    def steps(self, job: Job) -> Sequence[JobStep]:
        """Return the launches of a tile in a form. Its packed weights are those of the launches, in their order."""
        ...

    def scratch(self, job: Job) -> Mapping[str, int]:
        """Return the buffers that the launches of a tile in a form need beside feature maps: bytes by name.

        They are in the memory of inputs. No launch reads and writes the same buffer.
        """
        ...


class Queues(Accelerator, Protocol):
    """An accelerator that takes jobs while one runs, and does them in their order.

    queue_depth: the jobs that it holds, the one that runs included. The host starts the next one while one runs, if
    what it reads is there.
    """

    @property
    def queue_depth(self) -> int: ...


Pattern = tuple[str, ...]
"""Operations of the dialect by name, each of which reads the result of the one before: ("conv2d", "pool2d")."""


class Fuses(Accelerator, Protocol):
    """An accelerator that computes some layers together with those behind them, in one job.

    patterns: which, of several that begin with the same layer the first one counts that breaks no rule. Its rules, job
    and weights are asked for an `accel.fused` then (engines/fused_ops.py). A job with a pool needs a `launcher`.
    """

    @property
    def patterns(self) -> tuple[Pattern, ...]: ...


@dataclass(frozen=True)
class Memory:
    """A memory that software manages. host_visible: whether the host can address it.

    row_bytes: what an address of its units counts: operands of jobs begin at multiples of it.
    """

    name: str
    base: int
    size_bytes: int
    host_visible: bool = True
    row_bytes: int = 1

    @property
    def end(self) -> int:
        """The address behind the last byte."""
        return self.base + self.size_bytes


@dataclass(frozen=True)
class Price:
    """What a copy of `n` bytes takes: ceil(n / bytes_per_cycle) cycles after `setup_cycles`."""

    bytes_per_cycle: float
    setup_cycles: int = 0

    def cycles(self, size_bytes: int) -> int:
        """Return what a copy of so many bytes takes."""
        return self.setup_cycles + ceil(size_bytes / self.bytes_per_cycle)


@dataclass(frozen=True)
class Route:
    """A way that data can take, from one memory to another.

    price: what a copy takes, if the target's cost models do not say it. Routes with the same ends are equal.
    """

    source: str
    target: str
    price: Price | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return f"{self.source}_to_{self.target}"


@dataclass(frozen=True)
class Dma:
    """A transfer engine. It copies runs of bytes along its routes, one after the other.

    base: the address of its registers. queue_depth: commands that it takes while it is busy; a host that gives it one
    more waits.
    """

    name: str
    base: int
    routes: tuple[Route, ...]
    queue_depth: int


class CostModel(Protocol):
    """Published figures of what accelerators and transfers take. `source` cites them."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    def job_cycles(self, engine: str, job: Job) -> int:
        """Return the cycles of a lowered job, from launch to end, weights and maps being in place."""
        ...

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        """Return the cycles of copying one run of bytes, the set-up of the call included."""
        ...


@dataclass(frozen=True)
class Host:
    """The RISC-V core that runs the generated C. `march` and `mabi` are what a C compiler is told.

    copy_cycles, launch_cycles, wait_cycles: what it spends on giving a command, on starting a job, and on a wait for
    something that has ended already. loop_cycles: what it spends more on a job that is started in a loop. step_cycles:
    on calling the function of a layer. call_bytes: of code that one of these takes, on an average, the loops around
    them included.
    """

    march: str
    mabi: str
    copy_cycles: int = 0
    launch_cycles: int = 0
    wait_cycles: int = 0
    loop_cycles: int = 0
    step_cycles: int = 0
    call_bytes: int = 0


@dataclass(frozen=True)
class Soc:
    """A target: what passes, backend and simulator know of a machine.

    engines: in order of preference; of those that accept an op the cheapest runs it.
    program_memory: where code, variables and stack are. arena_memory: where activations of the host are.
    constant_memory: where constants are, if not in program_memory.
    cost_models: the first one counts, until another is chosen. power_w: what each unit ("host", an engine) draws while
    it works, in watts, where a source is known.
    file: from which it was loaded, if it is none of htvm's own. runtime: the folder with its own start.S, link.ld and
    htvm_soc.h; htvm's take the place of those that are not there.
    """

    name: str
    description: str
    clock_hz: int
    host: Host
    memories: tuple[Memory, ...]
    program_memory: str
    arena_memory: str
    engines: tuple[Engine, ...]
    constant_memory: str | None = None
    dmas: tuple[Dma, ...] = ()
    cost_models: tuple[CostModel, ...] = ()
    power_w: Mapping[str, float] | None = None
    file: str | None = None
    runtime: str | None = None

    @property
    def constants_in(self) -> str:
        """The name of the memory where constants are."""
        return self.constant_memory or self.program_memory

    @cached_property
    def cost_model(self) -> CostModel | None:
        """The figures that predictions and the simulated timeline use; None if nothing needs any."""
        if not self.cost_models or self.file is None:
            return next(iter(self.cost_models), None)
        return CheckedFigures(self.cost_models[0], self.file)

    @property
    def figures(self) -> CostModel:
        """The cost model of a target that needs one. Raises ValueError for one that has none."""
        if self.cost_model is None:
            raise ValueError(f"target '{self.name}' has no cost model")
        return self.cost_model

    @property
    def commands_room_bytes(self) -> int:
        """What the code that gives commands, and descriptors of jobs, may take of the memory for programs together."""
        return max(self.memory(self.program_memory).size_bytes - STACK_BYTES - KERNELS_BYTES, 0)

    @property
    def calls_room_bytes(self) -> int:
        """What the code that gives commands may take of the memory for programs: half of what the stack leaves.

        The other half is for what only a compiler knows, the code of kernels, and for variables.
        """
        return max(self.memory(self.program_memory).size_bytes - STACK_BYTES, 0) // 2

    @cached_property
    def accelerators(self) -> tuple[Accelerator, ...]:
        return tuple(engine for engine in self.engines if is_accelerator(engine))

    @property
    def reads_unsigned(self) -> bool:
        """Whether accelerators read maps of unsigned bytes, and none of signed ones."""
        read = {element for engine in self.accelerators for element in engine.input.elements}
        return "ui8" in read and "i8" not in read

    def memory(self, name: str) -> Memory:
        """Return the memory of that name; KeyError names those there are."""
        for memory in self.memories:
            if memory.name == name:
                return memory
        known = ", ".join(memory.name for memory in self.memories)
        raise KeyError(f"target '{self.name}' has no memory '{name}'; it has {known}")

    def engine(self, name: str) -> Engine:
        """Return the engine of that name; KeyError names those there are."""
        for engine in self.engines:
            if engine.name == name:
                return engine
        raise KeyError(f"target '{self.name}' has no engine '{name}'; it has {self.known('engines')}")

    def accelerator(self, name: str) -> Accelerator:
        """Return the accelerator of that name; KeyError names those there are."""
        for engine in self.accelerators:
            if engine.name == name:
                return engine
        known = ", ".join(each.name for each in self.accelerators) or "none"
        raise KeyError(f"target '{self.name}' has no accelerator '{name}'; it has {known}")

    @cached_property
    def routes(self) -> Mapping[Route, tuple[Dma, Route]]:
        """The routes there are: who serves each, and the route as it was declared."""
        return {route: (dma, route) for dma in self.dmas for route in dma.routes}

    def dma(self, route: Route) -> Dma:
        """Return the transfer engine that serves a route; KeyError names the routes there are."""
        if route not in self.routes:
            known = ", ".join(each.name for each in self.routes) or "none"
            raise KeyError(f"target '{self.name}' has no route '{route.name}'; it has {known}")
        return self.routes[route][0]

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        """Return what copying one run of bytes takes, by the route's price or the cost model."""
        price = self.routes[route][1].price if route in self.routes else None
        return self.figures.copy_cycles(route, size_bytes) if price is None else price.cycles(size_bytes)

    def launch_cycles(self, engine: str) -> int:
        """Return what the host spends on starting a job of an accelerator."""
        found = self.engine(engine)
        return self.host.launch_cycles + (found.launcher.cycles if has_launcher(found) else 0)

    def path(self, source: str, target: str) -> tuple[Route, ...]:
        """Return the routes that lead from a memory to another one, as few as can be; none within a memory.

        KeyError says that there is no way.
        """
        ways: dict[str, tuple[Route, ...]] = {source: ()}
        reached = [source]
        for memory in reached:
            if memory == target:
                return ways[memory]
            for route in self.routes:
                if route.source == memory and route.target not in ways:
                    ways[route.target] = (*ways[memory], route)
                    reached.append(route.target)
        raise KeyError(f"target '{self.name}' has no way from '{source}' to '{target}'")

    def leads(self, source: str, target: str) -> bool:
        """Say whether data come from a memory to another one."""
        try:
            self.path(source, target)
        except KeyError:
            return False
        return True

    @cached_property
    def far_memories(self) -> tuple[Memory, ...]:
        """Memories that neither the host nor a job works in, from which data come to the host's: RAM or flash beyond.

        Where none is enough of the host's, they hold constants, and maps if data lead there too (`holds_maps`).
        """
        worked_in = {operand.memory for engine in self.accelerators for operand in operands(engine).values()}
        return tuple(
            memory
            for memory in self.memories
            if not memory.host_visible and memory.name not in worked_in and self.leads(memory.name, self.arena_memory)
        )

    def holds_maps(self, memory: Memory) -> bool:
        """Say whether maps can be brought to a far memory."""
        return self.leads(self.arena_memory, memory.name)

    def with_memory(self, name: str, size_bytes: int) -> Soc:
        """Return the same machine with another size of a memory. Raises ValueError."""
        if name not in (memory.name for memory in self.memories):
            raise ValueError(f"target '{self.name}' has no memory '{name}'; it has {self.known('memories')}")
        if size_bytes <= 0:
            raise ValueError(f"memory '{name}' cannot have {size_bytes} bytes")
        base = self.memory(name).base
        behind = min((each for each in self.memories if each.base > base), key=lambda each: each.base, default=None)
        if behind is not None and base + size_bytes > behind.base:
            most = behind.base - base
            raise ValueError(
                f"memory '{name}' cannot have {size_bytes:,} bytes: '{behind.name}' begins {most:,} behind it"
            )
        old = self.memory(name)
        sizes = (replace(each, size_bytes=size_bytes) if each == old else each for each in self.memories)
        engines = (with_memory(each, old, size_bytes) if is_accelerator(each) else each for each in self.engines)
        return replace(self, memories=tuple(sizes), engines=tuple(engines))

    def with_engines(self, names: Sequence[str]) -> Soc:
        """Return the same machine with some of its engines, in their order there. Raises ValueError."""
        for name in names:
            if name not in (engine.name for engine in self.engines):
                raise ValueError(f"target '{self.name}' has no engine '{name}'; it has {self.known('engines')}")
        return replace(self, engines=tuple(engine for engine in self.engines if engine.name in names))

    def with_cost_model(self, name: str) -> Soc:
        """Return the same machine with the figures of another cost model. Raises ValueError."""
        chosen = [model for model in self.cost_models if model.name == name]
        if not chosen:
            raise ValueError(f"target '{self.name}' has no cost model '{name}'; it has {self.known('cost_models')}")
        others = [model for model in self.cost_models if model.name != name]
        return replace(self, cost_models=(*chosen, *others))

    def known(self, what: str) -> str:
        """Return the names of all engines, memories or cost models, for a message."""
        return ", ".join(each.name for each in getattr(self, what)) or "none"


def operands(engine: Accelerator) -> dict[str, Operand]:
    """Return the operands of an accelerator by role."""
    found = {"input": engine.input, "weights": engine.weights, "output": engine.output}
    return found | {"sums": engine.sums} if keeps_sums(engine) else found


def is_accelerator(engine: object) -> TypeGuard[Accelerator]:
    """Say whether an engine is one that the host starts job by job; validated, as `keeps_sums`."""
    return hasattr(engine, "most_outputs")


def offers_forms(engine: object) -> TypeGuard[OffersForms]:
    """Say whether an engine computes some layers in forms beside the plain one."""
    return hasattr(engine, "job_in")


def keeps_sums(engine: object) -> TypeGuard[KeepsSums]:
    """Say whether an engine is one that keeps sums; validated: it has all members then. Faster than isinstance."""
    return hasattr(engine, "sums")


def fuses(engine: object) -> TypeGuard[Fuses]:
    """Say whether an engine computes several layers in one job."""
    return hasattr(engine, "patterns")


def queue_depth(engine: object) -> int:
    """Return how many jobs an accelerator holds, the one that runs included: 1, if it does not say (Queues)."""
    return getattr(engine, "queue_depth", 1)


def has_launcher(engine: object) -> TypeGuard[Launched]:
    """Say whether an engine's descriptors and registers are its own."""
    return hasattr(engine, "launcher")


def is_driven(engine: object) -> TypeGuard[Driven]:
    """Say whether an engine's jobs are calls of a driver."""
    return hasattr(engine, "driver")


def sums_bytes(engine: Accelerator, job: Job) -> int:
    """Return the bytes of the sums that a tile (not lowered) keeps in memory."""
    return engine.sums_bytes(job) if keeps_sums(engine) else 0


def with_memory(engine: Accelerator, memory: Memory, size_bytes: int) -> Accelerator:
    """Return an engine whose operands may have all of a memory, if they could before, when that has another size."""
    changed = {
        name: replace(operand, limit_bytes=size_bytes)
        for name, operand in operands(engine).items()
        if operand.memory == memory.name and operand.limit_bytes == memory.size_bytes
    }
    return replace(cast("Any", engine), **changed) if changed else engine
