"""Operations in their other element types, ranks, axes and batches: cases that have inputs of their own."""

import numpy as np

from .cases import case, case_of
from .text import Function, listed


def linear(f: Function, x: str, name: str, weights, result, bias=None, zero=0, kind="i8", **numbers) -> str:
    """Return the accumulators of a convolution. weights: the shape; numbers: attributes that are lists."""
    wide = {"i8": "i32", "i16": "i48"}[f.kind(x)]
    bias = f.random.integers(-2000, 2000, result[3]) if bias is None else bias
    held = f.const(f.random.integers(-7, 8, weights) if kind == "i4" else f.random.integers(-127, 128, weights), kind)
    operands = [x, held, f.const(bias, wide), f.point(zero, f.kind(x)), f.point(0, kind)]
    numbers = {"stride": (1, 1), **numbers}
    if name == "transpose_conv2d":
        numbers = {"out_pad": (0, 0, 0, 0), **numbers}
    else:
        numbers = {"pad": (0, 0, 0, 0), "dilation": (1, 1), **numbers}
    return f.op(name, operands, result, wide, f"acc_type = {wide}, {listed(numbers)}")


def narrow(f: Function, sums: str, kind: str = "i16", shift: int = 38, channels: int = 1) -> str:
    """Rescale accumulators of 48 bits, as converters do: a multiplier of 16 bits, one rounding."""
    pairs = [(int(m), shift) for m in f.random.integers(1 << 14, 1 << 15, channels)]
    return f.rescale(sums, pairs if channels > 1 else pairs[0], kind, double=False, wide=False)


BATCH, SHORT = (2, 6, 5, 4), (1, 4, 3, 5)
AROUND = {"pad": (1, 1, 1, 1)}


def short(f: Function) -> str:
    return f.input(SHORT, "i16")


# Convolutions and products

case_of("conv2d", "batch of 2", lambda f: f.layer(f.input(BATCH), 5, (3, 3), pad=(1, 1, 1, 1), zero=-7))
case_of(
    "depthwise_conv2d",
    "batch of 2",
    lambda f: f.layer(f.input(BATCH), 0, (3, 3), pad=(1, 1, 1, 1), zero=-7, depthwise=1),
)
case_of(
    "conv2d",
    "weights of 4 bits",
    lambda f: f.rescale(
        linear(f, f.input((1, 6, 5, 4)), "conv2d", [3, 1, 1, 4], (1, 6, 5, 3), kind="i4"), f.scales(3, 900.0)
    ),
)
case_of("conv2d", "i16 to i8", lambda f: narrow(f, linear(f, short(f), "conv2d", [6, 1, 1, 5], (1, 4, 3, 6)), "i8", 46))
case_of(
    "conv2d", "i16 to i32", lambda f: narrow(f, linear(f, short(f), "conv2d", [6, 1, 1, 5], (1, 4, 3, 6)), "i32", 20)
)
case_of(
    "conv2d",
    "i16, relu",
    lambda f: f.clamp(
        narrow(f, linear(f, short(f), "conv2d", [6, 3, 3, 5], (1, 4, 3, 6), **AROUND), channels=6), 0, 32767
    ),
)
case_of(
    "conv2d",
    "i16, biases beyond 32 bits",
    lambda f: narrow(
        f, linear(f, short(f), "conv2d", [2, 1, 1, 5], (1, 4, 3, 2), [1 << 40, -(1 << 39)]), shift=46, channels=2
    ),
)
case_of(
    "depthwise_conv2d",
    "i16",
    lambda f: narrow(f, linear(f, short(f), "depthwise_conv2d", [3, 3, 5, 1], (1, 4, 3, 5), **AROUND), channels=5),
)
case_of(
    "transpose_conv2d",
    "batch of 2, strides",
    lambda f: f.rescale(
        linear(f, f.input(BATCH), "transpose_conv2d", [3, 3, 3, 4], (2, 13, 7, 3), stride=(2, 1)), f.scales(3, 30000.0)
    ),
)
case_of(
    "transpose_conv2d",
    "out_pad of both signs",
    lambda f: f.rescale(
        linear(
            f,
            f.input((1, 6, 5, 4)),
            "transpose_conv2d",
            [3, 3, 3, 4],
            (1, 13, 10, 3),
            zero=4,
            stride=(2, 2),
            out_pad=(-1, 1, 1, -2),
        ),
        f.scales(3, 30000.0),
    ),
)
case_of(
    "transpose_conv2d",
    "i16",
    lambda f: narrow(f, linear(f, short(f), "transpose_conv2d", [2, 2, 2, 5], (1, 5, 4, 2)), channels=2),
)


