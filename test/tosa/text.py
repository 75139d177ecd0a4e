"""Functions of the tosa dialect as text."""

import numpy as np

ZERO = np.zeros(1, np.int64)


def tensor(shape, kind: str) -> str:
    return f"tensor<{''.join(f'{size}x' for size in shape)}{kind}>"


class Function:
    """A function while it is written: each method adds an operation and returns its result's name."""

    def __init__(self, seed: int = 0):
        self.random = np.random.default_rng(seed)
        self.lines: list[str] = []
        self.types: dict[str, tuple[tuple[int, ...], str]] = {}
        self.inputs: list[str] = []
        self.results: list[str] = []

    def input(self, shape, kind: str = "i8") -> str:
        name = f"%x{len(self.inputs)}"
        self.types[name] = tuple(shape), kind
        self.inputs.append(name)
        return name

    def shape(self, value: str) -> tuple[int, ...]:
        return self.types[value][0]

    def kind(self, value: str) -> str:
        return self.types[value][1]

    def typed(self, value: str) -> str:
        shape, kind = self.types[value]
        return f"!tosa.shape<{shape[0]}>" if kind == "shape" else tensor(shape, kind)

    def _add(self, text: str, shape, kind: str) -> str:
        name = f"%{len(self.lines)}"
        self.types[name] = tuple(shape), kind
        self.lines.append(f"    {name} = {text}")
        return name

    def const(self, numbers, kind: str = "i8") -> str:
        array = np.asarray(numbers)
        text = "" if array.size == 0 else str(array.tolist() if array.ndim else int(array))
        if kind == "i1":
            text = text.replace("1", "true").replace("0", "false")
        values = f"dense<{text}> : {tensor(array.shape, kind)}"
        return self._add(
            f'"tosa.const"() <{{values = {values}}}> : () -> {tensor(array.shape, kind)}', array.shape, kind
        )

    def sizes(self, numbers) -> str:
        values = f"dense<{list(map(int, numbers))}> : tensor<{len(numbers)}xindex>"
        text = f"tosa.const_shape {{values = {values}}} : () -> !tosa.shape<{len(numbers)}>"
        return self._add(text, [len(numbers)], "shape")

    def op(self, name: str, operands, shape, kind: str, attributes: str = "") -> str:
        types = ", ".join(map(self.typed, operands))
        braces = f" {{{attributes}}}" if attributes else ""
        return self._add(f"tosa.{name} {', '.join(operands)}{braces} : ({types}) -> {tensor(shape, kind)}", shape, kind)

    def result(self, value: str) -> None:
        self.results.append(value)

    def text(self, name: str = "net") -> str:
        arguments = ", ".join(f"{each}: {self.typed(each)}" for each in self.inputs)
        kinds = ", ".join(map(self.typed, self.results))
        body = "\n".join([*self.lines, f"    return {', '.join(self.results)} : {kinds}"])
        return f"module {{\n  func.func @{name}({arguments}) -> ({kinds}) {{\n{body}\n  }}\n}}\n"

    # What several cases need

    def zeros(self, *kinds: str) -> list[str]:
        return [self.const(ZERO, kind) for kind in kinds]

    def point(self, number: int, kind: str = "i8") -> str:
        return self.const([number], kind)

    def rescale(
        self, x, scales, kind="i8", in_zero=0, out_zero=0, double=True, wide=True, unsigned=("false", "false")
    ) -> str:
        """scales: (multiplier, shift) of the tensor, or a list of such for the channels."""
        per_channel = isinstance(scales, list)
        pairs = scales if per_channel else [scales]
        multiplier = self.const([m for m, _ in pairs], "i32" if wide else "i16")
        shift = self.const([s for _, s in pairs], "i8")
        zeros = self.point(in_zero, self.kind(x)), self.point(out_zero, kind)
        rounding = "DOUBLE_ROUND" if double else "SINGLE_ROUND"
        attributes = (
            f"input_unsigned = {unsigned[0]}, output_unsigned = {unsigned[1]}, "
            f"per_channel = {str(per_channel).lower()}, "
            f"rounding_mode = {rounding}, scale32 = {str(wide).lower()}"
        )
        return self.op("rescale", [x, multiplier, shift, *zeros], self.shape(x), kind, attributes)

    def clamp(self, x, low: int, high: int) -> str:
        kind = self.kind(x)
        return self.op("clamp", [x], self.shape(x), kind, f"min_val = {low} : {kind}, max_val = {high} : {kind}")

    def scales(self, channels: int, reach: float) -> list[tuple[int, int]]:
        """Return random scales that bring sums up to `reach` to about 8 bits."""
        found = []
        for factor in 100 / reach * self.random.uniform(0.3, 1.5, channels):
            exponent = int(np.floor(np.log2(factor)))
            found.append((int(factor / 2.0**exponent * (1 << 30)), 30 - exponent))
        return found

    def conv2d(
        self, x, channels, kernel, pad=(0, 0, 0, 0), stride=(1, 1), dilation=(1, 1), zero=0, depthwise=0, weight_zero=0
    ):
        """Return the accumulators of a convolution with random weights, and how far they reach."""
        batch, height, width, inputs = self.shape(x)
        if depthwise:
            channels = inputs * depthwise
            weights = self.random.integers(-127, 128, [*kernel, inputs, depthwise])
        else:
            weights = self.random.integers(-127, 128, [channels, *kernel, inputs])
        wide = {"i8": "i32", "i16": "i48"}[self.kind(x)]
        bias = self.random.integers(-2000, 2000, channels)
        size = [
            (extent + sum(pads) - (length - 1) * step - 1) // jump + 1
            for extent, pads, length, step, jump in zip(
                (height, width), (pad[:2], pad[2:]), kernel, dilation, stride, strict=True
            )
        ]
        attributes = (
            f"acc_type = {wide}, dilation = array<i64: {_list(dilation)}>, pad = array<i64: {_list(pad)}>, "
            f"stride = array<i64: {_list(stride)}>"
        )
        operands = [
            x,
            self.const(weights),
            self.const(bias, wide),
            self.point(zero, self.kind(x)),
            self.point(weight_zero),
        ]
        name = "depthwise_conv2d" if depthwise else "conv2d"
        taps = kernel[0] * kernel[1] * (1 if depthwise else inputs)
        return self.op(name, operands, [batch, *size, channels], wide, attributes), 6000.0 * taps**0.5

    def layer(self, x, channels, kernel, double=True, out_zero=0, bounds=(-128, 127), **more) -> str:
        """Return a convolution with its rescale, for each channel, and a clamp."""
        sums, reach = self.conv2d(x, channels, kernel, **more)
        scaled = self.rescale(sums, self.scales(self.shape(sums)[3], reach), out_zero=out_zero, double=double)
        return self.clamp(scaled, *bounds)


def listed(numbers) -> str:
    """Return attributes that are lists of integers, by name, as text."""
    return ", ".join(f"{name} = array<i64: {_list(each)}>" for name, each in numbers.items())


def _list(numbers) -> str:
    return ", ".join(map(str, numbers))
