"""What MLPerf Tiny's networks take on the simulated RV32 host, beside TVM's C in the same run.

Usage: measure.py [--cc COMMAND ...] [--level=-O3 ...] [--mode MODE ...] [--no-tvm] [--write] [NETWORK ...]
default: gcc if `riscv64-unknown-elf-gcc` is there, and clang; -O2 and -O3; all modes; TVM (at -O3); four networks

A mode is what is asked of the compiler: "default"; "constants 2.4x", a larger budget for constants, in 4 MiB;
"objective memory", as few bytes of activations as can be.

Every figure is a count of an execution whose outputs are compared with a golden. --write makes figures.md anew;
test/end_to_end/test_host_figures.py compares it with what is compiled now.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import htvm
from htvm.execution.program import Program
from htvm.interface import Samples
from htvm.options import SPEED, CompileOptions
from htvm.reference import evaluate

sys.path.insert(0, str(Path(__file__).parents[1]))

from tvm_baseline import baseline
from tvm_baseline.baseline import MODELS, NETWORKS, compiler

FIGURES = Path(__file__).parent / "figures.md"
GCC = "riscv64-unknown-elf-gcc"
LEVELS = ("-O2", "-O3")
TVM_LEVEL = "-O3"  # what its C gains most by

DEFAULT = "default"
MODES: dict[str, CompileOptions] = {
    DEFAULT: CompileOptions(),
    "constants 2.4x": CompileOptions(constants=SPEED),
    "objective memory": CompileOptions(objective="memory"),
}
ZEROS_MODES = tuple(mode for mode in MODES if mode != "objective memory")
ZEROS_LEVEL = "-O3"
ZEROS_HEADS = ("network", "mode", "level", "golden's zeros", "cycles", "no zeros", "cycles")
SKIPPING = ("toyadmos",)
"""Networks with layers whose time depends on how many of their inputs are 0 (htvm_sparse_row.h, htvm_paired_row.h)."""

MOST_PER_MAC = {"conv2d": 3.0, "depthwise": 5.0}
"""Instructions for a multiplication that a layer should not need more of."""


@dataclass(frozen=True)
class Layer:
    """A layer's share. op is "depthwise" for a conv2d with one channel in each group."""

    name: str
    op: str
    instructions: int
    macs: int

    @property
    def per_mac(self) -> float:
        return self.instructions / self.macs if self.macs else 0.0


