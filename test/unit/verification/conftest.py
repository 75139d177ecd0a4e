"""A piece of ResNet-8 on small maps: a convolution, an addition, and a convolution with stride 2."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from htvm.verification.graph_cuts import cut, keep_inputs

MODEL = Path(__file__).parents[2] / "inputs" / "models" / "mlperf_tiny" / "resnet8.onnx"


@pytest.fixture(scope="session")
def small() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return the model and a sample: random numbers for the two maps that it reads, of 16x8x8."""
    maps = np.random.default_rng(0).integers(-128, 128, (2, 1, 16, 32, 32), np.int8)
    model, inputs = cut(onnx.load(MODEL), dict(zip(("conv0_q", "conv1_q"), maps)), "conv3_q", {})
    for axis, size in ((2, 16), (2, 8), (3, 16), (3, 8)):
        halves = keep_inputs(model, inputs)
        model, inputs = next((m, x) for m, x in halves if m is not None and x["conv0_q"].shape[axis] == size)
    return model, dict(inputs)
