"""Runs host kernels natively: many cases in one program, under AddressSanitizer and UndefinedBehaviorSanitizer.

Every buffer is a heap block of exactly its size, so that an access outside is found.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import machine

KERNELS = Path(__file__).parents[3] / "runtime" / "kernels"
COMPILERS = machine().native
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
ENUMERATORS = {
    "int8": "HTVM_INT8",
    "uint8": "HTVM_UINT8",
    "int16": "HTVM_INT16",
    "uint16": "HTVM_UINT16",
    "int32": "HTVM_INT32",
}

PRELUDE = """\
#include <stdio.h>
#include <stdlib.h>

static void *take(FILE *from, size_t bytes)
{
    void *block = malloc(bytes);
    if (!block || fread(block, 1, bytes, from) != bytes) {
        abort();
    }
    return block;
}
"""


@dataclass(frozen=True)
class Case:
    """One call of a kernel.

    definition: lines that define functions; equal ones are written once. body: C statements that call one; they see
    `buffers` under their names. expected: what the buffer `y` holds afterwards, all of it.
    """

    title: str
    header: str
    definition: str
    body: str
    buffers: Mapping[str, np.ndarray]
    expected: np.ndarray


def run(cases: Sequence[Case], compiler: str, folder: Path) -> list[np.ndarray]:
    """Return the contents of each case's `y` after its call."""
    source, program, data = folder / "cases.c", folder / f"cases_{compiler}", folder / "cases.bin"
    source.write_text(program_text(cases))
    command = [
        compiler,
        "-std=c99",
        "-O0",
        *WARNINGS,
        *machine().sanitizers(compiler),
        f"-I{KERNELS}",
        source,
        "-o",
        program,
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    data.write_bytes(b"".join(array.tobytes() for case in cases for array in case.buffers.values()))
    done = subprocess.run([program, data], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    results, at = [], 0
    for case in cases:
        size = case.expected.nbytes
        results.append(np.frombuffer(done.stdout[at : at + size], case.expected.dtype))
        at += size
    assert at == len(done.stdout)
    return results


def check(cases: Sequence[Case], compiler: str, folder: Path) -> None:
    """Run cases and compare for equality; the message has the titles of those that differ."""
    wrong = []
    for case, found in zip(cases, run(cases, compiler, folder)):
        expected = case.expected.reshape(-1)
        if not np.array_equal(found, expected):
            at = int(np.flatnonzero(found != expected)[0])
            wrong.append(f"{case.title}: element {at} is {found[at]}, expected {expected[at]}")
    assert not wrong, "\n".join(wrong)


def program_text(cases: Sequence[Case]) -> str:
    includes = [f'#include "{header}"' for header in sorted({case.header for case in cases})]
    definitions = dict.fromkeys(line for case in cases for line in case.definition.split("\n"))
    functions = [case_text(number, case) for number, case in enumerate(cases)]
    calls = "".join(f"    case_{number}(from);\n" for number in range(len(cases)))
    main = (
        f'int main(int count, char **names)\n{{\n    FILE *from = count > 1 ? fopen(names[1], "rb") : NULL;\n\n{calls}'
    )
    return "\n".join([PRELUDE, *includes, *definitions, *functions, main + "    return 0;\n}\n"])


def case_text(number: int, case: Case) -> str:
    taken = "".join(f"    void *{name} = take(from, {array.nbytes});\n" for name, array in case.buffers.items())
    freed = "".join(f"    free({name});\n" for name in case.buffers)
    written = f"    fwrite(y, 1, {case.expected.nbytes}, stdout);\n"
    return f"/* {case.title} */\nstatic void case_{number}(FILE *from)\n{{\n{taken}{case.body}\n{written}{freed}}}\n"


def struct(c_type: str, fields: Mapping[str, object]) -> str:
    """Return a C compound literal's address; a value may be a sequence or a mapping."""
    return f"&({c_type}){initializer(fields)}"


def initializer(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{key} = {initializer(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(map(initializer, value)) + "}"
    return str(value)


def laid_out(array: np.ndarray, order: Sequence[int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return an array's elements as they lie in memory with its axes in `order`, and its strides in elements."""
    memory = np.ascontiguousarray(array.transpose(order))
    strides = [0] * array.ndim
    for axis, stride in zip(order, memory.strides):
        strides[axis] = stride // array.itemsize
    return memory.reshape(-1), tuple(strides)
