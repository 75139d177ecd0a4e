"""Record what the programs of this folder take on the RTL. Usage: record.py SIMULATOR_DIR (of build.sh)

Writes one executable per program, and expected.json: {program: {region: [instructions, cycles]}}.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
KERNELS = (
    "matmul int8, 4x2 registers",
    "conv 3x3 int8 + requantise",
    "depthwise 3x3 int8",
    "requantise (mulh, shifts)",
    "memcpy, bytes then words",
    "memcpy, words from 4n+1",
    "memset, words",
    "softmax with table",
    "average pool 3x3",
    "list sort, scanner, CRC",
    "recursion and gcd",
)
STRESS_PROGRAMS, STRESS_SEED = 400, 11
GCC = [
    *("riscv64-unknown-elf-gcc", "-march=rv32imc_zicsr", "-mabi=ilp32"),
    *("-nostartfiles", "-nostdlib", "-ffreestanding", "-fno-tree-loop-distribute-patterns"),
    *("-T", HERE / "link.ld", HERE / "start.S"),
]


def main() -> None:
    simulator = Path(sys.argv[1]) / "Vtb"
    expected = {}
    for level in ("-O2", "-O3", "-Os"):
        name = f"kernels{level}"
        build(name, [HERE / "kernels.c", level, f"-DREGIONS={2 * len(KERNELS)}"])
        expected[name] = dict(zip(KERNELS, regions(simulator, name), strict=True))
    with tempfile.NamedTemporaryFile("w", suffix=".S") as source:
        command = [sys.executable, HERE / "stress.py", str(STRESS_PROGRAMS), str(STRESS_SEED)]
        subprocess.run(command, check=True, stdout=source)
        build("stress", [source.name, f"-DREGIONS={2 * STRESS_PROGRAMS}", "-DKEEP_REGISTERS"])
    expected["stress"] = {f"program {number}": found for number, found in enumerate(regions(simulator, "stress"))}
    (HERE / "expected.json").write_text(dump(expected))


def build(name: str, arguments: list) -> None:
    """Compile to NAME.elf, with the symbols that the simulator reads and no others."""
    elf = HERE / f"{name}.elf"
    subprocess.run([*GCC, *arguments, "-o", elf], check=True)
    keep = ["--wildcard", "--strip-all", "--keep-symbol=htvm_*", "--keep-symbol=_start"]
    subprocess.run(["riscv64-unknown-elf-objcopy", *keep, elf], check=True)


def regions(simulator: Path, name: str) -> list[tuple[int, int]]:
    """Run NAME.elf on the RTL; return the instructions and cycles between each pair of markers."""
    with tempfile.NamedTemporaryFile(suffix=".bin") as image:
        subprocess.run(["riscv64-unknown-elf-objcopy", "-O", "binary", HERE / f"{name}.elf", image.name], check=True)
        output = subprocess.run([simulator, image.name], check=True, capture_output=True, text=True).stdout
    marks = [tuple(map(int, line.split())) for line in output.splitlines()]
    return [
        (last[1] - first[1], last[0] - first[0])
        for first, last in zip(marks[0::2], marks[1::2], strict=True)
    ]  # fmt: skip


def dump(expected: dict[str, dict[str, tuple[int, int]]]) -> str:
    """Write one region per line."""
    programs = [
        f" {json.dumps(program)}: {{\n"
        + ",\n".join(f"  {json.dumps(region)}: {json.dumps(found)}" for region, found in found_in.items())
        + "\n }"
        for program, found_in in expected.items()
    ]
    return "{\n" + ",\n".join(programs) + "\n}\n"


if __name__ == "__main__":
    main()
