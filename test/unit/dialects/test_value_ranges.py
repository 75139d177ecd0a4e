"""Which integers a value can hold, from what made it."""

import numpy as np
from mlir import ir

from htvm import dialects
from htvm.dialects import accel
from htvm.dialects.semantics import value_ranges

REQUANT = "requant = #accel.requant<multiplier = [1], offset = [0], shift = [0], min = -5, max = 9>"
RESCALE = (
    "rescale = #accel.rescale<weights = [1, 1], " + REQUANT.replace("#accel.requant", "").replace("-5", "-3") + ">"
)
GEOMETRY = "strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1"

X, W = "tensor<1x2x4x4xi8>", "tensor<2x2x1x1xi8>"
PAD = "low = array<i64: 0, 0, 1, 1>, high = array<i64: 0, 0, 0, 0>, value = 40.0"

MODULE = f"""
func.func @main(%x: {X} {{accel.range = array<i64: -64, 63>}}, %u: tensor<1x2x4x4xui8>, %f: tensor<4xf32>) {{
  %w = arith.constant dense<[[[[7]], [[-2]]], [[[0]], [[1]]]]> : {W}
  %0 = accel.conv2d %x, %w {{{GEOMETRY}, {REQUANT}}} : ({X}, {W}) -> {X}
  %1 = accel.conv2d %x, %w {{{GEOMETRY}, {REQUANT}, {RESCALE}}} : ({X}, {W}) -> {X}
  %2 = accel.concat %x, %0 {{axis = 1}} : ({X}, {X}) -> tensor<1x4x4x4xi8>
  %3 = accel.pad %0 {{{PAD}}} : ({X}) -> tensor<1x2x5x5xi8>
  %4 = accel.reshape %0 : ({X}) -> tensor<32xi8>
  return
}}
"""


def test_a_range_comes_from_what_made_the_value() -> None:
    with dialects.context():
        module = ir.Module.parse(MODULE)
        (function,) = accel.functions(module)
        assert [value_ranges.held(argument) for argument in function.arguments] == [(-64, 63), (0, 255), None]
        results = [op.operation.results[0] for op in list(function.body.blocks[0])[:-1]]
        found = [value_ranges.held(result) for result in results]
        assert found == [(-2, 7), (-5, 9), (-3, 9), (-64, 63), (-5, 40), (-5, 9)]


M, V = (each.replace("tensor<", "memref<").replace(">", ', "ram">') for each in (X, W))
N = M.replace("ram", "near")
ON_MEMREFS = f"""
memref.global "private" constant @w : {V} = dense<1>
func.func @main(%x: {M}, %out: {M} {{accel.range = array<i64: 0, 4>, accel.result}}) {{
  %w = memref.get_global @w : {V}
  %0 = accel.buffer "made" : {M}
  accel.conv2d %x, %w into %0 {{{GEOMETRY}, {REQUANT}}} : ({M}, {V}, {M}) -> ()
  %1 = accel.buffer "moved" : {M}
  accel.transpose %0 into %1 {{permutation = array<i64: 0, 1, 2, 3>}} : ({M}, {M}) -> ()
  accel.transpose %0 into %out {{permutation = array<i64: 0, 1, 2, 3>}} : ({M}, {M}) -> ()
  %2 = accel.buffer "copied" : {N}
  %token = accel.copy %1 to %2 : {M} to {N}
  return
}}
"""
"""Whether a copy writes %1 or reads it is not looked at."""


def test_a_buffer_holds_what_the_layer_that_writes_it_makes() -> None:
    with dialects.context():
        module = ir.Module.parse(ON_MEMREFS)
        (function,) = accel.functions(module)
        buffers = [op.memref for op in function.body.blocks[0] if isinstance(op, accel.BufferOp)]
        assert [value_ranges.held(each) for each in buffers] == [(-5, 9), (-128, 127), (-128, 127)]
        assert value_ranges.held(function.arguments[1]) == (0, 4)


def test_sums_reach_both_ends() -> None:
    least, most = value_ranges.sums(np.array([[[3]], [[-2]], [[0]]]), (-64, 63))
    assert least.tolist() == [-192, -126, 0]
    assert most.tolist() == [189, 128, 0]


def test_a_result_in_memory_holds_what_the_layer_that_writes_it_leaves() -> None:
    text = ON_MEMREFS[: ON_MEMREFS.index("  %0 =")].replace("accel.range = array<i64: 0, 4>, ", "")
    layer = f"  accel.conv2d %x, %w into %out {{{GEOMETRY}, {REQUANT}}} : ({M}, {V}, {M}) -> ()\n  return\n}}"
    with dialects.context():
        module = ir.Module.parse(text + layer)
        (function,) = accel.functions(module)
        assert [value_ranges.held(argument) for argument in function.arguments] == [(-128, 127), (-5, 9)]


def test_a_view_holds_what_its_source_does() -> None:
    view = 'memref<1x4x4x2xi8, "ram">'
    cast = f"offset: [0], sizes: [1, 4, 4, 2], strides: [32, 8, 2, 1] : {M} to {view}"
    argument = "%x: " + M + " {accel.range = array<i64: -64, 63>}"
    text = f"func.func @main({argument}) {{\n  %0 = memref.reinterpret_cast %x to {cast}\n  return\n}}"
    with dialects.context():
        module = ir.Module.parse(text)
        (function,) = accel.functions(module)
        assert value_ranges.held(function.body.blocks[0].operations[0].results[0]) == (-64, 63)
