"""Layers to test a kernel of the host with: random ones that it computes, or those that are named."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

import numpy as np

from htvm.backend.kernels import LINEAR_OPS, KernelSpec, Linear
from htvm.verification import other_layers
from htvm.verification.other_layers import OtherSample

MOST_MACS = 150_000
MOST_TRIES = 4000
LIMITS = {"i8": (-128, 127), "ui8": (0, 255), "i16": (-(1 << 15), (1 << 15) - 1), "i32": (-(1 << 31), (1 << 31) - 1)}
DENSE_SHAPE = re.compile(r"(?:(\d+)x)?(\d+):(\d+)")
NAMED_SEED = 1
"""Of layers that are named. Weights of a dense one are mostly near 0, as in networks: on that it depends which kernel
htvm takes for a row."""

WEIGHTS_PEAK = 8
"""The largest of a network's weights, as a multiple of their standard deviation: 5 in the dense layer of MLPerf Tiny's
MobileNet, 6 to 33 in those of toyadmos."""

SHAPE = re.compile(r"(\d+)x(\d+)x(\d+):(\d+)x(\d+)x(\d+)(?:/(\d+))?(?:\+(\d+))?(?:@(\d+))?")


@dataclass(frozen=True)
class LayerSample:
    """A layer. size, window: rows and columns. pads: top, left, bottom, right. types: of input, weights and output."""

    op: str
    channels: int
    outputs: int
    size: tuple[int, int]
    window: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    batch: int = 1
    types: tuple[str, str, str] = ("i8", "i8", "i8")
    seed: int = 0

    @property
    def out_size(self) -> tuple[int, int]:
        rows, columns = (
            (
                self.size[axis]
                + self.pads[axis]
                + self.pads[axis + 2]
                - self.dilations[axis] * (self.window[axis] - 1)
                - 1
            )
            // self.strides[axis]
            + 1
            for axis in range(2)
        )
        return rows, columns

    @property
    def macs(self) -> int:
        return self.batch * prod(self.out_size) * self.outputs * prod(self.window) * self.channels // self.groups

    def __str__(self) -> str:
        """Say what it is as --shapes takes it, but for types and unequal pads."""
        if self.op == "dense":
            return f"dense {f'{self.batch}x' if self.batch > 1 else ''}{self.channels}:{self.outputs}"
        rows, columns = self.size
        text = f"conv2d {self.channels}x{rows}x{columns}:{self.outputs}x{self.window[0]}x{self.window[1]}"
        text += f"/{self.strides[0]}" if self.strides != (1, 1) else ""
        text += f" strides {self.strides[0]},{self.strides[1]}" if len(set(self.strides)) > 1 else ""
        text += f" pads {','.join(map(str, self.pads))}" if any(self.pads) else ""
        text += f" dilations {self.dilations[0]},{self.dilations[1]}" if self.dilations != (1, 1) else ""
        text += f"@{self.groups}" if self.groups > 1 else ""
        return text + (f", batch {self.batch}" if self.batch > 1 else "")

    def weights(self) -> np.ndarray:
        """Return weights [K, C, R, S]: random, of dense as networks have them, of three values, or all at one limit."""
        rng = np.random.default_rng(self.seed)
        shape = (self.outputs, self.channels // self.groups, *self.window)
        low, high = LIMITS[self.types[1]]
        kind = self.seed % 5
        if kind == NAMED_SEED and self.op == "dense":
            near_0 = np.rint(rng.normal(0, high / WEIGHTS_PEAK, shape))
            return near_0.clip(low, high).astype(self.types[1].replace("i", "int"))
        if kind == 3:
            return rng.integers(-1, 2, shape).astype(self.types[1].replace("i", "int"))
        if kind == 4:
            return np.full(shape, (low, high)[self.seed % 2]).astype(self.types[1].replace("i", "int"))
        return rng.integers(low, high + 1, shape).astype(self.types[1].replace("i", "int"))

    @property
    def pad_value(self) -> int:
        low, high = LIMITS[self.types[0]]
        return random.Random(self.seed).choice((0, low, high, 3)) if any(self.pads) else 0

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        if self.op == "dense":
            return ((self.batch * self.size[1], self.channels),)
        return ((self.batch, self.channels, *self.size),)

    @property
    def is_aligned(self) -> bool:
        """Whether its input is aligned to words."""
        return self.facts().has_words

    @property
    def unit(self) -> str:
        """What the table divides by."""
        return "MAC"

    def terms(self) -> dict[str, int]:
        """Return what its cost may depend on: properties of htvm.kernels.Linear."""
        linear = self.facts()
        pixels = linear.batch * linear.pixels
        return {
            "layer.macs": linear.macs,
            "layer.outputs": linear.outputs,
            "layer.batch * layer.pixels": pixels,
            "layer.batch": linear.batch,
        }

    def facts(self) -> Linear:
        """Return the facts by which a kernel says whether it computes the layer, channels innermost."""
        taps, (height, width), (rows, columns) = self.window, self.out_size, self.size
        is_dense = self.op == "dense"
        small = taps == (3, 3) and self.strides in ((1, 1), (2, 2)) and self.dilations == (1, 1) and max(self.pads) <= 1
        c, k = self.channels, self.outputs
        return Linear(
            weights=self.weights(),
            groups=self.groups,
            batch=1 if is_dense else self.batch,
            size=(1, self.batch * width) if is_dense else (height, width),
            in_type=self.types[0],
            weights_type=self.types[1],
            strides=self.strides,
            dilations=self.dilations,
            is_inside=not any(self.pads),
            fits_depthwise_3x3=small and not is_dense,
            has_words=not is_dense and c % 4 == 0 and self.types[0] in ("i8", "ui8"),
            x=(1, 0, 0) if is_dense else (1, columns * c, c),
            activation_bytes=self.batch * (rows * columns * c + height * width * k),
            op=self.op,
            in_size=self.size,
            out_type=self.types[2],
            pads=self.pads[:2],
            y=(1, 0, 0) if is_dense else (1, width * k, k),
        )

    def operation(self, number: int) -> tuple[list[str], list[str], str]:
        """Return the lines of the layer, the types of its inputs and that of its result, as MLIR has them."""
        (x_type, w_type, y_type), rows = self.types, self.batch * self.size[1]
        is_dense = self.op == "dense"
        x = f"tensor<{rows}x{self.channels}x{x_type}>" if is_dense else (
            f"tensor<{self.batch}x{self.channels}x{self.size[0]}x{self.size[1]}x{x_type}>"
        )  # fmt: skip
        y = f"tensor<{rows}x{self.outputs}x{y_type}>" if is_dense else (
            f"tensor<{self.batch}x{self.outputs}x{self.out_size[0]}x{self.out_size[1]}x{y_type}>"
        )  # fmt: skip
        weights = self.weights()
        shape = "x".join(map(str, weights.shape[: 2 if is_dense else 4]))
        w = f"tensor<{shape}x{w_type}>"
        attributes: list[str] = []
        if not is_dense:
            attributes += [
                f"strides = array<i64: {_list(self.strides)}>, pads = array<i64: {_list(self.pads)}>",
                f"dilations = array<i64: {_list(self.dilations)}>, groups = {self.groups} : i64",
                f"pad_value = {self.pad_value} : i64",
            ]
        if y_type != "i32":
            attributes.append(self.requant())
        read, made = (f"%x{number}_0", f"%y{number}") if is_dense else (f"%a{number}", f"%b{number}")
        weights_text = f'dense<"0x{weights.tobytes().hex()}"> : {w}'
        said = ", ".join(attributes)
        lines = [
            f"%w{number} = arith.constant {weights_text}",
            f'{made} = accel.{self.op} {read}, %w{number} {{{said}}} : ({x}, {w}) -> {y} loc("layer_{number}")',
        ]
        if not is_dense:  # inside of a network, as inputs and outputs of one are row-major
            lines = [_copy(f"%x{number}_0", read, x), *lines, _copy(made, f"%y{number}", y)]
        return lines, [x], y

    def requant(self) -> str:
        """Return constants of one of the forms that htvm has, such that results differ."""
        rng = random.Random(self.seed)
        low, high = LIMITS[self.types[2]]
        taps = prod(self.window) * self.channels // self.groups
        spread = 5500 * max(1, round(taps**0.5))  # of a sum of products of random bytes
        shift = 32 + max(0, (spread // 80).bit_length() - 1)
        form = rng.choice(("narrow", "narrow", "narrow", "each", "each", "wide"))
        count = 1 if form == "narrow" else self.outputs
        multipliers = [rng.randrange(1 << 30, 1 << 31) for _ in range(self.outputs)]
        shifts = [shift + (form != "narrow") * rng.randint(0, 1) for _ in range(count)]
        offsets = [rng.randint(-spread, spread) for _ in range(self.outputs)]
        said = f"multiplier = [{_list(multipliers)}], offset = [{_list(offsets)}], shift = [{_list(shifts)}]"
        said += f", min = {rng.choice((low, low, max(low, 0)))}, max = {high}"
        if form in ("narrow", "each"):
            said += ", narrow = true" + (f", zero_point = {rng.randint(-9, 9)}" if form == "each" else "")
        return f"requant = #accel.requant<{said}>"


def _copy(source: str, target: str, kind: str) -> str:
    """Return a layer that changes nothing."""
    window = "kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>"
    return f"{target} = accel.pool2d {source} {{kind = #accel.pool_kind<max>, {window}}} : ({kind}) -> {kind}"


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


Sample: TypeAlias = LayerSample | OtherSample


def module_text(layers: Sequence[Sample]) -> str:
    """Return a module of stage 'integer' in which each layer has inputs and an output of its own."""
    arguments, lines, results, types = list[str](), list[str](), list[str](), list[str]()
    for number, layer in enumerate(layers):
        own, x_types, y = layer.operation(number)
        low, high = LIMITS[layer.types[0]]
        for at, x in enumerate(x_types):
            held = f'{{accel.name = "x{number}_{at}", accel.range = array<i64: {low}, {high}>}}'
            arguments.append(f"%x{number}_{at}: {x} {held}")
        lines += own
        results.append(f"%y{number}")
        types.append(y)
    named = [f'{each} {{accel.name = "y{number}"}}' for number, each in enumerate(types)]
    return (
        f"func.func @kernel_layers({', '.join(arguments)}) -> ({', '.join(named)}) {{\n"
        + "\n".join(lines)
        + f"\nreturn {', '.join(results)} : {', '.join(types)}\n}}"
    )


def parse_shape(text: str, types: tuple[str, str, str]) -> LayerSample:
    """Return the layer of a text. Raises ValueError.

    Of a convolution: CxHxW:KxRxS, then /stride, +pad on all sides, @groups; of a dense one: [rows x]inputs:outputs.
    """
    if found := DENSE_SHAPE.fullmatch(text):
        rows, inputs, outputs = (int(each or 1) for each in found.groups())
        if min(rows, inputs, outputs) < 1:
            raise ValueError(f"'{text}' is no layer: sizes must be at least 1")
        return LayerSample("dense", inputs, outputs, (1, 1), batch=rows, types=types, seed=NAMED_SEED)
    found = SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"'{text}' is no layer, expected CxHxW:KxRxS[/stride][+pad][@groups], such as 16x8x8:32x3x3+1, or of dense "
            "[ROWSx]C:K, such as 64:10"
        )
    c, h, w, k, r, s = (int(each) for each in found.groups()[:6])
    stride, pad, groups = (int(each) if each else default for each, default in zip(found.groups()[6:], (1, 0, 1)))
    sample = LayerSample(
        "conv2d",
        c,
        k,
        (h, w),
        (r, s),
        (stride, stride),
        pads=(pad, pad, pad, pad),
        groups=groups,
        types=types,
        seed=NAMED_SEED,
    )
    if min(c, h, w, k, r, s, stride, groups) < 1 or c % groups or k % groups or min(sample.out_size) < 1:
        raise ValueError(f"'{text}' is no layer: sizes must be at least 1, windows fit, groups divide C and K")
    return sample


def named(text: str, spec: KernelSpec) -> Sample:
    """Return the layer that a text names for a kernel. Raises ValueError."""
    if set(spec.ops) & set(LINEAR_OPS):
        return parse_shape(text, spec.types or ("i8", "i8", "i8"))
    return other_layers.named(text, spec)


def accepted(spec: KernelSpec, count: int, seed: int) -> tuple[list[Sample], list[str]]:
    """Return random layers that a kernel computes, and reasons why it does not compute others."""
    found: list[Sample] = []
    refused: dict[str, None] = {}
    is_linear = bool(set(spec.ops) & set(LINEAR_OPS))
    for sample in candidates(spec, seed) if is_linear else other_layers.candidates(spec, seed, MOST_TRIES):
        reasons = spec.why_not(sample.facts())
        refused |= dict.fromkeys(reasons)
        if not reasons:
            found.append(sample)
            if len(found) == count:
                break
    return found, list(refused)


def candidates(spec: KernelSpec, seed: int) -> Iterator[LayerSample]:
    """Yield random layers of the kinds that networks have, and some that none has."""
    rng = random.Random(seed)
    for number in range(MOST_TRIES):
        op = rng.choice(spec.ops)
        types = spec.types or (rng.choice(("i8", "ui8")), "i8", rng.choice(("i8", "ui8", "i32")))
        channels, outputs = (rng.choice((1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 32, 33, 64, 100, 128)) for _ in range(2))
        size = rng.choice((1, 2, 3, 4, 5, 6, 8, 9, 12, 16)), rng.choice((1, 2, 3, 5, 7, 8, 10, 13))
        if op == "dense":
            sample = LayerSample(op, channels, outputs, (1, 1), batch=rng.choice((1, 1, 1, 2, 5, 8)), types=types)
        else:
            side = rng.choice((1, 1, 3, 3, 5, 2))
            window = (side, side) if rng.random() < 0.8 else (rng.randint(1, 4), rng.randint(1, 4))
            stride = rng.choice((1, 1, 2))
            groups = rng.choice((1, 1, 1, channels, channels, 2))
            sample = LayerSample(
                op,
                channels,
                channels if groups == channels > 1 else outputs,
                size,
                window,
                (stride, stride) if rng.random() < 0.9 else (rng.randint(1, 3), rng.randint(1, 3)),
                (1, 1) if rng.random() < 0.85 else (rng.randint(1, 2), rng.randint(1, 2)),
                _pads(rng, window),
                groups,
                rng.choice((1, 1, 1, 1, 2, 3)),
                types,
            )
        sample = replace(sample, seed=seed * MOST_TRIES + number)
        fits = min(sample.out_size) >= 1 and sample.channels % sample.groups == 0 == sample.outputs % sample.groups
        if fits and sample.macs <= MOST_MACS:
            yield sample


def _pads(rng: random.Random, window: tuple[int, int]) -> tuple[int, int, int, int]:
    if rng.random() < 0.4:
        return (0, 0, 0, 0)
    if rng.random() < 0.6:
        top, left = window[0] // 2, window[1] // 2
        return (top, left, top, left)
    top, left, bottom, right = (rng.randint(0, max(window[axis % 2] - 1, 0)) for axis in range(4))
    return (top, left, bottom, right)
