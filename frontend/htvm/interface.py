"""The inputs and outputs of a network, between what ONNX calls them and what the generated code holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, Protocol, runtime_checkable

import numpy as np

from htvm.backend.c.record import ChannelPlan, PortPlan
from htvm.dialects.semantics.real import Real

LISTED = 8
"""How many names a message lists."""


class InputError(ValueError):
    """Inputs that do not fit the network; the message names each and says what was found and expected."""


class Shaped(Protocol):
    """An array, or what is known of one before it is loaded."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


@runtime_checkable
class Described(Protocol):
    """Arrays that say what they are before they are loaded."""

    def header(self, name: str) -> Shaped: ...


def described(given: Mapping[str, np.ndarray], name: str) -> Shaped | None:
    """Return the type and shape of an array, without loading it if that is possible; None if there is none."""
    if name not in given:
        return None
    return given.header(name) if isinstance(given, Described) else given[name]


@dataclass(frozen=True)
class Port:
    """An input or output.

    dtype: the type in ONNX, float32 or that of what is stored. offset: bytes in the arena.
    A stored integer, of type `storage` and in `range`, stands for scale * (integer - zero point). rounding: of floats
    to such integers, 'half_even' or 'floor'. channels: what integers stand for instead, if nothing quantises them in
    ONNX. nearest: they stand for the numbers nearest to those of the ONNX file, not for these.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    storage: np.dtype
    offset: int
    scale: float
    zero_point: int
    range: tuple[int, int]
    rounding: str = "half_even"
    channels: ChannelPlan | None = None
    nearest: bool = False

    @staticmethod
    def of(plan: PortPlan) -> Port:
        """Return an input or output of a project."""
        storage = np.dtype(plan.dtype)
        whole = np.iinfo(storage)
        return Port(
            name=plan.name,
            shape=plan.shape,
            dtype=np.dtype(plan.onnx_type),
            storage=storage,
            offset=plan.offset,
            scale=1.0 if plan.scale is None else plan.scale,
            zero_point=plan.zero_point or 0,
            range=plan.range or (int(whole.min), int(whole.max)),
            rounding=plan.rounding.value,
            channels=plan.channels,
            nearest=plan.nearest is True,
        )

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * self.storage.itemsize

    def stored(self, values: np.ndarray) -> bytes:
        """Return the bytes that hold ONNX values: floats are quantised, exactly as the ONNX graph says."""
        if self.dtype != self.storage:
            real = Real.of_floats(values)
            values = real.quantise(Fraction(self.scale), self.zero_point, *self.range, self.rounding)
        return np.ascontiguousarray(values, self.storage.newbyteorder("<")).tobytes()

    def integers(self, values: np.ndarray) -> np.ndarray:
        """Return the stored integers of ONNX values."""
        return np.frombuffer(self.stored(values), self.storage.newbyteorder("<")).reshape(self.shape)

    def values(self, stored: bytes) -> np.ndarray:
        """Return the ONNX values of stored bytes: floats are the nearest to the exact real numbers."""
        integers = np.frombuffer(stored, self.storage.newbyteorder("<")).reshape(self.shape).astype(self.storage)
        if self.dtype == self.storage:
            return integers
        if self.channels is not None:
            return _by_channel(integers, self.channels).to_float32().astype(self.dtype)
        return Real.of_storage(integers, self.scale, self.zero_point).to_float32().astype(self.dtype)

    def rounded(self, numbers: Real) -> np.ndarray:
        """Return the ONNX values of the integers that are nearest to real numbers."""
        nearest = numbers.quantise(Fraction(self.scale), self.zero_point, *self.range, self.rounding)
        return self.values(np.ascontiguousarray(nearest, self.storage.newbyteorder("<")).tobytes())

    def random(self, generator: np.random.Generator) -> np.ndarray:
        """Return random ONNX values: every integer of the range is as likely as any other."""
        low, high = self.range
        return self.values(generator.integers(low, high + 1, self.shape).astype(self.storage).tobytes())

    @property
    def takes_many(self) -> bool:
        """Whether the first axis stands for samples, of which the network takes one."""
        return self.shape[:1] == (1,)

    def count(self, found: Shaped) -> int:
        """Return how many samples an array holds. Raises InputError on another type or shape than the network's."""
        if found.dtype != self.dtype:
            raise InputError(f"input '{self.name}' has type {found.dtype}, expected {self.dtype}")
        if found.shape == self.shape:
            return 1
        samples = found.shape[0] if found.shape else 0
        if self.takes_many and len(found.shape) == len(self.shape) and found.shape[1:] == self.shape[1:] and samples:
            return samples
        more = ", or more than 1 on axis 0" if self.takes_many else ""
        raise InputError(
            f"input '{self.name}' has shape {shape_text(found.shape)}, expected {shape_text(self.shape)}{more}"
        )


