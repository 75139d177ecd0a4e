"""What is known of a generated program, as typed data: report.json holds it, and everything that shows it reads it.

The types of the fields are the schema of report.json as well: schema.py writes them and reads them back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Annotated, Literal, TypeAlias

import numpy as np

from htvm.backend.kernels.elements import Stored
from htvm.dialects.accel import FormKind

from .schema import INLINE, Matching, Problem, Within

GENERATOR = "htvm"
"""Marks a folder as written by htvm, so that it may be written again."""

FORMAT = 2
"""Counts the forms of report.json that a reader must tell apart; files of form 1 do not say theirs."""

Count: TypeAlias = Annotated[int, Within(0, 1 << 48)]
"""Bytes, cycles, multiply-accumulates, or an index."""
Size: TypeAlias = Annotated[int, Within(1, 1 << 31)]
"""Of an axis or a tile."""
StepNumber: TypeAlias = Annotated[int, Within(-1, 1 << 31)]
"""-1 is before the first step, the number of steps behind the last one."""
Int32: TypeAlias = Annotated[int, Within(-(1 << 31), (1 << 31) - 1)]
Scale: TypeAlias = Annotated[float, Within(0, 1e38, kind="a number")]
Offset: TypeAlias = Annotated[float, Within(-1e38, 1e38, kind="a number")]
Identifier: TypeAlias = Annotated[str, Matching("[A-Za-z][A-Za-z0-9_]{0,199}", "a C identifier")]
Digest: TypeAlias = Annotated[str, Matching("[0-9a-f]{64}", "64 hexadecimal digits")]
OnnxType: TypeAlias = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"
]
"""The type of an input or output in the ONNX file."""
Shape: TypeAlias = tuple[Size, ...]

Source: TypeAlias = Count | str
"""Where a tensor comes from: the number of a step, or the name of an input of the network."""


class BufferKind(Enum):
    """What a buffer is for; scratch is what one step uses while it runs, weights are those that launches read."""

    INPUT = "input"
    OUTPUT = "output"
    ACTIVATION = "activation"
    SCRATCH = "scratch"
    WEIGHTS = "weights"


class Rounding(Enum):
    """How floats become the integers of an input."""

    HALF_EVEN = "half_even"
    FLOOR = "floor"


@dataclass(frozen=True)
class OutputOrigin:
    """source: the step that computes an output, or the input that it is; None if neither does."""

    source: Source | None


@dataclass(frozen=True)
class ChannelPlan:
    """What the integers of an output mean that nothing quantises: scales[c] * integer + offsets[c].

    c is the index along an axis of the tensor; without one, there is one scale and one offset.
    """

    scales: tuple[Scale, ...]
    offsets: tuple[Offset, ...]
    axis: Count | None = None


@dataclass(frozen=True)
class PortPlan:
    """An input or output of the network.

    name, onnx_type: as the ONNX file has them. offset: bytes in the arena. A stored integer, of type `dtype` and in
    `range`, stands for scale * (integer - zero point), or for what `channels` says; None if the module does not say.
    nearest: the integers stand for the numbers nearest to those of the ONNX file; left out where they are exact.
    """

    name: str
    c_name: Identifier
    onnx_type: OnnxType
    dtype: Stored
    shape: Shape
    offset: Count
    bytes: Count
    scale: Scale | None
    zero_point: Int32 | None
    range: tuple[Int32, Int32] | None
    rounding: Rounding
    channels: ChannelPlan | None = None
    nearest: Literal[True] | None = None
    origin: OutputOrigin | None = field(default=None, metadata=INLINE)


@dataclass(frozen=True)
class MemoryPlan:
    """The bytes that buffers take in a memory: planned, what no plan for this order goes below, and what there is."""

    planned_peak_bytes: Count
    lower_bound_bytes: Count
    capacity_bytes: Count


@dataclass(frozen=True)
class OrderPlan:
    """The order of the layers: whether no other needs less memory at once, and bytes that none needs less than.

    Sizes are those of feature maps, without alignment, of all memories together.
    """

    optimal: bool
    lower_bound_bytes: Count


@dataclass(frozen=True)
class BufferPlan:
    """A buffer. first, last: the steps between which it is needed, both included. strides: in elements.

    A map in blocks of channels has one axis more: image, block, channel of the block, row, column.
    """

    name: str
    kind: BufferKind
    memory: str
    offset: Count
    bytes: Count
    dtype: Stored
    shape: Shape
    strides: tuple[Count, ...]
    first: StepNumber
    last: StepNumber


@dataclass(frozen=True, kw_only=True)
class TilingPlan:
    """The tiles of a layer on an accelerator, as choose-tilings has chosen them; a flag is True or left out."""

    blocking: Literal[True] | None = None
    buffers: Size
    channels: Count | None = None
    columns: Size
    group: Count | None = None
    launch_outputs: Count | None = None
    loads: Literal[True] | None = None
    outputs: Size
    outputs_first: Literal[True] | None = None
    rows: Size
    stores: Literal[True] | None = None
    weight_buffers: Count | None = None


@dataclass(frozen=True)
class TiledPlan:
    """What is predicted of a layer on an accelerator.

    alone_cycles: if nothing else uses units and routes. bound_cycles: what no tiling of the layer beats. form: in which
    it is computed, if that is not the plain one.
    """

    tiling: TilingPlan
    alone_cycles: Count
    bound_cycles: Count
    form: FormKind | None = None


@dataclass(frozen=True)
class StepOrigin:
    """The ONNX tensor that a step computes, None if none, and where the tensors that it reads come from."""

    tensor: str | None
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """A step, which is the function htvm_step_<n>.

    name, nodes: the ONNX node that names it, and all that it computes. reads, writes: numbers of buffers. weight_bytes:
    its constants, as the model has them, or packed for an accelerator. skips: the input element that costs no
    multiplication, of a step whose time depends on the data. inserted: what a step is for that no node of the ONNX file
    asks for. kernel: what computes it, if that is a kernel from outside.
    """

    name: str
    nodes: tuple[str, ...]
    op: str
    summary: str
    engine: str
    macs: Count
    skips: Int32 | None = None
    inserted: str | None = None
    kernel: str | None = None
    shape: Shape
    scratch_bytes: Count
    weight_bytes: Count
    reads: tuple[Count, ...]
    writes: tuple[Count, ...]
    predicted_cycles: Count | None = None
    tiled: TiledPlan | None = field(default=None, metadata=INLINE)
    origin: StepOrigin | None = field(default=None, metadata=INLINE)

    @property
    def bound_cycles(self) -> int | None:
        return self.tiled.bound_cycles if self.tiled else None

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.origin.sources if self.origin else ()


@dataclass(frozen=True)
class ModelOrigin:
    """The ONNX file, by hash, and what the user said of its inputs. requant_shift: of RequantShift, if not "floor"."""

    sha256: Digest
    input_types: Mapping[str, str]
    shapes: Mapping[str, Shape]
    requant_shift: Literal["half"] | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What report.json says of a project. memories: those that activations and weights in use are in.

    stack_bytes: what a call of NAME_run takes at most; 0 if that is not known.
    source_flags: options of the compiler for sources of kernels from outside, by file.
    name: of the files and the prefix in C. cost_model: of the target, where it has several. origin: of a project that
    comes from an ONNX file.
    """

    generator: Literal["htvm"] = GENERATOR
    format: Annotated[int, Within(FORMAT, FORMAT)] = FORMAT
    versions: Mapping[str, str]
    name: Identifier
    model: str
    target: str
    cost_model: str | None = None
    inputs: tuple[PortPlan, ...]
    outputs: tuple[PortPlan, ...]
    memories: Mapping[str, MemoryPlan]
    constant_bytes: Count
    scratch_bytes: Count
    stack_bytes: Count = 0
    buffers: tuple[BufferPlan, ...]
    steps: tuple[StepPlan, ...]
    source_flags: Mapping[str, tuple[str, ...]] | None = None
    order: OrderPlan | None = None
    origin: ModelOrigin | None = None

    def planned_bytes(self, memory: str) -> int:
        """Return what is planned of a memory: 0 of one that holds no buffers."""
        return self.memories[memory].planned_peak_bytes if memory in self.memories else 0


