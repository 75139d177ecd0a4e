"""What networks take that are larger than the host's memory, and how much of it is waiting for a far one.

Usage: far.py [--target gap9] [--size 224] [NETWORK ..]
default: gap9, images of 224 x 224, mobilenet_v2 and resnet_18, with random weights and scales that are powers of two

Prints for each network the cycles of an inference, simulated end to end; what accelerators, the layers of the host and
the busiest route work; the ratio to the largest of these; and the share of the time in which a far memory is read or
written while no accelerator works and no layer of the host runs. Outputs are compared with what the network means. Exit
status 1 if one differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import htvm
from htvm.backend import targets
from htvm.backend.targets.soc import HOST, Soc
from htvm.interface import Samples

sys.path.insert(0, str(Path(__file__).parents[2] / "test" / "end_to_end"))

import large_networks
from quantised import Form, quantised

NETWORKS = ("mobilenet_v2", "resnet_18")
Span = tuple[int, int]
"""The first cycle, and the one behind the last."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", default="gap9")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    arguments = parser.parse_args()
    soc = targets.load(arguments.target)
    print("| network | cycles | ms | accelerators | host's layers | busiest route | ratio | waits for far memory |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    return 0 if all([row(network, arguments.size, soc) for network in arguments.networks]) else 1


def row(network: str, size: int, soc: Soc) -> bool:
    """Print what a network takes; return whether its outputs are right."""
    model = quantised(getattr(large_networks, network)(size), Form("QDQ", "QInt8", per_channel=True))
    compiled = htvm.compile(model, soc, requant="pow2")
    samples = Samples.of(compiled.project.inputs, compiled.project.random_inputs(0))
    result = compiled.program.run(samples)
    wanted = compiled.meant(samples)
    is_exact = all(np.array_equal(found, wanted[name]) for name, found in result.outputs.items())
    execution, steps, cycles = result.execution, result.metrics["layers"], result.metrics["cycles"]
    work = [totals.busy_cycles for totals in execution.engines.values()]
    host = sum(step["cycles"] for step in steps if step["engine"] == HOST)
    routes = [totals.busy_cycles for totals in execution.routes.values()]
    far = {memory.name for memory in soc.far_memories}
    ways = {each.name for each in soc.routes if far & {each.source, each.target}}
    on_host, begin = [], execution.start_up.cycles
    for step, profile in zip(steps, execution.steps, strict=True):
        if step["engine"] == HOST:
            on_host.append((begin, begin + profile.cycles))
        begin += profile.cycles
    busy = [(each.start_cycle, each.end_cycle) for each in execution.timeline if each.route is None]
    coming = [(each.start_cycle, each.end_cycle) for each in execution.timeline if each.route in ways]
    waiting = length([*busy, *on_host, *coming]) - length([*busy, *on_host])
    print(
        f"| {network}{'' if is_exact else ' (WRONG)'} | {cycles:,} | {1e3 * cycles / soc.clock_hz:.2f} | {sum(work):,} "
        f"| {host:,} | {max(routes, default=0):,} | {cycles / max(*work, host, *routes):.2f} "
        f"| {100 * waiting / cycles:.1f} % |",
        flush=True,
    )
    return is_exact


def length(spans: Iterable[Span]) -> int:
    """Return how many cycles spans cover together."""
    covered, end = 0, 0
    for first, last in sorted(spans):
        covered += max(last - max(first, end), 0)
        end = max(end, last)
    return covered


if __name__ == "__main__":
    sys.exit(main())
