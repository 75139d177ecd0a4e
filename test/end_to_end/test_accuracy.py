"""MLPerf Tiny's accuracy set for keyword spotting, through the simulated binary."""

import models
import numpy as np

from htvm.reference import evaluate


def test_keyword_accuracy_is_that_of_the_exact_meaning() -> None:
    with np.load(models.FOLDER / "mlperf_tiny" / "ds_cnn_accuracy.npz") as arrays:
        inputs, labels = {"input": arrays["input"]}, arrays["label"]
    compiled = models.compiled("mlperf_tiny/ds_cnn")
    found = compiled.run(inputs).outputs["output"]
    np.testing.assert_array_equal(found, evaluate(compiled.proto, inputs)["output"])
    assert np.count_nonzero(found.argmax(axis=1) == labels) == 902
