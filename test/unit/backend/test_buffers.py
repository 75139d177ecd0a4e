"""The buffers of report.json: where they are, and from which step to which they are needed."""

import pytest
from mlir import ir

from htvm import dialects
from htvm.backend.c import emit_c
from htvm.backend.c.record import Report
from htvm.backend.targets.socs.rv32 import SOC

PLANNED = r"""
module attributes {accel.arena = {ram = 64 : i64}, accel.lower_bound = {ram = 64 : i64}} {
  memref.global "private" constant @table : memref<2xi8, "ram"> = dense<[7, -7]>
  func.func @main(%x: memref<1x4x1x1xi8, "ram"> {accel.name = "x", accel.offset = 0 : i64},
                  %y: memref<1x4xi8, "ram"> {accel.name = "y", accel.offset = 32 : i64, accel.result}) {
    %t = memref.get_global @table : memref<2xi8, "ram">
    %h = accel.buffer "h" at 48 : memref<1x4x1x1xi8, "ram">
    accel.lookup %x, %t into %h {lowest = 0 : i64, engine = "host"}
      : (memref<1x4x1x1xi8, "ram">, memref<2xi8, "ram">, memref<1x4x1x1xi8, "ram">) -> () loc("sign")
    %f = accel.buffer "flat" at 48 : memref<1x4xi8, "ram">
    accel.reshape %h into %f {engine = "host"} : (memref<1x4x1x1xi8, "ram">, memref<1x4xi8, "ram">) -> () loc("flatten")
    %g = accel.buffer "g" at 16 : memref<1x4xi8, "ram">
    accel.lookup %f, %t into %g {lowest = 0 : i64, engine = "host"}
      : (memref<1x4xi8, "ram">, memref<2xi8, "ram">, memref<1x4xi8, "ram">) -> () loc("again")
    accel.reshape %g into %y {engine = "host"} : (memref<1x4xi8, "ram">, memref<1x4xi8, "ram">) -> () loc("out")
    return
  }
}
"""


@pytest.fixture(scope="module")
def report() -> Report:
    return emit_c(ir.Module.parse(PLANNED, dialects.context()), SOC).report


def test_a_buffer_lives_from_the_step_that_makes_it_to_the_last_that_reads_it(report: Report) -> None:
    found = [(each.name, each.kind.value, each.offset, each.first, each.last) for each in report.buffers]
    assert found == [
        ("x", "input", 0, -1, 0),
        ("y", "output", 32, 2, 3),
        ("h", "activation", 48, 0, 1),  # what the reshape makes of it in place is the same buffer
        ("g", "activation", 16, 1, 2),
    ]


def test_steps_say_what_they_read_and_make(report: Report) -> None:
    def names(numbers: tuple[int, ...]) -> list[str]:
        return [report.buffers[number].name for number in numbers]

    steps = [(each.name, names(each.reads), names(each.writes)) for each in report.steps]
    assert steps == [("sign", ["x"], ["h"]), ("again", ["h"], ["g"]), ("out", ["g"], ["y"])]
    assert [each.weight_bytes for each in report.steps] == [2, 2, 0]
