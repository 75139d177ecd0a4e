"""Every golden of every model, computed by executed RV32IMC code, equal bit for bit."""

import models
import numpy as np
import pytest


@pytest.mark.parametrize("name", models.NAMES)
def test_rv32_code_computes_the_goldens(name: str) -> None:
    compiled = models.compiled(name)
    files = models.golden_files(name)
    assert files, f"{name} has no goldens"
    for file in files:
        given, wanted = models.golden(file, [port.name for port in compiled.project.outputs])
        found = compiled.run(given).outputs
        for output, values in wanted.items():
            np.testing.assert_array_equal(found[output], values, err_msg=f"{file.name}: {output}")


@pytest.mark.parametrize("name", [name for name in models.NAMES if name.startswith("integer/")])
def test_undeclared_integer_inputs_are_wide_enough(name: str) -> None:
    """Without an input type a float32 input is taken to hold -128..255; the goldens are the same."""
    import htvm
    from htvm.import_onnx import ModelWarning

    with pytest.warns(ModelWarning, match="input=u8"):
        compiled = htvm.compile(models.path(name))
    given, wanted = models.golden(models.golden_files(name)[-1], ["output"])
    np.testing.assert_array_equal(compiled.run(given).outputs["output"], wanted["output"])


@pytest.mark.parametrize("name", models.NETWORKS)
def test_second_run_is_like_the_first(name: str) -> None:
    compiled = models.compiled(name)
    first, _, again = (compiled.run(seed=seed) for seed in (1, 2, 1))
    assert first.metrics == again.metrics
