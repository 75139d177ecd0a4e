"""NE16 as an accelerator that layers are dispatched to: what it accepts, what a launch is, what it computes.

It computes conv2d 1x1 and 3x3, depthwise 3x3 and dense on unsigned maps that lie pixel by pixel, with weights of 2 to 8
bits, and requantises by channel. A launch is a tile; what the hardware needs several jobs for, 3x3 with stride 2, its
driver gives it one after the other, each behind a SOFT_CLEAR, so that none starts on what another has left.

The weights of a launch are followed by its scales, shifts and biases, each beginning at a multiple of 4 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from mlir import ir

from htvm.backend.targets import rules
from htvm.backend.targets.engines import launches, linear_ops, linear_rules
from htvm.backend.targets.engines.linear_ops import LinearOp, linear
from htvm.backend.targets.engines.ne16 import cycles, layers
from htvm.backend.targets.engines.ne16.execute import execute
from htvm.backend.targets.engines.ne16.job import REGISTERS, Mode, Requantisation, Sides, Width
from htvm.backend.targets.engines.ne16.job import Job as Registers
from htvm.backend.targets.engines.ne16.layers import Constants, Layer, Map, Tile
from htvm.backend.targets.engines.ne16.requant import Scaling, Thresholds, solve
from htvm.backend.targets.engines.ne16.state import State
from htvm.backend.targets.engines.ne16.weights import MOST_BITS
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.rules import Proof, Rule
from htvm.backend.targets.soc import CostModel, Operand
from htvm.backend.targets.violations import (
    Described,
    EachSide,
    Interval,
    OneOf,
    Quality,
    Subject,
    Value,
    Violation,
    Within,
)
from htvm.dialects import accel, quantisation
from htvm.dialects.accel import JobKind

SOURCE = "NE16's RTL, measured"

CONFIGURATION_CYCLES = REGISTERS + 3
"""Of a job: its registers, and SOFT_CLEAR, ACQUIRE and TRIGGER, a word in each cycle (measured on the RTL)."""

WORD = 4


@dataclass(frozen=True)
class Ne16Engine:
    """1,296 products of a bit and a byte a cycle, on unsigned maps: conv2d 1x1 and 3x3, depthwise 3x3, dense.

    y = clip((acc * scale[k] + bias[k]) >> shift[k]), with scales of 8, 16 or 32 bits.
    """

    name: str
    input: Operand
    weights: Operand
    output: Operand
    base: int
    output_step: int = 8
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
        exact = (Proof(Subject.REQUANT, "scales of up to 32 bits, biases, shifts", SOURCE, scaling),)
        return {
            accel.Conv2dOp.OPERATION_NAME: (*operands, *window, *exact),
            accel.DenseOp.OPERATION_NAME: (*operands, *exact),
        }

    def violations(self, op: rules.Op) -> tuple[Violation, ...]:
        """Return each rule that an op breaks, with the value found and the one wanted."""
        return rules.violations(self.rules, op)

    def _output_found(self, op: LinearOp) -> Value | None:
        return rules.unless_in(linear_ops.element(accel.output(op)), self.output.elements)

    # What it is given

    def job(self, op: ir.Operation | ir.OpView) -> Job:
        """Return an accepted op as one job."""
        layer = linear(op)
        stated, found = layer_of(layer), accepted(layer)
        bits, offset = stated.stored
        geometry = linear_ops.job(layer, JobKind.DENSE if isinstance(layer, accel.DenseOp) else JobKind.CONV2D)
        return geometry.having(
            bits=bits,
            offset=offset,
            pad_value=stated.pad_value if any(stated.pads) else 0,
            linear=int(layers.best_mode(stated) is Mode.LINEAR),
            requant=encoded(found.requantisation),
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
        """Return the bytes of a launch's weights, scales, shifts and biases."""
        return Places.of(job).end

    def pack(self, job: Job, op: ir.Operation | ir.OpView, outputs: tuple[int, int]) -> np.ndarray:
        """Return the weights, scales, shifts and biases of some outputs."""
        layer, chosen, places = linear(op), slice(*outputs), Places.of(job)
        found = accepted(layer)
        part = replace(found, scales=found.scales[chosen], biases=found.biases[chosen], shifts=found.shifts[chosen])
        weights = linear_ops.weights(layer)[chosen] - job["offset"]
        scales, biases, shifts = part.packed()
        packed = np.zeros(places.end, np.uint8)
        of_weights = tile_of(job).layout(mode_of(job)).pack(weights.reshape(job.outputs, -1, *job.kernel))
        for start, content in zip(places.starts, (of_weights, scales, shifts, biases), strict=True):
            packed[start : start + content.size] = content
        return packed

    # What it computes

    def execute(self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """Compute a launch: uint8[output_bytes]. Raises UndefinedJob for what the hardware does not define."""
        places = Places.of(job)
        source = places.end
        target = source + -(-job.input_bytes // WORD) * WORD
        memory = np.concatenate(
            [weights, inputs[0], np.zeros(target - source - job.input_bytes + job.output_bytes, np.uint8)]
        )
        for registers in registers_of(job, source, target):
            execute(registers, memory, State()).store(memory)  # as SOFT_CLEAR leaves it
        return memory[target : target + job.output_bytes]


@dataclass(frozen=True)
class Places:
    """Where the parts of a launch's weights begin: weights, scales, shifts, biases; and the end."""

    starts: tuple[int, int, int, int]
    end: int

    @staticmethod
    def of(job: Job) -> Places:
        """Return the places of a launch."""
        found = decoded(job["requant"])
        sizes = (
            tile_of(job).layout(mode_of(job)).size_bytes,
            job.outputs * found.scale.size_bytes,
            job.outputs * found.has_shift_array,
            job.outputs * layers.SUM_BYTES * found.has_bias,
        )
        ends = np.cumsum([-(-size // WORD) * WORD for size in sizes]).tolist()
        return Places((0, ends[0], ends[1], ends[2]), ends[3])


def job_cycles(job: Job) -> int:
    """Return the cycles of a launch: of its jobs, and of configuring each."""
    every = registers_of(job, 0, 0, only_first=True)
    count = 1
    if is_strided(job):
        count = -(-job.out_size[0] // layers.STRIDED_OUTPUTS) * -(-job.out_size[1] // layers.STRIDED_OUTPUTS)
    return count * (cycles.cycles(every[0]) + CONFIGURATION_CYCLES)


def is_strided(job: Job) -> bool:
    """Say whether a launch is several jobs, of 2 x 2 outputs each."""
    return job.kernel == (3, 3) and job.strides == (2, 2)


def registers_of(job: Job, source: int, target: int, only_first: bool = False) -> tuple[Registers, ...]:
    """Return the hardware's jobs for a launch whose weights are at 0, its maps at `source` and `target`.

    only_first: leave out what differs from the first in places only.
    """
    layer, requantisation = tile_of(job), decoded(job["requant"])
    weights, scale, shift, bias = Places.of(job).starts
    constants = Constants(weights, scale, shift, bias, requantisation)
    x = Map(source, job.channels, job.channels * job.size[1])
    y = Map(target, job.outputs, job.outputs * job.out_size[1])
    tile = Tile.whole(layer)
    if only_first and is_strided(job):
        step = layers.STRIDED_OUTPUTS
        tile = replace(
            tile,
            rows=layers.Span(0, min(step, job.out_size[0])),
            columns=layers.Span(0, min(step, job.out_size[1])),
        )
    return layers.jobs(layer, mode_of(job), tile, x, y, constants)


def mode_of(job: Job) -> Mode:
    """Return the mode of a launch."""
    if job["linear"]:
        return Mode.LINEAR
    return tile_of(job).modes[0]


def tile_of(job: Job) -> Layer:
    """Return a launch as a layer of its own: a tile with the padding that it has."""
    top, left, bottom, right = job.pads
    offset = job["offset"]
    return Layer(
        inputs=job.channels,
        outputs=job.outputs,
        size=job.size,
        kernel=job.kernel,
        weights=(offset, offset + (1 << job["bits"]) - 1),
        strides=job.strides,
        pads=Sides(top, right, bottom, left),
        groups=job.groups,
        pad_value=job["pad_value"] if any(job.pads) else 0,
    )


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


def scaling(op: LinearOp) -> Scaling | Violation:
    """Return the constants that equal an op's requantisation, or why there are none."""
    first, last = linear_ops.accumulators(op)
    return _solved(Requant.of(accel.present(op.requant, "requant")), first.tobytes(), last.tobytes())


@lru_cache(maxsize=1024)
def _solved(requant: Requant, first: bytes, last: bytes) -> Scaling | Violation:
    ends = (np.frombuffer(each, np.int64) for each in (first, last))
    return solve(Thresholds.of(requant, *ends))


def accepted(op: LinearOp) -> Scaling:
    """Return the constants of an accepted op."""
    found = scaling(op)
    assert isinstance(found, Scaling), found
    return found


def encoded(requantisation: Requantisation) -> int:
    """Return a requantisation as a field of a job."""
    flags = requantisation.has_bias | requantisation.has_shift_array << 1 | requantisation.relu << 2
    return requantisation.scale | flags << 2 | requantisation.shift << 5


def decoded(field: int) -> Requantisation:
    """Return the requantisation that a field of a job says."""
    flags = field >> 2 & 7
    return Requantisation(
        scale=Width(field & 3),
        shift=field >> 5,
        has_bias=bool(flags & 1),
        has_shift_array=bool(flags & 2),
        relu=bool(flags & 4),
    )


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
