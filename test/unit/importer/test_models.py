"""Every model in test/inputs: its imported form is valid, survives print and parse, and means what the file means."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.interpreter import interpret
from htvm.dialects.quantisation import Quantisation
from htvm.importer import ModelWarning, import_onnx

MODELS = Path(__file__).parents[2] / "inputs" / "models"
FILES = sorted(MODELS.glob("*/*.onnx"))
SAME_GOLDENS = {"ds_cnn_matmul": "ds_cnn"}


def imported(path: Path) -> ir.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        return import_onnx(path)


def test_there_are_models():
    assert {path.parent.name for path in FILES} >= {"mlperf_tiny", "integer", "layers"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_prints_and_parses_to_the_same(path):
    module = imported(path)
    text = module.operation.get_asm(enable_debug_info=True)
    parsed = ir.Module.parse(text, module.context)
    assert parsed.operation.get_asm(enable_debug_info=True) == text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_means_what_the_file_means(path):
    module = imported(path)
    (function,) = accel.functions(module)
    names = [attributes["accel.name"].value for attributes in function.arg_attrs]
    types = dict(zip(names, function.type.inputs, strict=True))
    (result,) = function.type.results
    stem = SAME_GOLDENS.get(path.stem, path.stem)
    golden = np.load(sorted(path.parent.glob(f"golden/{stem}_[0-9].npz"))[-1])
    with module.context:
        (stored,) = interpret(module, {name: integers(golden[name], types[name]) for name in names}).values()
    wanted = golden["output.exact"] if "output.exact" in golden else golden["output"]
    np.testing.assert_array_equal(stored, integers(wanted, result))


def integers(array: np.ndarray, type_: ir.Type) -> np.ndarray:
    """Return what a quantised type stores for an array that is stored already, or holds numbers that it can store."""
    if array.dtype.kind != "f":
        return array
    q = Quantisation.of(type_)
    return np.rint(array.astype(np.float64) / q.scales[0]).astype(np.int64) + q.zero_point
