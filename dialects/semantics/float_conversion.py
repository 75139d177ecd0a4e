"""How integers become the floats nearest to scale * integer + offset: as integers of 96 bits, which C can compute."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

LIMB_BITS = 32

FACTOR_BITS, SUM_BITS = 62, 93
"""Of the factor, so that its upper part times 32 bits leaves room in 64; of the sum, whose upper part has 64."""


@dataclass(frozen=True)
class Conversion:
    """(integer * factor + term) * 2^exponent is the number."""

    factor: int
    term: int
    exponent: int

    def limbs(self) -> tuple[int, int, int, int]:
        """Return factor and term, each as its upper part and the lower 32 bits."""
        return *divmod(self.factor, 1 << LIMB_BITS), *divmod(self.term, 1 << LIMB_BITS)

    def number(self, integer: int) -> Fraction:
        """Return what an integer stands for."""
        return (integer * self.factor + self.term) * Fraction(2) ** self.exponent


def conversion(scale: Fraction, offset: Fraction) -> Conversion | None:
    """Return how 32-bit integers become scale * integer + offset, two doubles; None where 96 bits do not hold that."""
    bits = max(scale.denominator, offset.denominator).bit_length() - 1
    whole = int(scale * (1 << bits)) | int(offset * (1 << bits))
    exponent = (whole & -whole).bit_length() - 1 - bits if whole else 0
    unit = Fraction(2) ** exponent
    factor, term = int(scale / unit), int(offset / unit)
    if factor.bit_length() > FACTOR_BITS or (factor << LIMB_BITS - 1) + abs(term) >= 1 << SUM_BITS:
        return None
    return Conversion(factor, term, exponent)
