"""A sum of two maps: each element times a factor, and requantised.

    y = clip(((a * m + b * n) * scale + bias) >> shift)

Factors are the smallest whole numbers with the ratio of the sum's multipliers. A job multiplies by 8 bits, so those of
more are summed up byte by byte, the highest first:

    products  sums = a * m1                                       1x1, m1 on the diagonal, int32 results
              sums = (sums + b * n1) * 256                        the same with stream-in, and scales of 256
              sums = sums + a * m0
    last      clip(((sums + b * n0) * scale + bias) >> shift)     8 channels, results of 8 bits
    packing   brings the results together                         finishing.py

A launch is a line of elements, of which 16 or 8 are the channels of a pixel: which are rows and which columns does not
matter. It is computed in blocks whose sums fit the scratch memory. About 2.3 cycles for each result of factors of one
byte, and 1.4 more for each other byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd

import numpy as np

from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.engines.ne16 import finishing, requant
from htvm.backend.targets.engines.ne16.finishing import GROUP, GROUP_BYTES, FinishingConstants, Grid, grid_job, grids
from htvm.backend.targets.engines.ne16.job import INPUT_BLOCK, TILE, Addresses, Mode, Requantisation, Width
from htvm.backend.targets.engines.ne16.job import Job as Registers
from htvm.backend.targets.engines.ne16.layers import SUM_BYTES
from htvm.backend.targets.engines.ne16.requant import Scaling, Thresholds
from htvm.backend.targets.engines.ne16.weights import MOST_BITS, Layout
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.violations import Both, Described, Subject, Violation
from htvm.dialects import accel

MOST_BYTES = 3
"""Of a factor: sums of larger ones have no room in 32 bits."""

RATIO = Described(f"a ratio of whole numbers of 1 to {(1 << 8 * MOST_BYTES) - 1}")

WIDE, NARROW = (Layout(Mode.CONV1X1, MOST_BITS, channels, channels) for channels in (INPUT_BLOCK, GROUP))
"""The weights of products, and of the last jobs; a product of 8 channels reads the upper left of its own."""

BLOCK_GROUPS = 28 * TILE * TILE
"""Groups of 8 elements whose sums are kept at once, about 8 KiB: fewer leave maps more room, and take more jobs."""

UNSCALED = Requantisation(enabled=False)
NEXT_BYTE = Requantisation(Width.BITS_16, relu=False)
"""How sums are scaled before the next byte of the factors: by 256."""


@dataclass(frozen=True)
class Sum:
    """What computes a sum exactly: the factors of both operands, and one scale, shift and bias."""

    factors: tuple[int, int]
    scaling: Scaling

    @property
    def bytes(self) -> int:
        """The bytes of a factor."""
        return bytes_of(self.factors)


def bytes_of(factors: tuple[int, int]) -> int:
    return -(-max(factors).bit_length() // 8)


def constants_of(op: accel.AddOp) -> Sum | Violation:
    """Return the constants that equal an op's requantisation for all elements that occur, or why there are none."""
    stated = accel.present(op.requant, "requant")
    first, second = stated.numerator or stated.multiplier
    common = gcd(first, second)
    factors = first // max(common, 1), second // max(common, 1)
    if min(first, second) < 1 or bytes_of(factors) > MOST_BYTES:
        return Violation(Subject.MULTIPLIERS, Both(first, second), RATIO)
    least, most = zip(linear_ops.held(op.lhs), linear_ops.held(op.rhs))
    wanted = accel.present(Requant.of_sum(stated, factors), "a function of the sum, by the factors")
    lowest, highest = (sum(factor * end for factor, end in zip(factors, ends)) for ends in (least, most))
    found = _solved(wanted, lowest, highest)
    return found if isinstance(found, Violation) else Sum(factors, found)


@lru_cache(maxsize=1024)
def _solved(wanted: Requant, lowest: int, highest: int) -> Scaling | Violation:
    return requant.solve(Thresholds.of(wanted, [lowest], [highest]))


@dataclass(frozen=True)
class Places:
    """Where the constants of a launch begin, and the end of the last one.

    products: the weights of each product, in order. steps: the scales between bytes, of a pixel of 16 channels.
    """

    products: tuple[int, ...]
    last: int
    steps: int
    scales: int
    shifts: int
    biases: int
    ones: int
    diagonal: int
    end: int

    @staticmethod
    def of(count: int, found: Requantisation) -> Places:
        """Return the places for factors of some bytes and a requantisation: those of all launches of a layer."""
        products = 2 * count - 1
        sizes = (
            *[WIDE.size_bytes] * products,
            NARROW.size_bytes,
            INPUT_BLOCK * NEXT_BYTE.scale.size_bytes * (count > 1),
            GROUP * found.scale.size_bytes,
            GROUP * found.has_shift_array,
            GROUP * SUM_BYTES * found.has_bias,
            GROUP,
            finishing.DIAGONAL.size_bytes,
            0,
        )
        found_places = finishing.places_of_parts(sizes)
        return Places(tuple(found_places[:products]), *found_places[products:])