def _by_channel(integers: np.ndarray, channels: ChannelPlan) -> Real:
    """Return what integers stand for that have a scale and an offset for each channel."""
    shape = [-1 if axis == channels.axis else 1 for axis in range(integers.ndim)]
    scaled = Real.of_storage(integers, np.reshape(channels.scales, shape))
    return scaled + Real.of_floats(np.reshape(channels.offsets, shape))


@dataclass(frozen=True)
class Samples:
    """Inputs of a network for one run or several: `inputs` has all samples of each input, on axis 0."""

    inputs: dict[str, np.ndarray]
    number: int

    @staticmethod
    def of(ports: Sequence[Port], given: Mapping[str, np.ndarray]) -> Samples:
        """Take the inputs from what is given. Raises InputError, naming all that are missing or do not fit."""
        if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers need not be typed)
            raise InputError(f"inputs are a {type(given).__name__}, expected arrays by name")
        problems: list[str] = []
        counts: dict[str, int] = {}
        for port in ports:
            try:
                found = described(given, port.name)
                if found is None:
                    raise InputError(f"input '{port.name}' is missing; given: {names_text(given)}")
                if not hasattr(found, "dtype"):
                    kind = type(found).__name__
                    raise InputError(f"input '{port.name}' is a {kind}, expected an array of NumPy of {port.dtype}")
                counts[port.name] = port.count(found)
            except InputError as error:
                problems.append(str(error))
        if not problems and len(set(counts.values())) > 1:
            each = ", ".join(f"'{name}' {count}" for name, count in counts.items())
            problems.append(f"the inputs hold different numbers of samples: {each}")
        if problems:
            raise InputError("\n".join(problems))
        inputs = {port.name: given[port.name] for port in ports}
        for name, values in inputs.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                problems.append(f"input '{name}' holds {values[~np.isfinite(values)][0]}, expected finite numbers")
        for port in ports:
            values, (low, high) = inputs[port.name], port.range
            outside = (values < low) | (values > high)
            if values.dtype.kind in "iu" and outside.any():
                problems.append(f"input '{port.name}' holds {values[outside][0]}, expected {low:,} to {high:,}")
        if problems:
            raise InputError("\n".join(problems))
        return Samples(inputs, max(counts.values(), default=1))

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        if not 0 <= number < self.number:
            raise IndexError(number)
        if self.number == 1:
            return self.inputs
        return {name: values[number : number + 1] for name, values in self.inputs.items()}

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self[number] for number in range(self.number))

    def first(self) -> Samples:
        """Return the first sample alone."""
        return Samples(self[0], 1)


def names_text(names: Iterable[str]) -> str:
    """Return names as messages list them, the first ones of many."""
    every = list(names)
    more = [f"and {len(every) - LISTED:,} more"] if len(every) > LISTED else []
    return ", ".join([*every[:LISTED], *more]) or "none"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as messages show it."""
    return "x".join(map(str, shape)) or "scalar"