def contradictions(report: Report) -> Iterator[Problem]:
    """Yield what the keys of a report say against each other: what is read from it can rely on all of it."""
    largest = max((each.planned_peak_bytes for each in report.memories.values()), default=0)
    for name, memory in report.memories.items():
        if memory.planned_peak_bytes > memory.capacity_bytes:
            most = f"at most its capacity_bytes, {memory.capacity_bytes:,}"
            yield Problem(f"memories.{name}.planned_peak_bytes", str(memory.planned_peak_bytes), most)
    names = [port.name for port in report.inputs]
    for kind, ports in (("inputs", report.inputs), ("outputs", report.outputs)):
        for number, port in enumerate(ports):
            yield from _of_port(port, f"{kind}[{number}]", largest)
            if port.origin and port.origin.source is not None:
                yield from _of_sources([port.origin.source], f"{kind}[{number}].source", names, len(report.steps))
    for number, buffer in enumerate(report.buffers):
        yield from _of_buffer(buffer, f"buffers[{number}]", report)
    for number, step in enumerate(report.steps):
        place = f"steps[{number}]"
        for key, buffers in (("reads", step.reads), ("writes", step.writes)):
            for each in buffers:
                if each >= len(report.buffers):
                    yield Problem(f"{place}.{key}", str(each), f"the number of one of {len(report.buffers)} buffers")
        if not step.writes:
            yield Problem(f"{place}.writes", "empty", "the number of the buffer that the step writes")
        yield from _of_sources(step.sources, f"{place}.sources", names, number)


