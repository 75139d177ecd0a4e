"""The C project of a planned module: what is written, and that any C compiler takes it."""

import subprocess

import pytest
from machine import machine
from mlir import ir

from htvm import dialects
from htvm.backend.c import Emitted, emit_c
from htvm.backend.c.schema import as_object
from htvm.backend.targets.socs.rv32 import SOC

PLANNED = r"""
module attributes {accel.arena = {ram = 64 : i64}, accel.lower_bound = {ram = 64 : i64}} {
  memref.global "private" constant @weights : memref<3x4xi8, "ram">
    = dense<[[1, 2, 3, 4], [-5, -6, -7, -8], [-1, -2, -3, -128]]>
  memref.global "private" constant @bias : memref<3xi32, "ram"> = dense<[100, -2147483648, 2147480000]>
  memref.global "private" constant @table : memref<2xi8, "ram"> = dense<[7, -7]>
  func.func @main(
      %x: memref<1x4x1x1xi8, "ram"> {accel.name = "in*/put:0", accel.interface = "float32", accel.offset = 0 : i64,
                                     accel.scale = 0.5 : f64, accel.zero_point = -3 : i64},
      %y: memref<1x3xi32, "ram"> {accel.name = "in/put:0", accel.interface = "float32", accel.offset = 16 : i64,
                                  accel.scale = 0.25 : f64, accel.zero_point = 0 : i64, accel.result},
      %z: memref<1x4xi8, "ram"> {accel.name = "double", accel.interface = "int8", accel.offset = 32 : i64,
                                 accel.result}) {
    %w = memref.get_global @weights : memref<3x4xi8, "ram">
    %b = memref.get_global @bias : memref<3xi32, "ram">
    %t = memref.get_global @table : memref<2xi8, "ram">
    %h = accel.buffer "h" at 48 : memref<1x4x1x1xi8, "ram">
    accel.lookup %x, %t into %h {lowest = 0 : i64, engine = "host"}
      : (memref<1x4x1x1xi8, "ram">, memref<2xi8, "ram">, memref<1x4x1x1xi8, "ram">) -> () loc("sign")
    %f = accel.buffer "flat" at 48 : memref<1x4xi8, "ram">
    accel.reshape %h into %f {engine = "host"} : (memref<1x4x1x1xi8, "ram">, memref<1x4xi8, "ram">) -> () loc("flatten")
    accel.dense %f, %w bias %b into %y {engine = "host", kernel = #accel.kernel<in_place>}
      : (memref<1x4xi8, "ram">, memref<3x4xi8, "ram">, memref<3xi32, "ram">, memref<1x3xi32, "ram">) -> ()
      loc("evil */ #error ??/\0A\\")
    accel.reshape %f into %z {engine = "host"} : (memref<1x4xi8, "ram">, memref<1x4xi8, "ram">) -> () loc("out")
    return
  }
}
"""

LOOKUP = r"""
module attributes {accel.arena = {ram = 384 : i64}, accel.lower_bound = {ram = 384 : i64}} {
  memref.global "private" constant @table : memref<256xi8, "ram"> = dense<1>
  func.func @lookup(
      %x: memref<1x3x8x8xi8, "ram"> {accel.name = "x", accel.offset = 0 : i64},
      %y: memref<1x3x8x8xi8, strided<[192, 1, 24, 3]>, "ram"> {accel.name = "y", accel.offset = 192 : i64,
                                                               accel.result}) {
    %t = memref.get_global @table : memref<256xi8, "ram">
    accel.lookup %x, %t into %y {lowest = -128 : i64, engine = "host"}
      : (memref<1x3x8x8xi8, "ram">, memref<256xi8, "ram">, memref<1x3x8x8xi8, strided<[192, 1, 24, 3]>, "ram">) -> ()
    return
  }
}
"""

