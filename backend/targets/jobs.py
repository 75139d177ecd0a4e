"""What an accelerator is asked to do: a layer, or a tile of one, in plain numbers.

A job knows nothing of MLIR operations, memories or addresses. It is an attribute of `accel.launch`, what cost
models count, what a job descriptor encodes and what the simulated engine computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from mlir import ir

from htvm.dialects import accel
from htvm.dialects.accel import FormKind, JobKind, Layout

OPERANDS = ("input", "rhs", "weights", "sums", "output")
"""What a descriptor has addresses of; 0 for one that the job does not have."""

MOST_OWN = 6
"""Fields of its own that an engine can have: a descriptor has room for as many."""

ELEMENT_WISE = (JobKind.ADD, JobKind.MUL, JobKind.LOOKUP)

Range = tuple[int, int]
"""First index, and the one behind the last."""


FORM = "accel.form"
"""The attribute of a layer that holds its form."""


@dataclass(frozen=True)
class Form:
    """One of several exact ways to compute a layer, and the size of the tiles that it is computed in.

    constants: the form's own, in its order.
    """

    kind: FormKind
    outputs: int
    rows: int
    constants: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} ({self.outputs} outputs, {self.rows} rows)"

    def of_outputs(self, outputs: Range, all_outputs: int) -> Form | None:
        """Return the form of some of a layer's output channels: of those that it is not for, the plain one."""
        if self.kind != FormKind.SOME_ROWS_AS_CHANNELS:
            return self
        first, end = outputs
        count = min(max(end - all_outputs + self.constants[0], 0), end - first)
        return replace(self, constants=(count, *self.constants[1:])) if count else None

    def attribute(self) -> accel.FormAttr:
        """Return the form as the attribute FORM, in the current context."""
        constants = self.constants or None
        return accel.FormAttr.get(kind=self.kind, outputs=self.outputs, rows=self.rows, constants=constants)

    @staticmethod
    def of(op: ir.Operation | ir.OpView) -> Form | None:
        """Return the form that a layer carries; None for the plain one."""
        stated = accel.attribute(op, FORM, accel.FormAttr)
        return None if stated is None else Form.stated(stated)

    @staticmethod
    def stated(attribute: accel.FormAttr) -> Form:
        """Return the form that an attribute describes."""
        return Form(attribute.kind, attribute.outputs, attribute.rows, tuple(attribute.constants or ()))


@dataclass(frozen=True)
class Pool:
    """What a job makes of its results before they leave: the pool of windows of a map of `size` (rows, columns)."""

    kind: accel.PoolKind
    size: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def attribute(self) -> accel.PoolAttr:
        """Return the pool as a part of a job's attribute, in the current context."""
        return accel.PoolAttr.get(
            kind=self.kind, size=self.size, kernel=self.kernel, strides=self.strides, pads=self.pads
        )

    @staticmethod
    def of(attribute: accel.PoolAttr) -> Pool:
        """Return the pool that an attribute describes."""
        (height, width), (down, right) = attribute.size, attribute.strides
        (rows, columns), (top, left, bottom, beside) = attribute.kernel, attribute.pads
        return Pool(attribute.kind, (height, width), (rows, columns), (down, right), (top, left, bottom, beside))


