"""Layers with float scales on NE16: two jobs are exact where one is not."""

from __future__ import annotations

import numpy as np
import pytest
from target_models import MODELS

from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.engines.ne16 import cycles, requant, rules, two_jobs
from htvm.backend.targets.engines.ne16.execute import execute
from htvm.backend.targets.engines.ne16.job import Sides, Width
from htvm.backend.targets.engines.ne16.layers import Constants, Layer, Map, Tile, jobs
from htvm.backend.targets.engines.ne16.requant import Thresholds
from htvm.backend.targets.engines.ne16.state import State
from htvm.backend.targets.engines.ne16.two_jobs import SecondConstants, TwoJobs
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.violations import Subject, Violation
from htvm.dialects import accel
from htvm.import_onnx import import_onnx
from htvm.passes import pipeline

INPUT, WEIGHTS, SCALES, ONES, BIASES, SHIFTS, ZEROS, SUMS, END = (
    *(0x1000, 0x2000, 0x6000, 0x7000, 0x7100, 0x7300, 0x7400, 0x8000, 0x20000),
)


def float_scaled(rng: np.random.Generator, channels: int) -> Requant:
    """Return what a layer with float scales asks for: multipliers of 31 bits, offsets in 64ths of an accumulator."""
    slopes = 2.0 ** rng.uniform(-10, -7, channels)
    shifts = 30 - np.floor(np.log2(slopes)).astype(int)
    multipliers = np.round(slopes * 2.0**shifts).astype(np.int64)
    offsets = rng.integers(-(1 << 21), 1 << 21, channels)
    return Requant(tuple(multipliers.tolist()), tuple(offsets.tolist()), tuple((shifts + 6).tolist()), 0, 255, 6, 128)


def test_two_jobs_compute_a_layer_that_one_does_not() -> None:
    """A convolution, its scaling and its end, byte for byte."""
    rng = np.random.default_rng(4)
    layer = Layer(16, 20, (7, 5), (3, 3), (-127, 127), pads=Sides(1, 1, 1, 1))
    weights = rng.integers(-127, 128, (20, 16, 3, 3))
    x = rng.integers(0, 256, (7, 5, 16))
    wanted = float_scaled(rng, 20)
    thresholds = Thresholds.of(wanted, *_ends(weights))
    assert isinstance(requant.solve(thresholds), Violation)
    constants = two_jobs.solve(thresholds)
    assert isinstance(constants, TwoJobs)

    (mode,) = layer.modes
    memory = np.zeros(END, np.uint8)
    for address, values in (
        (INPUT, x.astype(np.uint8)),
        (WEIGHTS, layer.layout(mode).pack(weights - layer.stored[1])),
        (SCALES, np.array(constants.scales, "<u4")),
        (ONES, np.ones(32, np.uint8)),
        (BIASES, np.array(constants.biases, "<i4")),
        (SHIFTS, np.array(constants.fractions, np.uint8)),
    ):
        flat = np.ascontiguousarray(values).view(np.uint8).reshape(-1)
        memory[address : address + flat.size] = flat
    whole = Tile.whole(layer)
    sums = Map(SUMS, 96, 96 * 5)
    first = jobs(
        layer, mode, whole, Map(INPUT, 16, 80), sums, Constants(WEIGHTS, SCALES, requantisation=constants.first),
        output=Width.BITS_32,
    )  # fmt: skip
    second = two_jobs.second_jobs(
        sums, whole.outputs, whole.rows, whole.columns, constants.second, SecondConstants(ONES, BIASES, SHIFTS, ZEROS)
    )
    assert [job.output_channels for job in second] == [8, 8, 4]
    for job in (*first, *second):
        assert rules.violations(job) == ()
        outcome = execute(job, memory, State())
        outcome.store(memory)

    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    accumulators = sum(
        padded[r : r + 7, s : s + 5] @ weights[:, :, r, s].T for r in range(3) for s in range(3)
    )  # [rows, columns, k]
    found = memory[SUMS : SUMS + 96 * 35].reshape(35, 96)[:, [two_jobs.byte_of(k) for k in range(20)]]
    np.testing.assert_array_equal(found.T, wanted.outputs(np.asarray(accumulators).reshape(35, 20).T))