@case("conv2d", "one bias for all channels")
def one_bias(f: Function) -> str:
    return f.rescale(linear(f, f.input((1, 6, 5, 4)), "conv2d", [5, 1, 1, 4], (1, 6, 5, 5), [77]), f.scales(5, 9000.0))


@case("conv2d", "computed weights")
def computed_weights(f: Function) -> str:
    x = f.input((1, 6, 5, 4))
    some = f.op("slice", [x, f.sizes([0, 0, 0, 0]), f.sizes([1, 2, 1, 4])], (1, 2, 1, 4), "i8")
    weights = f.op("reshape", [some, f.sizes([2, 1, 1, 4])], (2, 1, 1, 4), "i8")
    attributes = listed({"pad": (0, 0, 0, 0), "stride": (1, 1), "dilation": (1, 1)})
    operands = [x, weights, f.const([7, -7], "i32"), f.point(1), f.point(0)]
    sums = f.op("conv2d", operands, (1, 6, 5, 2), "i32", f"acc_type = i32, {attributes}")
    return f.rescale(sums, f.scales(2, 9000.0))


@case("conv2d", "fully connected, batch of 3")
def fully_connected_batch(f: Function) -> str:
    rows = f.op("reshape", [f.input((1, 12)), f.sizes([3, 1, 1, 4])], (3, 1, 1, 4), "i8")
    sums, reach = f.conv2d(rows, 6, (1, 1), zero=3)
    scaled = f.rescale(sums, f.scales(1, reach)[0], out_zero=5)
    return f.op("reshape", [scaled, f.sizes([3, 6])], (3, 6), "i8")


def product(f: Function, a: str, b: str, shape, points=(3, -2)) -> str:
    kind = f.kind(a)
    wide = {"i8": "i32", "i16": "i48"}[kind]
    return f.op("matmul", [a, b, *(f.point(point, kind) for point in points)], shape, wide)


case_of(
    "matmul",
    "batch of 2",
    lambda f: f.rescale(
        product(f, f.input((2, 3, 4)), f.input((2, 4, 5)), (2, 3, 5)), f.scales(1, 20000.0)[0], out_zero=1
    ),
)
case_of(
    "matmul",
    "by a constant",
    lambda f: f.rescale(
        product(f, f.input((1, 3, 4)), f.const(f.random.integers(-127, 128, [1, 4, 5])), (1, 3, 5)),
        f.scales(1, 20000.0)[0],
    ),
)
case_of("matmul", "accumulators in i32", lambda f: product(f, f.input((1, 3, 4)), f.input((1, 4, 5)), (1, 3, 5)))
case_of(
    "matmul",
    "i16",
    lambda f: narrow(f, product(f, f.input((1, 3, 4), "i16"), f.input((1, 4, 5), "i16"), (1, 3, 5), (0, 0)), shift=45),
)

# Pools and reductions


def pool(f: Function, x: str, name: str, kernel, stride, pad, shape, points=()) -> str:
    attributes = listed({"kernel": kernel, "stride": stride, "pad": pad})
    attributes += ", acc_type = i32" if name == "avg_pool2d" else ""
    return f.op(name, [x, *(f.point(point, f.kind(x)) for point in points)], shape, f.kind(x), attributes)


for name, points in (("max_pool2d", ()), ("avg_pool2d", (5, -3))):
    case_of(
        name,
        "batch of 2",
        lambda f, name=name, points=points: pool(
            f, f.input(BATCH), name, (2, 3), (2, 1), (0, 0, 1, 1), (2, 3, 5, 4), points
        ),
    )
for name, points in (("max_pool2d", ()), ("avg_pool2d", (0, 0))):
    case_of(
        name,
        "i16",
        lambda f, name=name, points=points: pool(f, short(f), name, (2, 2), (1, 1), (0, 0, 0, 0), (1, 3, 2, 5), points),
    )


