"""NE16 as an accelerator that layers are dispatched to: what it accepts, what a launch is, what it computes.

It computes conv2d 1x1 and 3x3, depthwise 3x3, dense and sums on unsigned maps that lie pixel by pixel, with weights of
2 to 8 bits, and requantises by channel. A launch is a tile (launch.py). Where one job has no exact constants for a
layer, two have (two_jobs.py), and the launch keeps sums in memory between them; so do those of two maps (adding.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from mlir import ir

from htvm.backend.targets import rules
from htvm.backend.targets.engines import launches, linear_ops, linear_rules
from htvm.backend.targets.engines.linear_ops import LinearOp, linear
from htvm.backend.targets.engines.ne16 import adding, finishing, launch, layers, requant, two_jobs
from htvm.backend.targets.engines.ne16.adding import Sum
from htvm.backend.targets.engines.ne16.execute import execute
from htvm.backend.targets.engines.ne16.job import Mode, Sides
from htvm.backend.targets.engines.ne16.layers import Layer
from htvm.backend.targets.engines.ne16.requant import Scaling, Thresholds
from htvm.backend.targets.engines.ne16.state import State
from htvm.backend.targets.engines.ne16.two_jobs import TwoJobs
from htvm.backend.targets.engines.ne16.weights import MOST_BITS
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.jobs import Job, Range
from htvm.backend.targets.rules import Proof, Rule
from htvm.backend.targets.soc import CostModel, Operand
from htvm.backend.targets.violations import (
    Both,
    Described,
    EachSide,
    Interval,
    OneOf,
    Quality,
    Subject,
    Tensor,
    Value,
    Violation,
    Within,
)
from htvm.dialects import accel, quantisation
from htvm.dialects.accel import JobKind

SOURCE = "NE16's RTL, measured"


@dataclass(frozen=True)
class Ne16Engine:
    """1,296 products of a bit and a byte a cycle, on unsigned maps: conv2d 1x1 and 3x3, depthwise 3x3, dense, add.

    y = clip((acc * scale[k] + bias[k]) >> shift[k]), with scales of 8, 16 or 32 bits, or with the wider product of two
    jobs. NE16 has room for two jobs, but holds one here (no `queue_depth`): the cure for what a job leaves behind to
    the next is SOFT_CLEAR before each (launch.py, state.py), which also stops a job that is running.
    """

    name: str
    input: Operand
    weights: Operand
    sums: Operand
    output: Operand
    base: int
    output_step: int = 8
    input_step: int = 0
    job_fields: tuple[str, ...] = ("bits", "offset", "pad_value", "linear", "requant")

    # What it accepts

    @cached_property
    def rules(self) -> dict[str, tuple[Rule | Proof, ...]]:
        """Its rules for each op that it knows."""
        operands = (
            linear_rules.constant_weights(SOURCE),
            linear_rules.input_map(SOURCE, self.input.elements[0]),
            Rule(Subject.OUTPUT, OneOf(self.output.elements), SOURCE, self._output_found),
            linear_rules.one_requantisation(),
            stated(Subject.INPUT_VALUES, Within((layers.INPUTS,))),
            stated(Subject.WEIGHT_VALUES, Described(f"{MOST_BITS} bits above an offset of -256 to 255")),
        )
        window = (
            stated(Subject.KERNEL, OneOf(layers.KERNELS)),
            stated(Subject.GROUPS, Quality.UNGROUPED_OR_DEPTHWISE),
            stated(Subject.STRIDES, Described("(1, 1) or (2, 2), with a 1x1 kernel any")),
            linear_rules.no_dilations(SOURCE),
            stated(Subject.PADS, EachSide(Interval(0, layers.LARGEST_PAD))),
            stated(Subject.PADDING, layers.INPUTS),
            Rule(Subject.PADS, Described("at most 1 at the bottom and right, none around other values than 0"), SOURCE,
                 _pads_behind_found),
            Rule(Subject.OUTPUT_CHANNELS, Described("even, if a 3x3 kernel has stride 2"), SOURCE, _odd_outputs_found),
        )  # fmt: skip
        exact = (Proof(Subject.REQUANT, "scales of up to 32 bits, biases, shifts", SOURCE, constants_of),)
        add = (
            Rule(Subject.OPERANDS, Described(f"two tensors {self.input.elements[0]} of one image and shape"), SOURCE,
                 self._operands_found),
            Rule(Subject.OUTPUT, OneOf(self.output.elements), SOURCE, self._output_found),
            linear_rules.one_requantisation(),
            Rule(Subject.CHANNELS, Described(f"a multiple of {self.output_step}"), SOURCE, self._channels_found),
            Proof(Subject.REQUANT, "factors of 24 bits, one scale of up to 32 bits, bias, shift", SOURCE,
                  adding.constants_of),
        )  # fmt: skip
        return {
            accel.Conv2dOp.OPERATION_NAME: (*operands, *window, *exact),
            accel.DenseOp.OPERATION_NAME: (*operands, *exact),
            accel.AddOp.OPERATION_NAME: add,
        }

    def violations(self, op: rules.Op) -> tuple[Violation, ...]:
        """Return each rule that an op breaks, with the value found and the one wanted."""
        return rules.violations(self.rules, op)

    def _output_found(self, op: LinearOp | accel.AddOp) -> Value | None:
        return rules.unless_in(linear_ops.element(accel.output(op)), self.output.elements)

    def _operands_found(self, op: accel.AddOp) -> Value | None:
        lhs, rhs = (Tensor(linear_ops.shape(value), linear_ops.element(value)) for value in (op.lhs, op.rhs))
        is_right = lhs == rhs and lhs.element in self.input.elements and lhs.shape[0] == 1 and len(lhs.shape) in (2, 4)
        return None if is_right else Both(lhs, rhs)

    def _channels_found(self, op: accel.AddOp) -> Value | None:
        channels = linear_ops.add_job(op).channels
        return channels if channels % self.output_step else None

    # What it is given

    def job(self, op: ir.Operation | ir.OpView) -> Job:
        """Return an accepted op as one job."""
        if isinstance(added := op.operation.opview, accel.AddOp):
            found = _sum_of(added)
            stated = {"bits": 8 * found.bytes, "requant": launch.encoded(found.scaling.requantisation)}
            return linear_ops.add_job(added).having(**dict.fromkeys(self.job_fields, 0) | stated)
        layer = linear(op)
        stated, found = layer_of(layer), accepted(layer)
        bits, offset = stated.stored
        geometry = linear_ops.job(layer, JobKind.DENSE if isinstance(layer, accel.DenseOp) else JobKind.CONV2D)
        return geometry.having(
            bits=bits,
            offset=offset,
            pad_value=stated.pad_value if any(stated.pads) else 0,
            linear=int(layers.best_mode(stated) is Mode.LINEAR),
            requant=launch.encoded(found.requantisation, in_two=isinstance(found, TwoJobs)),
        )

    def most_outputs(self, job: Job) -> int:
        """Return all outputs: weights lie in the memory of maps, where tiling finds room for them."""
        return job.outputs

    def lowered(self, job: Job, plain: bool = False) -> Job:
        """Return the same job: the driver makes the hardware's of it."""
        return job

    def cycles(self, op: ir.Operation | ir.OpView, cost_model: CostModel | None) -> int:
        """Predict the cycles of an op as one launch."""
        return launches.cycles(self, self.job(op), cost_model)

    def weight_bytes(self, job: Job) -> int:
        """Return the bytes of a launch's weights and other constants."""
        return launch.constant_bytes(job)

    def sums_bytes(self, job: Job) -> int:
        """Return the bytes of what the first jobs of a launch leave to the second."""
        return launch.sums_bytes(job)

    def pack(self, job: Job, op: ir.Operation | ir.OpView, outputs: Range, channels: Range | None = None) -> np.ndarray:
        """Return the weights and other constants of some outputs."""
        if isinstance(added := op.operation.opview, accel.AddOp):
            return adding.packed(_sum_of(added))
        layer, chosen = linear(op), slice(*outputs)
        weights = linear_ops.weights(layer)[chosen, slice(*channels or (None,))] - job["offset"]
        of_weights = launch.tile_of(job).layout(launch.mode_of(job)).pack(weights.reshape(job.outputs, -1, *job.kernel))
        return launch.Places.of(job).packed(of_weights, *accepted(layer).of_channels(chosen).packed())

    # What it computes

    def execute(
        self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray, sums: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute a launch: uint8[output_bytes]. sums: uint8[sums_bytes], if a launch is to leave there what it does.

        Raises UndefinedJob for what the hardware does not define.
        """
        kept = sums if sums is not None else np.zeros(self.sums_bytes(job), np.uint8)
        parts = weights, *inputs, kept, np.zeros(job.output_bytes, np.uint8)
        places = finishing.places_of_parts([part.size for part in parts])
        memory = finishing.assembled(places[-1] + job.output_bytes, zip(places, parts))
        source, rhs, between, target = places[1], places[job.inputs], *places[-2:]
        for registers in launch.registers_of(job, source, target, between, rhs):
            execute(registers, memory, State()).store(memory)  # as SOFT_CLEAR leaves it
        kept[:] = memory[between : between + kept.size]
        return memory[target : target + job.output_bytes]


def layer_of(op: LinearOp) -> Layer:
    """Return an op in plain numbers."""
    job = linear_ops.job(op, JobKind.CONV2D)
    top, left, bottom, right = job.pads
    weights = linear_ops.weights(op)
    is_conv = isinstance(op, accel.Conv2dOp)
    return Layer(
        inputs=job.channels,
        outputs=job.outputs,
        size=job.size,
        kernel=job.kernel,
        weights=(int(weights.min()), int(weights.max())),
        strides=job.strides,
        pads=Sides(top, right, bottom, left),
        dilations=(op.dilations[0], op.dilations[1]) if is_conv else (1, 1),
        groups=job.groups,
        pad_value=op.pad_value.value if is_conv and op.pad_value is not None else 0,
        values=linear_ops.held(op.input),
    )


def _sum_of(op: accel.AddOp) -> Sum:
    """Return the constants of an accepted sum."""
    found = adding.constants_of(op)
    assert not isinstance(found, Violation), found
    return found


def constants_of(op: LinearOp) -> Scaling | TwoJobs | Violation:
    """Return the constants that equal an op's requantisation, of one job or of two, or why there are none."""
    first, last = linear_ops.accumulators(op)
    return _solved(Requant.of(accel.present(op.requant, "requant")), first.tobytes(), last.tobytes())


@lru_cache(maxsize=1024)
def _solved(stated: Requant, first: bytes, last: bytes) -> Scaling | TwoJobs | Violation:
    thresholds = Thresholds.of(stated, *(np.frombuffer(each, np.int64) for each in (first, last)))
    found = requant.solve(thresholds)
    if isinstance(found, Violation) and found.subject == Subject.SCALE:
        in_two = two_jobs.solve(thresholds)
        return found if isinstance(in_two, Violation) else in_two
    return found


def accepted(op: LinearOp) -> Scaling | TwoJobs:
    """Return the constants of an accepted op."""
    found = constants_of(op)
    assert not isinstance(found, Violation), found
    return found


# What rules find


def stated(subject: Subject, wanted: Value) -> Rule:
    """Return the rule of a subject of layers.violations."""

    def found(op: accel.Conv2dOp | accel.DenseOp) -> Value | None:
        if quantisation.stored(op.weights) is None:  # a rule of its own
            return None
        return next((each.found for each in layers.violations(layer_of(op)) if each.subject == subject), None)

    return Rule(subject, wanted, SOURCE, found)


def _pads_behind_found(op: accel.Conv2dOp) -> Value | None:
    _, _, bottom, right = op.pads
    value = op.pad_value.value if op.pad_value is not None else 0
    return tuple(op.pads) if max(bottom, right) > (0 if value else 1) else None


def _odd_outputs_found(op: accel.Conv2dOp) -> Value | None:
    outputs, _, *kernel = linear_ops.shape(op.weights)
    is_strided = tuple(op.strides) == (2, 2) and tuple(kernel) == (3, 3)
    return outputs if is_strided and outputs % layers.STRIDED_OUTPUTS else None
