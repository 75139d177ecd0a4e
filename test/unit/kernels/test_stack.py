"""Kernels take no more of the stack than their descriptions say, whatever their form; and how that is found."""

import re
from pathlib import Path

import native
import pytest
from machine import RISCV_GCC, machine

from htvm.backend import kernels as kernels_of_htvm
from htvm.backend import targets
from htvm.backend.c import elementwise_steps, headers, linear_steps, real_steps, reduction_steps
from htvm.backend.c.emit import start_up
from htvm.runtime.simulator.program import read_program
from htvm.runtime.simulator.stack import UnknownStack, worst_stack_bytes
from htvm.runtime.simulator.toolchain import toolchain

ENUM = re.search(r"typedef enum \{(.*?)\} htvm_output;", (native.KERNELS / "htvm_requant.h").read_text(), re.DOTALL)
assert ENUM is not None
FORMS = tuple(re.findall(r"^ +HTVM_(\w+),", ENUM[1], re.MULTILINE))
COMPILERS = [None, *([RISCV_GCC] if machine().riscv_gcc else [])]
SOC = targets.load("rv32")

OTHER_HEADERS = [
    item
    for module in (elementwise_steps, linear_steps, real_steps, reduction_steps)
    for item in vars(module).values()
    if isinstance(item, headers.Header)
]
STACK_BYTES = {each.header: each.stack_bytes for each in kernels_of_htvm.own().values()} | {
    each.name: each.stack_bytes for each in OTHER_HEADERS
}
"""The most that a call takes of the stack, by header."""


WEIGHTED = (
    ("conv2d", "CONV2D({{}}, {weighted})"),
    ("conv2d", "ROW({{}}, {weighted})"),
    ("depthwise", "DEPTHWISE({{}}, {weighted})"),
    ("depthwise", "DEPTHWISE3X3({{}}, 1, {weighted})"),
    ("depthwise", "DEPTHWISE3X3({{}}, 2, {weighted})"),
    ("matmul", "MATMUL({{}}, {weighted})"),
    ("elementwise", "ADD({{}}, {weighted})"),
    ("elementwise", "MULTIPLY({{}}, {weighted})"),
    ("pool2d", "POOL2D_SUM({{}}, {x}, {end})"),
)
"""Kernels of each form, for inputs of 8 and of 16 bits: header, and macro with arguments."""

ON_BYTES = (
    ("packed", "PACKED({{}}, HTVM_INT8, {end}, pack_windows)"),
    ("winograd", "WINOGRAD({{}}, HTVM_INT8, {end}, winograd_blocks)"),
    ("paired_row", "PAIRED_ROW({{}}, HTVM_WORDS, 0, HTVM_INT8, {end})"),
    ("paired_row", "PAIRED_ROW({{}}, HTVM_QUADS, 1, HTVM_INT8, {end})"),
    ("sparse_row", "SPARSE_ROW({{}}, HTVM_INT8, {end})"),
    ("depthwise_words", "DEPTHWISE_WORDS({{}}, 1, HTVM_INT8, HTVM_INT8, {end})"),
    ("depthwise_words", "DEPTHWISE_WORDS({{}}, 2, HTVM_INT8, HTVM_INT8, {end})"),
    ("pool2d_words", "POOL2D_SUM_WORDS({{}}, HTVM_SIGNED, {end})"),
    ("pool2d_words", "POOL2D_SUM_WORDS({{}}, HTVM_HALF, {end})"),
    ("pool2d_words", "POOL2D_SUM_WORDS({{}}, HTVM_UNSIGNED, {end})"),
)
"""Kernels of each form, for inputs of 8 bits alone."""

WITHOUT_FORM = (
    ("argmax", "ARGMAX({{}}, {x}, HTVM_INT32)"),
    ("elementwise", "LOOKUP({{}}, HTVM_INT8, {x}, 1, 3)"),
    ("elementwise", "FLIP({{}}, 3)"),
    ("elementwise", "COPY({{}}, {x})"),
    ("elementwise", "FILL({{}}, {x})"),
    ("elementwise", "EXTREME({{}}, {x}, 1)"),
    ("pool2d", "POOL2D_EXTREME({{}}, {x}, HTVM_MAXIMUM)"),
    ("pool2d_words", "POOL2D_EXTREME_WORDS({{}}, HTVM_SIGNED, HTVM_MAXIMUM)"),
    ("pool2d_words", "POOL2D_EXTREME_WORDS({{}}, HTVM_UNSIGNED, HTVM_MINIMUM)"),
    ("layer_norm", "LAYER_NORM({{}}, {x}, {x})"),
    ("softmax", "SOFTMAX({{}}, {x}, {x})"),
    ("real", "THRESHOLD({{}}, HTVM_INT32, {x})"),
    ("real", "WEIGHTED_SUM({{}}, 4, 0, {x}, {x}, {x}, {x}, {x})"),
    ("real", "WEIGHTED_SUM({{}}, 4, 1, {x}, {x}, {x}, {x}, {x})"),
)
"""Kernels that do not requantise."""