def reduced(f: Function, name: str, kind: str, axis: int) -> str:
    shape = [1 if place == axis else size for place, size in enumerate((2, 3, 4, 5))]
    return f.op(name, [f.input((2, 3, 4, 5), kind)], shape, kind, f"axis = {axis} : i32")


for name, kind, axis in (
    ("reduce_sum", "i32", 0),
    ("reduce_sum", "i32", 2),
    ("reduce_max", "i16", 3),
    ("reduce_max", "i32", 1),
    ("reduce_min", "i16", 1),
    ("reduce_min", "i32", 3),
    ("reduce_max", "i8", 0),
):
    case_of(name, f"{kind}, axis {axis} of 4", lambda f, name=name, kind=kind, axis=axis: reduced(f, name, kind, axis))
case_of("argmax", "i16, batch", lambda f: f.op("argmax", [f.input((2, 3, 4), "i16")], (3, 4), "i32", "axis = 0 : i32"))
case_of("argmax", "i8, rank 1", lambda f: f.op("argmax", [f.input((9,))], (), "i32", "axis = 0 : i32"))


@case("reduce_any", "of a comparison that is reversed")
def reduce_any(f: Function) -> str:
    greater = f.op("greater", [f.input((2, 3), "i32"), f.input((2, 3), "i32")], (2, 3), "i1")
    turned = f.op("reverse", [greater], (2, 3), "i1", "axis = 1 : i32")
    return f.op("cast", [f.op("reduce_any", [turned], (2, 1), "i1", "axis = 1 : i32")], (2, 1), "i8")


# Elements


def spread(f: Function, name: str, double: bool = True) -> str:
    """Two maps of different shapes."""
    shapes = (1, 4, 1, 5), (1, 1, 3, 5)
    if name == "add":
        a, b = (f.rescale(f.input(shape), (1 << 30, 11), "i32") for shape in shapes)
        return f.rescale(f.op("add", [a, b], SHORT, "i32"), (1 << 30, 50))
    a, b = (f.rescale(f.input(shape), (1 << 30, 30), "i32", in_zero=3, double=False) for shape in shapes)
    more = [f.point(0)] if name == "mul" else []
    return f.rescale(f.op(name, [a, b, *more], SHORT, "i32"), (1 << 30, 38 if name == "mul" else 30))


for name in ("add", "mul", "maximum"):
    case_of(name, "of rescaled i8, broadcast", lambda f, name=name: spread(f, name))


@case("add", "of rescaled i16")
def add_i16(f: Function) -> str:
    a, b = (f.rescale(short(f), (1 << 30, 16), "i32", double=False) for _ in range(2))
    return f.rescale(f.op("add", [a, b], SHORT, "i32"), (1 << 30, 45), "i16", double=False)


case_of(
    "add",
    "i32, broadcast constant",
    lambda f: f.op("add", [f.input(SHORT, "i32"), f.const([[[[3, -2, 7, 1 << 29, -1]]]], "i32")], SHORT, "i32"),
)
case_of("mul", "i8 to i32", lambda f: f.op("mul", [f.input(SHORT), f.input(SHORT), f.point(0)], SHORT, "i32"))
case_of(
    "mul",
    "i16, rescaled",
    lambda f: f.rescale(
        f.op("mul", [short(f), short(f), f.point(0)], SHORT, "i32"), (1 << 30, 45), "i16", double=False
    ),
)
case_of(
    "minimum",
    "i32, broadcast",
    lambda f: f.op("minimum", [f.input((2, 3), "i32"), f.input((1, 3), "i32")], (2, 3), "i32"),
)
for kind in ("i8", "i16"):
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        case_of(
            name,
            kind,
            lambda f, name=name, kind=kind: f.op(name, [f.input((2, 3), kind), f.input((2, 3), kind)], (2, 3), kind),
        )
    case_of("bitwise_not", kind, lambda f, kind=kind: f.op("bitwise_not", [f.input((2, 3), kind)], (2, 3), kind))


def shifted(f: Function, name: str, kind: str, attributes: str = "") -> str:
    amounts = f.op("bitwise_and", [f.input((2, 3), kind), f.const([[7]], kind)], (2, 3), kind)
    return f.op(name, [f.input((2, 3), kind), amounts], (2, 3), kind, attributes)


