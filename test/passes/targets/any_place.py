"""Targets for tests whose accelerator does not lie as DIANA's do: u8 and i8 maps pixel by pixel only, weights anywhere.

The engine computes what a layer says, by the numbers of its `requant`: they are packed behind the weights. So what is
wrong in a network's results is wrong in how data lies and moves. SOC has weights and maps in one memory;
`in_ram.py` has everything in the host's, `far_output.py` has results in a memory of their own, `unsigned.py` no signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from mlir import ir

from htvm.backend.targets import rules
from htvm.backend.targets.engines import launches, linear_ops
from htvm.backend.targets.engines.host import HostEngine
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.rules import Rule
from htvm.backend.targets.soc import CostModel, Dma, Host, Memory, Operand, Route, Soc
from htvm.backend.targets.violations import OneOf, Quality, Subject, Violation
from htvm.dialects import accel, quantisation
from htvm.dialects.accel import JobKind, Layout
from htvm.dialects.semantics import integers

ELEMENTS = ("i8", "ui8")
NUMBERS = 11
"""Of 64 bits that follow the weights of each output: those of a Requant, and two zero points or factors."""

LINEAR = (accel.Conv2dOp, accel.DenseOp)


@dataclass(frozen=True)
class Replay:
    """Computes conv2d, dense, add, mul, lookup and maxima on bytes; maps lie pixel by pixel."""

    name: str
    input: Operand
    weights: Operand
    output: Operand
    base: int
    output_step: int = 4
    job_fields: tuple[str, ...] = ("reads_signed", "writes_signed", "pad_value", "lowest")

    # What it accepts

    @property
    def rules(self) -> dict[str, tuple[Rule, ...]]:
        maps = Rule(Subject.INPUT, OneOf(self.input.elements), "a test", self.other_elements)
        numbers = Rule(Subject.REQUANT, Quality.REQUANTISED, "a test", other_numbers)
        constant = Rule(Subject.WEIGHTS, Quality.CONSTANT, "a test", computed)
        groups = Rule(Subject.GROUPS, Quality.UNGROUPED_OR_DEPTHWISE, "a test", other_groups)
        alike = Rule(Subject.OPERANDS, Quality.TWO_OF_ONE_SHAPE, "a test", unlike)
        dilations = Rule(Subject.DILATIONS, OneOf(((1, 1),)), "a test", dilated)
        return {
            accel.Conv2dOp.OPERATION_NAME: (maps, numbers, constant, groups, dilations),
            accel.DenseOp.OPERATION_NAME: (maps, numbers, constant),
            accel.AddOp.OPERATION_NAME: (maps, numbers, alike),
            accel.MulOp.OPERATION_NAME: (maps, numbers, alike),
            accel.LookupOp.OPERATION_NAME: (maps, Rule(Subject.KIND, OneOf((1,)), "a test", many_tables)),
            accel.Pool2dOp.OPERATION_NAME: (
                maps,
                dilations,
                Rule(Subject.KIND, OneOf((accel.PoolKind.MAX,)), "a test", other_pool),
            ),
        }

    def violations(self, op: rules.Op) -> tuple[Violation, ...]:
        return rules.violations(self.rules, op)

    def other_elements(self, op: ir.OpView) -> str | None:
        maps = [*op.operation.operands, accel.output(op)]
        weights = {op.operation.operands[1]} if isinstance(op, (*LINEAR, accel.LookupOp)) else set()
        found = [linear_ops.element(value) for value in maps if value not in weights]
        images = [accel.output(op).type.shape[0]] if len(accel.output(op).type.shape) > 1 else [1]
        if isinstance(op, accel.DenseOp):
            images.append(prod(op.input.type.shape[:-1]))
        if not isinstance(op, (*LINEAR, accel.Pool2dOp)) and len(accel.output(op).type.shape) not in (2, 4):
            return "another rank"
        return next((each for each in found if each not in self.input.elements), None) or (
            None if set(images) == {1} else "several images"
        )

    # What it is given

    def job(self, op: ir.Operation | ir.OpView) -> Job:
        layer = op.operation.opview
        pad = layer.pad_value.value if isinstance(layer, accel.Conv2dOp) and layer.pad_value is not None else 0
        lowest = layer.lowest.value if isinstance(layer, accel.LookupOp) else 0
        signed = [linear_ops.element(value) == "i8" for value in (layer.operation.operands[0], accel.output(layer))]
        return geometry(layer).having(
            reads_signed=int(signed[0]), writes_signed=int(signed[1]), pad_value=pad, lowest=lowest
        )

    def most_outputs(self, job: Job) -> int:
        return (
            min(job.outputs, max(self.weights.limit_bytes // self.weight_bytes(job), 0) or 1)
            if job.macs
            else job.outputs
        )

    def lowered(self, job: Job, plain: bool = False) -> Job:
        return job

    def cycles(self, op: ir.Operation | ir.OpView, cost_model: CostModel | None) -> int:
        return launches.cycles(self, self.job(op), cost_model)

    def weight_bytes(self, job: Job) -> int:
        if job.kind == JobKind.POOL2D:
            return 0
        if job.kind == JobKind.LOOKUP:
            return 256
        return 8 * NUMBERS + (job.outputs * (8 * NUMBERS + job.rows_of_weights) if job.macs else 0)

    def pack(self, job: Job, op: ir.Operation | ir.OpView, outputs: tuple[int, int]) -> np.ndarray:
        layer = op.operation.opview
        if isinstance(layer, accel.LookupOp):
            table = quantisation.stored(layer.table).astype(np.uint8)
            return np.pad(table, (0, 256 - table.size))
        if not isinstance(layer, LINEAR):
            return numbers_of(layer, 0).view(np.uint8)
        chosen = range(*outputs)
        numbers = np.concatenate([numbers_of(layer, k) for k in (chosen[0], *chosen)])
        weights = linear_ops.weights(layer)[slice(*outputs)].astype(np.int8)
        return np.concatenate([numbers.view(np.uint8), weights.reshape(-1).view(np.uint8)])

    # What it computes

    def execute(self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        x, *others = (each.view(np.int8 if job["reads_signed"] else np.uint8).astype(np.int64) for each in inputs)
        if job.kind == JobKind.LOOKUP:
            return weights[x - job["lowest"]]
        if job.kind == JobKind.POOL2D:
            top, left, bottom, right = job.pads
            padded = np.full((job.size[0] + top + bottom, job.size[1] + left + right, job.channels), -1000)
            padded[top : top + job.size[0], left : left + job.size[1]] = x.reshape(*job.size, -1)
            windows = np.lib.stride_tricks.sliding_window_view(padded, job.kernel, (0, 1))
            y = windows[:: job.strides[0], :: job.strides[1]].max((-1, -2))
        elif job.is_element_wise:
            numbers = weights.view("<i8")
            y = product_or_sum(job, x, *others, numbers)
        else:
            numbers = weights[8 * NUMBERS :][: 8 * NUMBERS * job.outputs].view("<i8").reshape(-1, NUMBERS)
            matrix = weights[8 * NUMBERS * (job.outputs + 1) :].view(np.int8).astype(np.int64)
            matrix = matrix.reshape(job.outputs, -1, *job.kernel)
            planes = x.reshape(*job.size, job.channels).transpose(2, 0, 1)
            sums = integers.convolve(
                planes[None], matrix, job.strides, job.pads, (1, 1), groups=job.groups, pad_value=job["pad_value"]
            )[0]
            rows = sums.reshape(job.outputs, -1)
            y = np.stack([requant(each).outputs(row[None])[0] for each, row in zip(numbers, rows)])
            y = y.reshape(sums.shape).transpose(1, 2, 0)
        return y.astype(np.int8 if job["writes_signed"] else np.uint8).reshape(-1).view(np.uint8)


def product_or_sum(job: Job, a: np.ndarray, b: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    first, second = map(int, numbers[-2:])
    total = (a - first) * (b - second) if job.kind == JobKind.MUL else a * first + b * second
    return requant(numbers).outputs(total[None])[0]


def requant(numbers: np.ndarray) -> Requant:
    multiplier, offset, shift, low, high, pre_shift, zero_point, tie_below, addend = map(int, numbers[:-2])
    return Requant((multiplier,), (offset,), (shift,), low, high, pre_shift, zero_point, tie_below, addend)


def numbers_of(layer: ir.OpView, output: int) -> np.ndarray:
    stated, more = Requant.of(layer.requant), (0, 0)
    if isinstance(layer, accel.AddOp):
        more, stated = stated.multiplier, Requant((1,), (0,), stated.shift, stated.low, stated.high, 0,
                                                  stated.zero_point, stated.tie_below, stated.offset[0])  # fmt: skip
    elif isinstance(layer, accel.MulOp):
        more = tuple(layer.zero_points)
    of_output = [each[output if len(each) > 1 else 0] for each in (stated.multiplier, stated.offset, stated.shift)]
    rest = stated.low, stated.high, stated.pre_shift, stated.zero_point, stated.tie_below, stated.addend
    return np.array([*of_output, *rest, *more], "<i8")


def geometry(layer: ir.OpView) -> Job:
    """Return a layer as a job, without the engine's own fields."""
    if isinstance(layer, LINEAR):
        return linear_ops.job(layer, JobKind.DENSE if isinstance(layer, accel.DenseOp) else JobKind.CONV2D)
    if isinstance(layer, accel.Pool2dOp):
        _, channels, *size = layer.input.type.shape
        *_, rows, columns = accel.output(layer).type.shape
        return Job(JobKind.POOL2D, channels, channels, tuple(size), (rows, columns), tuple(layer.kernel),
                   tuple(layer.strides), tuple(layer.pads))  # fmt: skip
    kind = {accel.AddOp: JobKind.ADD, accel.MulOp: JobKind.MUL, accel.LookupOp: JobKind.LOOKUP}[type(layer)]
    *others, rows, columns = (*layer.operation.operands[0].type.shape, 1, 1)[:4]
    return Job(kind, prod(others), prod(others), (rows, columns), (rows, columns))


