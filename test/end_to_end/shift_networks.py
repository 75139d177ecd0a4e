"""Small random networks of stage 'integer' whose scales are powers of two, as an array that only shifts wants them.

A network is a graph of convolutions, depthwise convolutions, additions, sums of whole maps and dense layers, some of
its values returned, with maxima of windows, which only the host has, in between; mixed ones have convolutions with
ternary weights as well, whose sums are read by a converter. Kernels, strides and paddings are as no designer would
choose them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from mlir import ir

from htvm import dialects
from htvm.backend.c import emit_c
from htvm.backend.targets.jobs import FORM
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.dialects.semantics.interpreter import interpret
from htvm.execution.program import Program
from htvm.passes import pipeline
from htvm.passes.analysis import activations
from htvm.passes.analysis.acceptance import violations
from htvm.passes.analysis.residency import Residency
from htvm.passes.analysis.tiles import NAME
from htvm.passes.analysis.ways import Way, other_forms, partial_forms
from htvm.project import Project

PHASES = "dispatched,scheduled,tiled,planned"
KERNELS = (1, 3, 5, 7)
SMALL = (-64, 63)
"""The inputs of a mixed network: what a converter's array takes."""


@dataclass
class Network:
    """A function being written. values: its maps by name, with their shapes [C, H, W] or [C]; constants as well."""

    rng: random.Random
    values: dict[str, tuple[int, ...]]
    constants: dict[str, tuple[int, ...]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    limits: tuple[int, int] = (-128, 127)

    def text(self, returned: list[str]) -> str:
        """Return the module, whose input is "x" and whose outputs are "y0", "y1", .."""
        results = ", ".join(f'{kind(self.values[name])} {{accel.name = "y{n}"}}' for n, name in enumerate(returned))
        types = ", ".join(kind(self.values[name]) for name in returned)
        body = "\n".join(self.lines)
        return (
            f'func.func @network(%x: {kind(self.values["x"])} {{accel.name = "x", accel.range = array<i64: '
            f"{self.limits[0]}, {self.limits[1]}>}}) -> ({results}) {{\n{body}\n"
            f"return {', '.join(f'%{name}' for name in returned)} : {types}\n}}"
        )

    def layer(self, op: str, inputs: list[str], attributes: str, shape: tuple[int, ...]) -> str:
        """Write a layer on maps and the constants after them, and return the name of its result."""
        name = f"v{len(self.values)}"
        types = ", ".join(kind(self.values[x]) if x in self.values else tensor(self.constants[x]) for x in inputs)
        operands = ", ".join(f"%{each}" for each in inputs)
        line = f"%{name} = accel.{op} {operands} {{{attributes}}} : ({types}) -> {kind(shape)}"
        self.lines.append(f'{line} loc("{name}")')
        self.values[name] = shape
        return name

    def constant(self, shape: tuple[int, ...], is_ternary: bool = False) -> str:
        """Write random weights, and return their name."""
        name, count = f"c{len(self.constants)}", int(np.prod(shape))
        data = bytes(self.rng.choices((0, 1, 255), k=count)) if is_ternary else self.rng.randbytes(count)
        self.lines.append(f'%{name} = arith.constant dense<"0x{data.hex()}"> : {tensor(shape)}')
        self.constants[name] = shape
        return name

    def requant(self, outputs: int, products: int) -> str:
        """Return a shift that leaves about 8 bits of random sums, a bias for each output, and one of the clips."""
        shift = max(0, 8 + (products.bit_length() + 1) // 2 + self.rng.randint(-1, 1))
        biases = ", ".join(str(self.rng.randint(-(40 << shift), 40 << shift)) for _ in range(outputs))
        low = self.rng.choice((-128, 0))
        return (
            f"requant = #accel.requant<multiplier = [1], offset = [{biases}], shift = [{shift}], "
            f"min = {low}, max = 127>"
        )

    # Layers

    def conv2d(self, source: str, is_depthwise: bool = False, is_ternary: bool = False) -> str:
        rng, (channels, *size) = self.rng, self.values[source]
        outputs = channels if is_depthwise else rng.randint(1, 40)
        kernel = [rng.choice([each for each in KERNELS if each <= n + 1] or [1]) for n in size]
        pads = [rng.randint(0, kernel[axis % 2] // 2) for axis in range(4)]
        kernel = [max(each for each in KERNELS if each <= min(k, n + pads[axis] + pads[axis + 2]))
                  for axis, (k, n) in enumerate(zip(kernel, size))]  # fmt: skip
        stride = rng.choice((1, 1, 2))
        out = [(n + pads[axis] + pads[axis + 2] - kernel[axis]) // stride + 1 for axis, n in enumerate(size)]
        weights = (outputs, 1 if is_depthwise else channels, *kernel)
        products = int(np.prod(weights[1:]))
        attributes = (
            f"strides = array<i64: {stride}, {stride}>, pads = array<i64: {', '.join(map(str, pads))}>, "
            f"dilations = array<i64: 1, 1>, groups = {channels if is_depthwise else 1}, "
            f"{self.code(products) if is_ternary else self.requant(outputs, products)}"
        )
        return self.layer("conv2d", [source, self.constant(weights, is_ternary)], attributes, (outputs, *out))

    def ternary(self, source: str) -> str:
        return self.conv2d(source, is_ternary=True)

    def code(self, products: int) -> str:
        """Return the shift of a converter that leaves about 6 bits of random sums."""
        shift = max(0, (products.bit_length() + 1) // 2 + self.rng.randint(0, 1))
        return f"requant = #accel.requant<multiplier = [1], offset = [0], shift = [{shift}], min = -32, max = 31>"

    def depthwise(self, source: str) -> str:
        return self.conv2d(source, is_depthwise=True)

    def add(self, source: str) -> str:
        """Add a map of the same shape, or the same one."""
        other = self.rng.choice([name for name, shape in self.values.items() if shape == self.values[source]])
        low, high = self.rng.choice([(-128, 127), (-128, 127), (0, 127), (-64, 63), (0, 31)])
        requant = (
            "requant = #accel.requant<multiplier = [1, 1], offset = [0], "
            f"shift = [{self.rng.randint(0, 2)}], min = {low}, max = {high}>"
        )
        return self.layer("add", [source, other], requant, self.values[source])

    def pool(self, source: str) -> str:
        """Take maxima, as the host does."""
        channels, *size = self.values[source]
        kernel = ", ".join("2" if n > 1 else "1" for n in size)
        window = f"kernel = array<i64: {kernel}>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>"
        halves = (max(n // 2, 1) for n in size)
        return self.layer("pool2d", [source], f"kind = #accel.pool_kind<max>, {window}", (channels, *halves))

    def total(self, source: str) -> str:
        """Sum each channel."""
        channels, *size = self.values[source]
        count = int(np.prod(size))
        attributes = (
            f"kind = #accel.pool_kind<sum>, kernel = array<i64: {size[0]}, {size[1]}>, strides = array<i64: 1, 1>, "
            f"pads = array<i64: 0, 0, 0, 0>, counts = array<i64: {count}>, requant = #accel.requant<multiplier = [1], "
            f"offset = [{self.rng.randint(0, count)}], shift = [{count.bit_length() // 2}], "
            f"min = {self.rng.choice((-128, 0))}, max = 127>"
        )
        return self.layer("pool2d", [source], attributes, (channels, 1, 1))

    def dense(self, source: str) -> str:
        """Connect everything, after a map has been flattened."""
        size, outputs = int(np.prod(self.values[source])), self.rng.randint(1, 160)
        flat = source if len(self.values[source]) == 1 else self.layer("reshape", [source], "", (size,))
        return self.layer("dense", [flat, self.constant((outputs, size))], self.requant(outputs, size), (outputs,))


def kind(shape: tuple[int, ...]) -> str:
    """Return the type of a map of one image."""
    return tensor((1, *shape))


def tensor(shape: tuple[int, ...]) -> str:
    return f"tensor<{'x'.join(map(str, shape))}xi8>"


def random_network(seed: int, layers: int = 5, is_mixed: bool = False) -> str:
    """Return a module. Each layer reads one of the last three maps; the last value is returned, sometimes another."""
    rng = random.Random(seed)
    network = Network(rng, {"x": (rng.randint(1, 20), rng.randint(1, 20), rng.randint(1, 20))})
    kinds = [*[network.conv2d] * 3, network.depthwise, network.add, network.add, network.pool, network.total]
    if is_mixed:
        network.limits, kinds = SMALL, [*kinds, *[network.ternary] * 4]
    for _ in range(layers):
        maps = [name for name, shape in network.values.items() if len(shape) == 3]
        last = rng.choice(kinds)(rng.choice(maps[-3:]))
    if rng.random() < 0.3 and np.prod(network.values[last]) <= 800:
        last = network.dense(last)
    others = [name for name in network.values if name not in ("x", last)]
    return network.text([last, *(rng.sample(others, 1) if others and rng.random() < 0.4 else [])])


def random_layer(seed: int) -> str:
    """Return a module of one layer, as large as the layers of small networks are."""
    rng = random.Random(seed)
    channels = rng.choice((1, 3, 16, 24, 40, 64))
    if rng.random() < 0.25:
        network = Network(rng, {"x": (rng.randint(1, 1024),)})
        return network.text([network.dense("x")])
    network = Network(rng, {"x": (channels, rng.randint(1, 34), rng.randint(1, 34))})
    kinds = [network.conv2d, network.conv2d, network.depthwise, network.add, network.total]
    return network.text([rng.choice(kinds)("x")])


def planned(text: str, soc: Soc) -> ir.Module:
    """Return the module of a text at stage 'planned'."""
    context = dialects.context()
    module = ir.Module.parse(text, context)
    pipeline.build(PHASES, soc, context).run(module.operation)
    return module


def planned_in_random_tiles(text: str, soc: Soc, seed: int) -> ir.Module:
    """Return the same with any tilings that fit, written on the layers, instead of the fastest."""
    rng, context = random.Random(seed), dialects.context()
    module = ir.Module.parse(text, context)
    pipeline.build("dispatched,order-layers", soc, context).run(module.operation)
    with module.operation.location:
        for function in accel.functions(module):
            residency = Residency(soc, list(activations.layers(function)))
            residency.settle()
            for one in residency.placed:
                chosen = rng.choice(list(residency.search(one, residency.left(one)).fitting()))
                one.layer.operation.attributes[NAME] = chosen.attribute()
    pipeline.build("choose-tilings,tiled,planned", soc, context).run(module.operation)
    return module


def planned_in_random_ways(text: str, soc: Soc, seed: int) -> tuple[ir.Module, Counter[str]]:
    """Return the same with any engine and form of each layer that it may have, instead of the fastest; and how many
    layers have each form.

    Forms that read blocks of channels are left to placement: whether a map lies so is not a layer's to say.
    """
    rng, context, forms = random.Random(seed), dialects.context(), Counter[str]()
    module = ir.Module.parse(text, context)
    pipeline.build("split-clamp", soc, context).run(module.operation)
    with module.operation.location:
        for layer in list(accel.layers(module)):
            plain = [Way(each) for each in soc.engines if not violations(soc, each, layer)]
            offered = (f(soc, layer, each) for each in soc.engines for f in (other_forms, partial_forms))
            others = [way for ways in offered for way in ways if not way.reads_blocks]
            if not (found := rng.choice((plain, others, plain + others)) or plain) or rng.random() < 0.2:
                continue
            way = rng.choice(found)
            layer.engine = ir.StringAttr.get(way.engine.name)
            if way.form is not None:
                layer.operation.attributes[FORM] = way.form.attribute()
                forms[str(way.form.kind)] += 1
    pipeline.build(PHASES, soc, context).run(module.operation)
    return module, forms


def built(module: ir.Module, soc: Soc) -> Program:
    """Return a planned module as a program for the simulated target."""
    emitted = emit_c(module, soc)
    return Program(Project(emitted.sources, emitted.report), soc)


def simulated(module: ir.Module, soc: Soc, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a planned module's C computes on the simulated target. Raises SimulationError."""
    program = built(module, soc)
    program.run_one(inputs)
    return {port.name: program.output(port) for port in program.project.outputs}


def meant(text: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a module of stage 'integer' means."""
    context = dialects.context()
    with context:
        return interpret(ir.Module.parse(text, context), inputs)


def random_input(text: str, seed: int) -> dict[str, np.ndarray]:
    """Return random values for the input of a network, in its range."""
    context = dialects.context()
    with context:
        module = ir.Module.parse(text, context)
        function = module.body.operations[0]
        low, high = function.attributes["arg_attrs"][0]["accel.range"]
        return {"x": np.random.default_rng(seed).integers(low, high + 1, function.arguments[0].type.shape, np.int8)}