for name, kind, attributes in (
    ("logical_left_shift", "i8", ""),
    ("logical_left_shift", "i32", ""),
    ("logical_right_shift", "i16", ""),
    ("logical_right_shift", "i8", ""),
    ("arithmetic_right_shift", "i8", "round = true"),
    ("arithmetic_right_shift", "i16", "round = false"),
):
    case_of(
        name,
        f"{kind}, computed",
        lambda f, name=name, kind=kind, attributes=attributes: shifted(f, name, kind, attributes),
    )
for kind, zeros in (("i8", (3, -5)), ("i16", (0, 0)), ("i32", (0, 0))):
    case_of(
        "negate",
        f"{kind}, zero points {zeros[0]}, {zeros[1]}",
        lambda f, kind=kind, zeros=zeros: f.op(
            "negate", [f.input((2, 3), kind), *(f.point(zero, kind) for zero in zeros)], (2, 3), kind
        ),
    )
for before, after in (("i8", "i16"), ("i16", "i8"), ("i16", "i32"), ("i32", "i16")):
    case_of(
        "cast",
        f"{before} to {after}",
        lambda f, before=before, after=after: f.op("cast", [f.input((2, 3, 4), before)], (2, 3, 4), after),
    )
case_of("cast", "i16 to i1", lambda f: f.op("cast", [f.op("cast", [short(f)], SHORT, "i1")], SHORT, "i8"))
case_of("clamp", "i16", lambda f: f.clamp(f.input((2, 3), "i16"), -3000, 20000))


@case("select", "i32")
def select_i32(f: Function) -> str:
    x, y = (f.input((2, 3), "i32") for _ in range(2))
    return f.op("select", [f.op("greater_equal", [x, y], (2, 3), "i1"), x, y], (2, 3), "i32")


@case("select", "i16, of a constant")
def select_i16(f: Function) -> str:
    x = f.input((2, 3), "i16")
    condition = f.op("equal", [f.op("cast", [x], (2, 3), "i32"), f.const([[32767]], "i32")], (2, 3), "i1")
    return f.op("select", [condition, x, f.const([[9]], "i16")], (2, 3), "i16")


@case("select", "one condition of two results")
def select_twice(f: Function) -> str:
    x, y = (f.input((2, 3), "i32") for _ in range(2))
    condition = f.op("greater", [x, y], (2, 3), "i1")
    first, second = (f.op("select", [condition, *pair], (2, 3), "i32") for pair in ((x, y), (y, x)))
    joined = [f.op("reverse", [each], (2, 3), "i32", "axis = 1 : i32") for each in (first, second)]
    return f.op("concat", joined, (2, 6), "i32", "axis = 1 : i32")


@case("table", "i16, rescaled")
def table_rescaled(f: Function) -> str:
    entries = np.clip(np.cumsum(f.random.integers(-200, 200, 513)), -32768, 32767)
    looked = f.op("table", [f.input((3, 4), "i16"), f.const(entries, "i16")], (3, 4), "i32")
    return f.rescale(looked, (1 << 30, 37), "i16", double=False)


case_of("rescale", "i32 to i16", lambda f: f.rescale(f.input((3, 4), "i32"), (1 << 30, 36), "i16", double=False))
case_of(
    "rescale",
    "i32 to i32, by channel",
    lambda f: f.rescale(
        f.input((3, 4), "i32"), [(1 << 30, 31), (1 << 30, 34), (1234567890, 33), (2000000000, 32)], "i32"
    ),
)
case_of(
    "rescale",
    "i32, multiplier of 16 bits",
    lambda f: f.rescale(f.input((3, 4), "i32"), (19661, 26), double=False, wide=False),
)
case_of("rescale", "shift of 62", lambda f: f.rescale(f.input((3, 4)), (1 << 30, 62)))
case_of("rescale", "rank 0", lambda f: f.rescale(f.input(()), (1 << 30, 31)))
case_of(
    "rescale",
    "rank 5, by channel",
    lambda f: f.rescale(f.input((2, 3, 4, 2, 3)), [(1 << 30, 31), (1 << 30, 30), (1500000000, 31)]),
)