@dataclass(frozen=True)
class Figures:
    """One inference. ram_bytes: activations, scratch, inputs and outputs; the stack is not in it."""

    network: str
    mode: str
    compiler: str
    level: str
    instructions: int
    cycles: int
    macs: int
    ram_bytes: int
    code_bytes: int
    rodata_bytes: int
    layers: tuple[Layer, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        counts = (self.ram_bytes, self.code_bytes, self.rodata_bytes)
        per_mac = f"{self.instructions / self.macs:.2f}"
        return (
            self.network,
            self.mode,
            self.level,
            f"{self.instructions:,}",
            f"{self.cycles:,}",
            per_mac,
            *(f"{count:,}" for count in counts),
        )


HEADS = ("network", "mode", "level", "instructions", "cycles", "per MAC", "RAM", "code", "constants")
TVM_HEADS = ("network", "level", "TVM's best variant", "its instructions", "least cycles", "htvm/TVM instr.", "cycles")


def compiled_in(mode: str, model: Path | onnx.ModelProto) -> htvm.CompiledModel:
    """Compile a network in a mode, for the memory that the mode is for."""
    options = MODES[mode]
    return htvm.compile(model, baseline.large_host() if options.constants else "rv32", options=options)


def measure(model: Path, cc: str | None, level: str, mode: str = DEFAULT, zeros: bool = True) -> Figures:
    """Compile a network of MLPerf Tiny, run it on a golden's input and count. Raises ValueError if it is not exact.

    zeros: as the network makes them; else biases are so large that no dense layer makes any.
    """
    compiled = compiled_in(mode, model if zeros else without_zeros(onnx.load(model)))
    program = Program(compiled.project, compiled.soc, cc, level=level)
    golden = np.load(min((model.parent / "golden").glob(f"{model.stem}_?.npz")))
    (port,) = compiled.project.inputs
    inputs = {port.name: golden[port.name]}
    wanted = golden if zeros else evaluate(compiled.proto, inputs)
    result = program.run(Samples.of(compiled.project.inputs, inputs))
    for name, values in result.outputs.items():
        exact = f"{name}.exact" if f"{name}.exact" in wanted else name
        if not np.array_equal(values, wanted[exact]):
            raise ValueError(f"{model.name}: output '{name}' is not that of the golden")
    metrics = result.metrics
    depthwise = depthwise_nodes(compiled)
    return Figures(
        model.stem,
        mode,
        compiler(cc),
        level,
        metrics["host"]["instructions"],
        metrics["cycles"],
        metrics["macs"],
        metrics["ram_bytes"],
        metrics["code_bytes"],
        metrics["rodata_bytes"],
        tuple(merged(layer, depthwise) for layer in groupby(metrics["layers"], key=lambda layer: layer["name"])),
    )


def merged(steps: tuple[str, Iterable[dict[str, Any]]], depthwise: set[str]) -> Layer:
    """Return a layer from its name and its steps: patches of rows are several, of which gcc makes one function."""
    name, parts = steps[0], list(steps[1])
    op = "depthwise" if name in depthwise else parts[0]["op"]
    return Layer(name, op, *(sum(part[what] for part in parts) for what in ("instructions", "macs")))


def without_zeros(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network whose dense layers make no 0: each bias is larger than any sum of products, and one step."""
    arrays = {constant.name: constant for constant in proto.graph.initializer}
    made = {name: node for node in proto.graph.node for name in node.output}
    for node in proto.graph.node:
        if node.op_type == "Gemm":
            (weights, _, _), (bias, scale, _) = (made[name].input for name in node.input[1:])
            rows = numpy_helper.to_array(arrays[weights]).astype(np.int64)  # [K, C]
            sums = numpy_helper.to_array(arrays[bias])
            steps = int(1 / numpy_helper.to_array(arrays[scale]).min())  # of a result whose scale is at most 1
            larger = (np.abs(sums) + 255 * np.abs(rows).sum(axis=1) + steps).astype(sums.dtype)
            arrays[bias].CopyFrom(numpy_helper.from_array(larger, bias))
    return proto


def depthwise_nodes(compiled: htvm.CompiledModel) -> set[str]:
    """Return the names of the convolutions with one input channel in each of several groups."""
    shapes = {constant.name: tuple(constant.dims) for constant in compiled.proto.graph.initializer}
    made = {name: node for node in compiled.proto.graph.node for name in node.output}
    found = set()
    for node in compiled.proto.graph.node:
        if node.op_type == "Conv":
            groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            if groups > 1 and shapes[made[node.input[1]].input[0]][1] == 1:
                found.add(node.name)
    return found


def beyond_limits(figures: Figures) -> Iterator[Layer]:
    """Yield the layers that need more instructions for a multiplication than they should."""
    for layer in figures.layers:
        if layer.per_mac > MOST_PER_MAC.get(layer.op, float("inf")):
            yield layer


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose columns are wide enough to be read as text, too."""
    table = [heads, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    lines = ["| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines) + "\n"


def section(
    cc: str | None, networks: Sequence[str], levels: Sequence[str], modes: Sequence[str], tvm: bool
) -> Iterator[str]:
    """Yield the parts of what is printed for a compiler."""
    yield f"## {compiler(cc)}\n"
    found = [
        measure(MODELS / f"{network}.onnx", cc, level, mode)
        for network in networks
        for mode in modes
        for level in levels
    ]
    yield markdown(HEADS, (figures.cells for figures in found))
    found = [figures for figures in found if figures.mode == modes[0]]
    layers = [(figures, layer) for figures in found if figures.level == "-O3" for layer in beyond_limits(figures)]
    if layers:
        yield "Layers above their limit at -O3, instructions for a multiplication:\n"
        cells = [(figures.network, layer.name, layer.op, f"{layer.per_mac:.2f}") for figures, layer in layers]
        yield markdown(("network", "layer", "op", "per MAC"), cells)
    skipping = [network for network in networks if network in SKIPPING]
    if skipping:
        yield "Instructions and cycles where layers skip inputs that are 0, and where they find none:\n"
        yield markdown(ZEROS_HEADS, [zeros_row(network, cc, mode) for network in skipping for mode in ZEROS_MODES])
    if tvm:
        yield markdown(TVM_HEADS, [beside_tvm(figures, cc) for figures in found if figures.level == TVM_LEVEL])


def zeros_row(network: str, cc: str | None, mode: str) -> tuple[str, ...]:
    """Return a row: what a network takes with a golden's input, and if no dense layer makes a 0."""
    both = [measure(MODELS / f"{network}.onnx", cc, ZEROS_LEVEL, mode, zeros) for zeros in (True, False)]
    counts = (f"{count:,}" for figures in both for count in (figures.instructions, figures.cycles))
    return (network, mode, ZEROS_LEVEL, *counts)


def beside_tvm(figures: Figures, cc: str | None) -> tuple[str, ...]:
    """Return a row: the best of TVM's variants, and what part of it htvm takes."""
    tvm = baseline.measure(MODELS / f"{figures.network}.onnx", cc, figures.level)
    best = baseline.best(tvm)
    fastest = baseline.best(tvm, "cycles")
    return (
        figures.network,
        figures.level,
        best.variant,
        f"{best.instructions:,}",
        f"{fastest.cycles:,}",
        f"{figures.instructions / best.instructions:.3f}",
        f"{figures.cycles / fastest.cycles:.3f}",
    )


INTRODUCTION = """\
# Figures of the host

One inference of MLPerf Tiny's networks on target `rv32` (constants 2.4x: with 4 MiB); bytes of RAM (activations,
scratch, inputs and outputs), code and constants. Layers above their limit, and TVM, are beside mode "default". Written
by `measure.py --write`, compared by test/end_to_end/test_host_figures.py with what the compilers of these versions make
today. TVM's softmax is left out; its best variant by instructions, and by cycles.

"""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    arguments.add_argument("--cc", action="append", help="a RISC-V compiler's command; may be repeated")
    arguments.add_argument("--level", action="append", help="write --level=-O2; may be repeated")
    arguments.add_argument("--mode", action="append", choices=MODES, help="what is asked for; may be repeated")
    arguments.add_argument("--no-tvm", action="store_true", help="htvm alone")
    arguments.add_argument("--write", action="store_true", help="make figures.md anew, from all of this")
    given = arguments.parse_args()
    compilers = given.cc or ([GCC] if shutil.which(GCC) else []) + [None]
    parts = []
    for cc in compilers:
        for part in section(cc, given.networks, given.level or LEVELS, given.mode or [*MODES], not given.no_tvm):
            print(part, flush=True)
            parts.append(part)
    if given.write:
        FIGURES.write_text(INTRODUCTION + "\n".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
