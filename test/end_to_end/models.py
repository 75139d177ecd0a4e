"""The networks of test/inputs/models, what must come out of each, and each compiled once."""

from functools import cache
from pathlib import Path

import numpy as np

import htvm
from htvm.driver import CompiledModel
from htvm.passes.pipeline import STAGES

FOLDER = Path(__file__).parents[1] / "inputs" / "models"

PATHS = sorted(FOLDER.glob("*/*.onnx"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in PATHS]

NETWORKS = ["mlperf_tiny/ds_cnn", "mlperf_tiny/mobilenet_v1", "mlperf_tiny/resnet8", "mlperf_tiny/toyadmos"]
"""The four networks of MLPerf Tiny."""

# The other spelling of a network computes the same.
GOLDENS_OF = {"mlperf_tiny/ds_cnn_matmul": "mlperf_tiny/ds_cnn"}


def path(name: str) -> Path:
    """Return the file of a model."""
    return FOLDER / f"{name}.onnx"


def golden_files(name: str) -> list[Path]:
    """Return the goldens of a model: `<model>_<number>.npz`."""
    known = path(GOLDENS_OF.get(name, name))
    return sorted(known.parent.glob(f"golden/{known.stem}_[0-9].npz"))


def golden(file: Path, outputs: list[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of a golden and the exact value of each output."""
    with np.load(file) as arrays:
        given = dict(arrays)
    return given, {name: given.get(f"{name}.exact", given.get(name)) for name in outputs}


@cache
def compiled(name: str) -> CompiledModel:
    """Return a model compiled for rv32, with the text of each stage."""
    return htvm.compile(path(name), "rv32", input_types=input_types(name), keep_stages=STAGES)


def input_types(name: str) -> dict[str, str]:
    """Return what the float32 input of an integer-arithmetic model holds, as its README says."""
    if not name.startswith("integer/"):
        return {}
    if name.endswith("_muladd") and ("resnet8" in name or "mobilenet" in name):
        return {"input": "u8"}
    if name.endswith("_shift") and ("resnet8" in name or "mobilenet" in name):
        return {"input": "0..127"}
    return {"input": "i8"}
