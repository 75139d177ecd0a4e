"""Networks of TFLite: are they exact, and what do they take beside the same networks as ONNX?

Usage: measure.py FOLDER [--target rv32] [--target diana] ..
FOLDER: has NAME.tflite and NAME.npz, its `input` and the `output` of tosa_reference_model
default: rv32, diana and gap9

The first table has for each network and target how many outputs differ from the reference model's, the layers on
accelerators, and the cycles and the called functions' instructions of one inference on random inputs. The second one,
of rv32, has cycles without the softmax, and bytes of activations, beside those of MLPerf Tiny's networks in
test/inputs/models. Exit status 1 if an output differs, a called function takes more than 20,000 instructions, or a
network takes more than a tenth more than its ONNX form.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import htvm
from htvm.backend.targets.soc import HOST

sys.path.insert(0, str(Path(__file__).parents[2] / "test" / "end_to_end"))

import models

ONNX = {"resnet8_int8": "resnet8", "kws_int8": "ds_cnn", "vww_96_int8": "mobilenet_v1", "ad01_int8": "toyadmos"}
"""Networks of MLPerf Tiny by the names of its .tflite files."""

SOFTMAX = ("call", "softmax")
"""What computes one: in TFLite an integer program, which is called."""

MOST_INSTRUCTIONS = 20_000
MOST_RATIO = 1.1


@dataclass(frozen=True)
class Cost:
    """What one inference takes, the softmax left out."""

    cycles: int
    activation_bytes: int

    @staticmethod
    def of(metrics: Mapping[str, Any]) -> Cost:
        left_out = sum(layer["cycles"] for layer in metrics["layers"] if layer["op"] in SOFTMAX)
        return Cost(metrics["cycles"] - left_out, metrics["activation_bytes"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", action="append", dest="targets")
    arguments = parser.parse_args()
    files = [file for file in sorted(arguments.folder.glob("*.tflite")) if file.with_suffix(".npz").exists()]
    if not files:
        parser.error(f"{arguments.folder} has no NAME.tflite beside a NAME.npz")
    print("| network | target | outputs | differing | on accelerators | cycles | called instructions |")
    print("|---|---|---:|---:|---|---:|---:|")
    good, costs = True, dict[str, Cost]()
    for file in files:
        for target in arguments.targets or ("rv32", "diana", "gap9"):
            is_good, cost = row(file, target)
            good &= is_good
            if target == "rv32":
                costs[file.stem] = cost
    print("\n| network | cycles | as ONNX | ratio | bytes of activations | as ONNX | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    return 0 if all([compared(name, costs[name]) for name in ONNX if name in costs]) and good else 1


def row(file: Path, target: str) -> tuple[bool, Cost]:
    """Print what a network takes on a target; return whether it is exact and its calls are short, and its cost."""
    compiled = htvm.compile(file, target)
    (port,) = compiled.project.inputs
    with np.load(file.with_suffix(".npz")) as arrays:
        given, wanted = arrays["input"].reshape(-1, *port.shape[1:]), arrays["output"]
    (found,) = compiled.run({port.name: given}).outputs.values()
    differing = int(np.count_nonzero(found.reshape(wanted.shape) != wanted))
    metrics = compiled.run().metrics
    layers = metrics["layers"]
    there = sum(layer["engine"] != HOST for layer in layers)
    called = sum(layer["instructions"] or 0 for layer in layers if layer["op"] == "call")
    print(
        f"| {file.stem} | {target} | {wanted.size:,} | {differing:,} | {there} of {len(layers)} layers "
        f"| {metrics['cycles']:,} | {called:,} |",
        flush=True,
    )
    return not differing and called <= MOST_INSTRUCTIONS, Cost.of(metrics)


def compared(name: str, cost: Cost) -> bool:
    """Print a network beside its ONNX form; return whether it takes at most a tenth more."""
    onnx = Cost.of(htvm.compile(models.path(f"mlperf_tiny/{ONNX[name]}")).run().metrics)
    ratios = cost.cycles / onnx.cycles, cost.activation_bytes / onnx.activation_bytes
    print(
        f"| {name} ({ONNX[name]}) | {cost.cycles:,} | {onnx.cycles:,} | {ratios[0]:.3f} "
        f"| {cost.activation_bytes:,} | {onnx.activation_bytes:,} | {ratios[1]:.3f} |",
        flush=True,
    )
    return max(ratios) <= MOST_RATIO


if __name__ == "__main__":
    sys.exit(main())
