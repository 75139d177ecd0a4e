"""Every model in test/inputs: its imported form is valid, survives print and parse, and means what the file means."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from agreement import facts_of, stored
from mlir import ir

from htvm.backend import targets
from htvm.dialects import accel
from htvm.dialects.semantics.interpreter import interpret
from htvm.import_onnx import ModelWarning, import_onnx
from htvm.passes import pipeline

MODELS = Path(__file__).parents[2] / "inputs" / "models"
FILES = sorted(MODELS.glob("*/*.onnx"))
LAYERS = sorted(MODELS.glob("htvm/*/*.onnx"))
"""Single layers as diana-quantlib exports them, and those that break a rule of HTVM's."""
SAME_GOLDENS = {"ds_cnn_matmul": "ds_cnn"}


def imported(path: Path) -> ir.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        return import_onnx(path)


def test_there_are_models():
    assert {path.parent.name for path in FILES} >= {"mlperf_tiny", "integer", "layers", "htvm"}
    assert {path.parent.name for path in LAYERS} == {"layers", "refused"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_prints_and_parses_to_the_same(path):
    module = imported(path)
    text = module.operation.get_asm(enable_debug_info=True)
    parsed = ir.Module.parse(text, module.context)
    assert parsed.operation.get_asm(enable_debug_info=True) == text


@pytest.mark.parametrize("path", FILES + LAYERS, ids=lambda path: path.stem)
def test_means_what_the_file_means(path):
    """After the passes up to stage 'integer', on the last golden: networks are executed in every stage elsewhere."""
    module = imported(path)
    with module.context:
        pipeline.build("integer", targets.load("rv32"), module.context).run(module.operation)
    (function,) = accel.functions(module)
    arguments, results = (facts_of(function, key) for key in ("arg_attrs", "res_attrs"))
    stem = SAME_GOLDENS.get(path.stem, path.stem)
    golden = np.load(sorted(path.parent.glob(f"golden/{stem}_[0-9].npz"))[-1])
    given = {name: stored(golden[name], facts) for name, facts in arguments.items()}
    with module.context:
        found = interpret(module, given)
    for name, facts in results.items():
        wanted = golden[f"{name}.exact"] if f"{name}.exact" in golden else golden[name]
        np.testing.assert_array_equal(found[name], stored(wanted, facts) if wanted.dtype == np.float32 else wanted)