def _of_port(port: PortPlan, place: str, arena_bytes: int) -> Iterator[Problem]:
    needed = prod(port.shape) * np.dtype(port.dtype).itemsize
    if port.bytes != needed:
        yield Problem(f"{place}.bytes", str(port.bytes), f"{needed}, by its shape and dtype")
    if port.offset + port.bytes > arena_bytes:
        yield Problem(f"{place}.offset", str(port.offset), f"room for {port.bytes} bytes in {arena_bytes} planned ones")
    if port.onnx_type == "float32" and not port.scale:
        yield Problem(f"{place}.scale", str(port.scale), "a scale above 0, since the tensor is float32")
    limits = np.iinfo(port.dtype)
    if port.range is not None and not limits.min <= port.range[0] <= port.range[1] <= limits.max:
        yield Problem(f"{place}.range", str(list(port.range)), f"a range of {port.dtype}, the lower end first")


def _of_buffer(buffer: BufferPlan, place: str, report: Report) -> Iterator[Problem]:
    if buffer.memory not in report.memories:
        yield Problem(f"{place}.memory", f"'{buffer.memory}'", f"one of {', '.join(report.memories)}")
    elif buffer.offset + buffer.bytes > (planned := report.planned_bytes(buffer.memory)):
        yield Problem(f"{place}.offset", str(buffer.offset), f"room for {buffer.bytes} bytes in {planned} planned ones")
    if not buffer.first <= buffer.last <= len(report.steps):
        wanted = f"a step from first, {buffer.first}, to the number of steps, {len(report.steps)}"
        yield Problem(f"{place}.last", str(buffer.last), wanted)
    if len(buffer.strides) != len(buffer.shape):
        yield Problem(f"{place}.strides", f"a list of {len(buffer.strides)}", f"one for each axis of {buffer.shape}")


def _of_sources(sources: Sequence[Source], place: str, inputs: Sequence[str], steps: int) -> Iterator[Problem]:
    for each in sources:
        if each not in inputs if isinstance(each, str) else each >= steps:
            yield Problem(place, repr(each), f"an input of the network, or a step before number {steps}")
