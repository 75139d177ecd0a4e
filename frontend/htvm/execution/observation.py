"""Looking into a run: what each step has left in memory, without a change of the code or of its memory plan."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from mlir import ir
from mlir.dialects import func, memref
from unicorn import UC_HOOK_CODE

from htvm.backend.c.step import Step
from htvm.backend.c.values import element_type, offset_of, size_bytes
from htvm.backend.targets.jobs import Job, Layout
from htvm.backend.targets.soc import HOST
from htvm.dialects import accel, blocked_layout
from htvm.execution.program import Program
from htvm.runtime.simulator import Host, Interval


@dataclass(frozen=True)
class Observation:
    """What a step has made, or one tile of it: values[0, 0, ..] is the element `origin` of the whole."""

    step: Step
    values: np.ndarray
    origin: tuple[int, ...]


def observed(
    program: Program, module: ir.Module, steps: Sequence[Step], sample: Mapping[str, np.ndarray]
) -> list[Observation]:
    """Run a sample and return what was made, in the order of the steps.

    A step of the host is looked at when the next one begins, a tile of an accelerator when its job has ended.
    """
    host = program.host
    found: list[Observation] = []
    ended: list[tuple[Interval, bytes]] = []

    def look(step: Step) -> None:
        if step.engine == HOST:
            values = _value(program, step.output)
            found.append(Observation(step, values, (0,) * values.ndim))

    def on_entry(_: object, address: int, *__: object) -> None:
        before = host.program.steps.index(address) - 1
        if before >= 0:
            look(steps[before])

    hooks = [host.machine.hook_add(UC_HOOK_CODE, on_entry, begin=at, end=at) for at in host.program.steps]
    host.machine.ctl_flush_tb()  # blocks that were translated before do not call the hooks
    try:
        with _jobs_observed(host, ended):
            program.run_one(sample)
    finally:
        for hook in hooks:
            host.machine.hook_del(hook)
    if steps:
        look(steps[-1])
    if host.units:
        numbers = {id(each): number for number, each in enumerate(_jobs(host.units.timeline))}
        operations = _operations(module)
        places = [place for place, op in enumerate(operations) if isinstance(op, accel.LaunchOp)]
        for job, made in ended:
            following = operations[places[numbers[id(job)]] :]
            if makes_output(following[0]) and not _is_scratch(following[0]):
                found.append(_tile(following, steps[job.step], made))
    return sorted(found, key=lambda each: each.step.number)


@contextmanager
def _jobs_observed(host: Host, ended: list[tuple[Interval, bytes]]) -> Generator[None]:
    """Collect what the jobs of accelerators make while the block runs."""
    if host.units is None:
        yield
        return
    in_flight = host.units.in_flight
    before = in_flight.observe
    in_flight.observe = lambda work, made: ended.append((work.interval, made)) if _jobs([work.interval]) else None
    try:
        yield
    finally:
        in_flight.observe = before


def _jobs(timeline: Sequence[Interval]) -> list[Interval]:
    """Return the jobs among copies and jobs."""
    return [each for each in timeline if each.route is None]


def makes_output(launch: ir.OpView) -> bool:
    """Say whether a job makes a part of a map; else it keeps sums for another one."""
    assert isinstance(launch, accel.LaunchOp), launch.operation.name
    return not Job.of(launch.job).keeps


def _operations(module: ir.Module) -> list[ir.OpView]:
    """Return the operations of the network's function, in the order of execution."""
    (function,) = accel.functions(module)
    return list(function.body.blocks[0])


def _is_scratch(launch: ir.OpView) -> bool:
    """Say whether a launch writes bytes for another launch of its tile, where feature maps have axes."""
    assert isinstance(launch, accel.LaunchOp), launch.operation.name
    return launch.out.type.rank == 1


def _tile(operations: Sequence[ir.OpView], step: Step, made: bytes) -> Observation:
    """Return what a job has made: a part of the buffer that it writes, or of that to which a copy takes it.

    operations: the launch of the job, and what follows it.
    """
    launch, *following = operations
    assert isinstance(launch, accel.LaunchOp), launch.operation.name
    job = Job.of(launch.job)
    array = np.frombuffer(made, np.dtype(element_type(launch.out).numpy).newbyteorder("<"))
    if job.layout == Layout.NHWC:
        array = array.reshape(*job.out_size, job.outputs).transpose(2, 0, 1)
    shape = launch.out.type.shape
    return Observation(step, array.reshape(shape), _origin(_destination(launch, following)))


def _destination(launch: accel.LaunchOp, following: Sequence[ir.OpView]) -> ir.Value:
    """Return where a tile ends: where it is made, or where the first copy of that buffer goes after it."""
    root = _root(launch.out)
    for op in following:
        if isinstance(op, accel.LaunchOp) and _root(op.out) == root:
            break  # made anew: the tile was not copied
        if isinstance(op, accel.CopyOp) and _root(op.source) == root:
            return op.target
    return launch.out


def _root(value: ir.Value) -> ir.Value:
    """Return the buffer or argument that a view is of."""
    while isinstance(view := accel.producer(value), VIEWS):
        value = view.source
    return value


def _origin(value: ir.Value) -> tuple[int, ...]:
    """Return the element of a buffer at which a view of it begins."""
    if not isinstance(value.owner, ir.Block) and isinstance(value.owner.opview, memref.SubViewOp):
        return tuple(value.owner.opview.static_offsets)
    if not isinstance(value.owner, ir.Block) and isinstance(value.owner.opview, memref.ReinterpretCastOp):
        cast = value.owner.opview
        if blocked_layout.block_of(cast.source.type):  # of all rows and columns, from a channel on
            *_, height, width = ir.MemRefType(cast.source.type).shape
            return (0, cast.static_offsets[0] // (height * width), 0, 0)
    return (0,) * ir.MemRefType(value.type).rank


VIEWS = (memref.SubViewOp, memref.ReinterpretCastOp)


def _value(program: Program, value: ir.Value) -> np.ndarray:
    """Read an activation, in its logical order of axes, from its place in the arena."""
    kind = ir.MemRefType(value.type)
    strides, _ = kind.get_strides_and_offset()
    element = element_type(value)
    stored = program.host.read(program.arena + _offset(value), size_bytes(value))
    return np.lib.stride_tricks.as_strided(
        np.frombuffer(stored, np.dtype(element.numpy).newbyteorder("<")),
        kind.shape,
        [stride * element.size_bytes for stride in strides],
    )


def _offset(value: ir.Value) -> int:
    """Return where in the arena an activation lies, in bytes."""
    owner = value.owner
    if isinstance(owner, ir.Block):
        function = owner.owner.opview
        assert isinstance(function, func.FuncOp), function
        attributes = ir.DictAttr(function.arg_attrs[ir.BlockArgument(value).arg_number])
        return ir.IntegerAttr(attributes["accel.offset"]).value
    buffer = owner.opview
    assert isinstance(buffer, accel.BufferOp), buffer
    return offset_of(buffer)
