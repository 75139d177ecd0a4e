"""Random layers of stage 'integer', of every kind that an accelerator may run: to test its engine with.

Sizes, kernels, strides and paddings are as no designer would choose them. Of each kind there are signed and unsigned
maps, weights of 8 bits, of three values, and all at one limit, and numbers that suit different engines (Style).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod

KERNELS = (1, 1, 2, 3, 3, 5, 7)
RANGES = {"i8": ((-128, 127), (-64, 63), (0, 127)), "ui8": ((0, 255),)}
"""What maps hold, by element type."""


class Style(Enum):
    """Whose numbers a layer has.

    SCALED: any scales, offsets and padding. SHIFTED: scales that are powers of two, padding with 0. CONVERTED: those of
    a converter of 6 bits behind ternary weights, which adds nothing.
    """

    SCALED = "scaled"
    SHIFTED = "shifted"
    CONVERTED = "converted"


@dataclass
class Layer:
    """A layer being written. element: of its maps."""

    rng: random.Random
    element: str
    style: Style

    def __post_init__(self) -> None:
        self.is_converted = self.style is Style.CONVERTED and self.element == "i8"
        self.low, self.high = self.rng.choice(RANGES[self.element][self.is_converted :])

    def module(self, op: str, maps: Sequence[Sequence[int]], constant: str, attributes: str, out: Sequence[int]) -> str:
        """Return a module with the layer: on maps that are its arguments, and one constant, if it is not empty."""
        held = f"accel.range = array<i64: {self.low}, {self.high}>"
        arguments = [f"%x{n}: {self.tensor(shape)} {{{held}}}" for n, shape in enumerate(maps)]
        types = [self.tensor(shape) for shape in maps]
        lines, operands = [], [f"%x{n}" for n in range(len(maps))]
        if constant:
            lines, operands = [f"%c = arith.constant {constant}"], [*operands, "%c"]
            types = [*types, constant.rpartition(" : ")[2]]
        result = self.tensor(out)
        lines.append(f"%y = accel.{op} {', '.join(operands)} {{{attributes}}} : ({', '.join(types)}) -> {result}")
        return (
            f"func.func @layer({', '.join(arguments)}) -> {result} {{\n"
            + "\n".join(lines)
            + f"\nreturn %y : {result}\n}}"
        )

    def tensor(self, shape: Sequence[int], element: str = "") -> str:
        return f"tensor<{'x'.join(map(str, shape))}x{element or self.element}>"

    def weights(self, shape: Sequence[int]) -> str:
        """Return weights: of 8 bits, of three values, or all the same."""
        count = prod(shape)
        kind = "ternary" if self.is_converted else self.rng.choice(("bytes", "bytes", "ternary", "limit"))
        if kind == "limit":
            return f"dense<{self.rng.choice((-128, 127, 1))}> : {self.tensor(shape, 'i8')}"
        data = self.rng.randbytes(count) if kind == "bytes" else bytes(self.rng.choices((0, 1, 255), k=count))
        return f'dense<"0x{data.hex()}"> : {self.tensor(shape, "i8")}'

    def requant(self, outputs: int, products: int, factors: int = 1) -> str:
        """Return a requantisation that leaves about 8 bits of random sums."""
        rng, (lowest, highest) = self.rng, RANGES[self.element][0]
        if self.is_converted and factors == 1:
            shift = max(0, (products.bit_length() + 1) // 2 + rng.randint(0, 1))
            return f"requant = #accel.requant<multiplier = [1], offset = [0], shift = [{shift}], min = -32, max = 31>"
        shift = max(0, 8 * (factors == 1) + (products.bit_length() + 1) // 2 + rng.randint(-1, 1))
        clips = [(lowest, highest), (max(lowest, 0), highest)]
        low, high = rng.choice(clips)
        spread = 40 << shift
        offsets = [rng.randint(-spread, spread) for _ in range(outputs)] if rng.random() < 0.8 else [0]
        if self.style is not Style.SCALED:
            multipliers, shifts = [1] * factors, [shift]
        elif factors > 1:
            multipliers, shifts = [rng.randrange(1 << 20, 1 << 21) for _ in range(factors)], [shift + 20]
        else:
            multipliers = [rng.randrange(1 << 24, 1 << 25) for _ in offsets]
            shifts = [shift + 24]
        if factors > 1:
            offsets = [rng.randint(0, 1 << shifts[0])] if self.style is Style.SCALED else [0]
        return (
            f"requant = #accel.requant<multiplier = [{_list(multipliers)}], offset = [{_list(offsets)}], "
            f"shift = [{_list(shifts)}], min = {low}, max = {high}>"
        )

    # Kinds

    def conv2d(self, is_depthwise: bool = False) -> str:
        rng = self.rng
        channels, outputs = rng.choice((1, 3, 8, 16, 17, 32, 40, 64)), rng.choice((1, 5, 16, 32, 33, 48))
        outputs = channels if is_depthwise else outputs
        size = [rng.randint(1, 14) for _ in range(2)]
        kernel, pads, stride, out = self.window(size)
        attributes = (
            f"strides = array<i64: {stride}, {stride}>, pads = array<i64: {_list(pads)}>, "
            f"dilations = array<i64: 1, 1>, groups = {channels if is_depthwise else 1}"
        )
        if any(pads) and self.low and self.style is Style.SCALED:
            attributes += f", pad_value = {rng.choice((0, self.low))}"
        shape = (outputs, 1 if is_depthwise else channels, *kernel)
        requant = self.requant(outputs, prod(shape[1:]))
        return self.module(
            "conv2d", [(1, channels, *size)], self.weights(shape), f"{attributes}, {requant}", (1, outputs, *out)
        )

    def several(self, pattern: Sequence[str]) -> str:
        """Return a module with layers of a pattern: a convolution or a dense layer, a sum behind it, pools."""
        rng = self.rng
        channels, outputs = rng.choice((1, 16, 32, 64)), rng.choice((5, 16, 32, 48))
        is_dense = pattern[0] == "dense"
        size = [rng.randint(2, 14) for _ in range(2)]
        kernel, pads, stride, out = self.window(size)
        taps = [] if is_dense else kernel
        maps: list[tuple[int, ...]] = [(1, channels, *([] if is_dense else size))]
        shape = [1, outputs, *([] if is_dense else out)]
        operands, types, lines = (
            ["%x0", "%w"],
            [self.tensor(maps[0]), self.tensor((outputs, channels, *taps), "i8")],
            list[str](),
        )
        lines.append(f"%w = arith.constant {self.weights((outputs, channels, *taps))}")
        attributes = [] if is_dense else [
            f"strides = array<i64: {stride}, {stride}>, pads = array<i64: {_list(pads)}>, "
            "dilations = array<i64: 1, 1>, groups = 1"
        ]  # fmt: skip
        products = channels * prod(taps)
        for number, (op, behind) in enumerate(zip(pattern, [*pattern[1:], ""])):
            element, shift = self.element, (products.bit_length() + 1) // 2 + 8
            if op == "add":
                maps.append(tuple(shape))
                operands = [f"%y{number - 1}", f"%x{len(maps) - 1}"]
                types = [self.tensor(shape, "i32"), self.tensor(shape)]
                factor, low = 1 << rng.randint(0, shift - 4), rng.choice((0, RANGES[element][0][0]))
                clip = f"min = {low}, max = {RANGES[element][0][1]}"
                requant = f"multiplier = [1, {factor}], offset = [{1 << shift - 1}], shift = [{shift}], tie_below = 1"
                attributes = [f"requant = #accel.requant<{requant}, {clip}>"]
            elif op == "pool2d":
                operands, types = [f"%y{number - 1}"], [self.tensor(shape)]
                kernel, pads, stride, out = self.window(shape[2:])
                shape = [*shape[:2], *out]
                attributes = [
                    f"kind = #accel.pool_kind<max>, kernel = array<i64: {_list(kernel)}>, "
                    f"strides = array<i64: {stride}, {stride}>, pads = array<i64: {_list(pads)}>"
                ]
            elif behind == "add":
                element = "i32"
            else:
                attributes.append(self.requant(outputs, products))
            result = self.tensor(shape, element)
            layer = f"%y{number} = accel.{op} {', '.join(operands)} {{{', '.join(attributes)}}}"
            lines.append(f"{layer} : ({', '.join(types)}) -> {result}")
        held = f"accel.range = array<i64: {self.low}, {self.high}>"
        arguments = ", ".join(f"%x{n}: {self.tensor(each)} {{{held}}}" for n, each in enumerate(maps))
        body = "\n".join([*lines, f"return %y{len(pattern) - 1} : {self.tensor(shape)}"])
        return f"func.func @layer({arguments}) -> {self.tensor(shape)} {{\n{body}\n}}"

    def depthwise(self) -> str:
        return self.conv2d(is_depthwise=True)

    def window(self, size: Sequence[int]) -> tuple[list[int], list[int], int, list[int]]:
        """Return a kernel that fits a map, pads, a stride and the size of the result."""
        rng = self.rng
        side = rng.choice([each for each in KERNELS if each <= min(size) + 1])
        kernel = [side, side] if rng.random() < 0.8 else [rng.randint(1, min(n + 1, 7)) for n in size]
        pads = [rng.randint(0, kernel[axis % 2] // 2) for axis in range(4)]
        pads = [max(pads[axis], kernel[axis % 2] - size[axis % 2] if axis < 2 else 0) for axis in range(4)]
        stride = rng.choice((1, 1, 2))
        out = [(n + pads[axis] + pads[axis + 2] - kernel[axis]) // stride + 1 for axis, n in enumerate(size)]
        return kernel, pads, stride, out

    def dense(self) -> str:
        channels, outputs = self.rng.choice((1, 16, 30, 64, 300)), self.rng.choice((1, 10, 16, 33, 64, 130))
        requant = self.requant(outputs, channels)
        return self.module("dense", [(1, channels)], self.weights((outputs, channels)), requant, (1, outputs))

    def add(self) -> str:
        shape = self.map()
        return self.module("add", [shape, shape], "", self.requant(1, 1, factors=2), shape)

    def mul(self) -> str:
        shape = self.map()
        zero_points = f"zero_points = array<i64: {self.rng.randint(self.low, self.high)}, 0>"
        return self.module("mul", [shape, shape], "", f"{zero_points}, {self.requant(1, 16)}", shape)

    def total(self) -> str:
        _, channels, *size = self.map()
        count = prod(size)
        attributes = (
            f"kind = #accel.pool_kind<sum>, kernel = array<i64: {_list(size)}>, strides = array<i64: 1, 1>, "
            f"pads = array<i64: 0, 0, 0, 0>, counts = array<i64: {count}>, {self.requant(1, count)}, "
            f"accel.range = array<i64: {self.low}, {self.high}>"
        )
        return self.module("pool2d", [(1, channels, *size)], "", attributes, (1, channels, 1, 1))

    def maximum(self) -> str:
        _, channels, *size = self.map()
        kernel, pads, stride, out = self.window(size)
        attributes = (
            f"kind = #accel.pool_kind<max>, kernel = array<i64: {_list(kernel)}>, "
            f"strides = array<i64: {stride}, {stride}>, pads = array<i64: {_list(pads)}>"
        )
        return self.module("pool2d", [(1, channels, *size)], "", attributes, (1, channels, *out))

    def lookup(self) -> str:
        shape, lowest = self.map(), RANGES[self.element][0][0]
        table = f'dense<"0x{self.rng.randbytes(256).hex()}"> : tensor<256xi8>'
        return self.module("lookup", [shape], table, f"lowest = {lowest}", shape)

    def map(self) -> list[int]:
        return [1, self.rng.choice((1, 3, 16, 20)), self.rng.randint(2, 12), self.rng.randint(2, 12)]


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


KINDS = (Layer.conv2d, Layer.depthwise, Layer.dense, Layer.add, Layer.mul, Layer.total, Layer.maximum, Layer.lookup)


def several(seed: int, pattern: Sequence[str]) -> str:
    """Return the module of layers that an engine may compute in one job."""
    rng = random.Random(seed)
    return Layer(rng, rng.choice(("i8", "i8", "ui8")), rng.choice((Style.SCALED, Style.SHIFTED))).several(pattern)


def sample(seed: int) -> str:
    """Return the module of a layer; those of seeds that follow each other are of different kinds and element types."""
    kind = KINDS[seed % len(KINDS)]
    rng = random.Random(seed)
    element = ("i8", "ui8")[seed // len(KINDS) % 2]
    return kind(Layer(rng, element, rng.choice(tuple(Style))))