DRIVER = """\
#include "main_.h"
#include "main__float.h"
#include <stdio.h>

int main(void)
{
    static unsigned char arena[MAIN__ARENA_BYTES] __attribute__((aligned(MAIN__ARENA_ALIGNMENT)));
    const float from[4] = {1.5f, 2.0f, 1.75f, 2.25f}; /* over the scale 3, 4, and ties: 3.5, 4.5 */
    int8_t x[4], z[4];
    int32_t y[3];
    float real[3];

    main__in_put_0_from_float(from, x);
    main__run(x, y, z, arena);
    main__in_put_0_2_to_float(y, real);
    printf("%d %d %d %d\\n", x[0], x[1], x[2], x[3]);
    printf("%ld %ld %ld\\n", (long)y[0], (long)y[1], (long)y[2]);
    printf("%d %d %d %d\\n", z[0], z[1], z[2], z[3]);
    printf("%g\\n", (double)real[0]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def emitted() -> Emitted:
    with dialects.context() as context:
        module = ir.Module.parse(PLANNED, context)
        first = emit_c(module, SOC)
        assert emit_c(module, SOC) == first
        return first


@pytest.fixture
def files(emitted: Emitted) -> dict[str, str]:
    return emitted.sources


@pytest.mark.parametrize("compiler", machine().native)
def test_hostile_names_compile_and_run(compiler, files, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "driver.c").write_text(DRIVER)
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-trigraphs", "-std=c99"]
    command = [compiler, *warnings, *machine().sanitizers(compiler), "driver.c", "main_.c", "-o", "driver"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "driver"], capture_output=True, text=True, check=True)
    h = [7, -7, -7, -7]
    weights = [[1, 2, 3, 4], [-5, -6, -7, -8], [-1, -2, -3, -128]]
    bias = [100, -2147483648, 2147480000]
    y = [b + sum(a * w for a, w in zip(h, row)) for b, row in zip(bias, weights)]
    assert done.stdout.splitlines() == [
        "0 1 1 1",
        " ".join(map(str, y)),
        "7 -7 -7 -7",
        f"{y[0] * 0.25:g}",
    ]


def test_a_lookup_goes_along_the_longest_rows_with_known_distances() -> None:
    """From NCHW to NHWC: three rows of 64 elements, 1 apart and 3 apart; not 64 rows of three."""
    with dialects.context() as context:
        text = emit_c(ir.Module.parse(LOOKUP, context), SOC).sources["lookup.c"]
    assert "HTVM_DEFINE_LOOKUP(htvm_run_lookup_i8_i8_1_3, HTVM_INT8, HTVM_INT8, 1, 3)" in text
    assert ".size = {1, 1, 3, 64}," in text


def test_a_table_that_turns_the_highest_bit_is_no_table() -> None:
    turned = ", ".join(str(index) for index in range(256))
    text = LOOKUP.replace("dense<1>", f"dense<[{turned}]>").replace("256xi8", "256xui8")
    text = text.replace("8xi8, strided", "8xui8, strided")
    other = text.replace("[0, 1, 2", "[0, 1, 3")
    for table, kernel in ((text, "HTVM_DEFINE_FLIP(htvm_run_flip_3, 3)"), (other, "HTVM_DEFINE_LOOKUP(")):
        with dialects.context() as context:
            found = emit_c(ir.Module.parse(table, context), SOC).sources["lookup.c"]
        assert kernel in found
        assert ("step_0_table" in found) == (table is other)


def test_steps_name_their_nodes(files):
    assert "/* Step 0, ONNX node 'sign'" in files["main_.c"]
    assert "ONNX node 'evil *\\x2f #error ?\\x3f/\\x0a\\x5c'" in files["main_.c"]


def test_reshape_in_place_has_no_step(emitted, files):
    assert [step.name for step in emitted.report.steps] == ["sign", "evil */ #error ??/\n\\", "out"]
    assert "htvm_step_3" not in files["main_.c"]


def test_report_describes_the_interface(emitted):
    report = as_object(emitted.report)
    assert report["generator"] == "htvm" and report["target"] == "rv32"
    (x,) = report["inputs"]
    assert (x["name"], x["c_name"], x["dtype"], x["shape"], x["offset"], x["bytes"]) == (
        "in*/put:0",
        "in_put_0",
        "int8",
        [1, 4, 1, 1],
        0,
        4,
    )
    assert [(port["c_name"], port["offset"]) for port in report["outputs"]] == [("in_put_0_2", 16), ("double_", 32)]
    assert report["memories"]["ram"] == {"planned_peak_bytes": 64, "lower_bound_bytes": 64, "capacity_bytes": 524288}


def test_only_kernels_that_are_used_are_there(files):
    assert {name for name in files if name.startswith("htvm_")} == {
        "htvm_conv2d.h",
        "htvm_element.h",
        "htvm_elementwise.h",
        "htvm_requant.h",
    }


def test_link_script_has_the_memories(files):
    assert (
        f"ram (rwx) : ORIGIN = {SOC.memory('ram').base:#x}, LENGTH = {SOC.memory('ram').size_bytes}" in files["link.ld"]
    )


def test_unplanned_module_is_refused():
    with dialects.context() as context:
        text = 'func.func @f(%x: tensor<4xi8> {accel.name = "x"}) { return }'
        module = ir.Module.parse(text, context)
        with pytest.raises(ValueError, match="no attribute 'accel.arena'"):
            emit_c(module, SOC)
