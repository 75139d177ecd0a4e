"""What every kernel header promises of itself: it stands alone, warns of nothing and needs no library."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import native
import pytest
from machine import RISCV_GCC, machine

FREESTANDING = ["-march=rv32imc", "-mabi=ilp32", "-ffreestanding"]
ZIG_HEADERS = Path(find_spec("ziglang").origin).parent / "lib" / "include"
RV32_COMPILERS = {
    "zig clang": [
        sys.executable,
        "-m",
        "ziglang",
        "clang",
        "--target=riscv32-freestanding",
        "-isystem",
        str(ZIG_HEADERS),
    ],
    **({RISCV_GCC: [RISCV_GCC]} if machine().riscv_gcc else {}),
}
HEADERS = sorted(path.name for path in native.KERNELS.glob("*.h"))
EVERY_FORM = """\
#include "htvm_conv2d.h"
#include "htvm_depthwise_words.h"
#include "htvm_elementwise.h"
#include "htvm_packed.h"
#include "htvm_paired_row.h"
#include "htvm_pool2d_words.h"
#include "htvm_softmax.h"
#include "htvm_sparse_row.h"
#include "htvm_winograd.h"
#define USE(name) void *use_##name(void) { return (void *)(uintptr_t)name; }
HTVM_DEFINE_PACK_WINDOWS(pack_windows, HTVM_INT8)
HTVM_DEFINE_WINOGRAD_BLOCKS(winograd_blocks, HTVM_INT8)
#define FORMS(form) \\
    HTVM_DEFINE_PACKED(packed_##form, HTVM_INT8, HTVM_INT8, form, pack_windows) USE(packed_##form) \\
    HTVM_DEFINE_WINOGRAD(winograd_##form, HTVM_INT8, HTVM_INT8, form, winograd_blocks) USE(winograd_##form) \\
    HTVM_DEFINE_ROW(row_##form, HTVM_INT8, HTVM_INT8, HTVM_INT8, form) USE(row_##form) \\
    HTVM_DEFINE_PAIRED_ROW(wide_row_##form, HTVM_WORDS, 0, HTVM_INT8, HTVM_INT8, form) USE(wide_row_##form) \\
    HTVM_DEFINE_PAIRED_ROW(quad_row_##form, HTVM_QUADS, 1, HTVM_INT8, HTVM_INT8, form) USE(quad_row_##form) \\
    HTVM_DEFINE_SPARSE_ROW(sparse_row_##form, HTVM_INT8, HTVM_INT8, form) USE(sparse_row_##form) \\
    HTVM_DEFINE_CONV2D(conv2d_##form, HTVM_INT8, HTVM_INT8, HTVM_INT8, form) USE(conv2d_##form) \\
    HTVM_DEFINE_DEPTHWISE3X3(depthwise_##form, 1, HTVM_INT8, HTVM_INT8, HTVM_INT8, form) USE(depthwise_##form) \\
    HTVM_DEFINE_DEPTHWISE_WORDS(words_##form, 2, HTVM_INT8, HTVM_INT8, HTVM_INT8, form) USE(words_##form)
FORMS(HTVM_RAW)
FORMS(HTVM_NARROW)
FORMS(HTVM_NARROW_EACH)
FORMS(HTVM_WIDE)
FORMS(HTVM_HALF_EVEN)
FORMS(HTVM_CORRECTED)
FORMS(HTVM_DOUBLE_ROUND)
HTVM_DEFINE_ADD(add_wide, HTVM_INT8, HTVM_INT8, HTVM_INT8, HTVM_WIDE) USE(add_wide)
HTVM_DEFINE_ADD(add_even, HTVM_INT8, HTVM_INT8, HTVM_INT8, HTVM_HALF_EVEN) USE(add_even)
HTVM_DEFINE_POOL2D_SUM_WORDS(pool2d_words, HTVM_SIGNED, HTVM_INT8, HTVM_NARROW) USE(pool2d_words)
HTVM_DEFINE_POOL2D_EXTREME_WORDS(pool2d_extreme, HTVM_SIGNED, HTVM_MINIMUM) USE(pool2d_extreme)
HTVM_DEFINE_SOFTMAX(softmax, HTVM_INT8, HTVM_INT8) USE(softmax)
"""


def compiled(command: list, source: str, folder: Path, output: str = "-S") -> str:
    """Return the assembly of a C source, after checking that the compiler has nothing to say."""
    (folder / "source.c").write_text(source)
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", f"-I{native.KERNELS}"]
    done = subprocess.run(
        [*command, *warnings, output, "-o", "out", "source.c"], cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / "out").read_text()


@pytest.mark.parametrize("compiler", native.COMPILERS)
@pytest.mark.parametrize("header", HEADERS)
def test_header_stands_alone(compiler, header, tmp_path):
    compiled([compiler], f'#include "{header}"\n', tmp_path)


@pytest.mark.parametrize("compiler", RV32_COMPILERS)
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_rv32_needs_no_library(compiler, level, tmp_path):
    assembly = compiled([*RV32_COMPILERS[compiler], *FREESTANDING, level], EVERY_FORM, tmp_path)
    called = set(re.findall(r"\b(?:call|tail|jal|j)\s+([A-Za-z_]\w+)", assembly))
    foreign = {name for name in called if not re.search(rf"^{name}:", assembly, re.MULTILINE)}
    assert foreign <= {"memcpy", "memset"}  # which a target's start.S has


@pytest.mark.parametrize("compiler", RV32_COMPILERS)
def test_narrow_form_is_one_high_multiplication(compiler, tmp_path):
    source = """\
#include "htvm_requant.h"
int32_t narrow(int32_t acc, const htvm_scale *scale, htvm_requant requant);
int32_t narrow(int32_t acc, const htvm_scale *scale, htvm_requant requant)
{
    return htvm_requantize(acc, scale, 0, HTVM_NARROW, requant);
}
"""
    assembly = compiled([*RV32_COMPILERS[compiler], *FREESTANDING, "-O2"], source, tmp_path)
    assert re.findall(r"\bmul\w*", assembly) == ["mulh"]


@pytest.mark.parametrize("compiler", RV32_COMPILERS)
def test_copies_of_many_rows_are_loops(compiler, tmp_path):
    """Unrolled, the copies of a network take more than a small memory for code."""
    source = """\
#include "htvm_soc.h"
void rows(void);
void rows(void)
{
    htvm_copy_maps(0x1A100000, 0x10000000, 8192, 64, 0x1C010000, 16384, 128, 16, 64, 48);
}
"""
    assembly = compiled([*RV32_COMPILERS[compiler], *FREESTANDING, "-O3"], source, tmp_path)
    assert len(re.findall(r"\bsw\b", assembly)) == 3
