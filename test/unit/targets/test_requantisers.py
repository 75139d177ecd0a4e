"""Requantisers: each one's constants equal what is asked for at every sum that occurs, or it says why not."""

import random

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.backend.targets.engines.float_requant import FloatScaler
from htvm.backend.targets.engines.multiplier_requant import Multiplier
from htvm.backend.targets.engines.requantisers import Requantiser, Solution, exact
from htvm.backend.targets.engines.shift_requant import Requant, Shifter
from htvm.backend.targets.violations import Violation
from htvm.dialects import accel

CLIPS = ((-128, 127), (0, 127))
KINDS: dict[str, Requantiser[Solution]] = {
    "shift": Shifter(CLIPS, 31),
    "multiplier, half up": Multiplier(16, 31, CLIPS),
    "multiplier, floor": Multiplier(24, 47, CLIPS, rounds=False),
    "one multiplier": Multiplier(31, 47, CLIPS, per_channel=False),
    "float": FloatScaler(CLIPS),
}


def asked_for(rng: random.Random, is_pow2: bool) -> Requant:
    """Return a requantisation of three channels: scales that are powers of two, some with ties to even, or any."""
    shift = rng.randrange(3, 9)
    ties = rng.random() < 0.5
    if is_pow2:
        offsets = tuple(rng.randrange(-999, 999) + (1 << shift - 1 if ties else 0) for _ in range(3))
        return Requant((1,), offsets, (shift,), *rng.choice(CLIPS), tie_below=int(ties))
    multipliers = tuple(rng.randrange(1 << 20, 1 << 21) for _ in range(rng.choice((1, 3))))
    offsets = tuple(rng.randrange(-999, 999) for _ in range(3))
    return Requant(multipliers, offsets, (shift + 20,), *rng.choice(CLIPS))


@pytest.mark.parametrize(
    ("kind", "is_pow2", "least"),
    [
        ("shift", True, 10),
        ("multiplier, half up", True, 10),
        ("multiplier, half up", False, 5),
        ("multiplier, floor", False, 35),
        ("one multiplier", False, 2),
        ("float", True, 15),
        ("float", False, 4),
    ],
)
def test_constants_are_exact_for_every_sum(kind: str, is_pow2: bool, least: int) -> None:
    rng = random.Random(5)
    solved = 0
    for _ in range(40):
        requant = asked_for(rng, is_pow2)
        first, last = (np.array([sign * rng.randrange(2, 3000) for _ in range(3)]) for sign in (-1, 1))
        found = KINDS[kind].solve(requant, first, last)
        if isinstance(found, Violation):
            assert str(found) and "\n" not in str(found)
            continue
        solved += 1
        for channel in range(3):
            sums = np.arange(first[channel], last[channel] + 1)
            every = np.broadcast_to(sums, (3, len(sums)))
            np.testing.assert_array_equal(found.outputs(every)[channel], requant.outputs(every)[channel])
    assert solved >= least


def test_a_scale_that_no_multiplier_of_few_bits_has_is_said() -> None:
    found = Multiplier(2, 31, CLIPS).solve(Requant((11,), (0,), (7,), -128, 127), np.array([-1500]), np.array([1500]))
    assert str(found) == (
        "scale: found 0.0859375 (output 0), wanted a multiplier of 2 bits over 2^0 to 2^31, and a bias"
    )
    clip = Multiplier(16, 31, CLIPS).solve(Requant((1,), (0,), (3,), -200, 100), np.array([-1500]), np.array([1500]))
    assert str(clip).startswith("clip: found -200..100")


LAYER = """
func.func @layer(%x: tensor<1x1x2x2xi8> {accel.range = array<i64: 0, 9>}) -> tensor<1x1x2x2xi8> {
  %w = arith.constant dense<3> : tensor<1x1x1x1xi8>
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>,
    groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [1], min = -128, max = 127>}
    : (tensor<1x1x2x2xi8>, tensor<1x1x1x1xi8>) -> tensor<1x1x2x2xi8>
  return %y : tensor<1x1x2x2xi8>
}
"""


def test_an_engines_own_requantiser_is_asked_by_the_same_rule() -> None:
    """With what the layer asks for, and the sums that occur: 0 to 27."""

    class Own:
        def solve(self, requant: Requant, first: np.ndarray, last: np.ndarray) -> Violation:
            return Violation("own", f"{requant.shift} {first} {last}", "nothing")

        def __str__(self) -> str:
            return "arithmetic of its own"

    rule = exact(Own(), "its specification")
    with dialects.context(), ir.Location.unknown():
        module = ir.Module.parse(LAYER)
        (layer,) = accel.layers(module)
        assert "found (1,) [0] [27], wanted nothing" in str(rule.violation(layer))
        assert exact(KINDS["shift"], "").violation(layer) is None
    assert str(rule) == "requant: arithmetic of its own [its specification]"
