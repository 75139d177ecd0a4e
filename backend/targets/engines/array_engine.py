"""An output-stationary array of 16 x 16 multipliers: 16 output channels by 16 output columns.

It computes conv2d, depthwise conv2d, dense, add and averages of whole maps on int8, one requantisation for the whole
layer:

    y = clip((acc + bias[k]) >> shift, low, high)

What it accepts and what it computes are stated once, here; a target gives its name, its memories and its limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from mlir import ir

from htvm.backend.targets import rules
from htvm.backend.targets.engines import array_weights, linear_ops
from htvm.backend.targets.engines.array_weights import LANES
from htvm.backend.targets.engines.linear_ops import LinearOp
from htvm.backend.targets.engines.shift_requant import INT32, Requant, Shift, Shifter
from htvm.backend.targets.jobs import Job, Layout, Range
from htvm.backend.targets.rules import Rule
from htvm.backend.targets.soc import CostModel
from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import value_ranges

CLIPS = ((-128, 127), (0, 127))
"""Of a linear layer: saturation, and saturation after a ReLU."""


@dataclass(frozen=True)
class ArrayEngine:
    """16 x 16 multipliers on int8: 16 output channels by 16 output columns. It adds a bias, shifts, and clips.

    source: where its limits are known from. largest_pad: on each side, as many as the instruction's field holds.
    """

    name: str
    memory: str
    weight_memory: str
    base: int
    capacity_bytes: int
    source: str
    kernels: tuple[int, ...] = (1, 3, 5, 7)
    strides: tuple[tuple[int, int], ...] = ((1, 1), (2, 2))
    largest_pad: int = 15
    largest_shift: int = 31
    reads: Layout = Layout.NCHW
    writes: tuple[Layout, ...] = (Layout.NCHW, Layout.NHWC)
    output_step: int = LANES

    # What it accepts

    @cached_property
    def rules(self) -> dict[str, tuple[Rule, ...]]:
        """Its rules for each op that it knows."""
        source, definition = self.source, "AccelOps.td"
        linear = (
            Rule("input", "i8 in one image", source, linear_ops.map_found),
            Rule("output", "i8", source, lambda op: rules.unless(linear_ops.element(accel.output(op)), "i8")),
            Rule("result", "requantised, in one step", definition, _raw_found),
            Rule("weights of 16 outputs", f"at most {self.capacity_bytes:,} bytes", source, self._block_found),
        )
        constant = Rule("weights", "constants", source, _computed_weights)
        narrow = Rule("weight values", "-128..127", source, _wide_weights)
        numbers = (
            Rule(
                "requant",
                f"((acc + bias) >> shift) clipped to -128..127 or 0..127, one shift of 0 to {self.largest_shift}, "
                "bias of 32 bits: equal for every accumulator that occurs",
                source,
                lambda op: rules.why(self.constants(op)),
                proves=True,
            ),
        )
        window = (
            Rule("kernel", f"{rules.any_of(self.kernels)} on each axis", source, self._kernel_found),
            Rule("strides", rules.any_of(self.strides), source, self._strides_found),
            Rule("dilations", "(1, 1)", source, lambda op: rules.unless(tuple(op.dilations), (1, 1))),
            Rule("groups", "1, or as many as input and output channels", source, _groups_found),
            Rule("pads", f"0 to {self.largest_pad} on each side", source, self._pads_found),
            Rule("padding", "0", source, lambda op: None if linear_ops.pads_its_zero(op) else str(op.pad_value.value)),
        )
        add = (
            Rule("operands", "two tensors i8 of one shape", source, _operands_found),
            Rule("output", "i8", source, lambda op: rules.unless(linear_ops.element(accel.output(op)), "i8")),
            Rule("result", "requantised, in one step", definition, _raw_found),
            Rule("multipliers", "equal", source, _multipliers_found),
            Rule(
                "requant",
                f"((a + b) >> shift) clipped to -128..127, shift of 0 to {self.largest_shift}: equal for every sum "
                "that occurs",
                source,
                lambda op: rules.why(self.constants(op)),
                proves=True,
            ),
        )
        pool = (
            Rule("kind", "average or sum", definition, _kind_found),
            Rule("window", "the whole map", definition, _window_found),
        )
        return {
            accel.Conv2dOp.OPERATION_NAME: (constant, *linear, *window, narrow, *numbers),
            accel.DenseOp.OPERATION_NAME: (constant, *linear, narrow, *numbers),
            accel.Pool2dOp.OPERATION_NAME: (*pool, *linear, *numbers),
            accel.AddOp.OPERATION_NAME: add,
        }

    def refuses(self, op: ir.Operation) -> str | None:
        """Return each rule that an op breaks, with the value found and the one wanted."""
        return rules.refusal(self.rules, op)

    def _kernel_found(self, op: accel.Conv2dOp) -> str | None:
        kernel = linear_ops.shape(op.weights)[2:]
        return None if set(kernel) <= set(self.kernels) else str(kernel)

    def _strides_found(self, op: accel.Conv2dOp) -> str | None:
        return rules.unless_in(tuple(op.strides), self.strides)

    def _pads_found(self, op: accel.Conv2dOp) -> str | None:
        return None if max(op.pads) <= self.largest_pad else str(tuple(op.pads))

    def _block_found(self, op: LinearOp) -> str | None:
        size = array_weights.size_bytes(self._block(linear_ops.job(op, _kind(op))))
        return None if size <= self.capacity_bytes else f"{size:,}"

    def constants(self, op: LinearOp | accel.AddOp) -> Shift | str:
        """Return biases, shift and clip that equal the op's requantisation, or why there are none."""
        if isinstance(op, accel.AddOp):
            (a, b), (c, d) = value_ranges.held(op.lhs), value_ranges.held(op.rhs)
            return Shifter(CLIPS[:1], self.largest_shift, (0, 0)).solve(Requant.of_sum(op.requant), [a + c], [b + d])
        return Shifter(CLIPS, self.largest_shift, INT32).solve(Requant.of(op.requant), *linear_ops.accumulators(op))

    # What it is given

    def job(self, op: ir.Operation) -> Job:
        """Return an accepted op as one job."""
        layer = op.operation.opview
        found = self.constants(layer)
        assert isinstance(found, Shift), found
        if isinstance(layer, accel.AddOp):
            geometry = linear_ops.add_job(layer)
        else:
            geometry = linear_ops.job(layer, _kind(layer))
        return replace(geometry, shift=found.shift, low=found.low, high=found.high)

    def most_outputs(self, job: Job) -> int:
        """Return the outputs whose weights fit the weight memory; 16 of a depthwise layer, 0 if not one block fits."""
        if job.kind == "add":
            return job.outputs
        blocks = self.capacity_bytes // array_weights.size_bytes(self._block(job))
        return min(job.outputs, (min(blocks, 1) if job.groups > 1 else blocks) * LANES)

    def _block(self, job: Job) -> Job:
        """Return what a launch with the fewest outputs that fill the lanes is lowered to."""
        return self.lowered(job.tile((0, min(LANES, job.outputs)), *_whole(job))[0], plain=True)

    def lowered(self, job: Job, plain: bool = False) -> Job:
        """Return what the array computes: it has no depthwise mode, and one long row fills its columns.

        A depthwise tile becomes a convolution with a block-diagonal matrix: 16 channels together take fewer steps than
        16 jobs with one channel, which HTVM uses (one useful lane of 16). A 1x1 convolution sees a map as one row.
        """
        if job.kind != "conv2d":
            return job
        if job.groups > LANES:
            raise ValueError(f"a depthwise tile of {job.groups} channels, expected at most {LANES}")
        job = replace(job, groups=1)
        if not plain and job.kernel == (1, 1) and job.strides == (1, 1) and not any(job.pads):
            row = (1, prod(job.size))
            return replace(job, size=row, out_size=row)
        return job

    def cycles(self, op: ir.Operation, cost_model: CostModel | None) -> int:
        """Predict the cycles of an op in as few jobs as the weight memory allows."""
        job = self.job(op)
        most = self.most_outputs(job)
        tiles = [(first, min(first + most, job.outputs)) for first in range(0, job.outputs, most)]
        return sum(cost_model.job_cycles(self.name, self.lowered(job.tile(tile, *_whole(job))[0])) for tile in tiles)

    def weight_bytes(self, job: Job) -> int:
        """Return the bytes of the packed weights of a tile, not lowered."""
        return 0 if job.kind == "add" else array_weights.size_bytes(self.lowered(job, plain=True))

    def pack(self, job: Job, op: ir.Operation, outputs: tuple[int, int]) -> np.ndarray:
        """Return the packed weights of a tile; of a depthwise one, the block-diagonal matrix."""
        layer = op.operation.opview
        chosen = slice(*outputs)
        weights = linear_ops.weights(layer)[chosen]
        if isinstance(layer, accel.Conv2dOp) and layer.groups.value > 1:
            count = len(weights)
            diagonal = np.zeros((count, count, *weights.shape[2:]), np.int8)
            diagonal[range(count), range(count)] = weights[:, 0]
            weights = diagonal
        biases = np.array(self.constants(layer).biases[chosen])
        return array_weights.pack(self.lowered(job, plain=True), weights, biases)

    # What it computes

    def execute(self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """Compute a lowered job: int8[output_bytes]. Raises OverflowError where a sum leaves 32 bits."""
        if job.kind == "add":
            sums = inputs[0].astype(np.int64) + inputs[1]
            return np.clip(sums >> job.shift, job.low, job.high).astype(np.int8)
        matrix, biases = array_weights.unpack(job, weights)
        y = requantised(job, linear_ops.convolve(job, inputs[0].reshape(job.channels, *job.size), matrix), biases)
        return (y.transpose(1, 2, 0) if job.layout == Layout.NHWC else y).astype(np.int8).reshape(-1)


def requantised(job: Job, accumulators: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """Return clip((acc + bias) >> shift) of accumulators [K, ..]. They, and the sums, have 32 bits."""
    sums = accumulators + biases.astype(np.int64)[:, None, None]
    for numbers in (accumulators, sums):
        if numbers.min() < INT32[0] or numbers.max() > INT32[1]:
            raise OverflowError(f"a sum of {job} leaves 32 bits")
    return np.clip(sums >> job.shift, job.low, job.high)


def _kind(op: LinearOp) -> str:
    return "dense" if isinstance(op, accel.DenseOp) else "conv2d"


def _whole(job: Job) -> tuple[Range, Range]:
    """Return all rows and columns of a job's output."""
    return (0, job.out_size[0]), (0, job.out_size[1])


# What rules find


def _computed_weights(op: LinearOp) -> str | None:
    return "values that are computed" if quantisation.stored(op.weights) is None else None


def _wide_weights(op: LinearOp) -> str | None:
    if quantisation.stored(op.weights) is None:
        return None
    low, high = value_ranges.held(op.weights)
    return None if low >= -128 and high <= 127 else f"{low}..{high}"


def _raw_found(op: LinearOp | accel.AddOp) -> str | None:
    if op.requant is None:
        return "raw sums"
    return "a converter's code that is scaled" if isinstance(op, accel.Conv2dOp) and op.rescale is not None else None


def _groups_found(op: accel.Conv2dOp) -> str | None:
    groups, channels, outputs = op.groups.value, linear_ops.shape(op.input)[1], linear_ops.shape(op.weights)[0]
    return None if groups == 1 or groups == channels == outputs else f"{groups}, of {channels} to {outputs} channels"


def _kind_found(op: accel.Pool2dOp) -> str | None:
    return None if op.kind.value in ("average", "sum") else op.kind.value


def _window_found(op: accel.Pool2dOp) -> str | None:
    window, (*_, height, width) = (*op.kernel, *op.pads), linear_ops.shape(op.input)
    return None if window == (height, width, 0, 0, 0, 0) else f"{op.kernel[0]}x{op.kernel[1]} of {height}x{width}"


def _operands_found(op: accel.AddOp) -> str | None:
    kinds = [f"{linear_ops.shape_text(value)} of {linear_ops.element(value)}" for value in (op.lhs, op.rhs)]
    same = kinds[0] == kinds[1] and linear_ops.element(op.lhs) == "i8"
    return None if same else " and ".join(kinds)


def _multipliers_found(op: accel.AddOp) -> str | None:
    if op.requant is None:
        return None
    first, second = op.requant["multiplier"]
    return None if first == second else f"{first} and {second}"