def packed(of: Sum) -> np.ndarray:
    """Return the constants of a launch, uint8[Places.end]."""
    places = Places.of(of.bytes, of.scaling.requantisation)
    *products, last = [
        factor >> 8 * place & 0xFF for place in reversed(range(of.bytes)) for factor in of.factors
    ]  # a's and b's, from the highest byte on
    each = replace(of.scaling, **{name: getattr(of.scaling, name) * GROUP for name in ("scales", "shifts", "biases")})
    scales, shifts, biases = each.packed()
    parts = [
        *((start, WIDE.pack(_diagonal(factor, INPUT_BLOCK))) for start, factor in zip(places.products, products)),
        (places.last, NARROW.pack(_diagonal(last, GROUP))),
        (places.steps, np.full(INPUT_BLOCK * (of.bytes > 1), 1 << 8, "<u2").view(np.uint8)),
        (places.scales, scales),
        (places.shifts, shifts),
        (places.biases, biases),
        (places.ones, np.ones(GROUP, np.uint8)),
        (places.diagonal, finishing.diagonal()),
    ]
    return finishing.assembled(places.end, parts)


def _diagonal(factor: int, channels: int) -> np.ndarray:
    return factor * np.eye(channels, dtype=np.int64)[:, :, None, None]


def blocks(elements: int) -> Iterator[tuple[int, int]]:
    """Yield the first group of 8 elements of each block, and the number of them; blocks are as equal as can be."""
    groups = elements // GROUP
    count = -(-groups // BLOCK_GROUPS)
    each = -(-groups // count)
    yield from ((first, min(each, groups - first)) for first in range(0, groups, each))


def sums_bytes(elements: int) -> int:
    """Return the bytes of the sums that a launch keeps in memory."""
    return max(count for _, count in blocks(elements)) * GROUP_BYTES


def jobs(
    elements: int, count: int, requantisation: Requantisation, maps: tuple[int, int], sums: int, target: int
) -> Iterator[Registers]:
    """Yield the hardware's jobs for a launch whose constants are at 0, its maps and its sums elsewhere.

    count: the bytes of a factor.
    """
    places = Places.of(count, requantisation)
    constants = FinishingConstants(places.biases, places.shifts, places.ones, 0, places.diagonal)
    for first, groups in blocks(elements):
        lhs, rhs = (each + first * GROUP for each in maps)
        for number, weights in enumerate(places.products):
            is_second = number % 2
            at = Addresses(weights, rhs if is_second else lhs, sums, places.steps)
            yield from _products(groups, at, NEXT_BYTE if is_second else UNSCALED, stream_in=number > 0)
        at = Addresses(places.last, rhs, sums, places.scales, places.shifts, places.biases)
        for grid in grids(groups):
            yield _product(GROUP, grid, at, NARROW, requantisation, Width.BITS_8, stream_in=True)
        yield from finishing.packing_jobs(sums, target + first * GROUP, GROUP, (1, groups), groups * GROUP, constants)


def _products(groups: int, at: Addresses, requantisation: Requantisation, stream_in: bool) -> Iterator[Registers]:
    """Yield the jobs of a product of some groups: 16 channels at a time, and 8 of a group that is left."""
    whole, rest = divmod(groups, INPUT_BLOCK // GROUP)
    for grid in grids(whole) if whole else ():
        yield _product(INPUT_BLOCK, grid, at, WIDE, requantisation, Width.BITS_32, stream_in)
    if rest:
        yield _product(GROUP, Grid(groups - 1, 1, 1), at, WIDE, requantisation, Width.BITS_32, stream_in)


def _product(
    channels: int,
    grid: Grid,
    at: Addresses,
    weights: Layout,
    requantisation: Requantisation,
    output: Width,
    stream_in: bool,
) -> Registers:
    """Return the job that multiplies pixels of some channels; `at` says where the first of all is."""
    step, to = channels, channels * SUM_BYTES
    place = replace(at, input=at.input + grid.first * step, output=at.output + grid.first * to)
    steps = (step, step * grid.columns), (to, to * grid.columns)
    return grid_job((channels, channels), grid, place, *steps, weights, requantisation, output, stream_in)
