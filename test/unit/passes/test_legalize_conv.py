"""Convolutions with strides of 2 on random maps: what legalize-conv makes of them computes the same."""

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.dialects import accel, modules
from htvm.dialects.semantics import interpreter
from htvm.passes import pipeline

REQUANT = "multiplier = [1073741824], offset = [0], shift = [36], pre_shift = 2, min = -128, max = 127, narrow = true"


def text(rng: np.random.Generator, is_turned: bool) -> str:
    """Return a module of a convolution of a random map, maybe one that a lookup makes of a turned one."""
    kernel = np.array([rng.integers(3, 11), rng.integers(8, 11)])  # the array has sides of 1, 3, 5 and 7
    channels = 1 if is_turned else int(rng.integers(1, 3))
    before, behind = (rng.integers(0, kernel) for _ in range(2))
    size = kernel + rng.integers(3, 9, 2)
    out = (size + before + behind - kernel) // 2 + 1
    shape, result = (1, channels, *size), (1, 8, *out)
    weights = rng.integers(-128, 128, (8, channels, *kernel)).tolist()
    table = rng.integers(-128, 128, 256).tolist()
    tensor, made, given = (
        f"tensor<{'x'.join(map(str, each))}xi8>" for each in (shape, result, shape[:2] + shape[:1:-1])
    )
    pads = f"{before[0]}, {before[1]}, {behind[0]}, {behind[1]}"
    kind = f"tensor<8x{channels}x{kernel[0]}x{kernel[1]}xi8>"
    conv = (
        f"accel.conv2d %x, %w {{dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: {pads}>, "
        f"strides = array<i64: 2, 2>, pad_value = {rng.integers(0, 2)} : i64, requant = #accel.requant<{REQUANT}>}} : "
        f"({tensor}, {kind}) -> {made}"
    )
    first = (
        f"%t = accel.transpose %given {{permutation = array<i64: 0, 1, 3, 2>}} : ({given}) -> {tensor}\n"
        f"%x = accel.lookup %t, %table {{lowest = -128 : i64}} : ({tensor}, tensor<256xi8>) -> {tensor}"
    )
    argument = f"%given: {given}" if is_turned else f"%x: {tensor}"
    return f"""
    func.func @f({argument} {{accel.name = "x"}}) -> ({made} {{accel.name = "y"}}) {{
      %w = arith.constant dense<{weights}> : {kind}
      %table = arith.constant dense<{table}> : tensor<256xi8>
      {first if is_turned else ""}
      %y = {conv}
      return %y : {made}
    }}"""


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_computes_the_same(seed: int, is_turned: bool) -> None:
    rng = np.random.default_rng([seed, is_turned])
    module = modules.parse(text(rng, is_turned), dialects.context())
    (argument,) = next(iter(accel.functions(module))).arguments
    x = rng.integers(-128, 128, ir.ShapedType(argument.type).shape, np.int8)
    wanted = interpreter.interpret(module, {"x": x})["y"]
    pipeline.build("legalize-conv", targets.load("diana"), module.context).run(module.operation)
    layers = list(accel.layers(module))
    assert all(list(each.strides) == [1, 1] for each in layers if isinstance(each, accel.Conv2dOp))
    assert sum(isinstance(each, accel.TransposeOp) for each in layers) == 1
    np.testing.assert_array_equal(interpreter.interpret(module, {"x": x})["y"], wanted)
