"""Random networks in each mode of the host, in poisoned memory: `python test/end_to_end/host_modes.py FIRST LAST`.

A seed is one network: of random layers, of feature maps whose rows begin at words, or of 3x3 convolutions, in turn.
Every network is compiled in each mode and executed in an arena that holds what no layer computed; each output must be
that of the reference. At the end it prints how many steps each kernel computed in each mode, so that a mode that
changes nothing is seen. Other modes: names behind LAST.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx
from map_networks import SQUARES, chain_of_maps
from random_networks import random_network

import htvm
from htvm.dialects import accel
from htvm.execution.program import Program
from htvm.interface import Samples
from htvm.options import CompileOptions, ConstantBudget
from htvm.reference import evaluate

POISON = 0x5A

PATCHES = "patches"
"""The mode in which the first layers are cut into patches, whatever fits."""

MODES = {
    "default": CompileOptions(),
    "constants 2.4x": CompileOptions(constants=ConstantBudget(factor=2.4)),
    "constants 20x": CompileOptions(constants=ConstantBudget(factor=20.0)),
    "objective memory": CompileOptions(objective="memory"),
    PATCHES: CompileOptions(),
}
"""20x: where Winograd's constants are within the budget of a network of one layer."""


def network(seed: int) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return the network of a seed and inputs for it."""
    match seed % 3:
        case 0:
            return random_network(seed)
        case 1:
            return chain_of_maps(seed)
        case _:
            return chain_of_maps(seed, SQUARES)


def split(way: htvm.Pipeline, layers: int, patches: int) -> htvm.CompiledModel:
    """Compile a model with its first layers in patches, whatever fits."""
    way.to("tiled")
    way.run(f"split-patches{{layers={layers} patches={patches}}}")
    return way.compiled()


def check_poisoned(compiled: htvm.CompiledModel, inputs: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]):
    """Run in an arena that holds what no layer computed, and compare all outputs."""
    program = Program(compiled.project, compiled.soc)
    size = compiled.project.report.memories["ram"].planned_peak_bytes
    program.host.write(program.arena, bytes([POISON]) * size)
    for name, values in program.run(Samples.of(compiled.project.inputs, inputs)).outputs.items():
        np.testing.assert_array_equal(values, wanted[name])


def check(seed: int, mode: str, executed: set[int]) -> Counter[str]:
    """Compile and execute the network of a seed; return how many conv2d and dense layers have which kernel.

    executed: hashes of the programs of this seed that were right; the same program is not executed again.
    """
    model, inputs = network(seed)
    generator = np.random.default_rng(seed)
    way = htvm.Pipeline(model, options=MODES[mode])
    if mode == PATCHES:
        compiled = split(way, int(generator.integers(1, 8)), int(generator.integers(2, 9)))
    else:
        compiled = way.compiled()
    sources = [text for name, text in sorted(compiled.files.items()) if name.endswith((".c", ".h"))]
    if (program := hash(tuple(sources))) not in executed:
        check_poisoned(compiled, inputs, evaluate(model, inputs))
        executed.add(program)
    linear = [op for op in accel.layers(way.module.operation) if isinstance(op, accel.Conv2dOp | accel.DenseOp)]
    return Counter(op.kernel.value for op in linear)


def main(first: int, last: int, modes: list[str]) -> int:
    """Check the seeds from `first` to `last` - 1; return how many differ or break the compiler."""
    kernels = {mode: Counter[str]() for mode in modes}
    exact, refused, wrong = Counter[str](), Counter[str](), 0
    for seed in range(first, last):
        executed: set[int] = set()
        for mode in modes:
            try:
                kernels[mode] += check(seed, mode, executed)
                exact[mode] += 1
            except htvm.CompileError as error:
                refused[mode] += 1
                print(f"seed {seed}, {mode}: refused: {error}", flush=True)
            except Exception as error:
                wrong += 1
                print(f"seed {seed}, {mode}: {error}", flush=True)
        if (seed + 1 - first) % 50 == 0:
            print(f"{seed + 1 - first} networks, {wrong} wrong", flush=True)
    for mode in modes:
        counts = ", ".join(f"{count} {kernel}" for kernel, count in kernels[mode].most_common())
        print(f"{mode}: {exact[mode]} exact, {refused[mode]} refused; {counts}")
    return wrong


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or [*MODES]) > 0)
