"""Layers that are neither conv2d nor dense, to test a kernel of the host with: random ones that it computes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np
from mlir import ir

from htvm import dialects
from htvm.backend.kernels import KernelSpec, Layer
from htvm.dialects import accel
from htvm.passes.analysis import other_layers

LIMITS = {"i8": (-128, 127), "ui8": (0, 255)}
MOST_ELEMENTS = 4000
NAMED_TRIES = 24


@dataclass(frozen=True)
class OtherSample:
    """A layer. shapes, out: of inputs and output. types: of inputs, of nothing, and of the output.

    constant: a constant operand behind the inputs, as MLIR has it. attributes: of the operation.
    """

    op: str
    shapes: tuple[tuple[int, ...], ...]
    out: tuple[int, ...]
    attributes: str
    types: tuple[str, str, str] = ("i8", "i8", "i8")
    constant: str = ""
    link: str = ""
    seed: int = 0

    @property
    def macs(self) -> int:
        """What costs are divided by: elements of the output."""
        return prod(self.out)

    @property
    def unit(self) -> str:
        return "element"

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return self.shapes

    @property
    def is_aligned(self) -> bool:
        """Whether its inputs are aligned to words."""
        return False

    def __str__(self) -> str:
        shapes = " and ".join("x".join(map(str, shape)) for shape in self.shapes)
        return f"{self.op} {shapes} -> {'x'.join(map(str, self.out))}"

    def facts(self) -> Layer:
        """Return the facts by which a kernel says whether it computes the layer."""
        return self._facts

    @cached_property
    def _facts(self) -> Layer:
        context = dialects.context()
        with context, ir.Location.unknown():
            module = ir.Module.parse(module_of(self), context)
            (layer,) = (each for each in accel.layers(module) if accel.op_name(each) == self.op)
            return other_layers.read(layer)

    def terms(self) -> dict[str, int]:
        """Return what its cost may depend on: properties of htvm.kernels.Layer."""
        return {"layer.elements": self.macs, "1": 1}

    def operation(self, number: int) -> tuple[list[str], list[str], str]:
        """Return the lines of the layer, the types of its inputs and that of its result, as MLIR has them."""
        x_types = [tensor(shape, self.types[0]) for shape in self.shapes]
        y_type = tensor(self.out, self.types[2])
        operands, types, lines = [f"%x{number}_{at}" for at in range(len(x_types))], list(x_types), list[str]()
        named = ", ".join(operands)
        if self.constant:
            lines.append(f"%c{number} = arith.constant {self.constant}")
            named += f"{self.link or ', '}%c{number}"
            types.append(self.constant.rpartition(" : ")[2])
        said = f"{{{self.attributes}}} " if self.attributes else ""
        lines.append(
            f'%y{number} = accel.{self.op} {named} {said}: ({", ".join(types)}) -> {y_type} loc("layer_{number}")'
        )
        return lines, x_types, y_type


def module_of(sample: OtherSample) -> str:
    """Return a module that has a layer alone."""
    lines, x_types, y_type = sample.operation(0)
    arguments = ", ".join(f"%x0_{at}: {kind}" for at, kind in enumerate(x_types))
    body = "\n".join(lines)
    return f"func.func @layer({arguments}) -> {y_type} {{\n{body}\nreturn %y0 : {y_type}\n}}"


def tensor(shape: Sequence[int], element: str) -> str:
    return f"tensor<{'x'.join(map(str, shape))}x{element}>"


Types: TypeAlias = "tuple[str, str, str]"
Shape: TypeAlias = "tuple[int, ...]"
Maker = Callable[[random.Random, Types, Shape], OtherSample]


def named(text: str, spec: KernelSpec) -> OtherSample:
    """Return a layer of the first of a kernel's operations whose (first) input has the shape of a text, "1x16x8x8".

    Other sizes, such as a window's, and constants are the first random ones that the kernel takes. Raises ValueError.
    """
    shape = tuple(int(size) for size in text.split("x") if size.isdecimal())
    if len(shape) != text.count("x") + 1 or not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise ValueError(f"'{text}' is no shape of an input, expected 2 to 4 sizes, such as 1x16x8x8")
    ops = [op for op in spec.ops if op in MAKERS]
    if not ops:
        raise ValueError(f"there are no layers for {', '.join(spec.ops)}, expected one of {', '.join(MAKERS)}")
    types = spec.types or ("i8", "i8", "i8")
    made = [MAKERS[ops[0]](random.Random(f"{text} {number}"), types, shape) for number in range(NAMED_TRIES)]
    return next((each for each in made if not spec.why_not(each.facts())), made[0])


def candidates(spec: KernelSpec, seed: int, tries: int) -> Iterator[OtherSample]:
    """Yield random layers of a kernel's operations."""
    rng = random.Random(seed)
    ops = [op for op in spec.ops if op in MAKERS]
    for number in range(tries if ops else 0):
        element = spec.types[0] if spec.types else rng.choice(("i8", "ui8"))
        types = spec.types or (element, element, element)
        own = random.Random(f"{seed} {number}")
        sample = MAKERS[rng.choice(ops)](own, types, feature_map(own))
        if sample.macs <= MOST_ELEMENTS:
            yield sample


