"""The same numbers at every stage: each model, imported and lowered, computes its golden outputs."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.dialects.semantics.interpreter import interpret
from htvm.dialects.semantics.real import Real
from htvm.import_onnx import import_onnx
from htvm.passes import pipeline

MODELS = Path(__file__).parents[2] / "inputs" / "models"
QUANTISED_INSIDE_ONLY = {"resnet8_f32io", "resnet20_digital", "mobilenet_v2_digital"}
"""Models with real numbers outside, which the function of the module does not take."""
SHARED_GOLDENS = {"ds_cnn_matmul": "ds_cnn"}
STAGES = {
    "imported": "",
    "fused": "propagate-scales,convert-affine-to-depthwise,sink-movement,fold-arithmetic,propagate-scales,"
    "fuse-epilogues",
    "integer": "integer",
}


def models() -> list[str]:
    names = [str(path.relative_to(MODELS).with_suffix("")) for path in sorted(MODELS.glob("*/*.onnx"))]
    return [name for name in names if Path(name).name not in QUANTISED_INSIDE_ONLY]


@cache
def imported(model: str) -> ir.Module:
    return import_onnx(MODELS / f"{model}.onnx", context=dialects.context())


@pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("model", models())
def test_a_model_computes_its_golden_outputs(model, stage):
    folder, name = model.split("/")
    module = ir.Module.parse(str(imported(model)), imported(model).context)
    if STAGES[stage]:
        pipeline.build(STAGES[stage], None, module.context).run(module.operation)
    goldens = sorted((MODELS / folder / "golden").glob(f"{SHARED_GOLDENS.get(name, name)}_[0-9].npz"))
    with np.load(goldens[0]) as golden:
        # Integers that ONNX holds in floats are integers here.
        inputs = {key: golden[key].astype(np.int64) for key in golden if golden[key].dtype.kind in "iuf"}
        with module.context:
            results = interpret(module, inputs)
        for key, result in results.items():
            found = result.to_float64() if isinstance(result, Real) else result
            np.testing.assert_array_equal(found, golden[f"{key}.exact" if f"{key}.exact" in golden else key])
