"""Requantisation constants for tests, and what they mean: the formula of htvm_requant.h in Python's integers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FORMS = ("RAW", "NARROW", "NARROW_EACH", "WIDE", "HALF_EVEN", "CORRECTED", "DOUBLE_ROUND")
TYPES = {
    "RAW": np.dtype("<i4"),
    "NARROW": np.dtype([("offset", "<i4"), ("multiplier", "<i4")]),
    "NARROW_EACH": np.dtype([("offset", "<i4"), ("multiplier", "<i4"), ("shift", "<i4")]),
    "WIDE": np.dtype([("offset", "<i8"), ("multiplier", "<i4"), ("shift", "<i4")]),
}
TYPES["HALF_EVEN"] = TYPES["DOUBLE_ROUND"] = TYPES["WIDE"]
TYPES["CORRECTED"] = np.dtype(TYPES["WIDE"].descr + [(name, "<i8") for name in ("n", "d", "r")])


@dataclass(frozen=True)
class Scaling:
    """One layer's constants. offset, multiplier, shift: one per channel."""

    form: str
    offset: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    pre_shift: int
    min: int
    max: int
    zero_point: int = 0
    tie_below: int = 0
    quotient: tuple[list[int], list[int], list[int]] = ((), (), ())
    """Of form CORRECTED: numerators, divisors and rests, exactly."""

    def __call__(self, accumulators: np.ndarray, axis: int = 1) -> np.ndarray:
        """Return the outputs for accumulators whose channels are along `axis`."""
        shape = [1] * accumulators.ndim
        shape[axis] = -1
        offset, multiplier, shift = (
            each.astype(object).reshape(shape) for each in (self.offset, self.multiplier, self.shift)
        )
        accumulators = accumulators.astype(object)
        if self.form == "RAW":
            return accumulators + offset
        if self.form == "CORRECTED":
            numerator, divisor, rest = (np.array(each, object).reshape(shape) for each in self.quotient)
            exact = accumulators * numerator + rest
            value = exact // divisor
            value = np.where(exact - value * divisor < self.tie_below, value - value % 2, value) + self.zero_point
            return np.minimum(np.maximum(value, self.min), self.max)
        product = ((accumulators << self.pre_shift) + offset) * multiplier
        if self.form == "DOUBLE_ROUND":
            double = shift.astype(np.int64) > 31
            product = product + (1 << shift - 1) + np.where(double, np.where(product >= 0, 1 << 30, -1 << 30), 0)
        value = product >> shift
        tie = (product - (value << shift)) < self.tie_below
        value = np.where(tie, value - value % 2, value) + self.zero_point
        return np.minimum(np.maximum(value, self.min), self.max)

    @property
    def constants(self) -> np.ndarray:
        """The array that a kernel reads."""
        if self.form == "RAW":
            return self.offset.astype("<i4")
        rows = np.zeros(len(self.offset), TYPES[self.form])
        rows["offset"], rows["multiplier"] = self.offset, self.multiplier
        if "shift" in rows.dtype.names:
            rows["shift"] = self.shift - (32 if self.form == "NARROW_EACH" else 0)
        for name, numbers in zip(("n", "d", "r"), self.quotient if self.form == "CORRECTED" else ()):
            rows[name] = [(number + (1 << 63)) % (1 << 64) - (1 << 63) for number in numbers]  # modulo 2^64
        return rows

    @property
    def fields(self) -> dict[str, int]:
        """The fields of htvm_requant."""
        return {
            "pre_shift": self.pre_shift,
            "shift": int(self.shift[0]) - 32 if self.form == "NARROW" else 0,
            "min": self.min,
            "max": self.max,
            "zero_point": self.zero_point,
            "tie_below": self.tie_below,
        }


def random_scaling(
    generator: np.random.Generator, form: str, channels: int, largest: int, limits: Sequence[int]
) -> Scaling:
    """Return constants that spread accumulators up to `largest` in magnitude over the outputs between `limits`."""
    largest = max(largest, 1)
    low, high = limits
    bits = largest.bit_length()
    if form == "RAW":
        offset = generator.integers(-(1 << 20), 1 << 20, channels)
        return Scaling(form, offset, np.ones(channels), np.zeros(channels), 0, 0, 0)
    if form == "HALF_EVEN":  # scales that are powers of two: every other value is a tie
        shift = max(1, bits - 7)
        offset = np.full(channels, 1 << (shift - 1))
        multiplier = np.ones(channels, np.int64)
        return Scaling(
            form, offset, multiplier, np.full(channels, shift), 0, low, high, int(generator.integers(-9, 9)), 1
        )
    if form == "CORRECTED":
        return _corrected(generator, channels, largest, low, high)
    if form == "DOUBLE_ROUND":
        offset = generator.integers(-largest, largest, channels, endpoint=True)
        offset = np.clip(offset, largest - (1 << 31) + 1, (1 << 31) - 1 - largest)
        multiplier = generator.integers(1 << 30, 1 << 31, channels)
        shift = np.clip(31 + bits - 8 + generator.integers(-1, 2, channels), 1, 62)
        return Scaling(form, offset, multiplier, shift, 0, low, high, int(generator.integers(-9, 9)))
    pre_shift = int(generator.integers(0, 31 - bits)) if bits < 31 else 0
    # Sum and multiplier share 63 bits: in the wide form the sum has two more, and the multiplier two less.
    extra = 2 if form == "WIDE" else 0
    room = (1 << 31 + extra) - 1 - (largest << pre_shift)
    offset = generator.integers(-room, room, channels, endpoint=True)
    multiplier = generator.integers(1 << 29 - extra, 1 << 31 - extra, channels)
    shift = np.maximum(32, 31 - extra + bits + pre_shift - 8 + generator.integers(-1, 2, channels))
    if form == "NARROW":
        shift[:] = shift[0]
    return Scaling(form, offset, multiplier, shift, pre_shift, low, high)


def _corrected(generator: np.random.Generator, channels: int, largest: int, low: int, high: int) -> Scaling:
    """Return quotients, half of them with many ties, and estimates that are less than 1 wrong."""
    pre_shift, rows = max(0, 30 - largest.bit_length()), []
    for _ in range(channels):
        if generator.integers(2):
            divisor, numerator = 4 * max(1, largest // 100), 2 * int(generator.integers(1, 200))
        else:
            divisor = int(generator.integers(1 << 50, 1 << 54))
            numerator = max(1, int(divisor * float(generator.uniform(0.1, 1)) * (high - low) / largest / 2))
        rest = int(generator.integers(-100, 100)) * divisor + divisor // 2
        bits = 30 + pre_shift - (numerator.bit_length() - divisor.bit_length() + 1)
        shift = min(bits, 62)
        multiplier = round((numerator << shift - pre_shift) / divisor)
        rows.append((round((rest << shift) // divisor / multiplier), multiplier, shift, numerator, divisor, rest))
    offset, multiplier, shift, *quotient = zip(*rows)
    arrays = (np.array(each, np.int64) for each in (offset, multiplier, shift))
    return Scaling("CORRECTED", *arrays, pre_shift, low, high, int(generator.integers(-9, 9)), 1, tuple(quotient))


def limits_of(dtype: str, generator: np.random.Generator) -> tuple[int, int]:
    """Return the range of a type, or, as an activation would, part of it."""
    info = np.iinfo(dtype)
    return (int(info.min), int(info.max)) if generator.integers(2) else (int(info.min) + 3, int(info.max) - 20)