@dataclass(frozen=True)
class Job:
    """One launch of an accelerator. Maps are dense in its memory; sizes are (rows, columns).

    kind: CONV2D, DENSE (one pixel), ADD or MUL (two inputs of one shape), LOOKUP (each element in a table), POOL2D, or
    MATVEC (a convolution whose sums are read by a converter). groups: 1, or the channels for a depthwise layer, which
    is cut before it is launched. layout: of the output. adds, keeps: whether it adds to the sums that a job before has
    kept, and whether it keeps its own for one behind, and writes no output. own: the engine's own fields by name, such
    as the shift of the sum; job["shift"] is one of them. form: of a layer or a tile that is not computed in the plain
    one; no lowered job has any. residual: whether a second input, as large as its sums, is added to them. pool: what it
    makes of its results; outputs and out_size are the pool's then.
    """

    kind: JobKind
    channels: int
    outputs: int
    size: tuple[int, int]
    out_size: tuple[int, int]
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    layout: Layout = Layout.NCHW
    adds: bool = False
    keeps: bool = False
    own: tuple[tuple[str, int], ...] = ()
    form: Form | None = None
    residual: bool = False
    pool: Pool | None = None

    def __hash__(self) -> int:
        """Hash once: jobs are keys wherever tilings are compared."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        sizes = self.channels, self.outputs, self.size, self.out_size, self.groups, self.adds, self.keeps
        behind = self.residual, self.pool
        return hash((self.kind, sizes, self.kernel, self.strides, self.pads, self.layout, self.form, self.own, behind))

    def having(self, **own: int) -> Job:
        """Return the job with the engine's own fields, sorted by name: jobs that say the same are equal."""
        return replace(self, own=tuple(sorted(own.items())))

    def but(self, **fields: object) -> Job:
        """Return the job with other fields: `replace`, in a fifth of the time, for the many tiles that are compared."""
        new = object.__new__(Job)
        new.__dict__.update(self.__dict__, **fields)
        new.__dict__.pop("_hash", None)
        return new

    def __getitem__(self, name: str) -> int:
        """Return one of the engine's own fields. Raises KeyError."""
        return dict(self.own)[name]

    def __str__(self) -> str:
        facts = [f"{name} {value}" for name, value in (("channels", self.channels), ("outputs", self.outputs))]
        facts += [f"size {_by(self.size)}", f"out_size {_by(self.out_size)}", f"kernel {_by(self.kernel)}"]
        facts += [f"strides {_by(self.strides)}", f"pads {self.pads}", f"groups {self.groups}", f"layout {self.layout}"]
        flags = ("adds", self.adds), ("keeps", self.keeps), ("residual", self.residual)
        facts += [name for name, is_so in flags if is_so]
        if (pool := self.pool) is not None:
            windows = f"{_by(pool.kernel)} of {_by(pool.size)}, strides {_by(pool.strides)}, pads {pool.pads}"
            facts.append(f"pool {pool.kind} {windows}")
        return f"job '{self.kind}' ({', '.join([*facts, *(f'{name} {value}' for name, value in self.own)])})"

    @property
    def macs(self) -> int:
        """Multiplications that the layer needs: those with borders count, those of unused lanes do not."""
        if self.kind in (*ELEMENT_WISE, JobKind.POOL2D):
            return 0
        return self.outputs * (self.channels // self.groups) * prod(self.kernel) * prod(self.sum_size)

    @property
    def sum_size(self) -> tuple[int, int]:
        """Rows and columns of its sums: those of the output, if no pool is between."""
        return self.out_size if self.pool is None else self.pool.size

    @property
    def has_own_channels(self) -> bool:
        """Whether each output channel has an input channel of its own."""
        return self.groups > 1 or self.is_element_wise or self.kind == JobKind.POOL2D

    @property
    def is_element_wise(self) -> bool:
        """Whether each output is made of the inputs in its place, so that all maps have one layout, any."""
        return self.kind in ELEMENT_WISE

    @property
    def inputs(self) -> int:
        """How many maps it reads."""
        return 2 if self.kind in (JobKind.ADD, JobKind.MUL) or self.residual else 1

    @property
    def rows_of_weights(self) -> int:
        """Products that are summed for one output."""
        return self.channels // self.groups * prod(self.kernel)

    @property
    def input_bytes(self) -> int:
        return self.channels * prod(self.size)

    def input_shape(self, position: int) -> tuple[int, tuple[int, int]]:
        """Return channels, and rows and columns, of one of its inputs."""
        return (self.outputs, self.sum_size) if self.residual and position else (self.channels, self.size)

    def bytes_of_input(self, position: int) -> int:
        """Return the bytes of one of its inputs; 0 of one that it does not have."""
        channels, size = self.input_shape(position)
        return channels * prod(size) if position < self.inputs else 0

    @property
    def output_bytes(self) -> int:
        return self.outputs * prod(self.out_size)

    def tile(self, outputs: Range, rows: Range, columns: Range) -> tuple[Job, Range, Range]:
        """Return the job of a part of the output, and the rows and columns of the input that it reads.

        Padding stays only where the part lies at the border of the map. Along an axis that is not cut the whole map is
        read, also what the last window leaves out: a part that is not copied has the steps of the map. A pool's windows
        that reach into the next part read results which both make.
        """
        pool, (sum_rows, sum_columns) = self._pool_of(rows, columns)
        (top, left, bottom, right), height, width = self.pads, *self.size
        in_rows, (top, bottom) = self._read(sum_rows, height, 0, top, bottom)
        in_columns, (left, right) = self._read(sum_columns, width, 1, left, right)
        count = outputs[1] - outputs[0]
        part = self.but(
            channels=count if self.has_own_channels else self.channels,
            groups=count if self.groups > 1 else 1,
            outputs=count,
            size=(in_rows[1] - in_rows[0], in_columns[1] - in_columns[0]),
            out_size=(rows[1] - rows[0], columns[1] - columns[0]),
            pads=(top, left, bottom, right),
            pool=pool,
            form=self.form and self.form.of_outputs(outputs, self.outputs),
        )
        return part, in_rows, in_columns

    def summed(self, rows: Range, columns: Range) -> tuple[Range, Range]:
        """Return the rows and columns of the sums that a part of the output is made of."""
        return self._pool_of(rows, columns)[1]

    def _pool_of(self, rows: Range, columns: Range) -> tuple[Pool | None, tuple[Range, Range]]:
        """Return the pool of a part of the output, and the rows and columns of the sums that it reads."""
        pool = self.pool
        if pool is None:
            return None, (rows, columns)
        ends: list[Range] = []
        read: list[Range] = []
        for axis, wanted in enumerate((rows, columns)):
            window = pool.strides[axis], pool.kernel[axis]
            found, around = inputs_of(wanted, self.out_size[axis], pool.size[axis], window, pool.pads[axis::2])
            read.append(found)
            ends.append(around)
        (top, bottom), (left, right) = ends
        size = read[0][1] - read[0][0], read[1][1] - read[1][0]
        return replace(pool, size=size, pads=(top, left, bottom, right)), (read[0], read[1])

    def of_channels(self, channels: Range) -> Job:
        """Return the job that sums up some of the input channels: the first begins sums, the last makes outputs.

        A second map is added to the first.
        """
        if channels == (0, self.channels):
            return self
        count = channels[1] - channels[0]
        adds, keeps = channels[0] > 0, channels[1] < self.channels
        return replace(self, channels=count, adds=adds, keeps=keeps, residual=self.residual and not adds)

    def _read(self, wanted: Range, size: int, axis: int, before: int, after: int) -> tuple[Range, Range]:
        """Return the inputs along an axis that some sums need, and the padding on both sides of them."""
        window = self.strides[axis], self.kernel[axis]
        return inputs_of(wanted, self.sum_size[axis], size, window, (before, after))

    def words(self, addresses: Mapping[str, int], names: Sequence[str]) -> list[int]:
        """Return the job's descriptor, DESCRIPTOR_WORDS words. names: the engine's own fields, in its order.

        Numbers of 16 bits, the first of two in the lower half of a word: the geometry, the own fields, 0 for those of
        MOST_OWN that the engine does not have, the layout and what is done with sums; then the addresses of OPERANDS.
        Raises ValueError for a number that 16 bits do not hold, for other fields than these, and for a pool.
        """
        if problem := self.other_fields(names):
            raise ValueError(problem)
        sizes = (*self.size, *self.out_size, *self.kernel, *self.strides, *self.pads)
        geometry = (KINDS.index(self.kind), self.channels, self.outputs, *sizes, self.groups)
        own = [self[name] for name in names]
        if max(geometry) >> 16:
            raise ValueError(f"{self} has a number of {max(geometry)}, expected at most 16 bits")
        if own and not -(1 << 15) <= min(own) <= max(own) < 1 << 15:
            raise ValueError(f"{self} has a field of {max(own, key=abs)}, expected at most 16 bits, signed")
        if self.pool is not None:
            raise ValueError(f"{self} has a pool, expected an engine with a launcher of its own for it")
        sums = self.adds | self.keeps << 1 | self.residual << 2
        numbers = [*geometry, *own, *[0] * (MOST_OWN - len(own)), LAYOUTS.index(self.layout), sums]
        halves = [number & 0xFFFF for number in (*numbers, *[0] * (len(numbers) % 2))]
        packed = [low | high << 16 for low, high in zip(halves[::2], halves[1::2], strict=True)]
        return [*packed, *(addresses.get(name, 0) for name in OPERANDS)]

    @staticmethod
    def of_words(words: Sequence[int], names: Sequence[str]) -> tuple[Job, dict[str, int]]:
        """Return the job and the addresses that a descriptor gives to an engine with these fields of its own.

        Raises IndexError for a kind or layout that there is not.
        """
        numbers = [half for word in words[: -len(OPERANDS)] for half in (word & 0xFFFF, word >> 16)]
        kind, channels, outputs, *sizes, groups = numbers[:GEOMETRY]
        in_rows, in_columns, rows, columns, taps_down, taps_right, down, right, *pads = sizes
        top, left, bottom, beside = pads
        own = [half - (1 << 16) if half >> 15 else half for half in numbers[GEOMETRY:][: len(names)]]
        job = Job(
            kind=KINDS[kind],
            channels=channels,
            outputs=outputs,
            size=(in_rows, in_columns),
            out_size=(rows, columns),
            kernel=(taps_down, taps_right),
            strides=(down, right),
            pads=(top, left, bottom, beside),
            groups=groups,
            layout=LAYOUTS[numbers[GEOMETRY + MOST_OWN]],
            adds=bool(numbers[GEOMETRY + MOST_OWN + 1] & 1),
            keeps=bool(numbers[GEOMETRY + MOST_OWN + 1] & 2),
            residual=bool(numbers[GEOMETRY + MOST_OWN + 1] & 4),
        )
        return job.having(**dict(zip(names, own))), dict(zip(OPERANDS, words[-len(OPERANDS) :], strict=True))

    def other_fields(self, names: Sequence[str]) -> str | None:
        """Say that the job's own fields are not those of its engine; None if they are."""
        found = [name for name, _ in self.own]
        if found == sorted(names):
            return None
        return f"the job has the fields {', '.join(found) or 'none'}, expected {', '.join(sorted(names)) or 'none'}"

    def attribute(self) -> accel.JobAttr:
        """Return the job as an attribute of `accel.launch`, in the current context."""
        return accel.JobAttr.get(
            kind=JobKind(self.kind),
            channels=self.channels,
            outputs=self.outputs,
            size=self.size,
            out_size=self.out_size,
            kernel=self.kernel,
            strides=self.strides,
            pads=self.pads,
            groups=self.groups,
            layout=Layout(self.layout),
            adds=self.adds,
            keeps=self.keeps,
            own=ir.DictAttr.get({name: accel.integer(value) for name, value in self.own}) if self.own else None,
            residual=self.residual,
            pool=None if self.pool is None else self.pool.attribute(),
        )

    @staticmethod
    def of(attribute: accel.JobAttr) -> Job:
        """Return the job that an attribute describes."""
        (height, width), (rows, columns) = attribute.size, attribute.out_size
        (taps_down, taps_right), (down, right) = attribute.kernel, attribute.strides
        top, left, bottom, beside = attribute.pads
        own = () if attribute.own is None else ((each.name, ir.IntegerAttr(each.attr).value) for each in attribute.own)
        return Job(
            kind=attribute.kind,
            channels=attribute.channels,
            outputs=attribute.outputs,
            size=(height, width),
            out_size=(rows, columns),
            kernel=(taps_down, taps_right),
            strides=(down, right),
            pads=(top, left, bottom, beside),
            groups=attribute.groups,
            layout=attribute.layout,
            adds=attribute.adds,
            keeps=attribute.keeps,
            own=tuple(sorted(own)),
            residual=attribute.residual,
            pool=None if attribute.pool is None else Pool.of(attribute.pool),
        )


@dataclass(frozen=True)
class Place:
    """Where a launch reads or writes: a buffer, from a byte on.

    buffer: an operand of the tile, "input", "rhs" or "output", or one of the form's own, by name. size_bytes: of an
    operand, if it is not used whole.
    """

    buffer: str
    offset_bytes: int = 0
    size_bytes: int | None = None


@dataclass(frozen=True)
class JobStep:
    """One of the launches, in order, that a tile is computed in: a lowered job, and where it reads and writes."""

    job: Job
    inputs: tuple[Place, ...]
    output: Place


def inputs_of(
    wanted: Range, count: int, size: int, window: tuple[int, int], pads: Sequence[int]
) -> tuple[Range, Range]:
    """Return what some of `count` windows along an axis read of `size` elements, and the padding on both sides of it.

    window: stride and length. pads: before the first element and behind the last. All windows read the whole axis.
    """
    if wanted == (0, count):
        return (0, size), (pads[0], pads[1])
    stride, kernel = window
    first, end = wanted[0] * stride - pads[0], (wanted[1] - 1) * stride - pads[0] + kernel
    return (max(first, 0), min(end, size)), (max(-first, 0), max(end - size, 0))


def has_form(job: Job, *kinds: FormKind) -> bool:
    """Say whether a job is in a form of one of these kinds."""
    return job.form is not None and job.form.kind in kinds


KINDS, LAYOUTS = tuple(JobKind), tuple(Layout)
"""In the order of their numbers in a descriptor."""

GEOMETRY = 16
"""Numbers of a descriptor before the engine's own fields: kind, channels, outputs, 4 sizes, 4 pads, groups."""

DESCRIPTOR_WORDS = -(-(GEOMETRY + MOST_OWN + 2) // 2) + len(OPERANDS)


def _by(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))
