"""Arm's tosa_reference_model, where it is installed: what TOSA's specification says, executed."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

BIN = Path(sys.executable).parent
MISSING = "no tosa_reference_model; pip install 'htvm[test-tosa]'"


def is_installed() -> bool:
    return (
        (BIN / "tosa_reference_model").exists() and (BIN / "tosa-opt").exists() and find_spec("serializer") is not None
    )


def outputs(text: str, inputs: list[np.ndarray], folder: Path) -> list[np.ndarray]:
    """Return the results of a module's function for arrays of inputs, in order."""
    (folder / "net.mlir").write_text(text)
    schema = Path(find_spec("serializer").origin).parents[1] / "bin" / "tosa.fbs"
    serialise = [
        BIN / "tosa-opt",
        "net.mlir",
        "--tosa-serialize",
        "--tosa-flatbuffer-filename=net.tosa",
        f"--tosa-flatbuffer-schema={schema}",
        "-o",
        "/dev/null",
    ]
    _run(serialise, folder)
    count = text.split("-> (")[1].split(") {")[0].count("tensor<") if "-> (" in text else 1
    names = [f"in{number}.npy" for number in range(len(inputs))]
    for name, array in zip(names, inputs):
        np.save(folder / name, array)
    test = {
        "tosa_file": "net.tosa",
        "ifm_name": [f"TosaInput_{number}" for number in range(len(inputs))],
        "ifm_file": names,
        "ofm_name": [f"TosaOutput_{number}" for number in range(count)],
        "ofm_file": [f"out{number}.npy" for number in range(count)],
        "expected_return_code": 0,
        "expected_failure": False,
    }
    (folder / "desc.json").write_text(json.dumps(test))
    model = [BIN / "tosa_reference_model", "--test_desc=desc.json", "--tosa_level=NONE"]
    _run(model, folder)
    return [np.load(folder / f"out{number}.npy") for number in range(count)]


def _run(command: list, folder: Path) -> None:
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{Path(command[0]).name}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
