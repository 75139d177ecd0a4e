"""How the weights of one row are cut into runs, and that runs stay exact whatever inputs are skipped."""

import numpy as np
import pytest

from htvm.dialects.packed_weights import run_fits
from htvm.dialects.row_weights import CHANNELS, LONGEST_RUN, UNIT, RowBlock, row_blocks

SIGNED, COUNTED_FROM_LOWEST, COUNTED_FROM_3 = (-128, 127), (0, 255), (-131, 124)


def weights_of(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    k, taps = int(generator.integers(1, 20)), UNIT * int(generator.integers(1, 40))
    match seed % 5:
        case 0:
            return np.full((k, taps), -128)
        case 1:
            return np.full((k, taps), 127)
        case 2:
            return np.zeros((k, 2 * UNIT * LONGEST_RUN + UNIT), int)
        case _:
            return np.clip(generator.normal(0, generator.choice([4, 40]), (k, taps)), -128, 127).astype(int)


def runs_of(block: RowBlock) -> list[np.ndarray]:
    """Return the weights [channel, tap] of each run."""
    return np.split(block.weights.T, np.cumsum(block.runs)[:-1], axis=1)


@pytest.mark.parametrize("limits", [SIGNED, COUNTED_FROM_LOWEST, COUNTED_FROM_3])
def test_blocks_add_up_and_every_run_fits(limits):
    for seed in range(40):
        weights = weights_of(seed)
        for number, block in enumerate(row_blocks(weights, *limits)):
            assert sum(block.runs) == weights.shape[1]
            assert all(run % UNIT == 0 and run // UNIT in range(1, LONGEST_RUN + 1) for run in block.runs)
            assert all(run_fits(run, *limits) for run in runs_of(block))
            whole = block.weights.T.copy()
            for tap, channel, weight in block.excess:
                assert -128 <= weight <= 127
                whole[channel, tap] += weight
            mine = weights[CHANNELS * number : CHANNELS * (number + 1)]
            assert np.array_equal(whole[: len(mine)], mine) and not whole[len(mine) :].any()


def test_runs_are_as_long_as_the_bound_allows():
    exactly = np.full((1, 16), 32)  # 8 taps of 32 times -128: -2^15
    beyond = exactly.copy()
    beyond[0, 7] = 33
    assert row_blocks(exactly, *SIGNED)[0].runs == (8, 8)
    assert row_blocks(beyond, *SIGNED)[0].runs == (4, 4, 8)
    assert not row_blocks(beyond, *SIGNED)[0].excess


def test_words_hold_two_channels_and_quads_four():
    (block,) = row_blocks(np.arange(-4, 4)[:, None] * np.ones(UNIT, int), *SIGNED)
    first = block.words[0].astype(np.int64)
    low = (first + (1 << 15)) % (1 << 16) - (1 << 15)
    assert low.tolist() == [-4, -2, 0, 2]
    assert ((first - low) >> 16).astype(np.uint16).astype(np.int16).tolist() == [-3, -1, 1, 3]
    stored = block.quads[0].astype("<u4").view(np.uint8).astype(int) - 128
    assert stored.tolist() == [-4, -2, -3, -1, 0, 2, 1, 3]


def sums_of_quad(quads: np.ndarray, x: np.ndarray) -> list[int]:
    """Return the sums of channels 0 2 1 3 over one run, as htvm_paired_row.h gets them modulo 2^32."""
    even = sum(int(word & 0x00FF00FF) * value for word, value in zip(quads.tolist(), x.tolist())) % 2**32
    odd = sum((word >> 8) * value for word, value in zip(quads.tolist(), x.tolist())) % 2**32
    biased = 128 * int(x.sum())
    even = signed(even - biased * (1 + 2**16) + 2**15)
    odd = signed(odd - biased * (1 + 2**8 + 2**16) + 2**15 - ((even >> 16) << 8))
    lows = [signed(pair - 2**15 - ((pair >> 16) << 16)) for pair in (even, odd)]
    return [*lows, even >> 16, odd >> 16]


def signed(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("limits", [SIGNED, COUNTED_FROM_LOWEST, COUNTED_FROM_3])
def test_quads_are_exact_at_the_bound_with_and_without_skipped_inputs(limits):
    generator = np.random.default_rng(3)
    for seed in range(40):
        block = row_blocks(weights_of(seed), *limits)[0]
        start = 0
        for weights in runs_of(block):
            quads = block.quads[start : start + weights.shape[1], 0]
            start += weights.shape[1]
            for channel in range(4):
                largest = np.where(weights[channel] < 0, *limits)
                for x in (largest, sum(limits) - largest, largest * (generator.random(largest.shape) < 0.5)):
                    assert sums_of_quad(quads, x) == (weights[[0, 2, 1, 3]] @ x).tolist()
