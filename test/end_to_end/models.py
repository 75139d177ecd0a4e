"""The networks of test/inputs/models, what must come out of each, and each compiled once."""

from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from selection import slow as marked

import htvm
from htvm.driver import CompiledModel
from htvm.passes.pipeline import STAGES

FOLDER = Path(__file__).parents[1] / "inputs" / "models"

PATHS = sorted(FOLDER.glob("*/*.onnx"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in PATHS]

NETWORKS = ["mlperf_tiny/ds_cnn", "mlperf_tiny/mobilenet_v1", "mlperf_tiny/resnet8", "mlperf_tiny/toyadmos"]
"""The four networks of MLPerf Tiny."""

ALIKE = {
    "htvm/dae_digital", "htvm/ds_cnn_digital", "htvm/mobilenet_v1_digital", "htvm/mobilenet_v1_mixed",
    "htvm/resnet20_digital", "htvm/resnet8_digital", "htvm/resnet8_mixed", "integer/ds_cnn_shift",
    "integer/mobilenet_v1_muladd", "integer/mobilenet_v1_shift", "integer/resnet8_muladd", "integer/resnet8_shift",
    "integer/toyadmos_muladd",
}  # fmt: skip
"""Networks whose kind and whose arithmetic others have as well: tests of all models that take these are slow."""

# The other spelling of a network computes the same.
GOLDENS_OF = {"mlperf_tiny/ds_cnn_matmul": "mlperf_tiny/ds_cnn"}


def path(name: str) -> Path:
    """Return the file of a model."""
    return FOLDER / f"{name}.onnx"


def parameters(names: Sequence[str] = NAMES, slow: Collection[str] = ALIKE) -> list[object]:
    """Return models as parameters of a test, some of them marked as slow."""
    return [marked(name) if name in slow else name for name in names]


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
