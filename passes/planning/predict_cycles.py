"""predict-cycles: say what each step of the program will take.

    accel.conv2d %x, %w into %y {engine = "host", ..}
    %u = accel.launch "npu" %input weights %weights into %output {accel.shape = .., ..}
    ==>
    accel.conv2d %x, %w into %y {accel.predicted_cycles = 48210 : i64, engine = "host", ..}
    %u = accel.launch "npu" %input weights %weights into %output {accel.predicted_cycles = 9412 : i64, ..}

A step is what the generated C has a function for: it begins with a layer of the host, or with the first launch of one
on an accelerator, and ends where the next begins; what comes before the first belongs to that. Copies that a step
gives for later ones, and waits for what earlier ones gave, are its own. So this is what the host's clock will show,
where `accel.predicted` (choose-tilings) is what a layer takes alone. On a machine without other units nothing is said.

Stage    planned
Reads    the order of layers, copies, launches and waits; the target's engines, cost model and host
Writes   `accel.predicted_cycles` of each layer of the host and of each first launch
Needs    plan-memory before it: a reshape that stays in its place is no step
Fails    never
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import MOST_STRAIGHT, Route, Soc
from htvm.dialects import accel
from htvm.dialects.copies import Runs

from ..analysis import activations, layout, occupancy
from ..analysis.actions import is_action, whole
from ..analysis.timeline import Timeline

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
    """A function being gone through. begun: the first operation of the step that has begun, at the cycle `start`.

    loop_cycles: what each launch of the step takes more, where commands are loops.
    """

    soc: Soc
    function: func.FuncOp
    begun: ir.OpView | None = None
    start: int = 0
    loop_cycles: int = 0
    given: Counter[str] = field(default_factory=Counter[str])
    waited: Counter[str] = field(default_factory=Counter[str])
    ends: dict[ir.Value, tuple[str, int, int]] = field(default_factory=dict[ir.Value, tuple[str, int, int]])

    def __post_init__(self) -> None:
        self.time, self.places = Timeline(self.soc), occupancy.regions(self.function)

    def run(self) -> None:
        """Write what each step takes."""
        for step in self.steps():
            if begins_step(step[0]):
                self.end_step()
                self.begun = step[0]
                self.time.work(self.soc.host.step_cycles)
            self.loop_cycles = self.soc.host.loop_cycles if self.calls(step) > MOST_STRAIGHT else 0
            for op in step:
                self.do(op)
        self.end_step()

    def steps(self) -> list[list[ir.OpView]]:
        """Return what happens in each step, and before all of them if something does."""
        found: list[list[ir.OpView]] = []
        for op in filter(is_action, self.function.body.blocks[0]):
            if not self.stays(op):
                if begins_step(op) or not found:
                    found.append([])
                found[-1].append(op)
        return found

    def end_step(self) -> None:
        if self.begun is not None:
            cycles = accel.integer(self.time.now - self.start)
            self.begun.operation.attributes[PREDICTED_CYCLES] = cycles
            self.start = self.time.now

    def do(self, op: ir.OpView) -> None:
        """Let an operation take its time. A wait for what has been waited for is none."""
        match op:
            case accel.CopyOp():
                route = Route(layout.memory_of(op.source.type), layout.memory_of(op.target.type))
                runs = Runs.of(op)
                end = self.time.copy(route, runs.count, runs.bytes)
                self.give(op.token, self.soc.dma(route).name, runs.count, end)
            case accel.LaunchOp():
                self.time.work(self.loop_cycles)
                end = self.time.launch(op.engine.value, Job.of(op.job))
                self.give(op.token, op.engine.value, 1, end)
            case accel.WaitOp():
                unit, number, end = self.ends[op.token]
                if number > self.waited[unit]:
                    self.waited[unit] = number
                    self.time.wait(end)
            case _:
                assert accel.is_layer(op), op.operation.name
                self.time.work(self.soc.engine(accel.engine(op)).cycles(op, self.soc.cost_model))

    def calls(self, step: Sequence[ir.OpView]) -> int:
        """Return how many calls a step is in C: a wait for what has been waited for is none."""
        given, waited = Counter(self.given), Counter(self.waited)
        ends: dict[ir.Value, tuple[str, int]] = {}
        count = 0
        for op in step:
            if isinstance(op, accel.WaitOp):
                unit, number = ends[op.token] if op.token in ends else self.ends[op.token][:2]
                count += number > waited[unit]
                waited[unit] = max(waited[unit], number)
                continue
            count += 1
            if isinstance(op, accel.CopyOp):
                route = Route(layout.memory_of(op.source.type), layout.memory_of(op.target.type))
                unit = self.soc.dma(route).name
                given[unit] += Runs.of(op).count
                ends[op.token] = (unit, given[unit])
            elif isinstance(op, accel.LaunchOp):
                given[op.engine.value] += 1
                ends[op.token] = (op.engine.value, given[op.engine.value])
        return count

    def give(self, token: ir.Value, unit: str, count: int, end: int) -> None:
        self.given[unit] += count
        self.ends[token] = (unit, self.given[unit], end)

    def stays(self, op: ir.OpView) -> bool:
        """Say whether an operation is a reshape whose result is in the place of its input."""
        if not isinstance(op, accel.ReshapeOp) or activations.is_constant(op.input):
            return False
        source, target = self.places[whole(op.input)], self.places[accel.output(op)]
        is_argument = activations.is_of_caller(op.input) or activations.is_argument(accel.output(op))
        return op.input == accel.output(op) or (not is_argument and source.begin == target.begin)


def begins_step(op: ir.OpView) -> bool:
    return accel.is_layer(op) or (isinstance(op, accel.LaunchOp) and "accel.shape" in op.operation.attributes)
