"""An accelerator whose jobs are calls of a function of C, the user's driver, which a KernelSpec describes.

The description is that of a kernel of the host: which layers, cost, order of weights, scratch memory, sources. Layers
are cut into tiles as for any accelerator; each is a call with its geometry and pointers into the accelerator's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod

import numpy as np
from mlir import ir

import htvm.backend.kernels as kernels
from htvm.backend.kernels.elements import ELEMENT_TYPES
from htvm.backend.kernels.requant import DOUBLE_ROUND, NARROW, NARROW_EACH, WIDE
from htvm.backend.kernels.requant import Requant as Scaling
from htvm.backend.kernels.spec import KernelError, KernelSpec, Linear
from htvm.backend.kernels.trails import Trail, Walk
from htvm.backend.targets import rules
from htvm.backend.targets.engines import driver_library, launches, linear_ops, linear_rules
from htvm.backend.targets.jobs import Job, Layout, Range
from htvm.backend.targets.rules import Proof, Rule
from htvm.backend.targets.soc import CostModel, Operand
from htvm.backend.targets.violations import AtMost, Bytes, Described, OneOf, Subject, Value, Violation
from htvm.dialects import accel
from htvm.dialects.accel import JobKind

FORMS = ("RAW", NARROW, NARROW_EACH, WIDE, "HALF_EVEN", "CORRECTED", DOUBLE_ROUND)
"""The requantisation forms, in the order of htvm_output (htvm_requant.h)."""

SCALE_FIELDS: Mapping[str, list[tuple[str, str]]] = {
    NARROW: [("offset", "<i4"), ("multiplier", "<i4")],
    NARROW_EACH: [("offset", "<i4"), ("multiplier", "<i4"), ("shift", "<i4")],
    WIDE: [("offset", "<i8"), ("multiplier", "<i4"), ("shift", "<i4")],
    DOUBLE_ROUND: [("offset", "<i8"), ("multiplier", "<i4"), ("shift", "<i4")],
}
"""The constants of a channel, in the forms that a driver is given. The others need numbers that a job does not hold."""

OPS: Mapping[str, tuple[str, JobKind]] = {
    "conv2d": (accel.Conv2dOp.OPERATION_NAME, JobKind.CONV2D),
    "dense": (accel.DenseOp.OPERATION_NAME, JobKind.DENSE),
}

LINE_BYTES = 8
"""Weights begin at a multiple of it, behind the constants of channels."""


@dataclass(frozen=True, eq=False)
class DriverEngine:
    """Layers computed by calls of `driver`, a function with the parameters of a kernel's (htvm.kernels.KernelSpec).

    driver: `cost` is in cycles of a call; `origin` must be given, `__file__`. Its function returns when the result is
    there. input, weights, output: where it finds and leaves them; sums: where its scratch memory is, input's memory
    unless another is given. output_step: outputs that tiles have a multiple of, where they do not have the rest.

    Raises KernelError for a description that no driver can have.
    """

    name: str
    driver: KernelSpec
    input: Operand
    weights: Operand
    output: Operand
    sums: Operand = Operand("")
    output_step: int = 1
    input_step: int = 0
    base: int = 0
    job_fields: tuple[str, ...] = ("high", "low", "pad_value", "scaling", "zero_point")

    def __post_init__(self) -> None:
        what = f"engine '{self.name}': driver '{self.driver.name}'"
        kernels.check([self.driver], what)
        for role, operand, found in zip(("input", "output"), (self.input, self.output), (self.types[0], self.types[2])):
            if found not in operand.elements:
                wanted = ", ".join(operand.elements)
                raise KernelError(f"{what}: {role} is {found}, expected one of the operand's elements: {wanted}")
        if self.types[1] != "i8":
            raise KernelError(f"{what}: weights are {self.types[1]}, expected i8")
        if not self.driver.function:
            raise KernelError(f"{what}: has no function, which the C is to call")
        if not self.sums.memory:
            object.__setattr__(self, "sums", Operand(self.input.memory))

    @property
    def types(self) -> tuple[str, str, str]:
        """The element types of input, weights and output."""
        return self.driver.types or ("i8", "i8", "i8")

    # What it accepts

    @cached_property
    def rules(self) -> dict[str, tuple[Rule | Proof, ...]]:
        """Its rules for each op that the driver computes: what a job can say, then the driver's own, then memory."""
        source = self.driver.origin
        x_type, _, y_type = self.types
        linear = (
            linear_rules.constant_weights(source),
            linear_rules.input_map(source, x_type),
            Rule(Subject.OUTPUT, y_type, source, lambda op: rules.unless(linear_ops.element(accel.output(op)), y_type)),
            linear_rules.one_requantisation(),
            linear_rules.weight_values(source, -128, 127),
            Rule(Subject.REQUANT, OneOf(tuple(SCALE_FIELDS)), linear_rules.DEFINITION, _form_found),
        )
        window = (linear_rules.no_dilations(source), linear_rules.one_group_or_depthwise(source))
        by_op = {"conv2d": (*linear, *window), "dense": linear}
        return {
            name: (
                *by_op[op],
                Rule(
                    "driver",
                    Described(f"what '{self.driver.name}' computes"),
                    source,
                    self._asker(by_op[op], self._why_not),
                ),
                Rule(
                    Subject.WEIGHT_BYTES,
                    AtMost(Bytes(self.weights.limit_bytes)),
                    source,
                    self._asker(by_op[op], self._too_large),
                ),
            )
            for op, (name, _) in OPS.items()
            if op in self.driver.ops
        }

    def violations(self, op: rules.Op) -> tuple[Violation, ...]:
        """Return each rule that an op breaks, with the value found and the one wanted."""
        return rules.violations(self.rules, op)

    def _asker(
        self, before: Sequence[Rule], found: Callable[[linear_ops.LinearOp], Value | None]
    ) -> Callable[[linear_ops.LinearOp], Value | None]:
        """Return what asks about an op that keeps other rules: without them it is no job."""
        return lambda op: None if any(rule.violation(op) for rule in before) else found(op)

    def _why_not(self, op: linear_ops.LinearOp) -> Value | None:
        """Return why the driver does not compute a layer."""
        weights = linear_ops.weights(op).astype(np.int8)
        reasons = self.driver.why_not(self.linear(self.job(op), weights))
        return Described("; ".join(reasons)) if reasons else None

    def _too_large(self, op: linear_ops.LinearOp) -> Value | None:
        """Return the weights of the fewest outputs of a call, if they are too large."""
        job = self.job(op)
        count = min(self.output_step, job.outputs)
        needed = self.weight_bytes(_part(job, count))
        return None if needed <= self.weights.limit_bytes else Bytes(needed, outputs=count)

    def computes(self, job: Job) -> bool:
        """Say whether the driver computes a tile."""
        return _computes(self, job)

    # What it costs

    def cycles(self, op: ir.Operation | ir.OpView, cost_model: CostModel | None) -> int:
        """Predict the cycles of an op in as few calls as the weight memory allows."""
        return launches.cycles(self, self.job(op), cost_model)

    def job_cycles(self, job: Job) -> int:
        """Return the cycles of a call: what a target's cost model says of this engine's jobs."""
        return _cycles(self, job)

    def trail(self, job: Job) -> Trail | None:
        """Return how far the output of a call may begin before its input, as the driver's `trail` says."""
        if self.input.memory != self.output.memory:
            return None
        facts, (outputs, channels) = _facts(self, job), (job.outputs, job.channels)
        walk = Walk(
            facts.groups,
            (channels, outputs),
            facts.in_size,
            facts.size,
            facts.window,
            facts.strides,
            facts.dilations,
            facts.pads,
            facts.x,
            facts.y,
        )
        return self.driver.trail_of(walk)

    # What it is given

    def linear(self, job: Job, weights: np.ndarray) -> Linear:
        """Return the facts of a tile by which a kernel decides. weights: int8[K, C, R, S]."""
        job = self.lowered(job)
        (height, width), (rows, columns) = job.size, job.out_size
        small = job.kernel == (3, 3) and job.strides in ((1, 1), (2, 2))
        x_type, w_type, y_type = self.types
        is_last = self.input.layouts[0] == Layout.NHWC
        return Linear(
            weights=weights,
            groups=job.groups,
            batch=1,
            size=job.out_size,
            in_type=x_type,
            weights_type=w_type,
            strides=job.strides,
            dilations=(1, 1),
            is_inside=not any(job.pads),
            fits_depthwise_3x3=small and max(job.pads) <= 1,
            has_words=is_last and job.channels % 4 == 0,
            x=(1, width * job.channels, job.channels) if is_last else (height * width, width, 1),
            activation_bytes=job.input_bytes + job.output_bytes,
            op="dense" if job.kind == JobKind.DENSE else "conv2d",
            in_size=job.size,
            out_type=y_type,
            pads=job.pads[:2],
            y=(1, columns * job.outputs, job.outputs) if job.layout == Layout.NHWC else (rows * columns, columns, 1),
        )

    def job(self, op: ir.Operation | ir.OpView) -> Job:
        """Return an op as one job."""
        layer = linear_ops.linear(op)
        kind = JobKind.DENSE if isinstance(layer, accel.DenseOp) else JobKind.CONV2D
        pad_value = layer.pad_value.value if isinstance(layer, accel.Conv2dOp) and layer.pad_value is not None else 0
        found = Scaling.of(layer)
        geometry = replace(linear_ops.job(layer, kind), layout=self.output.layouts[0])
        return geometry.having(
            high=found.max,
            low=found.min,
            pad_value=pad_value,
            scaling=FORMS.index(found.form) | found.pre_shift << 3 | found.layer_shift << 9,
            zero_point=found.zero_point,
        )

    def most_outputs(self, job: Job) -> int:
        """Return the outputs whose weights fit the weight memory: all, or a multiple of output_step."""
        if self.weight_bytes(job) <= self.weights.limit_bytes:
            return job.outputs
        low, high = 0, job.outputs // self.output_step  # steps: what fits, and what may not
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.weight_bytes(_part(job, middle * self.output_step)) <= self.weights.limit_bytes
            low, high = (middle, high) if fits else (low, middle - 1)
        return low * self.output_step

    def lowered(self, job: Job, plain: bool = False) -> Job:
        """Return what the driver is given: a 1x1 convolution sees a map as one row, as a kernel of the host does."""
        if job.kernel == job.strides == (1, 1) and job.size == job.out_size:
            row = (1, prod(job.size))
            return replace(job, size=row, out_size=row)
        return job

    def weight_bytes(self, job: Job) -> int:
        """Return the bytes of the constants of a tile's channels, and of its weights as the driver packs them."""
        return _scale_bytes(job) + _packed_bytes(self.driver, job.outputs, job.channels // job.groups, job.kernel)

    def sums_bytes(self, job: Job) -> int:
        """Return the bytes of a tile's scratch memory."""
        return _scratch(self, job)

    def pack(self, job: Job, op: ir.Operation | ir.OpView, outputs: Range, channels: Range | None = None) -> np.ndarray:
        """Return the constants of a tile's channels, then its weights as the driver packs them: uint8[weight_bytes]."""
        layer = linear_ops.linear(op)
        weights, found = linear_ops.weights(layer), Scaling.of(layer)
        scales = np.array(found.scales(len(weights))[slice(*outputs)], SCALE_FIELDS[found.form])
        packed = self.driver.packed(weights[slice(*outputs)].astype(np.int8))
        block = np.zeros(_scale_bytes(job) + packed.nbytes, np.uint8)
        block[: scales.nbytes] = scales.view(np.uint8)
        block[_scale_bytes(job) :] = packed.view(np.uint8)
        return block

    # What it computes

    def execute(
        self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray, sums: np.ndarray | None = None
    ) -> np.ndarray:
        """Call the driver, compiled for this computer: uint8[output_bytes]. Raises KernelError if it is not C."""
        return self._called(job, inputs[0], weights, sums, None)

    def execute_over(
        self, job: Job, x: np.ndarray, weights: np.ndarray, gap: int, sums: np.ndarray | None = None
    ) -> np.ndarray:
        """Call the driver in the same way, with its output `gap` bytes before the input."""
        return self._called(job, x, weights, sums, gap)

    def _called(
        self, job: Job, x: np.ndarray, weights: np.ndarray, sums: np.ndarray | None, gap: int | None
    ) -> np.ndarray:
        y = np.zeros(job.output_bytes, np.uint8)
        words = job.words({}, self.job_fields)
        scratch = np.zeros(0, np.uint8) if sums is None else sums
        driver_library.of(self.driver, self.macro, self.function).call(words, x, weights, scratch, y, gap)
        return y

    @property
    def function(self) -> str:
        """The name of the function of C that calls the driver for a job."""
        return f"htvm_driver_{self.name}"

    @property
    def macro(self) -> str:
        """What defines that function (htvm_driver.h)."""
        return f"HTVM_DEFINE_DRIVER({self.function}, {', '.join(self.macro_arguments)})"

    @property
    def macro_arguments(self) -> tuple[str, ...]:
        """The arguments of HTVM_DEFINE_DRIVER behind the name: function, element types, layout of the input."""
        layout = "HTVM_NHWC" if self.input.layouts[0] == Layout.NHWC else "HTVM_NCHW"
        return (self.driver.function, *(ELEMENT_TYPES[each].c for each in self.types), layout)


def _part(job: Job, outputs: int) -> Job:
    """Return the job of the first outputs of another."""
    return job.tile((0, outputs), (0, job.out_size[0]), (0, job.out_size[1]))[0]


def _form_found(op: linear_ops.LinearOp) -> Value | None:
    """Return the form of a requantisation that a job cannot say."""
    return None if op.requant is None else rules.unless_in(Scaling.of(op).form, SCALE_FIELDS)


@lru_cache(maxsize=65536)
def _computes(engine: DriverEngine, job: Job) -> bool:
    return not engine.driver.why_not(_facts(engine, job))


@lru_cache(maxsize=65536)
def _cycles(engine: DriverEngine, job: Job) -> int:
    return engine.driver.estimate(_facts(engine, job))


@lru_cache(maxsize=65536)
def _scratch(engine: DriverEngine, job: Job) -> int:
    return engine.driver.scratch_of(_facts(engine, job))


@lru_cache(maxsize=65536)
def _facts(engine: DriverEngine, job: Job) -> Linear:
    """Return the facts of a tile whose weights do not matter."""
    return engine.linear(job, np.broadcast_to(np.int8(0), (job.outputs, job.channels // job.groups, *job.kernel)))


def _scale_bytes(job: Job) -> int:
    """Return the bytes of the constants of a job's channels: htvm_driver_scale_bytes."""
    one = np.dtype(SCALE_FIELDS[FORMS[job["scaling"] & 7]]).itemsize
    return -(-job.outputs * one // LINE_BYTES) * LINE_BYTES


@lru_cache(maxsize=65536)
def _packed_bytes(driver: KernelSpec, outputs: int, channels: int, kernel: tuple[int, int]) -> int:
    """Return the bytes of packed weights [K, C, R, S], whatever they are."""
    return driver.packed(np.zeros((outputs, channels, *kernel), np.int8)).nbytes
