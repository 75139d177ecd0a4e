"""Looking into a run: what each step has left in memory, without a change of the code or of its memory plan."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from mlir import ir
from mlir.dialects import func, memref
from unicorn import UC_HOOK_CODE

from htvm.backend.c.step import Step, first_launch
from htvm.backend.c.values import element_type, offset_of, size_bytes
from htvm.backend.targets.jobs import Job, Layout
from htvm.backend.targets.soc import HOST
from htvm.dialects import accel, blocked_layout
from htvm.dialects.execution import Outline
from htvm.dialects.indices import linear
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
        events = _events(module)
        places = [place for place, event in enumerate(events) if isinstance(event.op, accel.LaunchOp)]
        results = _results(events, places, steps)
        makers = dict(zip(results, steps, strict=True))
        for job, made in ended:
            place = places[numbers[id(job)]]
            if makes_output(events[place].op) and not _is_scratch(events[place].op):
                to, indices = _destination(events, place)
                running = steps[job.step]  # of a group of layers, tiles are also given in the steps of others
                step = running if results[job.step] == _root(to) else makers.get(_root(to), running)
                found.append(Observation(step, _made(events[place].op, made), _origin(to, indices)))
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


@dataclass(frozen=True)
class _Event:
    """A command or a layer when it happens. indices: of the loops around it."""

    op: ir.OpView
    indices: Mapping[ir.Value, int]


def _events(module: ir.Module) -> list[_Event]:
    """Return what the network's function does, in the order of execution."""
    (function,) = accel.functions(module)
    return [_Event(event.action.op, dict(event.indices)) for event in Outline.of(function).run()]


def _is_scratch(launch: ir.OpView) -> bool:
    """Say whether a launch writes bytes for another launch of its tile, where feature maps have axes."""
    assert isinstance(launch, accel.LaunchOp), launch.operation.name
    return launch.out.type.rank == 1


def _results(events: Sequence[_Event], places: Sequence[int], steps: Sequence[Step]) -> list[ir.Value]:
    """Return the buffer or argument that the result of each step is in. places: of the launches among the events."""
    first: dict[ir.Operation, int] = {}
    for place in places:
        first.setdefault(events[place].op.operation, place)
    return [
        _root(_destination(events, first[first_launch(step.layer).operation])[0])
        if isinstance(step.layer, accel.StepOp)
        else _root(step.output)
        for step in steps
    ]


def _made(launch: ir.OpView, made: bytes) -> np.ndarray:
    """Return what a job has made, with the axes of what it writes."""
    assert isinstance(launch, accel.LaunchOp), launch.operation.name
    job = Job.of(launch.job)
    array = np.frombuffer(made, np.dtype(element_type(launch.out).numpy).newbyteorder("<"))
    if job.layout == Layout.NHWC:
        array = array.reshape(*job.out_size, job.outputs).transpose(2, 0, 1)
    return array.reshape(launch.out.type.shape)


def _destination(events: Sequence[_Event], place: int) -> tuple[ir.Value, Mapping[ir.Value, int]]:
    """Return where a tile ends: where it is made, or where the first copy of that buffer goes after it."""
    launch = events[place].op
    assert isinstance(launch, accel.LaunchOp), launch.operation.name
    root = _root(launch.out)
    for event in events[place + 1 :]:
        if isinstance(event.op, accel.LaunchOp) and _root(event.op.out) == root:
            break  # made anew: the tile was not copied
        if isinstance(event.op, accel.CopyOp) and _root(event.op.source) == root:
            return event.op.target, event.indices
    return launch.out, events[place].indices


def _root(value: ir.Value) -> ir.Value:
    """Return the buffer or argument that a view is of."""
    while isinstance(view := accel.producer(value), VIEWS):
        value = view.source
    return value


def _origin(value: ir.Value, indices: Mapping[ir.Value, int]) -> tuple[int, ...]:
    """Return the element of a buffer at which a view of it begins, for values of the indices of loops."""
    view = accel.producer(value)
    if isinstance(view, memref.SubViewOp):
        return _offsets(view, indices)
    if not isinstance(view, memref.ReinterpretCastOp):
        return (0,) * ir.MemRefType(value.type).rank
    (first,), whole = _offsets(view, indices), ir.MemRefType(view.source.type)
    if blocked_layout.block_of(whole):
        *_, height, width = whole.shape
        return (0, first // (height * width), 0, 0)  # all rows and columns, from a channel on
    if whole.rank != ir.MemRefType(value.type).rank:
        return (0,) * ir.MemRefType(value.type).rank  # a buffer of bytes, from its beginning
    steps, _ = whole.get_strides_and_offset()
    origin = [0] * whole.rank
    for axis in sorted(range(whole.rank), key=lambda each: -steps[each]):
        origin[axis], first = divmod(first, steps[axis])
    return tuple(origin)


def _offsets(view: memref.SubViewOp | memref.ReinterpretCastOp, indices: Mapping[ir.Value, int]) -> tuple[int, ...]:
    """Return the offsets of a view."""
    unknown = ir.ShapedType.get_dynamic_stride_or_offset()
    given = iter(view.offsets)
    return tuple(
        linear(next(given)).at(indices).constant if offset == unknown else offset for offset in view.static_offsets
    )


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
