"""Which tables are a multiplication, an addition and a shift."""

import numpy as np
import pytest
from selection import first

from htvm.passes.mapping.convert_lut_to_depthwise import factors_of


@pytest.mark.parametrize("seed", first(range(40), 15))
def test_factors_make_the_table(seed):
    """What they make is the table itself, also where it was cut off on either side."""
    rng = np.random.default_rng(seed)
    low, high = sorted(int(each) for each in rng.integers(-128, 128, 2))
    x = np.arange(low, high + 1)
    weight, shift, bias = rng.integers(-128, 128), rng.integers(0, 8), rng.integers(-2000, 2000)
    limits = sorted(int(each) for each in rng.integers(-128, 128, 2))
    y = np.clip(x * weight + bias >> shift, *limits)
    found = factors_of(x, y)
    made = np.clip(x * found.weight + found.bias >> found.shift, found.low, found.high)
    assert np.array_equal(made, y)


@pytest.mark.parametrize("function", [lambda x: x * x // 128, np.abs, lambda x: np.rint(x / 2).astype(int)])
def test_other_tables_have_none(function):
    x = np.arange(-128, 128)
    assert factors_of(x, np.minimum(function(x), 127)) is None
