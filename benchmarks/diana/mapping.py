"""What htvm's mapping of networks on diana saves against HTVM's own, simulated end to end with the host's work.

Usage: mapping.py [--cost-model match odimo] [--jobs N] [--layers] [NETWORK ..]
default: both cost models; the ten networks of test/inputs/models/htvm

Prints for each network the cycles of the default mapping, counted and predicted; the bound on every mapping that runs
layers in turn, as that does (where it has groups of layers in flight at once, on every mapping), the gap to it, and
whether it is closed; the bound on every mapping, in turn or not, and the ratio of the cycles to it
(frontend/htvm/explanation/bound.py); the reference, the cycles of `--mapping htvm`, and how many times faster the
default is; and by how much the prediction of a layer on an accelerator, or of a group, is off at most. Then the
geometric mean over MLPerf Tiny's four, and for these what engines and transfers work under `--mapping htvm`, beside the
totals derived from HTVM's sources.

A network that does not fit its memory is compiled for one with 900 kB of L2, and marked *. Outputs are compared with
goldens. --layers: predicted and counted cycles of each layer. Exit status 1 if an output differs, a network is slower
than under HTVM's mapping or than a bound, a prediction is off by more than 10 %, or a mean is below 1.5.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from sweep import golden

import htvm
from htvm.backend import targets
from htvm.backend.targets.soc import HOST
from htvm.diagnostics import CompileError
from htvm.dialects.accel import JobKind
from htvm.explanation.bound import Bound, bound, flows, predicted
from htvm.interface import Samples

sys.path.insert(0, str(Path(__file__).parents[2] / "test" / "end_to_end"))

import models

NETWORKS = sorted(path.stem for path in models.FOLDER.glob("htvm/*.onnx"))
TINY = ("resnet8_digital", "ds_cnn_digital", "mobilenet_v1_digital", "dae_digital")
DERIVED = dict(zip(TINY, (129_500, 145_800, 667_000, 35_200)))
"""Cycles of engines and transfers in HTVM's mapping with MATCH's model, without the host: by hand, layer by layer."""

LARGE_L2 = 900 * 1024
LEAST_MEAN = 1.5
MOST_OFF = 0.10


@dataclass(frozen=True)
class Run:
    """A network run once. working: the cycles of each engine and transfer engine. metrics: of `htvm run`.

    additions: what of that is for sums of two maps, if one command follows the other. groups: the group that a step is
    of, by its number, if its tiles are in flight with those of others.
    """

    network: str
    cost_model: str
    mapping: str
    is_large: bool
    is_exact: bool
    working: dict[str, int]
    additions: int
    metrics: dict[str, Any]
    groups: dict[int, int]
    bound: Bound

    @property
    def cycles(self) -> int:
        return self.metrics["cycles"]

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The layers on accelerators."""
        return [layer for layer in self.metrics["layers"] if layer["engine"] != HOST]

    @property
    def worst(self) -> float:
        """How far the worst prediction is off of a layer, or of a group, whose layers share time: of cycles counted."""
        sums: dict[int, Counter[str]] = {}
        for number, layer in enumerate(self.metrics["layers"]):
            if layer["engine"] != HOST:
                own = {name: layer[name] for name in ("cycles", "predicted_cycles")}
                sums.setdefault(self.groups.get(number, -number), Counter()).update(own)
        return max((abs(off(each)) for each in sums.values()), default=0.0)


def off(layer: Mapping[str, Any]) -> float:
    """Return how far a prediction is off, as a part of the cycles counted, or of 100 if those are fewer."""
    return (layer["predicted_cycles"] - layer["cycles"]) / max(layer["cycles"], 100)


