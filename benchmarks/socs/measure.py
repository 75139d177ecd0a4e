"""What MLPerf Tiny's networks take on a target with other accelerators than DIANA's, beside what is published.

Usage: measure.py [--target gap9] [--memory l1=65536 ..] [--requant exact] [NETWORK ..]
default: gap9 and the four networks of test/inputs/models/mlperf_tiny, with scales that are powers of two (pow2);
exact: with the networks' own

Prints for each network the cycles of an inference, simulated end to end, and the milliseconds at the target's clock;
the published ones, where there are some; the layers and the share of MACs on accelerators; what the accelerators work,
and what the host's layers take; and by how much the prediction of a layer on an accelerator is off at most. Random
inputs. Outputs are compared with what the network means. Exit status 1 if one differs, or a prediction is off by more
than 10 %.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import htvm
from htvm.backend import targets
from htvm.backend.targets.soc import HOST, Soc
from htvm.interface import Samples

sys.path.insert(0, str(Path(__file__).parents[2] / "test" / "end_to_end"))

import models

PUBLISHED = {"gap9": {"resnet8": 0.616, "ds_cnn": 0.476, "mobilenet_v1": 1.125, "toyadmos": 0.176}}
"""Milliseconds at the target's clock, 370 MHz: MLPerf Tiny's results of the chip."""

NETWORKS = tuple(PUBLISHED["gap9"])
SHORTEST = 1000
"""Cycles of a layer whose prediction is looked at: a shorter one is the host's few instructions."""
MOST_OFF = 0.10


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", default="gap9")
    parser.add_argument("--memory", action="append", default=[], metavar="NAME=BYTES")
    parser.add_argument("--requant", choices=("exact", "pow2"), default="pow2")
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    arguments = parser.parse_args()
    soc = targets.load(arguments.target)
    for each in arguments.memory:
        name, _, size = each.partition("=")
        soc = soc.with_memory(name, int(size))
    print("| network | cycles | ms | published ms | on accelerators | their work | host's layers | worst prediction |")
    print("|---|---:|---:|---:|---|---:|---:|---:|")
    return 0 if all([row(network, soc, arguments.requant) for network in arguments.networks]) else 1


def row(network: str, soc: Soc, requant: str) -> bool:
    """Print what a network takes; return whether its outputs are right and the predictions near."""
    compiled = htvm.compile(models.path(f"mlperf_tiny/{network}"), soc, requant=requant)
    samples = Samples.of(compiled.project.inputs, compiled.project.random_inputs(0))
    result = compiled.program.run(samples)
    wanted = compiled.meant(samples)
    is_exact = all(np.array_equal(found, wanted[name]) for name, found in result.outputs.items())
    layers, cycles = result.metrics["layers"], result.metrics["cycles"]
    there = [layer for layer in layers if layer["engine"] != HOST]
    macs = sum(layer["macs"] for layer in there) / max(sum(layer["macs"] for layer in layers), 1)
    work = sum(totals.busy_cycles for totals in result.execution.engines.values())
    host = sum(layer["cycles"] for layer in layers if layer["engine"] == HOST)
    worst = max(
        (
            abs(layer["predicted_cycles"] - layer["cycles"]) / layer["cycles"]
            for layer in there
            if layer["cycles"] >= SHORTEST
        ),
        default=0.0,
    )
    published = PUBLISHED.get(soc.name, {}).get(network)
    print(
        f"| {network}{'' if is_exact else ' (WRONG)'} | {cycles:,} | {1e3 * cycles / soc.clock_hz:.3f} "
        f"| {published or ''} | {len(there)} of {len(layers)} layers, {100 * macs:.1f} % of MACs | {work:,} | {host:,} "
        f"| {100 * worst:.1f} % |",
        flush=True,
    )
    return is_exact and worst <= MOST_OFF


if __name__ == "__main__":
    sys.exit(main())
