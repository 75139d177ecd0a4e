"""Every golden of every model, computed by executed RV32IMC code, equal bit for bit (the first three are quick).

The arena holds something else before each run, so that what is read before it is written, or after it was lost to an
output that lies over it, makes a difference.
"""

import models
import numpy as np
import pytest

from htvm.runtime.simulator.stack import worst_stack_bytes

POISON = (0x5A, 0x80, 0x7F)

QUICK = slice(len(POISON))
REST = slice(len(POISON), None)


@pytest.mark.parametrize("name", models.parameters(slow={*models.ALIKE, "htvm/mobilenet_v2_digital"}))
def test_no_input_takes_more_of_the_stack_than_is_said(name: str) -> None:
    """The header's bound is no less than what the code tells, and that no less than what a run takes."""
    compiled = models.compiled(name)
    worst = worst_stack_bytes(compiled.program.host.program, f"{compiled.project.report.name}_run")
    assert worst <= compiled.project.report.stack_bytes
    metrics = compiled.run(seed=0).metrics
    assert metrics["stack_bytes"] <= metrics["worst_stack_bytes"]
    macro = f"#define {compiled.project.report.name.upper()}_STACK_BYTES {compiled.project.report.stack_bytes}\n"
    assert macro in compiled.project.files[f"{compiled.project.report.name}.h"]


@pytest.mark.parametrize("goldens", [QUICK, pytest.param(REST, marks=pytest.mark.slow)], ids=["quick", "rest"])
@pytest.mark.parametrize("name", models.parameters())
def test_rv32_code_computes_the_goldens(name: str, goldens: slice) -> None:
    compiled = models.compiled(name)
    files = models.golden_files(name)[goldens]
    assert files or goldens == REST, f"{name} has no goldens"
    size_bytes = compiled.project.report.planned_bytes(compiled.soc.arena_memory)
    for number, file in enumerate(files):
        given, wanted = models.golden(file, [port.name for port in compiled.project.outputs])
        compiled.program.host.write(compiled.program.arena, bytes([POISON[number % len(POISON)]]) * size_bytes)
        found = compiled.run(given).outputs
        for output, values in wanted.items():
            np.testing.assert_array_equal(found[output], values, err_msg=f"{file.name}: {output}")


INTEGER = [name for name in models.NAMES if name.startswith("integer/")]


@pytest.mark.parametrize(
    "name", models.parameters(INTEGER, {*INTEGER} - {"integer/ds_cnn_muladd", "integer/toyadmos_shift"})
)
def test_undeclared_integer_inputs_are_wide_enough(name: str) -> None:
    """Without an input type a float32 input is taken to hold -128..255; the goldens are the same."""
    import htvm
    from htvm.import_onnx import ModelWarning

    with pytest.warns(ModelWarning, match="input=u8"):
        compiled = htvm.compile(models.path(name))
    given, wanted = models.golden(models.golden_files(name)[-1], ["output"])
    np.testing.assert_array_equal(compiled.run(given).outputs["output"], wanted["output"])


@pytest.mark.parametrize(
    "name", models.parameters(models.NETWORKS, ("mlperf_tiny/mobilenet_v1", "mlperf_tiny/resnet8"))
)
def test_second_run_is_like_the_first(name: str) -> None:
    compiled = models.compiled(name)
    first, _, again = (compiled.run(seed=seed) for seed in (1, 2, 1))
    assert first.metrics == again.metrics