def run(case: tuple[str, str, str]) -> Run:
    """Compile and simulate a network."""
    network, cost_model, mapping = case
    soc, is_large = targets.load("diana").with_cost_model(cost_model), False
    model = models.path(f"htvm/{network}")
    try:
        compiled = htvm.compile(model, soc, mapping=mapping)
    except CompileError:
        soc, is_large = soc.with_memory("l2", LARGE_L2), True
        compiled = htvm.compile(model, soc, mapping=mapping)
    arrays, wanted = golden(f"htvm/{network}", tuple(port.name for port in compiled.project.outputs))
    result = compiled.program.run(Samples.of(compiled.project.inputs, arrays))
    is_exact = all(np.array_equal(found, wanted[name]) for name, found in result.outputs.items())
    execution = result.execution
    working = {name: totals.busy_cycles for name, totals in execution.engines.items()}
    working |= {dma.name: sum(execution.routes[route.name].busy_cycles for route in dma.routes) for dma in soc.dmas}
    additions = sum(
        each.cycles
        for number, job in enumerate(execution.timeline)
        if job.kind == JobKind.ADD
        for each in execution.timeline[number - 2 : number + 2]  # two loads, the job, a store
    )
    report = compiled.project.report
    found = bound(compiled.source, soc, compiled.options, predicted(report), flows(report))
    assert found is not None, "diana has accelerators"
    grouped = {number: step.tiled.tiling.group for number, step in enumerate(report.steps) if step.tiled is not None}
    groups = {number: group for number, group in grouped.items() if group}
    return Run(network, cost_model, mapping, is_large, is_exact, working, additions, result.metrics, groups, found)


def main() -> int:
    arguments = options()
    chosen = [each for each in NETWORKS if not arguments.networks or any(part in each for part in arguments.networks)]
    cases = list(product(chosen, arguments.cost_model, ("default", "htvm")))
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=4) as pool:
        runs = {(each.network, each.cost_model, each.mapping): each for each in pool.imap(run, cases, chunksize=1)}
    is_good = all([print_model(model, chosen, runs) for model in arguments.cost_model])
    if "match" in arguments.cost_model:
        print_derived([runs[name, "match", "htvm"] for name in TINY if name in chosen])
    if arguments.layers:
        print_layers(list(runs.values()))
    return 0 if is_good else 1


def print_model(model: str, chosen: Sequence[str], runs: dict[tuple[str, str, str], Run]) -> bool:
    """Print the table of a cost model; return whether all is as it should be."""
    print(f"{model}'s figures\n")
    print(
        "| network | cycles | predicted | bound | gap | proven | in flight | ratio | reference | faster | worst layer |"
    )
    print("|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|")
    faster, is_good = {}, True
    for network in chosen:
        own, other = runs[network, model, "default"], runs[network, model, "htvm"]
        faster[network] = other.cycles / own.cycles
        worst = max(own.worst, other.worst)
        found = own.bound
        is_bound = found.in_flight <= found.in_turn <= other.cycles and found.least <= own.cycles
        is_good = (
            is_good and own.is_exact and other.is_exact and faster[network] >= 1 and worst <= MOST_OFF and is_bound
        )
        print(
            f"| {network} | {own.cycles:,}{mark(own)} | {found.predicted:,} | {found.least:,} "
            f"| {100 * found.gap:.1f} % | {'yes' if found.is_proven else 'no'} "
            f"| {found.in_flight:,} | {own.cycles / found.in_flight:.2f} "
            f"| {other.cycles:,}{mark(other)} | {faster[network]:.2f} | {100 * worst:.1f} % |"
        )
    tiny = [faster[network] for network in TINY if network in faster]
    if len(tiny) == len(TINY):
        mean = prod(tiny) ** (1 / len(tiny))
        is_good = is_good and mean >= LEAST_MEAN
        print(f"\ngeometric mean over {', '.join(TINY)}: {mean:.2f}")
    print()
    return is_good


def mark(one: Run) -> str:
    return ("*" if one.is_large else "") + ("" if one.is_exact else " NOT EXACT")


def print_derived(runs: Sequence[Run]) -> None:
    """Print what the reference mapping works beside what was derived by hand, which leaves additions out."""
    print("htvm mapping, match's figures, engines and transfers only\n")
    print("| network | cycles | additions | without them | derived | difference |")
    print("|---|---:|---:|---:|---:|---:|")
    for one in runs:
        total, derived = sum(one.working.values()), DERIVED[one.network]
        left = total - one.additions
        print(
            f"| {one.network} | {total:,}{mark(one)} | {one.additions:,} | {left:,} | {derived:,} "
            f"| {100 * (left / derived - 1):+.1f} % |"
        )
    print()


def print_layers(runs: Sequence[Run]) -> None:
    for one in runs:
        print(f"\n{one.network}, {one.cost_model}, {one.mapping}")
        for layer in one.layers:
            cycles, predicted = layer["cycles"], layer["predicted_cycles"]
            print(f"  {layer['name']:20} {layer['engine']:8} {cycles:>9,} {predicted:>9,} {100 * off(layer):+6.1f} %")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--cost-model", nargs="+", default=("match", "odimo"), choices=("match", "odimo"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--layers", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
