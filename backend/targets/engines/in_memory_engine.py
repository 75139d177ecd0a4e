"""An analog array that keeps ternary weights in its cells and reads its sums with a converter.

It computes conv2d with `rescale`, and conv2d whose result is a converter's code:

    code = clip(floor(sum of x * w / 2^shift), -32, 31)
    y    = clip((code * scale[k] + offset[k]) >> rescale_shift, low, high)

The converter is taken to be ideal. A sum cannot be cut before its converter: it must fit the rows of the array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from mlir import ir

from htvm.backend.targets import rules
from htvm.backend.targets.engines import in_memory_weights, launches, linear_ops, linear_rules, requantisers
from htvm.backend.targets.engines.converter_scale import Scale, Scaler
from htvm.backend.targets.engines.in_memory_weights import COLUMN_STEP
from htvm.backend.targets.engines.shift_requant import Range, Shift, Shifter
from htvm.backend.targets.forms import channel_blocks
from htvm.backend.targets.jobs import Form, Job, JobStep, Layout, has_form
from htvm.backend.targets.rules import Proof, Rule
from htvm.backend.targets.soc import CostModel, Operand
from htvm.backend.targets.violations import AtMost, Described, Interval, Quality, Subject, Value, Violation, Within
from htvm.dialects import accel
from htvm.dialects.accel import FormKind, JobKind


@dataclass(frozen=True)
class InMemoryEngine:
    """Analog cells that hold weights of -1, 0 and 1, and a converter that reads their sums.

    source: where its limits are known from. ranges: those that its inputs can have. codes: the range of the
    converter. factors: of scales and offsets. blocks: channels of the blocks in which 1x1 convolutions can read maps.
    """

    name: str
    input: Operand
    weights: Operand
    output: Operand
    base: int
    source: str
    rows: int = 1152
    columns: int = 512
    ranges: tuple[Range, ...] = ((-64, 63), (0, 127))
    codes: Range = (-32, 31)
    factors: Range = (-128, 127)
    clips: tuple[Range, ...] = ((-128, 127), (0, 127), (-64, 63))
    strides: tuple[tuple[int, int], ...] = ((1, 1), (2, 2))
    blocks: tuple[int, ...] = ()
    largest_pad: int = 3
    largest_shift: int = 31
    output_step: int = COLUMN_STEP
    job_fields: tuple[str, ...] = ("shift", "low", "high", "code_low", "code_high", "rescale_shift")

    # What it accepts

    @cached_property
    def rules(self) -> dict[str, tuple[Rule | Proof, ...]]:
        """Its rules for each op that it knows."""
        source = self.source
        ranges = Within(tuple(Interval(*each) for each in self.ranges))
        rows = AtMost(self.rows, "input channels times taps: a sum in parts is not what the converter sees")
        return {
            accel.Conv2dOp.OPERATION_NAME: (
                linear_rules.constant_weights(source),
                linear_rules.weight_values(source, -1, 1),
                linear_rules.input_map(source),
                Rule(Subject.INPUT_VALUES, ranges, source, self._inputs_found),
                linear_rules.output_element(source),
                Rule(Subject.RESULT, Quality.CODE, source, lambda op: None if op.requant else Quality.RAW_SUMS),
                linear_rules.kernel(source, Quality.ODD),
                Rule(Subject.ROWS, rows, source, self._rows_found),
                linear_rules.strides(source, self.strides),
                linear_rules.no_dilations(source),
                linear_rules.one_group(source),
                linear_rules.pads(source, self.largest_pad),
                linear_rules.zero_padding(source),
                Proof(Subject.CODE, self.shifter, source, self.converter),
                Proof(Subject.RESCALE, self.scaler, source, self.scaling),
            )
        }

    def violations(self, op: rules.Op) -> tuple[Violation, ...]:
        """Return each rule that an op breaks, with the value found and the one wanted; in the form that it carries."""
        form = Form.of(op)
        if form is not None and form not in self.forms(op):
            return (Violation(Subject.FORM, Described(str(form)), Quality.OFFERED),)
        return rules.violations(self.rules, op)

    def forms(self, op: rules.Op) -> Sequence[Form]:
        """Return the other forms of an op that it accepts: 1x1 convolutions of maps in blocks."""
        if not self.blocks or rules.violations(self.rules, op):
            return ()
        job = self.job_in(op, None)
        found = (form for block in self.blocks for form in channel_blocks.variants(job, block))
        return [replace(form, outputs=most) for form in found if (most := self._most_in(replace(job, form=form)))]

    def _most_in(self, job: Job) -> int:
        """Return the most outputs of a launch of a job in a form; 0 if its kernel has too many rows."""
        lowered = self.lowered(job)
        fits = lowered.rows_of_weights <= self.rows and max(lowered.pads) <= self.largest_pad
        return self.most_outputs(job) if fits else 0

    @cached_property
    def shifter(self) -> Shifter:
        """How sums become codes."""
        return Shifter((self.codes,), self.largest_shift, biases=(0, 0))

    @cached_property
    def scaler(self) -> Scaler:
        """How codes become results."""
        return Scaler(self.clips, self.largest_shift, self.factors)

    def _inputs_found(self, op: accel.Conv2dOp) -> Value | None:
        held = Interval(*linear_ops.held(op.input))
        return None if any(Interval(*each).contains(held) for each in self.ranges) else held

    def _rows_found(self, op: accel.Conv2dOp) -> Value | None:
        rows = linear_ops.job(op, JobKind.MATVEC).rows_of_weights
        return None if rows <= self.rows else rows

    def converter(self, op: accel.Conv2dOp) -> Shift | Violation:
        """Return the shift whose codes equal what `requant` makes, or why there is none."""
        return requantisers.constants(op, self.shifter)

    def _code(self, op: accel.Conv2dOp) -> Shift:
        """Return the converter's shift for an accepted op."""
        found = self.converter(op)
        assert isinstance(found, Shift), found
        return found

    def scaling(self, op: accel.Conv2dOp) -> Scale | Violation:
        """Return scales, offsets and shift that equal `rescale`, or why there are none; those of a plain code are 1."""
        outputs = linear_ops.shape(op.weights)[0]
        if op.rescale is None:
            return Scale((1,) * outputs, (0,) * outputs, 0, *self.clips[0])
        shift = self._code(op).shift
        first, last = (np.clip(end >> shift, *self.codes) for end in linear_ops.accumulators(op))
        return self.scaler.solve(op.rescale, first, last)

    def _scale(self, op: accel.Conv2dOp) -> Scale:
        """Return the scales of an accepted op."""
        found = self.scaling(op)
        assert isinstance(found, Scale), found
        return found

    # What it is given

    def job(self, op: ir.Operation | ir.OpView) -> Job:
        """Return an accepted op as one job, in the form that it carries."""
        return self.job_in(op, Form.of(op))

    def job_in(self, op: ir.Operation | ir.OpView, form: Form | None) -> Job:
        """Return an op as one job in a form that is offered for it; None is the plain one."""
        layer = _convolution(op)
        code, scale = self._code(layer), self._scale(layer)
        return replace(linear_ops.job(layer, JobKind.MATVEC), form=form).having(
            shift=code.shift,
            code_low=code.low,
            code_high=code.high,
            rescale_shift=scale.shift,
            low=scale.low,
            high=scale.high,
        )

    def most_outputs(self, job: Job) -> int:
        """Return the outputs that have columns, whose weights and scales fit."""
        fits = [
            columns
            for columns in range(COLUMN_STEP, self.columns + 1, COLUMN_STEP)
            if self.weight_bytes(replace(job, outputs=columns)) <= self.weights.limit_bytes
        ]
        return min(job.outputs, max(fits, default=0))

    def lowered(self, job: Job, plain: bool = False) -> Job:
        """Return the same job, as it is what the array computes; in blocks, the convolution over these."""
        return channel_blocks.lowered(job) if has_form(job, FormKind.CHANNEL_BLOCKS) else job

    def steps(self, job: Job) -> Sequence[JobStep]:
        """Return the launches of a tile in a form."""
        return (launches.one_step(self.lowered(job)),)

    def scratch(self, job: Job) -> Mapping[str, int]:
        """Return the buffers that the launches of a tile in a form need beside feature maps: none."""
        return {}

    def cycles(self, op: ir.Operation | ir.OpView, cost_model: CostModel | None) -> int:
        """Predict the cycles of an op in as few jobs as there are columns for."""
        return launches.cycles(self, self.job(op), cost_model)

    def weight_bytes(self, job: Job) -> int:
        """Return the bytes of the packed weights and scales of a tile."""
        return in_memory_weights.size_bytes(self.lowered(job))

    def pack(self, job: Job, op: ir.Operation | ir.OpView, outputs: tuple[int, int]) -> np.ndarray:
        """Return the packed weights, scales and offsets of a tile."""
        layer, chosen = _convolution(op), slice(*outputs)
        scale = self._scale(layer)
        factors = np.array(scale.scales[chosen]), np.array(scale.offsets[chosen])
        weights = linear_ops.weights(layer)[chosen]
        if has_form(job, FormKind.CHANNEL_BLOCKS):
            weights = channel_blocks.matrix(job, weights)
        return in_memory_weights.pack(self.lowered(job), weights, *factors)

    # What it computes

    def execute(self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """Compute a job: uint8[output_bytes]. Raises OverflowError on an input beyond the ranges it takes."""
        x = inputs[0].view(np.int8).reshape(*job.size, job.channels).transpose(2, 0, 1)
        if not any(low <= x.min() and x.max() <= high for low, high in self.ranges):
            raise OverflowError(
                f"inputs are {x.min()}..{x.max()}, expected {Within(tuple(Interval(*each) for each in self.ranges))}"
            )
        matrix, scales, offsets = in_memory_weights.unpack(job, weights)
        codes = np.clip(linear_ops.convolve(job, x, matrix) >> job["shift"], job["code_low"], job["code_high"])
        factors, addends = (array.astype(np.int64)[:, None, None] for array in (scales, offsets))
        y = np.clip((codes * factors + addends) >> job["rescale_shift"], job["low"], job["high"])
        y = y.transpose(1, 2, 0) if job.layout == Layout.NHWC else y
        return y.astype(np.int8).reshape(-1).view(np.uint8)


def _convolution(op: ir.Operation | ir.OpView) -> accel.Conv2dOp:
    """Return an accepted op as what it is."""
    layer = op.operation.opview
    assert isinstance(layer, accel.Conv2dOp), layer.operation.name
    return layer
