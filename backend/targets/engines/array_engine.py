"""An output-stationary array of 16 x 16 multipliers: 16 output channels by 16 output columns.

It computes conv2d, depthwise conv2d, dense, add and averages of whole maps on int8, one requantisation for the whole
layer:

    y = clip((acc + bias[k]) >> shift, low, high)

What it accepts and what it computes are stated once, here; a target gives its name, its memories and its limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from mlir import ir

from htvm.backend.targets import rules
from htvm.backend.targets.engines import array_weights, launches, linear_ops, linear_rules, requantisers
from htvm.backend.targets.engines.array_weights import LANES
from htvm.backend.targets.engines.linear_ops import LinearOp
from htvm.backend.targets.engines.shift_requant import INT32, Requant, Shift, Shifter
from htvm.backend.targets.forms import corrected_average, rows_as_channels, some_rows_as_channels
from htvm.backend.targets.jobs import Form, Job, JobStep, Layout, Range, has_form
from htvm.backend.targets.rules import Proof, Rule
from htvm.backend.targets.soc import CostModel, Operand
from htvm.backend.targets.violations import (
    Both,
    Bytes,
    Described,
    OneOf,
    Quality,
    Subject,
    Tensor,
    Value,
    Violation,
    Window,
)
from htvm.dialects import accel
from htvm.dialects.accel import FormKind, JobKind

CLIPS = ((-128, 127), (0, 127))
"""Of a linear layer: saturation, and saturation after a ReLU."""

SUMMING = (accel.PoolKind.AVERAGE, accel.PoolKind.SUM)
"""Pools that are sums."""


@dataclass(frozen=True)
class ArrayEngine:
    """16 x 16 multipliers on int8: 16 output channels by 16 output columns. It adds a bias, shifts, and clips.

    source: where its limits are known from. largest_pad: on each side, as many as the instruction's field holds.
    """

    name: str
    input: Operand
    weights: Operand
    output: Operand
    base: int
    source: str
    kernels: tuple[int, ...] = (1, 3, 5, 7)
    strides: tuple[tuple[int, int], ...] = ((1, 1), (2, 2))
    largest_pad: int = 15
    largest_shift: int = 31
    output_step: int = LANES
    job_fields: tuple[str, ...] = ("shift", "low", "high")

    # What it accepts

    @cached_property
    def rules(self) -> dict[str, tuple[Rule | Proof, ...]]:
        """Its rules for each op that it knows."""
        source, definition = self.source, linear_rules.DEFINITION
        linear = (
            linear_rules.input_map(source),
            linear_rules.output_element(source),
            linear_rules.one_requantisation(),
            linear_rules.weight_bytes(source, Bytes(self.weights.limit_bytes), self._block_bytes),
        )
        constant = linear_rules.constant_weights(source)
        narrow = linear_rules.weight_values(source, -128, 127)
        exact = (Proof(Subject.REQUANT, self.shifter, source, self.constants),)
        window = (
            linear_rules.kernel(source, OneOf(self.kernels)),
            linear_rules.strides(source, self.strides),
            linear_rules.no_dilations(source),
            linear_rules.one_group_or_depthwise(source),
            linear_rules.pads(source, self.largest_pad),
            linear_rules.zero_padding(source),
        )
        add = (
            Rule(Subject.OPERANDS, Quality.TWO_OF_ONE_SHAPE, source, _operands_found),
            linear_rules.output_element(source),
            linear_rules.one_requantisation(),
            Rule(Subject.MULTIPLIERS, Quality.EQUAL, source, _multipliers_found),
            Proof(Subject.REQUANT, self.adder, source, self.constants),
        )
        pool = (
            Rule(Subject.KIND, OneOf(SUMMING), definition, _kind_found),
            Rule(Subject.WINDOW, Quality.WHOLE_MAP, definition, _window_found),
        )
        return {
            accel.Conv2dOp.OPERATION_NAME: (constant, *linear, *window, narrow, *exact),
            accel.DenseOp.OPERATION_NAME: (constant, *linear, narrow, *exact),
            accel.Pool2dOp.OPERATION_NAME: (*pool, *linear, *exact),
            accel.AddOp.OPERATION_NAME: add,
        }

    def violations(self, op: rules.Op) -> tuple[Violation, ...]:
        """Return each rule that an op breaks, with the value found and the one wanted; in the form that it carries."""
        form = Form.of(op)
        if form is None:
            return rules.violations(self.rules, op)
        if form in self.forms(op):
            return ()
        return (Violation(Subject.FORM, Described(str(form)), Quality.OFFERED),)

    def forms(self, op: rules.Op) -> Sequence[Form]:
        """Return the other forms of an op: of depthwise layers, and of averages that the plain form does not do."""
        layer, broken = op.operation.opview, rules.violations(self.rules, op)
        if isinstance(layer, accel.Pool2dOp):
            return self._averages(layer) if broken and rules.keeps_all_but_proofs(self.rules, op) else ()
        if broken:
            return ()
        job = self.job_in(op, None)
        rows = rows_as_channels.variants(job) if 1 in self.kernels else ()
        sizes = {form: self._weight_sizes(replace(job, form=form)) for form in rows}
        whole = [form for form, found in sizes.items() if max(found) <= self.weights.limit_bytes]
        if not whole:
            return whole
        # Launches take about as many steps of the array as their weights have bytes.
        least = min(whole, key=lambda form: sum(a * b for a, b in sizes[form].items()))
        some = list(some_rows_as_channels.variants(job, least, LANES))
        has_room = some and self._weights_fit(replace(job, form=some[-1]))  # of all the one with the largest tiles
        return [*whole, *some] if has_room else whole

    def _averages(self, layer: accel.Pool2dOp) -> Sequence[Form]:
        """Return the form of an average that keeps the rules, but for the proof that one launch is exact."""
        first, last = (int(end[0]) for end in linear_ops.accumulators(layer))
        requant = Requant.of(accel.present(layer.requant, "requant"))
        found = corrected_average.solve(requant, first, last, CLIPS, self.largest_shift)
        if found is None or CLIPS[0] not in self.adder.clips:
            return ()
        form = found.form()
        job = self.job_in(layer, form)
        return [form] if self._weights_fit(job) else ()

    def _weights_fit(self, job: Job) -> bool:
        """Say whether the weights of each tile of a layer fit the weight memory."""
        return max(self._weight_sizes(job)) <= self.weights.limit_bytes

    def _weight_sizes(self, job: Job) -> Counter[int]:
        """Return what the weights of the tiles of a layer take, and how many take as much."""
        found: Counter[int] = Counter()
        for part, count in Counter(launches.fewest(self, job)).items():
            found[self.weight_bytes(part)] += count
        return found

    @cached_property
    def shifter(self) -> Shifter:
        """How sums of linear layers become results."""
        return Shifter(CLIPS, self.largest_shift)

    @cached_property
    def adder(self) -> Shifter:
        """How sums of two maps become results."""
        return Shifter(CLIPS[:1], self.largest_shift, biases=(0, 0))

    def _block_bytes(self, op: LinearOp) -> Bytes:
        """Return what the weights of a launch with the fewest outputs that fill the lanes take."""
        block = self._block(linear_ops.job(op, _kind(op)))
        return Bytes(array_weights.size_bytes(block), outputs=LANES)

    def constants(self, op: LinearOp | accel.AddOp) -> Shift | Violation:
        """Return biases, shift and clip that equal the op's requantisation, or why there are none."""
        if isinstance(op, accel.AddOp):
            wanted = accel.present(op.requant, "requant")
            (a, b), (c, d) = linear_ops.held(op.lhs), linear_ops.held(op.rhs)
            return self.adder.solve(accel.present(Requant.of_sum(wanted), "equal multipliers"), [a + c], [b + d])
        return requantisers.constants(op, self.shifter)

    def _shift(self, op: LinearOp | accel.AddOp) -> Shift:
        """Return the constants of an accepted op."""
        found = self.constants(op)
        assert isinstance(found, Shift), found
        return found

    # What it is given

    def job(self, op: ir.Operation | ir.OpView) -> Job:
        """Return an accepted op as one job, in the form that it carries."""
        return self.job_in(op, Form.of(op))

    def job_in(self, op: ir.Operation | ir.OpView, form: Form | None) -> Job:
        """Return an op as one job in a form that is offered for it; None is the plain one."""
        layer = op.operation.opview
        if form is not None and form.kind == FormKind.CORRECTED_AVERAGE:
            linear = linear_ops.linear(layer)
            geometry = replace(linear_ops.job(linear, _kind(linear)), form=form)
            constants = corrected_average.Constants.of(geometry)
            return geometry.having(shift=constants.shift, low=constants.low, high=constants.high)
        if isinstance(layer, accel.AddOp):
            found, geometry = self._shift(layer), linear_ops.add_job(layer)
        else:
            linear = linear_ops.linear(layer)
            found, geometry = self._shift(linear), linear_ops.job(linear, _kind(linear))
        return replace(geometry.having(shift=found.shift, low=found.low, high=found.high), form=form)

    def most_outputs(self, job: Job) -> int:
        """Return the outputs whose weights fit the weight memory; 16 of a depthwise layer, 0 if not one block fits."""
        if job.kind == JobKind.ADD:
            return job.outputs
        if job.form is not None:
            return min(job.outputs, job.form.outputs)
        blocks = self.weights.limit_bytes // array_weights.size_bytes(self._block(job))
        return min(job.outputs, (min(blocks, 1) if job.groups > 1 else blocks) * LANES)

    def _block(self, job: Job) -> Job:
        """Return what a launch with the fewest outputs that fill the lanes is lowered to."""
        return self.lowered(job.tile((0, min(LANES, job.outputs)), *_whole(job))[0], plain=True)

    def lowered(self, job: Job, plain: bool = False) -> Job:
        """Return what the array computes: it has no depthwise mode, and one long row fills its columns.

        A depthwise tile becomes a convolution with a block-diagonal matrix: 16 channels together take fewer steps than
        16 jobs with one channel, which HTVM uses (one useful lane of 16). A 1x1 convolution sees a map as one row.
        """
        if job.layout == Layout.BLOCKED:  # a tile is a block, or has all channels
            job = job.but(layout=Layout.NHWC)
        if job.kind != JobKind.CONV2D:
            return job
        if has_form(job, FormKind.ROWS_AS_CHANNELS):
            return rows_as_channels.lowered(job)
        if job.groups > LANES:
            raise ValueError(f"a depthwise tile of {job.groups} channels, expected at most {LANES}")
        job = job.but(groups=1)
        if not plain and job.kernel == (1, 1) and job.strides == (1, 1) and not any(job.pads):
            row = (1, prod(job.size))
            return job.but(size=row, out_size=row)
        return job

    def steps(self, job: Job) -> Sequence[JobStep]:
        """Return the launches of a tile in a form."""
        if has_form(job, FormKind.CORRECTED_AVERAGE):
            return corrected_average.steps(job)
        if has_form(job, FormKind.SOME_ROWS_AS_CHANNELS):
            return [
                JobStep(self.lowered(each.job), (each.input,), each.output) for each in some_rows_as_channels.parts(job)
            ]
        return (launches.one_step(self.lowered(job)),)

    def scratch(self, job: Job) -> Mapping[str, int]:
        """Return the buffers that the launches of a tile in a form need beside its feature maps: bytes by name."""
        return corrected_average.scratch(job) if has_form(job, FormKind.CORRECTED_AVERAGE) else {}

    def cycles(self, op: ir.Operation | ir.OpView, cost_model: CostModel | None) -> int:
        """Predict the cycles of an op in as few jobs as the weight memory allows."""
        return launches.cycles(self, self.job(op), cost_model)

    def weight_bytes(self, job: Job) -> int:
        """Return the bytes of the packed weights of a tile, not lowered."""
        if has_form(job, FormKind.CORRECTED_AVERAGE, FormKind.SOME_ROWS_AS_CHANNELS):
            return sum(self.weight_bytes(step.job) for step in self.steps(job))
        return 0 if job.kind == JobKind.ADD else array_weights.size_bytes(self.lowered(job, plain=True))

    def pack(self, job: Job, op: ir.Operation | ir.OpView, outputs: tuple[int, int]) -> np.ndarray:
        """Return the packed weights of a tile; of a depthwise one, the block-diagonal matrix, or that of its form."""
        if has_form(job, FormKind.CORRECTED_AVERAGE):
            return np.concatenate([array_weights.pack(*each) for each in corrected_average.matrices(job)])
        if has_form(job, FormKind.SOME_ROWS_AS_CHANNELS):
            first, parts = outputs[0], some_rows_as_channels.parts(job)
            chosen = [(first + begin, first + end) for begin, end in (part.outputs for part in parts)]
            return np.concatenate([self.pack(part.job, op, each) for part, each in zip(parts, chosen)])
        layer = linear_ops.linear(op)
        chosen = slice(*outputs)
        weights, biases = linear_ops.weights(layer)[chosen], np.array(self._shift(layer).biases[chosen])
        if has_form(job, FormKind.ROWS_AS_CHANNELS):
            weights, biases = rows_as_channels.matrix(job, weights), np.repeat(biases, job.out_size[0])
        elif isinstance(layer, accel.Conv2dOp) and layer.groups.value > 1:
            count = len(weights)
            diagonal = np.zeros((count, count, *weights.shape[2:]), np.int8)
            diagonal[range(count), range(count)] = weights[:, 0]
            weights = diagonal
        return array_weights.pack(self.lowered(job, plain=True), weights, biases)

    # What it computes

    def execute(self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """Compute a lowered job: uint8[output_bytes]. Raises OverflowError where a sum leaves 32 bits."""
        maps = [each.view(np.int8) for each in inputs]
        if job.kind == JobKind.ADD:
            y = np.clip(np.add(*maps, dtype=np.int64) >> job["shift"], job["low"], job["high"])
        else:
            matrix, biases = array_weights.unpack(job, weights)
            y = requantised(job, linear_ops.convolve(job, maps[0].reshape(job.channels, *job.size), matrix), biases)
            y = y.transpose(1, 2, 0) if job.layout == Layout.NHWC else y
        return y.astype(np.int8).reshape(-1).view(np.uint8)


def requantised(job: Job, accumulators: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """Return clip((acc + bias) >> shift) of accumulators [K, ..]. They, and the sums, have 32 bits."""
    sums = accumulators + biases.astype(np.int64)[:, None, None]
    for numbers in (accumulators, sums):
        if numbers.min() < INT32[0] or numbers.max() > INT32[1]:
            raise OverflowError(f"a sum of {job} leaves 32 bits")
    return np.clip(sums >> job["shift"], job["low"], job["high"])


def _kind(op: LinearOp) -> JobKind:
    return JobKind.DENSE if isinstance(op, accel.DenseOp) else JobKind.CONV2D


def _whole(job: Job) -> tuple[Range, Range]:
    """Return all rows and columns of a job's output."""
    return (0, job.out_size[0]), (0, job.out_size[1])


# What rules find


def _kind_found(op: accel.Pool2dOp) -> Value | None:
    return rules.unless_in(op.kind.value, SUMMING)


def _window_found(op: accel.Pool2dOp) -> Value | None:
    *_, height, width = linear_ops.shape(op.input)
    is_whole = (*op.kernel, *op.pads) == (height, width, 0, 0, 0, 0)
    rows, columns = op.kernel
    return None if is_whole else Window((rows, columns), (height, width))


def _operands_found(op: accel.AddOp) -> Value | None:
    lhs, rhs = (Tensor(linear_ops.shape(value), linear_ops.element(value)) for value in (op.lhs, op.rhs))
    return None if lhs == rhs and lhs.element == "i8" else Both(lhs, rhs)


def _multipliers_found(op: accel.AddOp) -> Value | None:
    if op.requant is None:
        return None
    first, second = op.requant.numerator or op.requant.multiplier
    return None if first == second else Both(first, second)
