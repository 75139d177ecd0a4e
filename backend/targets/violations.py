"""A broken rule as data: which rule, what was found, what was wanted. Text is made last, here, and never read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from htvm.dialects.text_enum import TextEnum


class Subject(TextEnum):
    """What a rule is about. An engine may have subjects of its own, as strings: no model edit is known for those."""

    OP = "op"
    INPUT = "input"
    OUTPUT = "output"
    RESULT = "result"
    OPERANDS = "operands"
    KIND = "kind"
    WINDOW = "window"
    WEIGHTS = "weights"
    WEIGHT_TYPE = "element type of computed weights"
    WEIGHT_GROUPS = "groups of computed weights"
    WEIGHT_VALUES = "weight values"
    WEIGHT_BYTES = "weight bytes"
    INPUT_VALUES = "input values"
    KERNEL = "kernel"
    ROWS = "rows"
    STRIDES = "strides"
    DILATIONS = "dilations"
    GROUPS = "groups"
    PADS = "pads"
    PADDING = "padding"
    CHANNELS = "channels"
    INPUT_CHANNELS = "input channels"
    OUTPUT_CHANNELS = "output channels"
    SMALLEST_TILE = "smallest tile"
    FORM = "form"
    MULTIPLIERS = "multipliers"
    REQUANT = "requant"
    CODE = "code"
    RESCALE = "rescale"
    MULTIPLIER = "multiplier"
    SCALE = "scale"
    SHIFT = "shift"
    ROUNDING = "rounding"
    CLIP = "clip"
    BIAS = "bias"


class Fact:
    """A value of a violation that is more than a number, a name or a shape. `str` gives its text."""


class Quality(Fact, Enum):
    """A property that has no parameters."""

    COMPUTED = "values that are computed"
    CONSTANT = "constants"
    RAW_SUMS = "raw sums"
    REQUANTISED = "requantised, in one step"
    CODE = "a converter's code"
    SCALED_CODE = "a converter's code that is scaled"
    UNGROUPED_OR_DEPTHWISE = "1, or as many as input and output channels"
    WHOLE_MAP = "the whole map"
    EQUAL = "equal"
    TWO_OF_ONE_SHAPE = "two tensors i8 of one shape"
    ODD = "odd"
    TIES_TO_EVEN = "ties to the even neighbour"
    ROUNDED_DOWN = "rounding to minus infinity"
    ACCEL_OP = "an op of the accel dialect"
    OFFERED = "a form that the engine offers for the layer"
    COMPUTATION = "a layer that computes: transfers are for transfer engines"

    def __str__(self) -> str:
        return str(self.value)


class Interval(NamedTuple):
    """All integers from `low` to `high`, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"

    def contains(self, other: tuple[int, int]) -> bool:
        """Say whether another interval lies in this one."""
        return self.low <= other[0] and other[1] <= self.high


Value = bool | int | float | str | tuple[int, ...] | Fact
"""Numbers, names (of ops and element types, as MLIR prints them), shapes, intervals, and what is made of them."""


@dataclass(frozen=True)
class Described(Fact):
    """Something that only a reader can understand, for rules of an engine that no model edit is known for."""

    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Bytes(Fact):
    """An amount of memory; of the weights of some outputs, or of a memory."""

    count: int
    outputs: int | None = None
    memory: str | None = None

    def __str__(self) -> str:
        outputs = f" ({self.outputs} outputs)" if self.outputs is not None else ""
        return f"{self.count:,} bytes{outputs}" + (f" of {self.memory}" if self.memory is not None else "")


@dataclass(frozen=True)
class OfOutput(Fact):
    """What the requantisation of an output channel has."""

    value: Value
    output: int

    def __str__(self) -> str:
        return f"{text(self.value)} (output {self.output})"


@dataclass(frozen=True)
class Both(Fact):
    """Two values that are not the same."""

    first: Value
    second: Value

    def __str__(self) -> str:
        return f"{text(self.first)} and {text(self.second)}"


@dataclass(frozen=True)
class Images(Fact):
    """Feature maps of an element type, in a number of images."""

    element: str
    count: int

    def __str__(self) -> str:
        return f"{self.element} in {'one image' if self.count == 1 else f'{self.count} images'}"


@dataclass(frozen=True)
class Tensor(Fact):
    """A tensor's shape and element type."""

    shape: tuple[int, ...]
    element: str

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} of {self.element}"


@dataclass(frozen=True)
class Groups(Fact):
    """The groups of a convolution, and the channels that they are groups of."""

    count: int
    inputs: int
    outputs: int

    def __str__(self) -> str:
        return f"{self.count}, of {self.inputs} to {self.outputs} channels"


@dataclass(frozen=True)
class Window(Fact):
    """The window of a pool, and the map under it, (rows, columns)."""

    window: tuple[int, int]
    image: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.window[0]}x{self.window[1]} of {self.image[0]}x{self.image[1]}"


