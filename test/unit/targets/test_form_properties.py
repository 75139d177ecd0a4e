"""Every form on random layers: its launches compute what the layer means; where it does not apply, it is not offered.

Layers are as odd as their engines allow: sides from 1, windows with more padding than kernel, weights and maps at their
limits. `python test_form_properties.py FIRST LAST` tries other seeds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.jobs import FORM, Form
from htvm.backend.targets.soc import Accelerator, OffersForms
from htvm.backend.targets.violations import Subject
from htvm.dialects import accel
from htvm.dialects.accel import FormKind
from htvm.verification.engines import EngineCheck, check_layer

DIANA = targets.load("diana")
SEEDS, MANY = range(6), range(100, 200)
MOST_FORMS = 3
"""Forms of a layer that are tried: there are as many as sizes of launches."""


@dataclass(frozen=True)
class Sample:
    """A layer of one kind. weights: its constant, as MLIR writes it; empty for one without. held: what its map has."""

    op: str
    map: tuple[int, ...]
    result: tuple[int, ...]
    attributes: str
    weights: str = ""
    held: tuple[int, int] = (-128, 127)
    element: str = "i8"

    def text(self) -> str:
        x, y = (f"tensor<{'x'.join(map(str, shape))}x{self.element}>" for shape in (self.map, self.result))
        weights = self.weights.rpartition(" : ")[2]
        return f"""
        func.func @f(%x: {x} {{accel.range = array<i64: {self.held[0]}, {self.held[1]}>}}) -> {y} {{
          {f"%w = arith.constant {self.weights}" if weights else ""}
          %y = accel.{self.op} %x{", %w" if weights else ""} {{{self.attributes}}}
            : ({x}{f", {weights}" if weights else ""}) -> {y}
          return %y : {y}
        }}"""

    def but(self, *edits: tuple[str, str], **fields: object) -> Sample:
        """Return the layer with other texts in its attributes, each of which it has, or with other fields."""
        attributes = self.attributes
        for old, new in edits:
            assert old in attributes, (old, attributes)
            attributes = attributes.replace(old, new, 1)
        return replace(self, **{"attributes": attributes, **fields})


def dense(rng: random.Random, shape: tuple[int, ...], values: tuple[int, ...]) -> str:
    """Return weights: random ones, or all at one limit."""
    count = prod(shape)
    picked = rng.choices(values, k=count) if rng.random() < 0.7 else [rng.choice((values[0], values[-1]))] * count
    data = bytes(value & 0xFF for value in picked).hex()
    return f'dense<"0x{data}"> : tensor<{"x".join(map(str, shape))}xi8>'


def window(strides: int, pads: tuple[int, ...], groups: int) -> str:
    return (
        f"strides = array<i64: {strides}, {strides}>, pads = array<i64: {', '.join(map(str, pads))}>, "
        f"dilations = array<i64: 1, 1>, groups = {groups} : i64"
    )


def depthwise(rng: random.Random) -> Sample:
    """Return a depthwise layer: any kernel, stride and padding that the array has."""
    channels, size = rng.choice((2, 3, 16, 17, 33)), (rng.randint(1, 20), rng.randint(1, 20))
    kernel, stride = (rng.choice((1, 3, 5, 7)), rng.choice((1, 3, 5, 7))), rng.choice((1, 2))
    pads = [rng.randint(0, kernel[axis % 2] // 2) for axis in range(4)]
    if rng.random() < 0.25:
        pads = [rng.randint(0, 8) for _ in range(4)]  # windows that see nothing of the map
    pads[2:] = [max(pads[2 + axis], kernel[axis] - size[axis] - pads[axis]) for axis in (0, 1)]
    out = [(size[axis] + pads[axis] + pads[2 + axis] - kernel[axis]) // stride + 1 for axis in (0, 1)]
    shift = rng.randint(0, 16)
    offsets = [rng.choice((0, rng.randint(-(1 << 20), 1 << 20))) for _ in range(channels)]
    requant = f"multiplier = [1], offset = {offsets}, shift = [{shift}], min = {rng.choice((-128, 0))}, max = 127"
    return Sample(
        "conv2d", (1, channels, *size), (1, channels, *out),
        f"{window(stride, tuple(pads), channels)}, requant = #accel.requant<{requant}>",
        dense(rng, (channels, 1, *kernel), tuple(range(-128, 128))), rng.choice(((-128, 127), (0, 127), (-128, 0))),
    )  # fmt: skip


def pointwise(rng: random.Random) -> Sample:
    """Return a 1x1 convolution behind a converter, of a map of 2 to 20 blocks of 16 channels."""
    channels, outputs, size = 16 * rng.randint(2, 20), rng.randint(1, 70), (rng.randint(1, 9), rng.randint(1, 9))
    requant = f"multiplier = [1], offset = [0], shift = [{rng.randint(0, 9)}], min = -32, max = 31"
    attributes = f"{window(1, (0, 0, 0, 0), 1)}, requant = #accel.requant<{requant}>"
    if rng.random() < 0.7:
        low, high = rng.choice(((-128, 127), (0, 127), (-64, 63)))
        weights = [rng.randint(-128, 127) for _ in range(outputs)]
        attributes += (
            f", rescale = #accel.rescale<requant = <multiplier = [1], offset = [0], shift = [{rng.randint(0, 6)}], "
            f"min = {low}, max = {high}>, weights = {weights}>"
        )
    return Sample(
        "conv2d", (1, channels, *size), (1, outputs, *size), attributes,
        dense(rng, (outputs, channels, 1, 1), (-1, 0, 1)), rng.choice(((-64, 63), (0, 127))),
    )  # fmt: skip


def average(rng: random.Random) -> Sample:
    """Return an average of all pixels of a map, so many that they are no power of two, or a part of it."""
    size = rng.choice([(a, b) for a in range(1, 18) for b in range(1, 14) if (a * b) & (a * b - 1)])
    pixels, channels, divisor = prod(size), rng.randint(1, 40), rng.choice((1, 1, 2, 3))
    step = 2 * pixels * divisor
    shift = 29 + step.bit_length()
    requant = (
        f"multiplier = [{-(-(1 << shift) // step)}], offset = [{pixels * divisor}], shift = [{shift}], "
        "min = -128, max = 127, pre_shift = 1"
    )
    return Sample(
        "pool2d", (1, channels, *size), (1, channels, 1, 1),
        f"kind = #accel.pool_kind<{rng.choice(('average', 'sum'))}>, kernel = array<i64: {size[0]}, {size[1]}>, "
        f"strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, counts = array<i64: {pixels}>, "
        f"requant = #accel.requant<{requant}>",
        held=rng.choice(((0, 127), (-128, 127), (0, 63), (-5, 9))),
    )  # fmt: skip


LAYERS: dict[FormKind, tuple[str, Callable[[random.Random], Sample]]] = {
    FormKind.ROWS_AS_CHANNELS: ("digital", depthwise),
    FormKind.SOME_ROWS_AS_CHANNELS: ("digital", depthwise),
    FormKind.CHANNEL_BLOCKS: ("analog", pointwise),
    FormKind.CORRECTED_AVERAGE: ("digital", average),
}


def forms_of(engine: Accelerator, layer: accel.Layer) -> list[Form]:
    assert isinstance(engine, OffersForms)
    return list(engine.forms(layer))


def check(kind: FormKind, seed: int) -> int:
    """Compare a layer in forms of a kind with its meaning; return how many it has. Raises Wrong."""
    rng, (name, sample) = random.Random(f"{kind} {seed}"), LAYERS[kind]
    engine = DIANA.accelerator(name)
    context = dialects.context()
    with context, ir.Location.unknown():
        module = ir.Module.parse(sample(rng).text(), context)
        (layer,) = accel.layers(module)
        offered = [form for form in forms_of(engine, layer) if form.kind == kind]
        tried = rng.sample(offered, min(MOST_FORMS, len(offered)))
        found = EngineCheck(name)
        check_layer(DIANA, engine, module, layer, tried, np.random.default_rng(seed), found, None)
        assert bool(found.compared) == bool(tried)
    return len(offered)


def test_every_form_is_tried() -> None:
    assert set(LAYERS) == set(LEGAL) == set(FormKind)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_form_computes_what_the_layer_means(kind: FormKind) -> None:
    assert sum(check(kind, seed) > 0 for seed in SEEDS) >= len(SEEDS) // 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAYERS)
def test_every_form_computes_what_many_layers_mean(kind: FormKind) -> None:
    assert sum(check(kind, seed) > 0 for seed in MANY) >= len(MANY) // 2


ONES = "dense<1> : tensor<{}xi8>"
FOUR, CODE = (
    f"requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = {low}, max = {high}>"
    for low, high in ((0, 127), (-32, 31))
)
LEGAL = {
    FormKind.ROWS_AS_CHANNELS: Sample(
        "conv2d", (1, 6, 8, 8), (1, 6, 8, 8),
        f"{window(1, (1, 1, 1, 1), 6)}, {FOUR}", ONES.format("6x1x3x3"),
    ),
    FormKind.CHANNEL_BLOCKS: Sample(
        "conv2d", (1, 48, 4, 4), (1, 5, 4, 4), f"{window(1, (0, 0, 0, 0), 1)}, {CODE}",
        ONES.format("5x48x1x1"), (0, 127),
    ),
    FormKind.CORRECTED_AVERAGE: Sample(
        "pool2d", (1, 4, 5, 5), (1, 4, 1, 1),
        "kind = #accel.pool_kind<average>, kernel = array<i64: 5, 5>, strides = array<i64: 1, 1>, "
        "pads = array<i64: 0, 0, 0, 0>, counts = array<i64: 25>, requant = #accel.requant<multiplier = [42949673], "
        "offset = [12], shift = [30], min = -128, max = 127>",
        held=(0, 127),
    ),
}  # fmt: skip
ROWS, BLOCKS, AVERAGE = LEGAL.values()
LEGAL[FormKind.SOME_ROWS_AS_CHANNELS] = ROWS
ILLEGAL: dict[FormKind, dict[str, Sample]] = {
    FormKind.ROWS_AS_CHANNELS: {
        "one group": ROWS.but(("groups = 6", "groups = 1"), weights=ONES.format("6x6x3x3")),
        "two groups": ROWS.but(("groups = 6", "groups = 2"), weights=ONES.format("6x3x3x3")),
        "two outputs of a channel": ROWS.but(weights=ONES.format("12x1x3x3"), result=(1, 12, 8, 8)),
        "an even kernel": ROWS.but(("1, 1, 1, 1", "1, 1, 2, 2"), weights=ONES.format("6x1x4x4")),
        "a dilated kernel": ROWS.but(
            ("1, 1, 1, 1", "2, 2, 2, 2"), ("ions = array<i64: 1, 1>", "ions = array<i64: 2, 2>")
        ),
        "strides of 3": ROWS.but(("des = array<i64: 1, 1>", "des = array<i64: 3, 3>"), result=(1, 6, 3, 3)),
        "padding that is not 0": ROWS.but(("groups", "pad_value = 3 : i64, groups")),
        "a clip": ROWS.but(("max = 127", "max = 60")),
        "unsigned maps": ROWS.but(element="ui8", held=(0, 255)),
    },
    FormKind.CHANNEL_BLOCKS: {
        "weights of more than three values": BLOCKS.but(weights="dense<2> : tensor<5x48x1x1xi8>"),
        "one block": BLOCKS.but(map=(1, 16, 4, 4), weights=ONES.format("5x16x1x1")),
        "part of a block": BLOCKS.but(map=(1, 40, 4, 4), weights=ONES.format("5x40x1x1")),
        "more rows than the array has": BLOCKS.but(map=(1, 1152, 4, 4), weights=ONES.format("5x1152x1x1")),
        "a kernel of 3x3": BLOCKS.but(
            ("pads = array<i64: 0, 0, 0, 0>", "pads = array<i64: 1, 1, 1, 1>"), weights=ONES.format("5x48x3x3")
        ),
        "padding": BLOCKS.but(("pads = array<i64: 0, 0, 0, 0>", "pads = array<i64: 0, 0, 1, 0>"), result=(1, 5, 5, 4)),
        "strides": BLOCKS.but(("des = array<i64: 1, 1>", "des = array<i64: 2, 2>"), result=(1, 5, 2, 2)),
        "inputs of 8 bits": BLOCKS.but(held=(-128, 127)),
        "a code of 5 bits": BLOCKS.but(("max = 31", "max = 15")),
    },
    FormKind.CORRECTED_AVERAGE: {
        "a maximum": AVERAGE.but(
            ("<average>", "<max>"), (AVERAGE.attributes[AVERAGE.attributes.index(", counts") :], "")
        ),
        "part of a map": AVERAGE.but(map=(1, 4, 6, 5), result=(1, 4, 2, 1)),
        "a clip": AVERAGE.but(("max = 127", "max = 100")),
        "unsigned maps": AVERAGE.but(element="ui8", held=(0, 255)),
        "a power of two, which one launch divides by": AVERAGE.but(
            ("[42949673]", "[1]"), ("[12]", "[8]"), ("[30]", "[4]")
        ),
    },
}
ILLEGAL[FormKind.SOME_ROWS_AS_CHANNELS] = ILLEGAL[FormKind.ROWS_AS_CHANNELS]


@pytest.mark.parametrize(("kind", "reason"), [(kind, reason) for kind, each in ILLEGAL.items() for reason in each])
def test_no_form_where_it_does_not_apply(kind: FormKind, reason: str) -> None:
    """A layer has the form; changed in one thing it is offered none, and to carry it all the same is a violation."""
    engine = DIANA.accelerator(LAYERS[kind][0])
    with dialects.context() as context, ir.Location.unknown():
        legal, changed = (ir.Module.parse(each.text(), context) for each in (LEGAL[kind], ILLEGAL[kind][reason]))
        (layer,), (other,) = accel.layers(legal), accel.layers(changed)
        (form, *_) = (each for each in forms_of(engine, layer) if each.kind == kind)
        assert not forms_of(engine, other)
        other.operation.attributes[FORM] = form.attribute()
        assert [each.subject for each in engine.violations(other)] == [Subject.FORM]


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        counts = ", ".join(f"{check(kind, number)} {kind}" for kind in LAYERS)
        print(f"seed {number}: exact ({counts})", flush=True)
