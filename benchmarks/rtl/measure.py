"""Whole networks on the RTL of CV32E40P, beside htvm's simulator: the same program, its cycles, instructions, outputs.

Usage: measure.py [--cc COMMAND] [--level=-O3] [--mode MODE ...] [NETWORK | MODEL.onnx ...]
default: clang, -O3, mode "default" (those of benchmarks/host), the four networks of MLPerf Tiny

A network of MLPerf Tiny gets the input of a golden, a model of yours a random one. The first call fetches the RTL with
pip (pythondata-cpu-cv32e40p) and builds the simulator with Verilator and a C++ compiler, which must be installed. Exits
with 1 if any number differs.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from htvm.driver import CompiledModel
from htvm.execution.program import Program
from htvm.interface import Samples

sys.path.insert(0, str(Path(__file__).parents[1]))

from host.measure import DEFAULT, MODES, compiled_in  # noqa: E402
from tvm_baseline.baseline import CACHE, MODELS, NETWORKS, digest  # noqa: E402

HERE = Path(__file__).parent
PACKAGE = "pythondata-cpu-cv32e40p==1.0.1.post1909"  # the RTL of upstream's commit 360d272
FIRST = ("include/cv32e40p_apu_core_pkg", "include/cv32e40p_fpu_pkg", "include/cv32e40p_pkg")
UNITS = (
    "if_stage cs_registers register_file_ff load_store_unit id_stage aligner decoder compressed_decoder fifo "
    "prefetch_buffer hwloop_regs mult int_controller ex_stage alu_div alu ff_one popcnt apu_disp controller "
    "obi_interface prefetch_controller sleep_unit core top"
).split()
OPTIONS = (
    *("--cc", "--exe", "--build", "-sv", "-O3", "-CFLAGS", "-O2", "--x-assign", "0", "--x-initial", "0"),
    # A performance counter's array has constant and clocked elements, the clock gate is a latch.
    *("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-COMBDLY", "-Wno-BLKANDNBLK", "-Wno-WIDTHCONCAT"),
    *("--top-module", "core"),
)
POISON = 0xA5
MOST_CYCLES = 1_000_000_000


@dataclass(frozen=True)
class Counted:
    """What a program took from _start to htvm_done, and whether its outputs are those of the simulator."""

    cycles: int
    instructions: int
    outputs_are_equal: bool


def simulator() -> Path:
    """Return the core's simulator, built when it is missing. Raises SystemExit without Verilator."""
    verilator = shutil.which("verilator")
    if verilator is None:
        sys.exit("verilator is not installed; Debian's and Ubuntu's package is called so")
    version = subprocess.run([verilator, "--version"], check=True, capture_output=True, text=True).stdout
    sources = [HERE / "core.sv", HERE / "main.cpp"]
    folder = CACHE / f"rtl-{digest(version, PACKAGE, *OPTIONS, *(source.read_bytes() for source in sources))}"
    if not (folder / "Vcore").exists():
        print(f"Building the simulator of CV32E40P in {folder} (once)", file=sys.stderr, flush=True)
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            command = [sys.executable, "-m", "venv", f"{scratch}/environment"]
            subprocess.run(command, check=True)
            pip = [f"{scratch}/environment/bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, PACKAGE], check=True)
            (rtl,) = Path(scratch, "environment").glob(
                "lib/python*/site-packages/pythondata_cpu_cv32e40p/system_verilog"
            )
            files = [rtl / "rtl" / f"{name}.sv" for name in FIRST]
            files += [rtl / "rtl" / f"cv32e40p_{unit}.sv" for unit in UNITS]
            files += [rtl / "bhv" / "cv32e40p_sim_clock_gate.sv", *sources]
            made = Path(scratch, "made")
            build = [verilator, *OPTIONS, "--Mdir", str(made), f"-I{rtl / 'rtl' / 'include'}", *map(str, files)]
            done = subprocess.run(build, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"verilator has failed:\n{done.stdout}{done.stderr}")
            folder.mkdir(exist_ok=True)
            (made / "Vcore").replace(folder / "Vcore")
    return folder / "Vcore"


def on_rtl(program: Program, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> Counted:
    """Run a program on the core, with the same memory and inputs as the simulator has."""
    host, memory = program.host, program.soc.memories[0]
    image = bytearray([POISON]) * memory.size_bytes
    for segment in host.program.segments:
        at = segment.address - memory.base
        image[at : at + len(segment.data)] = segment.data
    for port in program.project.inputs:
        at, stored = program.arena + port.offset - memory.base, port.stored(inputs[port.name])
        image[at : at + len(stored)] = stored
    places = [
        hex(number) for number in (memory.base, memory.size_bytes, host.symbol("_start"), host.symbol("htvm_done"))
    ]
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "image").write_bytes(image)
        command = [str(simulator()), "image", *places, str(MOST_CYCLES), "out"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{program.project.report.name} on the RTL: {done.stderr.strip()}")
        cycles, instructions = map(int, done.stdout.split())
        after = Path(scratch, "out").read_bytes()
    found = {
        port.name: port.values(after[program.arena + port.offset - memory.base :][: port.size_bytes])
        for port in program.project.outputs
    }
    return Counted(cycles, instructions, all(np.array_equal(found[name], outputs[name]) for name in outputs))


def inputs_of(compiled: CompiledModel, model: Path) -> dict[str, np.ndarray]:
    """Return the first golden's inputs; random ones of a model without goldens."""
    goldens = sorted((model.parent / "golden").glob(f"{model.stem}_?.npz"))
    if not goldens:
        return compiled.project.random_inputs(0)
    golden = np.load(goldens[0])
    return {port.name: golden[port.name] for port in compiled.project.inputs}


def compare(model: Path, cc: str | None, level: str, mode: str) -> bool:
    """Run a network on both, print what each took, and say whether they agree."""
    compiled = compiled_in(mode, model)
    inputs = inputs_of(compiled, model)
    program = Program(compiled.project, compiled.soc, cc, level=level)
    result = program.run(Samples.of(compiled.project.inputs, inputs))
    execution = result.execution
    rtl = on_rtl(program, inputs, result.outputs)
    cells = (f"{execution.cycles:,}", f"{rtl.cycles:,}", f"{execution.instructions:,}", f"{rtl.instructions:,}")
    outputs = "equal" if rtl.outputs_are_equal else "differ"
    print(f"| {model.stem} | {mode} | {cc or 'clang'} {level} | {' | '.join(cells)} | {outputs} |", flush=True)
    return (execution.cycles, execution.instructions) == (rtl.cycles, rtl.instructions) and rtl.outputs_are_equal


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--cc", help="a RISC-V compiler's command")
    parser.add_argument("--level", default="-O3", help="write --level=-O2")
    parser.add_argument("--mode", action="append", choices=MODES, help="what is asked for; may be repeated")
    given = parser.parse_args()
    models = [MODELS / f"{name}.onnx" if name in NETWORKS else Path(name) for name in given.networks]
    heads = ("network", "mode", "compiler", "cycles", "RTL", "instructions", "RTL", "outputs")
    print(f"| {' | '.join(heads)} |\n|---|---|---|---:|---:|---:|---:|---|")
    agree = [compare(model, given.cc, given.level, mode) for mode in given.mode or [DEFAULT] for model in models]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
