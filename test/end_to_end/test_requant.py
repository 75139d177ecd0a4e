"""--requant pow2: accelerators that can only shift take the layers; the C equals the refitted network exactly."""

from collections import Counter

import models
import numpy as np
import pytest

import htvm


def engines(compiled: htvm.driver.CompiledModel, op: str) -> Counter[str]:
    """Return how many layers of an operation each engine runs."""
    return Counter(step.engine for step in compiled.project.report.steps if step.op == op)


@pytest.mark.parametrize(("name", "op", "layers"), [("ds_cnn", "conv2d", 9), ("toyadmos", "dense", 10)])
def test_the_array_takes_every_layer_when_scales_are_powers_of_two(name: str, op: str, layers: int) -> None:
    path = models.path(f"mlperf_tiny/{name}")
    assert engines(htvm.compile(path, "diana"), op)["digital"] == 0
    refitted = htvm.compile(path, "diana", requant="pow2")
    assert engines(refitted, op) == {"digital": layers}
    verification = htvm.verify(refitted)
    assert verification.exact
    assert {one.wanted_from for one in verification.comparisons} >= {"the refitted network", "the ONNX file"}


def test_most_keywords_are_still_told() -> None:
    with np.load(models.FOLDER / "mlperf_tiny" / "ds_cnn_accuracy.npz") as arrays:
        inputs, labels = arrays["input"][:20], arrays["label"][:20]
    found = htvm.compile(models.path("mlperf_tiny/ds_cnn"), "diana", requant="pow2").run({"input": inputs})
    right = int((found.outputs["output"].argmax(axis=1) == labels).sum())
    assert right >= 17


def test_another_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="requant is 'pow3', expected one of exact, pow2"):
        htvm.compile(models.path("layers/concat"), "diana", requant="pow3")
