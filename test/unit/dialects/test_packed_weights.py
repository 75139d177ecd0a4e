"""The proof behind two products in one word, with the inputs that are worst for it, and how weights are cut."""

import numpy as np
import pytest

from htvm.dialects.packed_weights import UNITS, PackedWeights, pack_weights, run_fits

SIGNED, UNSIGNED = (-128, 127), (0, 255)


def two_sums(weights: np.ndarray, x_a: np.ndarray, x_b: np.ndarray) -> tuple[int, int]:
    """Return the sums of two pixels over one run, as htvm_packed.h gets them from words of 32 bits."""
    acc = 1 << 15
    for weight, a, b in zip(weights.tolist(), x_a.tolist(), x_b.tolist()):
        acc = (acc + ((a + (b << 16)) % 2**32) * (weight % 2**32)) % 2**32
    signed = acc - 2**32 if acc >= 2**31 else acc
    high = signed >> 16
    low = (acc - (high << 16) - (1 << 15)) % 2**32
    return low - 2**32 if low >= 2**31 else low, high


def worst(weights: np.ndarray, low: int, high: int) -> list[np.ndarray]:
    """Return the inputs with the largest and with the smallest sum."""
    at_low = weights * low > weights * high
    return [np.where(at_low, low, high), np.where(at_low, high, low)]


def is_exact_at_worst(weights: np.ndarray, low: int, high: int) -> bool:
    """Say whether two sums come out right for all pairs of worst inputs."""
    ends = worst(weights, low, high)
    return all(two_sums(weights, a, b) == (int(weights @ a), int(weights @ b)) for a in ends for b in ends)


@pytest.mark.parametrize(
    ("weights", "limits", "largest", "smallest"),
    [
        ([-128, -127, 1], SIGNED, 32767, -255 * 127 - 128),
        ([127, 127, 2], SIGNED, 256 * 127, -32768),
        ([127, 1], UNSIGNED, 128 * 255, 0),
        ([-128], UNSIGNED, 0, -128 * 255),
    ],
)
def test_runs_at_the_bound_fit_and_are_exact(weights, limits, largest, smallest):
    run = np.array(weights)
    ends = [int(run @ x) for x in worst(run, *limits)]
    assert ends == [largest, smallest]
    assert run_fits(run[None], *limits)
    assert is_exact_at_worst(run, *limits)


@pytest.mark.parametrize(
    ("weights", "limits"),
    [
        ([-128, -128], SIGNED),  # 32768
        ([-128, -127, 2], SIGNED),
        ([127, 127, 2, -1], SIGNED),  # -32768 - 127
        ([127, 2], UNSIGNED),
        ([-128, -1], UNSIGNED),
    ],
)
def test_one_beyond_the_bound_is_refused_and_would_be_wrong(weights, limits):
    run = np.array(weights)
    assert not run_fits(run[None], *limits)
    assert not is_exact_at_worst(run, *limits)


@pytest.mark.parametrize("limits", [SIGNED, UNSIGNED, (-100, 90), (0, 0)])
def test_the_proof_is_right_on_random_runs(limits):
    generator = np.random.default_rng(7)
    for _ in range(400):
        spread = int(generator.choice([20, 60, 128]))
        run = generator.integers(-spread, spread, generator.integers(1, 12))
        assert run_fits(run[None], *limits) == is_exact_at_worst(run, *limits)


def weights_of(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    k, taps = generator.integers(1, 9), generator.integers(1, 120)
    match seed % 6:
        case 0:
            return np.full((k, taps), -128)
        case 1:
            return np.full((k, taps), 127)
        case 2:
            return np.zeros((k, taps), int)
        case 3:
            return generator.integers(-128, 128, (k, taps)) * (generator.random((k, taps)) < 0.03)
        case _:
            return np.clip(generator.normal(0, 40, (k, taps)), -128, 127).astype(int)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("limits", [SIGNED, UNSIGNED])
def test_packed_weights_add_up_and_every_run_fits(unit, limits):
    for seed in range(60):
        weights = weights_of(seed)
        packed = pack_weights(weights, unit, *limits)
        assert np.array_equal(total(packed, *weights.shape), weights)
        for block in packed.dense:
            for start in range(0, packed.runs * unit, unit or 1):
                assert run_fits(block[start : start + unit].T, *limits)
        for runs in packed.lists:
            assert all(run_fits(np.array(run)[:, 1:].T, *limits) for run in runs)
        assert read_back(packed.rest, len(packed.lists)) == [list(runs) for runs in packed.lists]


def total(packed: PackedWeights, k: int, taps: int) -> np.ndarray:
    """Return the weights that runs and lists make together."""
    found = np.zeros((2 * len(packed.dense), max(taps, packed.dense.shape[1])), int)
    for number, (block, runs) in enumerate(zip(packed.dense, packed.lists)):
        found[2 * number : 2 * number + 2, : len(block)] = block.T
        for tap, first, second in (entry for run in runs for entry in run):
            found[2 * number : 2 * number + 2, tap] += (first, second)
    assert not found[k:].any() and not found[:, taps:].any()
    return found[:k, :taps]


def read_back(rest: np.ndarray, blocks: int) -> list[list[list[tuple[int, int, int]]]]:
    """Read the bytes of the lists as the kernel does."""
    stream = iter(rest.tolist())
    found = []
    for _ in range(blocks):
        tap, runs = 0, []
        while size := next(stream):
            run = []
            for _ in range(size // 3):
                tap += next(stream) // 3
                run.append((tap, *((next(stream) ^ 128) - 128 for _ in range(2))))
            runs.append(run)
        found.append(runs)
    assert next(stream, None) is None
    return found
