"""predict-cycles: say what each step of the program will take.

    accel.step {
      accel.conv2d %x, %w into %y {engine = "host", ..}
      ..
    ==>
    accel.step attributes {accel.predicted_cycles = 48210 : i64} {
      accel.conv2d %x, %w into %y {engine = "host", ..}
      ..

A step is what the generated C has a function for. Copies that a step gives for later ones, and waits for what earlier
ones gave, are its own. So this is what the host's clock will show, where `accel.predicted` (choose-tilings) is what a
layer takes alone. A layer of the host that is in no step is one, and has the attribute itself. On a machine whose host
has no cost model nothing is said.

Stage    planned
Reads    the order of layers, copies, launches and waits; the target's engines, cost model and host
Writes   `accel.predicted_cycles` of each step
Needs    plan-memory before it: a reshape that stays in its place is no step
Fails    never
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar, cast

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Route, Soc
from htvm.dialects import accel
from htvm.dialects.copies import Runs
from htvm.dialects.execution import Event, Outline

from ..analysis import activations, layout, occupancy
from ..analysis.actions import whole
from ..analysis.timeline import Timeline

T = TypeVar("T")

PREDICTED_CYCLES = "accel.predicted_cycles"


@dataclass(frozen=True)
class PredictCycles:
    """Go through the commands of each function with a clock."""

    name: ClassVar[str] = "predict-cycles"
    stages: ClassVar[tuple[str, ...]] = ("planned",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if self.target.cost_model is None:
            return
        with module.location:
            for function in accel.functions(module):
                Clock(self.target, function).run()


@dataclass
class Clock:
    """A function being gone through. begun: the step that has begun, at the cycle `start`."""

    soc: Soc
    function: func.FuncOp
    begun: ir.Operation | None = None
    start: int = 0
    given: Counter[str] = field(default_factory=Counter[str])
    waited: Counter[str] = field(default_factory=Counter[str])
    ends: dict[int, tuple[str, int, int]] = field(default_factory=dict[int, tuple[str, int, int]])
    known: dict[int, object] = field(default_factory=dict[int, object])

    def __post_init__(self) -> None:
        self.time, self.places = Timeline(self.soc), occupancy.regions(self.function)

    def run(self) -> None:
        """Write what each step takes."""
        outline = Outline.of(self.function)
        owners = [(action.op if action.step is None else action.step).operation for action in outline.actions]
        nothing = {owner for owner, action in zip(owners, outline.actions) if self.stays(action.op)}
        for event in outline.run():
            owner = owners[event.action.number]
            if owner not in nothing and (self.begun is None or owner != self.begun):
                self.end_step()
                self.begun = owner
                self.time.work(self.soc.host.step_cycles)
            self.do(event)
        self.end_step()

    def end_step(self) -> None:
        if self.begun is not None:
            cycles = accel.integer(self.time.now - self.start)
            self.begun.attributes[PREDICTED_CYCLES] = cycles
            self.start = self.time.now

    def do(self, event: Event) -> None:
        """Let an action take its time. A wait for what has been waited for is none."""
        match op := event.action.op:
            case accel.CopyOp():
                route, runs = self.once(event, lambda: (route_of(op), Runs.of(op)))
                end = self.time.copy(route, runs.count, runs.bytes)
                self.give(event, self.soc.dma(route).name, runs.count, end)
            case accel.LaunchOp():
                if event.action.loop is not None:
                    self.time.work(self.soc.host.loop_cycles)
                job = self.once(event, lambda: Job.of(op.job))
                end = self.time.launch(op.engine.value, job)
                self.give(event, op.engine.value, 1, end)
            case accel.WaitOp():
                unit, number, end = self.ends[event.waited] if event.waited is not None else ("", 0, 0)
                if number > self.waited[unit]:
                    self.waited[unit] = number
                    self.time.wait(end)
            case _:
                if not self.stays(op):
                    assert accel.is_layer(op), op.operation.name
                    self.time.work(self.soc.engine(accel.engine(op)).cycles(op, self.soc.cost_model))

    def once(self, event: Event, read: Callable[[], T]) -> T:
        """Return what is read of an operation the first time that it happens."""
        number = event.action.number
        if number not in self.known:
            self.known[number] = read()
        return cast(T, self.known[number])

    def give(self, event: Event, unit: str, count: int, end: int) -> None:
        self.given[unit] += count
        self.ends[event.number] = (unit, self.given[unit], end)

    def stays(self, op: ir.OpView) -> bool:
        """Say whether an operation is a reshape whose result is in the place of its input."""
        if not isinstance(op, accel.ReshapeOp) or activations.is_constant(op.input):
            return False
        source, target = self.places[whole(op.input)], self.places[accel.output(op)]
        is_argument = activations.is_of_caller(op.input) or activations.is_argument(accel.output(op))
        return op.input == accel.output(op) or (not is_argument and source.begin == target.begin)


def route_of(op: accel.CopyOp) -> Route:
    """Return the memories between which a copy is."""
    return Route(layout.memory_of(op.source.type), layout.memory_of(op.target.type))
