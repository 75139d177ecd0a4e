"""Kernels take no more of the stack than backend/c/headers.py says, whatever their form; and how that is found."""

from pathlib import Path

import native
import pytest
from machine import RISCV_GCC, machine

from htvm.backend import targets
from htvm.backend.c.emit import start_up
from htvm.backend.c.headers import STACK_BYTES
from htvm.runtime.simulator.program import read_program
from htvm.runtime.simulator.stack import UnknownStack, worst_stack_bytes
from htvm.runtime.simulator.toolchain import toolchain

FORMS = ("RAW", "NARROW", "NARROW_EACH", "WIDE", "HALF_EVEN", "CORRECTED")
COMPILERS = [None, *([RISCV_GCC] if machine().riscv_gcc else [])]
SOC = targets.load("rv32")


def kernels(forms):
    """Yield the header of each kind of kernel, and its macro with arguments but the name."""
    for form in forms:
        y = "HTVM_INT32" if form == "RAW" else "HTVM_INT8"
        for x in ("HTVM_INT8", "HTVM_INT16"):
            weighted = f"{x}, HTVM_INT8, {y}, HTVM_{form}"
            yield "htvm_conv2d.h", f"CONV2D({{}}, {weighted})"
            yield "htvm_conv2d.h", f"ROW({{}}, {weighted})"
            yield "htvm_depthwise.h", f"DEPTHWISE({{}}, {weighted})"
            yield "htvm_matmul.h", f"MATMUL({{}}, {weighted})"
            yield "htvm_elementwise.h", f"ADD({{}}, {weighted})"
            yield "htvm_elementwise.h", f"MULTIPLY({{}}, {weighted})"
            yield "htvm_pool2d.h", f"POOL2D_SUM({{}}, {x}, {y}, HTVM_{form})"
            for stride in (1, 2):
                yield "htvm_depthwise.h", f"DEPTHWISE3X3({{}}, {stride}, {weighted})"
        types = f"HTVM_INT8, {y}, HTVM_{form}"
        yield "htvm_packed.h", f"PACKED({{}}, {types}, pack_windows)"
        yield "htvm_winograd.h", f"WINOGRAD({{}}, {types}, winograd_blocks)"
        yield "htvm_paired_row.h", f"PAIRED_ROW({{}}, HTVM_WORDS, 0, {types})"
        yield "htvm_paired_row.h", f"PAIRED_ROW({{}}, HTVM_QUADS, 1, {types})"
        yield "htvm_sparse_row.h", f"SPARSE_ROW({{}}, {types})"
        for stride in (1, 2):
            yield "htvm_depthwise_words.h", f"DEPTHWISE_WORDS({{}}, {stride}, HTVM_INT8, {types})"
        for held in ("SIGNED", "HALF", "UNSIGNED"):
            yield "htvm_pool2d_words.h", f"POOL2D_SUM_WORDS({{}}, HTVM_{held}, {y}, HTVM_{form})"
    for kind in ("HTVM_INT8", "HTVM_INT16"):
        yield "htvm_argmax.h", f"ARGMAX({{}}, {kind}, HTVM_INT32)"
        yield "htvm_elementwise.h", f"LOOKUP({{}}, HTVM_INT8, {kind}, 1)"
        yield "htvm_elementwise.h", f"COPY({{}}, {kind})"
        yield "htvm_elementwise.h", f"FILL({{}}, {kind})"
        yield "htvm_elementwise.h", f"EXTREME({{}}, {kind}, 1)"
        yield "htvm_pool2d.h", f"POOL2D_EXTREME({{}}, {kind}, HTVM_MAXIMUM)"
        yield "htvm_layer_norm.h", f"LAYER_NORM({{}}, {kind}, {kind})"
        yield "htvm_softmax.h", f"SOFTMAX({{}}, {kind}, {kind})"
        yield "htvm_real.h", f"THRESHOLD({{}}, HTVM_INT32, {kind})"
        for even in (0, 1):
            yield "htvm_real.h", f"WEIGHTED_SUM({{}}, 4, {even}, {kind}, {kind}, {kind}, {kind}, {kind})"


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
