"""How much faster networks are on diana than TVM's C on its host alone, both simulated.

Usage: speedup.py [--cost-model match|odimo] [--known-tvm] [NETWORK ..]
default: match's figures; MLPerf Tiny's four networks
--known-tvm: TVM's cycles are those of README.md's table, not measured again

TVM: the fastest of five variants of its C for the official network at -O3 (../tvm_baseline). htvm: the official network
with `--requant=pow2`, which changes numbers so that the digital array takes its layers, and the networks that HTVM was
measured on, of the same layers: `mixed`, for the analog array, and `digital`. Their outputs are compared with goldens,
or for pow2 with what the changed network means. Prints cycles and ratios, and the best and geometric mean of each kind.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from sweep import golden

import htvm
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.interface import Samples

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "test" / "end_to_end"))

import models
from tvm_baseline import baseline

HTVM_NAMES = {"resnet8": "resnet8", "ds_cnn": "ds_cnn", "mobilenet_v1": "mobilenet_v1", "toyadmos": "dae"}
"""What HTVM's graphs of MLPerf Tiny's networks are called here."""


@dataclass(frozen=True)
class Run:
    """A network on diana."""

    what: str
    cycles: int
    is_exact: bool


@dataclass(frozen=True)
class Tvm:
    """The fastest variant of TVM's C for a network on the host."""

    cycles: int
    variant: str

    @staticmethod
    def measured(network: str) -> Tvm:
        best = baseline.best(baseline.measure(baseline.MODELS / f"{network}.onnx"), "cycles")
        return Tvm(best.cycles, best.variant)

    @staticmethod
    def written(network: str) -> Tvm:
        """Read what README.md has of an earlier measurement."""
        lines = (Path(__file__).parent / "README.md").read_text(encoding="utf-8").splitlines()
        rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
        _, cycles, variant, *_ = next(row for row in rows if row[0] == network and "official, pow2" in row)
        return Tvm(int(cycles.replace(",", "")), variant)


def official(network: str, soc: Soc) -> Run:
    """Run MLPerf Tiny's network with scales that are powers of two."""
    compiled = htvm.compile(baseline.MODELS / f"{network}.onnx", soc, requant="pow2")
    inputs = compiled.project.random_inputs(0)
    result = compiled.run(inputs)
    return Run("official, pow2", result.metrics["cycles"], htvm.verify(compiled, inputs=inputs).exact)


def of_htvm(name: str, soc: Soc) -> Run:
    """Run one of the networks that HTVM was measured on."""
    compiled = htvm.compile(models.path(f"htvm/{name}"), soc)
    arrays, wanted = golden(f"htvm/{name}", tuple(port.name for port in compiled.project.outputs))
    result = compiled.program.run(Samples.of(compiled.project.inputs, arrays))
    is_exact = all(np.array_equal(found, wanted[output]) for output, found in result.outputs.items())
    return Run(name.rsplit("_", 1)[1], result.metrics["cycles"], is_exact)


def main() -> int:
    arguments = options()
    soc = targets.load("diana").with_cost_model(arguments.cost_model)
    print(f"{arguments.cost_model}'s figures; TVM's C at -O3, its softmax left out\n")
    print("| network | TVM's cycles | variant | htvm on diana | cycles | times faster |")
    print("|---|---:|---|---|---:|---:|")
    faster: dict[str, list[float]] = {}
    is_exact = True
    for network in arguments.networks or baseline.NETWORKS:
        tvm = Tvm.written(network) if arguments.known_tvm else Tvm.measured(network)
        own = HTVM_NAMES[network]
        runs = [official(network, soc), *(of_htvm(f"{own}_{kind}", soc) for kind in ("mixed", "digital"))]
        for run in runs:
            faster.setdefault(run.what, []).append(tvm.cycles / run.cycles)
            note = "" if run.is_exact else " NOT EXACT"
            print(f"| {network} | {tvm.cycles:,} | {tvm.variant} | {run.what} | {run.cycles:,}{note} "
                  f"| {tvm.cycles / run.cycles:.1f} |", flush=True)  # fmt: skip
        is_exact = is_exact and all(run.is_exact for run in runs)
    print()
    for what, ratios in faster.items():
        print(f"{what}: best {max(ratios):.1f}, geometric mean {prod(ratios) ** (1 / len(ratios)):.1f}")
    return 0 if is_exact else 1


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--cost-model", default="match", choices=("match", "odimo"))
    parser.add_argument("--known-tvm", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
