"""Quantised types that ONNX files rarely lead to: stage 'integer' computes what stage 'imported' means."""

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.dialects.semantics.interpreter import interpret
from htvm.passes import pipeline

SHAPES = "!x = !quant.uniform<i8:f32, 0.5:3>\n"

WEIGHTS = """
  %c = arith.constant dense<[[7, -3], [-128, 90]]> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!quant.uniform<i8:f32, 0.75>>
"""

CASES = {
    "result scales along rows": (
        "2x2",
        "!y = !quant.uniform<i8:f32:0, {4.0, 0.75}>",
        "%0 = accel.dense %x, %w : (tensor<2x2x!x>, tensor<2x2x!quant.uniform<i8:f32, 0.75>>) -> tensor<2x2x!y>",
    ),
    "result scales per channel": (
        "3x2",
        "!y = !quant.uniform<i8:f32:1, {4.0, 0.75}>",
        "%0 = accel.dense %x, %w : (tensor<3x2x!x>, tensor<2x2x!quant.uniform<i8:f32, 0.75>>) -> tensor<3x2x!y>",
    ),
    "scales per channel of an operand": (
        "3x2",
        "!y = !quant.uniform<i8:f32, 0.5:3>\n!z = !quant.uniform<i16:f32:1, {0.375, 0.0625}>",
        "%1 = accel.quantize %x : (tensor<3x2x!x>) -> tensor<3x2x!z>\n"
        "%0 = accel.add %1, %x : (tensor<3x2x!z>, tensor<3x2x!x>) -> tensor<3x2x!y>",
    ),
    "rounded accumulators": (
        "3x2",
        "!y = !quant.uniform<i32:f32, 1.0>",
        "%0 = accel.dense %x, %w : (tensor<3x2x!x>, tensor<2x2x!quant.uniform<i8:f32, 0.75>>) -> tensor<3x2x!y>",
    ),
    "product of 32 bits": (
        "3x2",
        "!y = !quant.uniform<i32:f32, 0.5>",
        "%0 = accel.mul %x, %x : (tensor<3x2x!x>, tensor<3x2x!x>) -> tensor<3x2x!y>",
    ),
    "table of 32 bits": (
        "3x2",
        "!y = !quant.uniform<i8:f32, 0.75:3>\n!z = !quant.uniform<i32:f32, 0.375>",
        "%1 = accel.dense %x, %w : (tensor<3x2x!x>, tensor<2x2x!quant.uniform<i8:f32, 0.75>>) -> tensor<3x2x!z>\n"
        "%0 = accel.relu %1 : (tensor<3x2x!z>) -> tensor<3x2x!y>",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_integers_are_what_the_types_mean(case: str) -> None:
    shape, types, nodes = CASES[case]
    function = f"func.func @f(%x: tensor<{shape}x!x>) -> tensor<{shape}x!y>"
    text = f"{SHAPES}{types}\n{function} {{{WEIGHTS}{nodes}\n  return %0 : tensor<{shape}x!y>\n}}"
    with dialects.context():
        before, after = ir.Module.parse(text), ir.Module.parse(text)
        pipeline.build("integerize", None, after.context).run(after.operation)
        size = tuple(map(int, shape.split("x")))
        for seed in range(4):
            x = np.random.default_rng(seed).integers(-128, 128, size).astype(np.int8)
            (wanted,) = interpret(before, {"arg0": x}).values()
            (found,) = interpret(after, {"arg0": x}).values()
            np.testing.assert_array_equal(found, wanted)