def _ends(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest sum of each channel, of inputs 0 to 255."""
    flat = 255 * weights.reshape(len(weights), -1)
    return np.minimum(flat, 0).sum(1), np.maximum(flat, 0).sum(1)


@pytest.mark.parametrize("seed", range(8))
def test_constants_are_exact_at_every_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = float_scaled(rng, 12)
    last = rng.integers(1 << 16, 1 << 20, 12)
    thresholds = Thresholds.of(wanted, -last, last)
    constants = two_jobs.solve(thresholds)
    assert isinstance(constants, TwoJobs)
    places = np.concatenate([thresholds.places, thresholds.places - 1, -last[:, None], last[:, None]], 1)
    places = np.clip(places, -last[:, None], last[:, None])
    np.testing.assert_array_equal(constants.outputs(places), wanted.outputs(places))
    products = np.array(constants.scales)[:, None] * places
    values = products >> two_jobs.SHIFT
    assert abs(products).max() < 1 << 47
    for numbers in (values, values + np.array(constants.biases)[:, None]):
        assert -(1 << 31) <= numbers.min() and numbers.max() < 1 << 31


@pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")
def test_each_layer_of_ds_cnn_is_exact() -> None:
    """MLPerf Tiny's keyword spotting, as quantised by TFLite. No layer is with one job."""
    module = import_onnx(MODELS.parent / "mlperf_tiny/ds_cnn.onnx")
    pipeline.build("integer", None, module.context).run(module.operation)
    linear = [layer for layer in accel.layers(module) if isinstance(layer, (accel.Conv2dOp, accel.DenseOp))]
    assert len(linear) == 10
    for layer in linear:
        wanted = Requant.of(accel.present(layer.requant, "requant"))
        thresholds = Thresholds.of(wanted, *linear_ops.accumulators(layer))
        assert isinstance(requant.solve(thresholds), Violation)
        constants = two_jobs.solve(thresholds)
        assert isinstance(constants, TwoJobs)
        places = np.concatenate([thresholds.places, thresholds.places - 1], 1)
        places = np.clip(places, thresholds.first[:, None], thresholds.last[:, None])
        np.testing.assert_array_equal(constants.outputs(places), wanted.outputs(places))


def test_what_no_product_is_exact_for_is_a_violation() -> None:
    """Steps of 16 outputs in one accumulator, and of one in a thousand: no slope has both."""
    places = np.array([[5] * 16 + [1000 * n for n in range(1, 240)]])
    ends = np.array([-10]), np.array([1 << 20])
    violation = two_jobs.solve(Thresholds(0, places, *ends, np.array([0.001])))
    assert isinstance(violation, Violation) and violation.subject == Subject.SCALE


def test_second_jobs_take_little_more_than_a_cycle_for_an_element() -> None:
    constants = TwoJobs((1,), (0,), (8,), True)
    tile = Tile.whole(Layer(16, 64, (15, 15), (1, 1), (0, 1)))
    second = two_jobs.second_jobs(
        Map(SUMS, 256, 256 * 15), tile.outputs, tile.rows, tile.columns, constants.second, SecondConstants(0, 0, 0, 0)
    )
    assert 1.0 < sum(map(cycles.cycles, second)) / (15 * 15 * 64) < 1.4


def test_second_jobs_start_at_whole_groups() -> None:
    tile = Tile.whole(Layer(16, 64, (3, 3), (1, 1), (0, 1)))
    outputs = tile.outputs._replace(start=4)
    with pytest.raises(ValueError, match="outputs from 4 on, expected a multiple of 8"):
        two_jobs.second_jobs(
            Map(0, 256, 768), outputs, tile.rows, tile.columns, TwoJobs((1,), (0,), (8,), True).second,
            SecondConstants(0, 0, 0, 0),
        )  # fmt: skip
