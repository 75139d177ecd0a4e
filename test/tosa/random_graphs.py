"""Random functions of tosa: `python test/tosa/random_graphs.py FIRST LAST [TARGET]`.

Each seed gives a function of some operations with random constants. What htvm says that it means is compared with
Arm's reference model where that is installed, the layers that it becomes are interpreted, and with a target the C is
executed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tosa.samples import samples
from tosa.text import Function

Step = Callable[[Function, str, np.random.Generator], str]
"""Adds some operations on a map of i8, and returns another one."""


def scale(random: np.random.Generator, factor: float) -> tuple[int, int]:
    exponent = int(np.floor(np.log2(factor)))
    return int(random.integers(1 << 30, (1 << 31) - 1)), 30 - exponent


def convolution(f: Function, x: str, random: np.random.Generator) -> str:
    _, height, width, channels = f.shape(x)
    kernel = [int(random.integers(1, min(size, 3) + 1)) for size in (height, width)]
    pad = [int(random.integers(0, kernel[axis // 2])) for axis in range(4)]
    stride = [1 if random.random() < 0.6 else 2 for _ in range(2)]
    for axis in (0, 1):  # TOSA asks that windows end at the border
        size = (height, width)[axis] + pad[2 * axis] + pad[2 * axis + 1] - kernel[axis]
        if size % stride[axis]:
            stride[axis] = 1
    depthwise = int(random.integers(0, 3)) if random.random() < 0.4 else 0
    zero = int(random.choice([-128, 0, 127, int(random.integers(-128, 128))]))
    outputs = int(random.integers(1, 9))
    sums, reach = f.conv2d(x, outputs, tuple(kernel), tuple(pad), tuple(stride), zero=zero, depthwise=depthwise,
                           weight_zero=int(random.integers(-3, 4)) if random.random() < 0.1 else 0)  # fmt: skip
    count = f.shape(sums)[3]
    pairs = [scale(random, 100 / reach * random.uniform(0.1, 3)) for _ in range(count)]
    out_zero = int(random.choice([-128, 0, int(random.integers(-128, 128))]))
    per_channel = random.random() < 0.7
    y = f.rescale(sums, pairs if per_channel else pairs[0], out_zero=out_zero, double=random.random() < 0.6)
    low, high = sorted(map(int, random.integers(-128, 128, 2)))
    return f.clamp(y, low, high) if random.random() < 0.3 else y


def scaled(f: Function, x: str, random: np.random.Generator) -> str:
    return f.rescale(x, scale(random, random.uniform(0.2, 4)), in_zero=int(random.integers(-128, 128)),
                     out_zero=int(random.integers(-128, 128)), double=random.random() < 0.5)  # fmt: skip


def pooled(f: Function, x: str, random: np.random.Generator) -> str:
    batch, height, width, channels = f.shape(x)
    kernel = [int(random.integers(1, min(size, 4) + 1)) for size in (height, width)]
    pad = [int(random.integers(0, kernel[axis // 2])) for axis in range(4)]
    shape = [batch, height + pad[0] + pad[1] - kernel[0] + 1, width + pad[2] + pad[3] - kernel[1] + 1, channels]
    attributes = f"kernel = array<i64: {kernel[0]}, {kernel[1]}>, stride = array<i64: 1, 1>, "
    attributes += f"pad = array<i64: {', '.join(map(str, pad))}>"
    if random.random() < 0.5:
        return f.op("max_pool2d", [x], shape, "i8", attributes)
    points = [f.point(int(random.integers(-128, 128))) for _ in range(2)]
    return f.op("avg_pool2d", [x, *points], shape, "i8", f"{attributes}, acc_type = i32")


def arithmetic(f: Function, x: str, random: np.random.Generator) -> str:
    """With another map of the same shape, rescaled as converters do."""
    other = scaled(f, x, random) if random.random() < 0.7 else x
    name = str(random.choice(["add", "sub", "mul", "maximum", "minimum"]))
    if name == "mul":
        a, b = (f.rescale(each, (1 << 30, 30), "i32", in_zero=int(random.integers(-128, 128)), double=False)
                for each in (x, other))  # fmt: skip
        product = f.op("mul", [a, b, f.point(0)], f.shape(x), "i32")
        return f.rescale(product, scale(random, 2.0**-8), out_zero=int(random.integers(-20, 20)))
    double = random.random() < 0.5
    a, b = (f.rescale(each, scale(random, 2.0 ** random.integers(14, 20)), "i32", double=double,
                      in_zero=int(random.integers(-128, 128))) for each in (x, other))  # fmt: skip
    total = f.op(name, [a, b], f.shape(x), "i32")
    zero = int(random.integers(-128, 128))
    return f.rescale(total, scale(random, 2.0 ** -int(random.integers(18, 21))), out_zero=zero, double=double)


def moved(f: Function, x: str, random: np.random.Generator) -> str:
    batch, height, width, channels = f.shape(x)
    which = int(random.integers(0, 7))
    if which == 0:
        begin = [0, *(int(random.integers(0, size)) for size in (height, width, channels))]
        size = [1, *(int(random.integers(1, n - b + 1)) for b, n in zip(begin[1:], (height, width, channels)))]
        return f.op("slice", [x, f.sizes(begin), f.sizes(size)], size, "i8")
    if which == 1:
        return f.op("reverse", [x], f.shape(x), "i8", f"axis = {int(random.integers(1, 4))} : i32")
    if which == 2:
        amounts = [0, 0, *map(int, random.integers(0, 3, 6))]
        shape = [n + a + b for n, a, b in zip(f.shape(x), amounts[::2], amounts[1::2])]
        return f.op("pad", [x, f.sizes(amounts), f.point(int(random.integers(-128, 128)))], shape, "i8")
    if which == 3:
        axis = int(random.integers(1, 4))
        shape = list(f.shape(x))
        shape[axis] *= 2
        return f.op("concat", [x, scaled(f, x, random)], shape, "i8", f"axis = {axis} : i32")
    if which == 4:
        return f.op("transpose", [x], [1, width, channels, height], "i8", "perms = array<i32: 0, 2, 3, 1>")
    if which == 5:
        return f.op("reshape", [x, f.sizes([1, width, height, channels])], [1, width, height, channels], "i8")
    up = int(random.integers(1, 4))
    operands = [x, f.sizes([2 * up, 2, 2 * up, 2]), f.sizes([0, 0]), f.sizes([2 * up - 2, 2 * up - 2])]
    shape = [1, height * up, width * up, channels]
    if random.random() < 0.5:
        return f.op("resize", operands, shape, "i8", "mode = NEAREST_NEIGHBOR")
    wide = f.op("resize", operands, shape, "i32", "mode = BILINEAR")
    return f.rescale(wide, scale(random, 2.0**-4 / up))


def called(f: Function, x: str, random: np.random.Generator) -> str:
    """What no layer computes."""
    which, shape = int(random.integers(0, 6)), f.shape(x)
    wide = f.op("cast", [x], shape, "i32")
    if which == 0:
        axis = int(random.integers(1, 4))
        kept = [1 if place == axis else size for place, size in enumerate(shape)]
        most = f.op(str(random.choice(["reduce_max", "reduce_min", "reduce_sum"])), [wide], kept, "i32",
                    f"axis = {axis} : i32")  # fmt: skip
        return f.rescale(f.op("sub", [wide, most], shape, "i32"), (1 << 30, 32))
    if which == 1:
        shifts = f.const([[[[int(random.integers(0, 8))]]]], "i32")
        rounds = str(random.random() < 0.5).lower()
        return f.op(
            "cast", [f.op("arithmetic_right_shift", [wide, shifts], shape, "i32", f"round = {rounds}")], shape, "i8"
        )
    if which == 2:
        moved = f.op("reverse", [wide], shape, "i32", "axis = 1 : i32")
        name = str(random.choice(["greater", "greater_equal", "equal"]))
        chosen = f.op("select", [f.op(name, [wide, moved], shape, "i1"), wide, moved], shape, "i32")
        return f.op("cast", [chosen], shape, "i8")
    if which == 3:
        return f.op("cast", [f.op("clz", [f.op("abs", [wide], shape, "i32")], shape, "i32")], shape, "i8")
    if which == 4:
        short = f.rescale(x, (1 << 30, 24), "i16", double=False)
        entries = np.clip(np.cumsum(random.integers(-300, 300, 513)), -32768, 32767)
        looked = f.op("table", [short, f.const(entries, "i16")], shape, "i32")
        return f.rescale(looked, (1 << 30, 45))
    channels, outputs = shape[3], int(random.integers(1, 4))
    stride = [int(random.integers(1, 3)) for _ in range(2)]
    size = [(n - 1) * s + 2 for n, s in zip(shape[1:3], stride)]
    weights, bias = f.const(random.integers(-127, 128, [outputs, 2, 2, channels])), random.integers(-99, 99, outputs)
    attributes = f"acc_type = i32, out_pad = array<i64: 0, 0, 0, 0>, stride = array<i64: {stride[0]}, {stride[1]}>"
    operands = [x, weights, f.const(bias, "i32"), f.point(int(random.integers(-128, 128))), f.point(0)]
    sums = f.op("transpose_conv2d", operands, [1, *size, outputs], "i32", attributes)
    return f.rescale(sums, scale(random, 1 / 300))


STEPS: tuple[Step, ...] = (convolution, convolution, convolution, scaled, pooled, arithmetic, moved, moved, called)
MOST_ELEMENTS = 3000


def graph(seed: int) -> Function:
    """Return a random function: an input, up to 8 steps, of which a later one may read an earlier one's result."""
    random = np.random.default_rng(seed)
    f = Function(seed)
    values = [f.input([1, *map(int, random.integers(1, 9, 2)), int(random.integers(1, 6))])]
    for _ in range(int(random.integers(1, 9))):
        x = values[-1] if random.random() < 0.8 else values[int(random.integers(0, len(values)))]
        if np.prod(f.shape(x)) < MOST_ELEMENTS:
            values.append(STEPS[int(random.integers(0, len(STEPS)))](f, x, random))
    for value in dict.fromkeys([values[-1], values[len(values) // 2]]):
        if value not in f.inputs:
            f.result(value)
    if not f.results:
        f.result(scaled(f, values[0], random))
    return f


def check(seed: int, target: str | None, folder: Path) -> str:
    """Return what differs, '' if nothing does."""
    from mlir import ir

    import htvm
    from htvm import dialects
    from htvm.dialects.semantics import tosa
    from htvm.dialects.semantics.interpreter import interpret
    from htvm.sources import source_of
    from tosa import reference

    f = graph(seed)
    path = folder / "net.mlir"
    path.write_text(f.text())
    module = ir.Module.parse(f.text(), dialects.context())
    every = samples(f, 4, seed)
    wanted = [tosa.interpret(module.body.operations[0], arrays) for arrays in every]
    entry = source_of(path)._entry()
    for arrays, results in zip(every, wanted):
        with entry.context:
            found = list(interpret(entry, {"arg0": arrays[0]}).values())
        if not all(np.array_equal(a, b) for a, b in zip(found, results)):
            return "the layers mean something else"
        if reference.is_installed():
            modelled = reference.outputs(f.text(), arrays, folder)
            if not all(np.array_equal(a, b) for a, b in zip(modelled, results)):
                return "the reference model says something else"
    if target:
        made = htvm.compile(path, target).run({"arg0": np.concatenate([arrays[0] for arrays in every])}).outputs
        for number in range(len(f.results)):
            if not np.array_equal(made[f"result{number}"], np.concatenate([each[number] for each in wanted])):
                return f"the C gives other values for result {number}"
    return ""


def main() -> None:
    first, last, *target = sys.argv[1:]
    wrong = 0
    for seed in range(int(first), int(last)):
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = check(seed, target[0] if target else None, Path(folder))
            except Exception as error:  # noqa: BLE001  (a bug is one seed of many)
                said = f"{type(error).__name__}: {str(error)[:500]}"
        if said:
            wrong += 1
            print(f"{seed}: {said}", flush=True)
    print(f"{int(last) - int(first)} functions, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