def feature_map(rng: random.Random) -> tuple[int, ...]:
    """Return the shape of a feature map, or of a matrix."""
    if rng.random() < 0.25:
        return rng.choice((1, 1, 2, 5)), rng.choice((1, 3, 10, 64, 127))
    return rng.choice((1, 1, 1, 2)), rng.choice((1, 3, 4, 8, 12, 16, 17)), rng.randint(1, 12), rng.randint(1, 12)


def limits(rng: random.Random, element: str) -> tuple[int, int]:
    """Return to which range results are clamped."""
    low, high = LIMITS[element]
    return rng.choice(((low, high), (low, high), (max(low, 0), high)))


def broadcast(rng: random.Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a second operand: the same, or of one channel, or of one element for each channel."""
    kind = rng.choice(("same", "same", "same", "channels", "map"))
    if kind == "same" or len(shape) < 4:
        return shape
    return (1, shape[1], 1, 1) if kind == "channels" else (1, 1, *shape[2:])


def add(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    """Two tensors times multipliers, in 32 bits or in 64."""
    is_narrow = rng.random() < 0.7
    shift = rng.randint(8, 14) if is_narrow else rng.randint(24, 28)
    multipliers = [rng.randrange(1 << shift - 2, 1 << shift + 1) for _ in range(2)]
    low, high = limits(rng, types[2])
    said = f"multiplier = [{multipliers[0]}, {multipliers[1]}], offset = [{rng.randint(-(60 << shift), 60 << shift)}], "
    said += f"shift = [{shift}], min = {low}, max = {high}" + (", narrow = true" if is_narrow else "")
    return OtherSample("add", (shape, broadcast(rng, shape)), shape, f"requant = #accel.requant<{said}>", types)


def mul(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    low, high = limits(rng, types[2])
    is_narrow = rng.random() < 0.6
    shift = rng.randint(36, 39)
    said = (
        f"multiplier = [{rng.randrange(1 << 30, 1 << 31)}], offset = [{rng.randint(-3000, 3000)}], shift = [{shift}], "
    )
    said += f"min = {low}, max = {high}" + (", narrow = true" if is_narrow else "")
    zero_points = ", ".join(str(rng.randint(*LIMITS[types[0]])) for _ in range(2))
    attributes = f"zero_points = array<i64: {zero_points}>, requant = #accel.requant<{said}>"
    return OtherSample("mul", (shape, broadcast(rng, shape)), shape, attributes, types)


def maximum(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    return OtherSample("maximum", (shape, broadcast(rng, shape)), shape, "", (types[0], types[1], types[0]))


def minimum(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    return OtherSample("minimum", (shape, broadcast(rng, shape)), shape, "", (types[0], types[1], types[0]))


def lookup(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    table = f'dense<"0x{rng.randbytes(256).hex()}"> : tensor<256x{types[2]}>'
    return OtherSample("lookup", (shape,), shape, f"lowest = {LIMITS[types[0]][0]}", types, table)


def pool2d(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    """A window's largest or smallest element, or its sum."""
    batch, channels, *size = (*shape, 1, 1)[:4]
    kernel = tuple(size) if rng.random() < 0.3 else tuple(rng.randint(1, min(n, 4)) for n in size)
    stride = rng.choice((1, 1, 2))
    kind = rng.choice(("max", "min", "sum"))
    pads = tuple(0 if kind == "sum" else rng.randint(0, kernel[axis % 2] // 2) for axis in range(4))
    out = tuple((n + pads[axis] + pads[axis + 2] - kernel[axis]) // stride + 1 for axis, n in enumerate(size))
    attributes = f"kind = #accel.pool_kind<{kind}>, kernel = array<i64: {listed(kernel)}>, "
    attributes += f"strides = array<i64: {stride}, {stride}>, pads = array<i64: {listed(pads)}>"
    if kind == "sum":
        (low, high), count, shift = limits(rng, types[2]), prod(kernel), rng.randint(32, 34)
        multiplier = min((1 << 31) - 1, (1 << shift) // max(count, 2))
        said = f"multiplier = [{multiplier}], offset = [{rng.randint(-30, 30)}], "
        said += f"shift = [{shift}], min = {low}, max = {high}"
        attributes += f", counts = array<i64: {', '.join([str(count)] * prod(out))}>, requant = #accel.requant<{said}>"
    else:
        types = (types[0], types[1], types[0])
    return OtherSample("pool2d", ((batch, channels, *size),), (batch, channels, *out), attributes, types)


def windows(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    batch, channels, *size = (*shape, 1, 1)[:4]
    kernel, strides = (tuple(rng.randint(1, min(n, most)) for n in size) for most in (4, 3))
    out = tuple((n - taps) // step + 1 for n, taps, step in zip(size, kernel, strides, strict=True))
    attributes = f"kernel = array<i64: {listed(kernel)}>, strides = array<i64: {listed(strides)}>"
    made = (batch, channels * prod(kernel), *out)
    return OtherSample("windows", ((batch, channels, *size),), made, attributes, (types[0], types[1], types[0]))


def pad(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    low, high = ([rng.choice((0, 0, 1, 2)) for _ in shape] for _ in range(2))
    out = tuple(a + n + b for a, n, b in zip(low, shape, high, strict=True))
    value = rng.randint(*LIMITS[types[0]])
    attributes = f"low = array<i64: {listed(low)}>, high = array<i64: {listed(high)}>, value = {value}.0 : f64"
    return OtherSample("pad", (shape,), out, attributes, (types[0], types[1], types[0]))


def transpose(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    order = rng.sample(range(len(shape)), len(shape))
    attributes = f"permutation = array<i64: {listed(order)}>"
    return OtherSample(
        "transpose", (shape,), tuple(shape[axis] for axis in order), attributes, (types[0], types[1], types[0])
    )


def concat(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    axis = rng.randrange(len(shape))
    parts = [rng.randint(1, 5) for _ in range(rng.choice((2, 2, 3)))]
    shapes = tuple((*shape[:axis], part, *shape[axis + 1 :]) for part in parts)
    out = (*shape[:axis], sum(parts), *shape[axis + 1 :])
    return OtherSample("concat", shapes, out, f"axis = {axis}", (types[0], types[1], types[0]))


def argmax(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    axis = rng.randrange(len(shape))
    attributes = f"axis = {axis}" + rng.choice(("", ", last", ", smallest"))
    return OtherSample("argmax", (shape,), (*shape[:axis], 1, *shape[axis + 1 :]), attributes, (types[0], "", "i32"))


def softmax(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    """Of powers of a number below 1, as quantised ones are, along the last axis."""
    base = rng.uniform(0.7, 0.99)
    table = np.array([round(2**32 * base**n) for n in range(256)], np.int64)
    low, high = LIMITS[types[2]]
    attributes = (
        f"axis = {len(shape) - 1}, scale_multiplier = 1, scale_shift = 8, zero_point = {low}, min = {low}, max = {high}"
    )
    numbers = f'dense<"0x{table.tobytes().hex()}"> : tensor<256xi64>'
    return OtherSample("softmax", (shape,), shape, attributes, types, numbers, " table ")


def matmul(rng: random.Random, types: Types, shape: Shape) -> OtherSample:
    """The first operand has the shape, as a matrix or a batch of them."""
    (*batch, rows, inner), columns = shape[-3:], rng.randint(1, 12)
    low, high = LIMITS[types[2]]
    said = f"multiplier = [{rng.randrange(1 << 30, 1 << 31)}], offset = [{rng.randint(-3000, 3000)}], shift = [40], "
    zero_points = ", ".join(str(rng.randint(-5, 5) if types[0] == "i8" else rng.randint(0, 9)) for _ in range(2))
    attributes = f"zero_points = array<i64: {zero_points}>, requant = #accel.requant<{said}min = {low}, max = {high}>"
    return OtherSample(
        "matmul", ((*batch, rows, inner), (*batch, inner, columns)), (*batch, rows, columns), attributes, types
    )


def listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


MAKERS: dict[str, Maker] = {
    each.__name__: each
    for each in (add, argmax, concat, lookup, matmul, maximum, minimum, mul, pad, pool2d, softmax, transpose, windows)
}
"""What makes random layers of each operation."""
