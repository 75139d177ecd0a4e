"""MLPerf Tiny's accuracy set for keyword spotting, through the simulated binary."""

import models
import numpy as np
import pytest

from htvm.reference import evaluate


@pytest.mark.parametrize(("samples", "right"), [(20, 18), pytest.param(1000, 902, marks=pytest.mark.slow)])
def test_keyword_accuracy_is_that_of_the_exact_meaning(samples: int, right: int) -> None:
    with np.load(models.FOLDER / "mlperf_tiny" / "ds_cnn_accuracy.npz") as arrays:
        inputs, labels = {"input": arrays["input"][:samples]}, arrays["label"][:samples]
    compiled = models.compiled("mlperf_tiny/ds_cnn")
    found = compiled.run(inputs).outputs["output"]
    np.testing.assert_array_equal(found, evaluate(compiled.proto, inputs)["output"])
    assert np.count_nonzero(found.argmax(axis=1) == labels) == right
