"""Which kernels can run a layer, where that depends on how large its weights are."""

import numpy as np
import pytest

from htvm.backend import kernels
from htvm.backend.kernels import Linear, Plan


def row(weights: np.ndarray, skip: int | None = None) -> dict[tuple[str, int | None], Plan]:
    """Return the plans of one row times weights [K, taps], by kernel and what it skips."""
    linear = Linear(
        weights=weights.astype(np.int8)[:, :, None, None],
        groups=1,
        batch=1,
        size=(1, 1),
        in_type="i8",
        weights_type="i8",
        strides=(1, 1),
        dilations=(1, 1),
        is_inside=True,
        fits_depthwise_3x3=False,
        has_words=False,
        x=(1, 0, 0),
        activation_bytes=sum(weights.shape),
        skip=skip,
    )
    return {(plan.kernel, plan.skip): plan for each in kernels.own().values() for plan in each.plans_of(linear)}


def test_skipping_costs_little_where_nothing_is_skipped_and_saves_much_where_half_is():
    found = row(np.full((64, 128), 3), skip=-128)
    for kernel in ("quad_row", "wide_row"):
        never, skips = found[kernel, None], found[kernel, -128]
        assert never.most_instructions == never.instructions
        assert never.instructions < skips.most_instructions < 1.2 * never.instructions
        assert skips.instructions < 0.75 * never.instructions
    assert found["sparse_row", -128].most_instructions < 1.05 * found["row", None].instructions


def test_inputs_of_which_nothing_is_known_are_not_skipped():
    assert all(skip is None for _, skip in row(np.full((64, 128), 3)))


@pytest.mark.parametrize("taps", [128, 126])
def test_taps_come_in_fours(taps):
    assert (("quad_row", None) in row(np.full((8, taps), 3))) == (taps % 4 == 0)


def test_weights_too_large_for_runs_have_none():
    assert ("quad_row", None) not in row(np.full((64, 128), 100))


def test_more_excess_in_a_block_than_can_be_counted_is_no_plan():
    weights = np.zeros((64, 16384))
    weights[:8] = 127  # three of four weights are too large
    assert ("quad_row", None) not in row(weights)
    assert ("quad_row", None) in row(weights[:, :8192])
