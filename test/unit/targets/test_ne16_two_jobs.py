"""Constants of two jobs for layers with float scales: exact where those of one are not."""

from __future__ import annotations

import numpy as np
import pytest
from target_models import MODELS

from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.engines.ne16 import requant, two_jobs
from htvm.backend.targets.engines.ne16.requant import Thresholds
from htvm.backend.targets.engines.ne16.two_jobs import TwoJobs
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.violations import Subject, Violation
from htvm.dialects import accel
from htvm.import_onnx import import_onnx
from htvm.passes import pipeline


def float_scaled(rng: np.random.Generator, channels: int) -> Requant:
    """Return what a layer with float scales asks for: multipliers of 31 bits, offsets in 64ths of an accumulator."""
    slopes = 2.0 ** rng.uniform(-10, -7, channels)
    shifts = 30 - np.floor(np.log2(slopes)).astype(int)
    multipliers = np.round(slopes * 2.0**shifts).astype(np.int64)
    offsets = rng.integers(-(1 << 21), 1 << 21, channels)
    return Requant(tuple(multipliers.tolist()), tuple(offsets.tolist()), tuple((shifts + 6).tolist()), 0, 255, 6, 128)


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


def test_one_fraction_for_all_channels_is_preferred() -> None:
    """An array of them takes 8 cycles more for each tile; it is for channels whose slopes lie far apart."""
    last = np.full(2, 1 << 18)
    near, far = (
        Thresholds.of(Requant((1431655765, high), (5, 7), (41, 41), 0, 255, 0, 128), -last, last)
        for high in (1631655765, 1 << 46)
    )
    for thresholds, has_array in ((near, False), (far, True)):
        constants = two_jobs.solve(thresholds)
        assert isinstance(constants, TwoJobs)
        assert constants.has_shift_array == has_array == constants.requantisation.has_shift_array
        assert (len(set(constants.fractions)) > 1) == has_array