# What rules find


def other_numbers(op: ir.OpView) -> Quality | str | None:
    if op.requant is None:
        return Quality.RAW_SUMS
    if isinstance(op, accel.Conv2dOp) and op.rescale is not None:
        return Quality.SCALED_CODE
    return "an exact quotient" if op.requant.divisor is not None else None


def computed(op: ir.OpView) -> Quality | None:
    return Quality.COMPUTED if quantisation.stored(op.weights) is None else None


def other_groups(op: accel.Conv2dOp) -> int | None:
    channels, outputs = op.input.type.shape[1], op.weights.type.shape[0]
    return None if op.groups.value in (1, channels) and op.groups.value in (1, outputs) else op.groups.value


def unlike(op: ir.OpView) -> str | None:
    first, second = (value.type for value in op.operation.operands)
    return None if first == second and list(first.shape) == list(accel.output(op).type.shape) else f"{first}, {second}"


def dilated(op: ir.OpView) -> tuple[int, ...] | None:
    found = tuple(op.dilations) if op.dilations is not None else (1, 1)
    return None if set(found) == {1} else found


def many_tables(op: accel.LookupOp) -> int | None:
    return None if op.axis is None and op.table.type.shape[0] <= 256 else op.table.type.shape[0]


def other_pool(op: accel.Pool2dOp) -> accel.PoolKind | None:
    return None if op.kind.value is accel.PoolKind.MAX else op.kind.value


