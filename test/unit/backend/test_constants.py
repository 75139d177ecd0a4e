"""The order of weights, and constant arrays as C."""

import re

import numpy as np

from htvm.backend.c.constants import Constants
from htvm.backend.kernels.requant import Requant
from htvm.backend.kernels.scalar import conv2d_weights


def test_weights_in_blocks_of_four_channels():
    weights = np.arange(5 * 2 * 1 * 3).reshape(5, 2, 1, 3)
    ordered = conv2d_weights(weights, groups=1, collected=False).reshape(2, 3, 2, 4)
    for k, c, s in np.ndindex(5, 2, 3):
        assert ordered[k // 4, s, c, k % 4] == weights[k, c, 0, s]
    assert not ordered[1, :, :, 1:].any()


def test_weights_of_collected_windows_keep_the_order_of_taps():
    weights = np.arange(8 * 2 * 3 * 2).reshape(8, 2, 3, 2)
    ordered = conv2d_weights(weights, groups=2, collected=True).reshape(2, 1, 2, 3, 2, 4)
    for g, k, c, r, s in np.ndindex(2, 4, 2, 3, 2):
        assert ordered[g, 0, c, r, s, k] == weights[4 * g + k, c, r, s]


def test_arrays_hold_their_values():
    constants = Constants()
    values = np.random.default_rng(0).integers(-128, 128, 1000).astype(np.int8)
    assert constants.array("a", "int8_t", values) == "a"
    (text,) = constants.definitions
    assert text.startswith("static const int8_t a[1000] = {\n")
    assert [int(number) for number in re.findall(r"-?\d+", text.split("{")[1])] == values.tolist()
    assert max(map(len, text.splitlines())) <= 120


def test_equal_arrays_are_one():
    constants = Constants()
    values = np.arange(4, dtype=np.int8)
    assert constants.array("a", "int8_t", values) == constants.array("b", "int8_t", values) == "a"
    assert constants.array("c", "uint8_t", values) == "c"
    assert constants.size_bytes == 8


def test_scales_repeat_what_all_channels_share():
    constants = Constants()
    requant = Requant("NARROW", np.array([7]), np.array([1, -2, 3]), np.array([40]))
    constants.scales("s", requant, 3)
    assert constants.definitions == ["static const htvm_scale s[3] = {\n    {1, 7}, {-2, 7}, {3, 7}\n};\n"]
    assert constants.size_bytes == 24