@dataclass(frozen=True)
class OverPowerOfTwo(Fact):
    """number / 2^exponent."""

    number: float
    exponent: int

    def __str__(self) -> str:
        return f"{self.number:.6g} over 2^{self.exponent}"


@dataclass(frozen=True)
class WithOffset(Fact):
    """A scale that has an offset beside it."""

    scale: float

    def __str__(self) -> str:
        return f"{self.scale:.6g} with its offset"


@dataclass(frozen=True)
class PartOf(Fact):
    """The sizes of a tile, and those of the whole: (outputs, rows, columns)."""

    part: tuple[int, ...]
    whole: tuple[int, ...]

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.part))} of {' x '.join(map(str, self.whole))}"


# What is wanted


@dataclass(frozen=True)
class OneOf(Fact):
    """One of some values."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return any_of(self.values)


@dataclass(frozen=True)
class Within(Fact):
    """Values that all lie in one of some intervals."""

    intervals: tuple[Interval, ...]

    def __str__(self) -> str:
        return any_of(self.intervals)


@dataclass(frozen=True)
class EachAxis(Fact):
    """Rows and columns, each as it says."""

    wanted: OneOf | Quality

    def __str__(self) -> str:
        return f"{self.wanted} on each axis"


@dataclass(frozen=True)
class EachSide(Fact):
    """A padding on each side of a map."""

    pads: Interval

    def __str__(self) -> str:
        return f"{self.pads.low} to {self.pads.high} on each side"


@dataclass(frozen=True)
class AtMost(Fact):
    """A limit. what: what is counted, for a reader."""

    limit: int | Bytes
    what: str = ""

    def __str__(self) -> str:
        return f"at most {self.limit}" + (f" ({self.what})" if self.what else "")


@dataclass(frozen=True)
class AtLeast(Fact):
    """A limit from below."""

    limit: int

    def __str__(self) -> str:
        return f"at least {self.limit}"


@dataclass(frozen=True)
class MapIn(Fact):
    """Whether a map passes through an accelerator's memory in tiles, because of the memory that it is in."""

    passes_through: bool
    memory: str

    def __str__(self) -> str:
        return f"{text(self.passes_through)}: the map is in {self.memory}"


@dataclass(frozen=True)
class MultipleOf(Fact):
    """A number that another one divides."""

    step: int

    def __str__(self) -> str:
        return f"a multiple of {self.step}"


@dataclass(frozen=True)
class OneShift(Fact):
    """The same shift for all output channels."""

    shifts: Interval

    def __str__(self) -> str:
        return f"one shift of {self.shifts.low} to {self.shifts.high}"


@dataclass(frozen=True)
class PowerOfTwo(Fact):
    """A scale that is a shift to the right."""

    largest_shift: int

    def __str__(self) -> str:
        return f"a power of two, 2^0 to 2^-{self.largest_shift}"


@dataclass(frozen=True)
class FactorOverOneShift(Fact):
    """Scales that are integers of a range over the same power of two for all output channels."""

    factors: Interval

    def __str__(self) -> str:
        return f"{self.factors} and one shift for all"


@dataclass(frozen=True)
class FactorsOverPowerOfTwo(Fact):
    """A scale and an offset that are integers of a range over a power of two."""

    factors: Interval

    def __str__(self) -> str:
        return f"two integers of {self.factors} over a power of two"


# Violations


@dataclass(frozen=True)
class Violation:
    """A rule that an op breaks. cause: what stands behind it, if the rule is a proof that fails.

    subject: one of Subject, or a word of an engine of its own. found is None where only the cause is known.
    """

    subject: str
    found: Value | None
    wanted: Value
    cause: Violation | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The subject and those of the violations behind it, which tell this violation from others of an engine."""
        return (self.subject, *(self.cause.path if self.cause else ()))

    @property
    def innermost(self) -> Violation:
        """The last violation behind this one, or itself."""
        return self.cause.innermost if self.cause else self

    @property
    def title(self) -> str:
        """The subjects as a reader sees them: a layer has only one requantisation."""
        return " ".join(each for each in self.path if each != Subject.REQUANT) or self.subject

    def __str__(self) -> str:
        last = self.innermost
        return f"{self.title}: found {text(last.found)}, wanted {text(last.wanted)}"


def text(value: Value | None) -> str:
    """Return a value as a message has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def any_of(values: Iterable[Value]) -> str:
    """Return values as an enumeration: "1, 3 or 5"."""
    *others, last = map(text, values)
    return f"{', '.join(others)} or {last}" if others else last


def all_of(violations: Iterable[Violation]) -> str:
    """Return violations in one line."""
    return "; ".join(map(str, violations))


def text_by_engine(violations: Mapping[str, Iterable[Violation]]) -> str:
    """Return the violations of each engine by its name, an indented line each."""
    return "\n".join(f"  {engine}: {all_of(broken)}" for engine, broken in violations.items())