@dataclass(frozen=True)
class Round:
    """Figures that make the accelerator worth its transfers."""

    name: str = "round"
    source: str = "made up, for tests"

    def job_cycles(self, engine: str, job: Job) -> int:
        return 10 + ceil(job.macs / 64) + ceil(job.output_bytes / 16)

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        return 20 + ceil(size_bytes / 8)


RAM = Memory("ram", base=0x1C00_0000, size_bytes=512 * 1024)
L1 = Memory("l1", base=0x1000_0000, size_bytes=8 * 1024, host_visible=False)
SUMS = Memory("sums", base=0x1100_0000, size_bytes=4 * 1024, host_visible=False)


def soc(name: str, reads: Memory, weights: Memory, writes: Memory, elements: tuple[str, ...] = ELEMENTS) -> Soc:
    """Return a machine whose accelerator has its operands in these memories."""
    inside = [each for each in dict.fromkeys((reads, weights, writes)) if each != RAM]
    pixels = {"elements": elements, "layouts": (Layout.NHWC,)}
    engine = Replay(
        "replay",
        input=Operand(reads.name, **pixels),
        weights=Operand(weights.name),
        output=Operand(writes.name, **pixels),
        base=0x5000_2000,
    )
    return Soc(
        name=name,
        description=f"for tests: an accelerator that reads {reads.name}, with weights in {weights.name}",
        clock_hz=100_000_000,
        host=Host(march="rv32imc", mabi="ilp32"),
        memories=(RAM, *inside),
        program_memory=RAM.name,
        arena_memory=RAM.name,
        engines=(engine, HostEngine()),
        dmas=(
            Dma("load", base=0x5000_0000, routes=tuple(Route(RAM.name, each.name) for each in inside), queue_depth=2),
            Dma("store", base=0x5000_1000, routes=tuple(Route(each.name, RAM.name) for each in inside), queue_depth=2),
        ),
        cost_models=(Round(),),
    )


SOC = soc("any_place", L1, L1, L1)