def kernels(forms):
    """Yield the header of each kind of kernel, and its macro with arguments but the name."""
    for form in forms:
        end = f"{'HTVM_INT32' if form == 'RAW' else 'HTVM_INT8'}, HTVM_{form}"
        for x in ("HTVM_INT8", "HTVM_INT16"):
            for header, macro in WEIGHTED:
                yield f"htvm_{header}.h", macro.format(x=x, end=end, weighted=f"{x}, HTVM_INT8, {end}")
        for header, macro in ON_BYTES:
            yield f"htvm_{header}.h", macro.format(end=end)
    for x in ("HTVM_INT8", "HTVM_INT16"):
        for header, macro in WITHOUT_FORM:
            yield f"htvm_{header}.h", macro.format(x=x)


def linked(source: str, assembly: str, folder: Path, cc: str | None, level: str):
    """Return the program of a C source and some assembly."""
    (folder / "main.c").write_text(source)
    (folder / "more.S").write_text(assembly)
    for name, text in start_up(SOC).items():
        (folder / name).write_text(text)
    sources = [folder / name for name in ("main.c", "more.S", "start.S")]
    toolchain(SOC.host, cc).build(sources, folder / "link.ld", folder / "all.elf", (level, f"-I{native.KERNELS}"))
    return read_program(folder / "all.elf", SOC)


MAIN = """\
#include <stdint.h>
unsigned char htvm_arena[4] __attribute__((section(".arena")));
int main(void) { return 0; }
"""


EVERY = [(cc, level, FORMS) for cc in COMPILERS for level in ("-O2", "-O3")]


@pytest.mark.parametrize(
    ("cc", "level", "forms"),
    [(None, "-O3", ("NARROW", "CORRECTED")), *(pytest.param(*each, marks=pytest.mark.slow) for each in EVERY)],
)
def test_kernels_take_at_most_the_stack_that_is_said(cc, level, forms, tmp_path):
    found = list(kernels(forms))
    assert {header for header, _ in found} == set(STACK_BYTES)
    names = [f"kernel_{number}" for number in range(len(found))]
    parts = [
        *(f'#include "{header}"' for header in sorted(STACK_BYTES)),
        "HTVM_DEFINE_PACK_WINDOWS(pack_windows, HTVM_INT8)",
        "HTVM_DEFINE_WINOGRAD_BLOCKS(winograd_blocks, HTVM_INT8)",
        *(f"HTVM_DEFINE_{macro.format(name)}" for name, (_, macro) in zip(names, found, strict=True)),
        "extern const uintptr_t used[];",
        f"const uintptr_t used[] = {{{', '.join(f'(uintptr_t){name}' for name in names)}}};",
    ]
    program = linked("\n".join([*parts, MAIN]), "", tmp_path, cc, level)
    beyond = [
        (macro, size, STACK_BYTES[header])
        for name, (header, macro) in zip(names, found, strict=True)
        if (size := worst_stack_bytes(program, name)) > STACK_BYTES[header]
    ]
    assert not beyond


ASSEMBLY = """\
    .globl leaf, deep, tail, branching, recursive, through_pointer, computed
leaf: addi sp, sp, -16
    addi sp, sp, 16
    ret
deep: addi sp, sp, -32
    jal leaf
    addi sp, sp, -48
    addi sp, sp, 80
    ret
tail: addi sp, sp, -16
    addi sp, sp, 16
    j deep
branching: beqz a0, 1f
    addi sp, sp, -64
    jal leaf
    addi sp, sp, 64
    ret
1:  call deep
    ret
recursive: addi sp, sp, -16
    jal recursive
    addi sp, sp, 16
    ret
through_pointer: jalr a0
    ret
computed: sub sp, sp, a0
    ret
"""


def test_the_deepest_path_counts(tmp_path):
    program = linked(MAIN, ASSEMBLY, tmp_path, None, "-O1")
    found = {name: worst_stack_bytes(program, name) for name in ("leaf", "deep", "tail", "branching")}
    assert found == {"leaf": 16, "deep": 80, "tail": 80, "branching": 80}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("recursive", "calls itself"),
        ("through_pointer", "calls a computed address"),
        ("computed", "computes its frame"),
    ],
)
def test_what_cannot_be_known_is_not_guessed(name, reason, tmp_path):
    program = linked(MAIN, ASSEMBLY, tmp_path, None, "-O1")
    with pytest.raises(UnknownStack, match=f"{name}.*{reason}"):
        worst_stack_bytes(program, name)
