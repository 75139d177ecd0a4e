"""Operations of tosa in many forms: each case adds some to a function and returns the result.

`typed_cases.py` and `moving_cases.py` have more: other element types, ranks, axes and batches. `conformance.py` says
what becomes of each.
"""

from collections.abc import Callable

import numpy as np

from .text import Function

MAP, OTHER, VECTOR, WIDE, LONG = "%x0", "%x1", "%x2", "%x3", "%x4"
"""The inputs of every function of cases."""


def inputs() -> Function:
    """Return a function that has the inputs, and nothing else yet."""
    f = Function(11)
    for shape, kind in (((1, 6, 5, 4), "i8"), ((1, 6, 5, 4), "i8"), ((1, 12), "i8"), ((1, 6), "i16"), ((1, 7), "i32")):
        f.input(shape, kind)
    return f


CASES: dict[str, Callable[[Function], str]] = {}


def case_of(op: str, form: str, make: Callable[[Function], str]) -> None:
    name = f"{op}: {form}"
    assert name not in CASES, name
    CASES[name] = make


def case(op: str, form: str) -> Callable[[Callable[[Function], str]], Callable[[Function], str]]:
    def register(function: Callable[[Function], str]) -> Callable[[Function], str]:
        case_of(op, form, function)
        return function

    return register


# Convolutions

case_of("conv2d", "3x3, padded", lambda f: f.layer(MAP, 5, (3, 3), pad=(1, 1, 1, 1), zero=-7, out_zero=3))
case_of(
    "conv2d", "SINGLE_ROUND", lambda f: f.layer(MAP, 5, (3, 3), pad=(1, 1, 1, 1), zero=-7, double=False, out_zero=9)
)
case_of("conv2d", "1x1, relu", lambda f: f.layer(MAP, 6, (1, 1), zero=-128, out_zero=-128))
case_of("conv2d", "1x1, relu6", lambda f: f.layer(MAP, 6, (1, 1), zero=4, out_zero=-20, bounds=(-20, 90)))
case_of("conv2d", "2x3, strides", lambda f: f.layer(MAP, 3, (2, 3), stride=(2, 2), zero=5))
case_of("conv2d", "dilated", lambda f: f.layer(MAP, 3, (2, 2), dilation=(2, 3), zero=5))
case_of("conv2d", "zero point of weights", lambda f: f.layer(MAP, 3, (1, 1), weight_zero=-9, zero=11))
case_of("depthwise_conv2d", "3x3, padded", lambda f: f.layer(MAP, 4, (3, 3), pad=(1, 1, 1, 1), zero=-128, depthwise=1))
case_of("depthwise_conv2d", "multiplier 2", lambda f: f.layer(MAP, 4, (3, 2), pad=(1, 0, 0, 1), zero=3, depthwise=2))


@case("conv2d", "accumulators in i32")
def conv2d_raw(f: Function) -> str:
    return f.conv2d(MAP, 3, (3, 3), zero=2)[0]


@case("conv2d", "behind pad")
def conv2d_padded_before(f: Function) -> str:
    amounts, value = f.sizes([0, 0, 1, 2, 0, 3, 0, 0]), f.point(-5)
    padded = f.op("pad", [MAP, amounts, value], (1, 9, 8, 4), "i8")
    return f.layer(padded, 3, (3, 3), stride=(2, 1), zero=-5)


@case("conv2d", "behind slice")
def conv2d_sliced_before(f: Function) -> str:
    part = f.op("slice", [MAP, f.sizes([0, 0, 0, 0]), f.sizes([1, 5, 5, 4])], (1, 5, 5, 4), "i8")
    return f.layer(part, 3, (1, 1), stride=(2, 2), zero=-5)


@case("conv2d", "two rescales of one")
def conv2d_two_readers(f: Function) -> str:
    sums, reach = f.conv2d(MAP, 4, (1, 1))
    first, second = (f.rescale(sums, f.scales(4, reach), out_zero=zero) for zero in (0, 7))
    return f.op("concat", [first, second], (1, 6, 5, 8), "i8", "axis = 3 : i32")


@case("conv2d", "i16, by channel")
def conv2d_i16(f: Function) -> str:
    """Biases and accumulators have 48 bits."""
    x = f.op("reshape", [WIDE, f.sizes([1, 1, 2, 3])], (1, 1, 2, 3), "i16")
    sums, _ = f.conv2d(x, 4, (1, 2), pad=(0, 0, 1, 0))
    pairs = [(int(m), 38) for m in f.random.integers(1 << 14, 1 << 15, 4)]
    return f.rescale(sums, pairs, "i16", double=False, wide=False)


@case("conv2d", "fully connected")
def fully_connected(f: Function) -> str:
    flat = f.op("reshape", [VECTOR, f.sizes([1, 1, 1, 12])], (1, 1, 1, 12), "i8")
    sums, reach = f.conv2d(flat, 7, (1, 1), zero=3)
    return f.op("reshape", [f.rescale(sums, f.scales(1, reach)[0], out_zero=-4), f.sizes([1, 7])], (1, 7), "i8")


@case("transpose_conv2d", "i8")
def transpose_conv2d(f: Function) -> str:
    weights = f.const(f.random.integers(-127, 128, [3, 3, 2, 4]))
    operands = [MAP, weights, f.const(f.random.integers(-99, 99, 3), "i32"), f.point(3), f.point(0)]
    attributes = "acc_type = i32, out_pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 1>"
    sums = f.op("transpose_conv2d", operands, (1, 13, 6, 3), "i32", attributes)
    return f.rescale(sums, f.scales(3, 30000.0))


@case("matmul", "i8")
def matmul(f: Function) -> str:
    a = f.op("reshape", [MAP, f.sizes([1, 10, 12])], (1, 10, 12), "i8")
    b = f.op("reshape", [OTHER, f.sizes([1, 12, 10])], (1, 12, 10), "i8")
    sums = f.op("matmul", [a, b, f.point(3), f.point(-2)], (1, 10, 10), "i32")
    return f.rescale(sums, f.scales(1, 20000.0)[0], out_zero=1)


# Pools and reductions


def _pool(f: Function, name: str, kernel, stride, pad, shape, more=()) -> str:
    attributes = ", ".join(f"{key} = array<i64: {', '.join(map(str, each))}>" for key, each in
                           (("kernel", kernel), ("stride", stride), ("pad", pad)))  # fmt: skip
    attributes += ", acc_type = i32" if name == "avg_pool2d" else ""
    return f.op(name, [MAP, *more], shape, "i8", attributes)


case_of("max_pool2d", "i8, padded", lambda f: _pool(f, "max_pool2d", (2, 2), (2, 1), (0, 0, 1, 0), (1, 3, 5, 4)))
case_of(
    "avg_pool2d",
    "i8, padded",
    lambda f: _pool(f, "avg_pool2d", (3, 3), (1, 1), (1, 1, 1, 1), (1, 6, 5, 4), f.zeros("i8", "i8")),
)
case_of(
    "avg_pool2d",
    "zero points",
    lambda f: _pool(f, "avg_pool2d", (6, 5), (1, 1), (0, 0, 0, 0), (1, 1, 1, 4), [f.point(-30), f.point(12)]),
)
case_of("reduce_max", "i8, columns", lambda f: f.op("reduce_max", [MAP], (1, 6, 1, 4), "i8", "axis = 2 : i32"))
case_of("reduce_min", "i8, channels", lambda f: f.op("reduce_min", [MAP], (1, 6, 5, 1), "i8", "axis = 3 : i32"))
case_of("reduce_sum", "i32, rank 2", lambda f: f.op("reduce_sum", [LONG], (1, 1), "i32", "axis = 1 : i32"))
case_of("argmax", "i8, channels", lambda f: f.op("argmax", [MAP], (1, 6, 5), "i32", "axis = 3 : i32"))
case_of("argmax", "i8, rows", lambda f: f.op("argmax", [MAP], (1, 5, 4), "i32", "axis = 1 : i32"))


@case("reduce_sum", "mean of rows and columns")
def mean(f: Function) -> str:
    plain = f.rescale(MAP, (1 << 30, 30), "i32", in_zero=-9, double=False)
    rows = f.op("reduce_sum", [plain], (1, 1, 5, 4), "i32", "axis = 1 : i32")
    total = f.op("reduce_sum", [rows], (1, 1, 1, 4), "i32", "axis = 2 : i32")
    return f.rescale(total, (1610612736, 36), out_zero=-3)


@case("reduce_all", "of a comparison")
def reduce_all_of_comparison(f: Function) -> str:
    greater = f.op("greater", [widened(f, MAP), widened(f, OTHER)], (1, 6, 5, 4), "i1")
    return f.op("cast", [f.op("reduce_all", [greater], (1, 6, 5, 1), "i1", "axis = 3 : i32")], (1, 6, 5, 1), "i8")


# Elements of two values


def _sum(f: Function, name: str, double: bool, slopes=((1 << 30, 10), (1 << 30, 11)), zeros=(4, -11)) -> str:
    a = f.rescale(MAP, slopes[0], "i32", in_zero=zeros[0], double=double)
    b = f.rescale(OTHER, slopes[1], "i32", in_zero=zeros[1], double=double)
    a = f.rescale(a, (1517321543, 32), "i32", double=double)
    total = f.op(name, [a, b], f.shape(a), "i32")
    return f.rescale(total, (1234567890, 50), out_zero=-6, double=double)


case_of("add", "of rescaled i8", lambda f: _sum(f, "add", True))
case_of("add", "of rescaled i8, SINGLE_ROUND", lambda f: _sum(f, "add", False))
case_of("sub", "of rescaled i8", lambda f: _sum(f, "sub", True))


@case("mul", "of rescaled i8")
def mul_rescaled(f: Function) -> str:
    a, b = (f.rescale(x, (1 << 30, 30), "i32", in_zero=zero, double=False) for x, zero in ((MAP, 3), (OTHER, -8)))
    product = f.op("mul", [a, b, f.point(0)], f.shape(a), "i32")
    return f.rescale(product, (1393216545, 38), out_zero=2)


@case("mul", "i32, shift 31")
def mul_shifted(f: Function) -> str:
    a, b = (f.rescale(x, (1 << 30, 14), "i32", double=False) for x in (MAP, OTHER))
    return f.op("mul", [a, b, f.point(31)], f.shape(a), "i32")


for name in ("maximum", "minimum"):
    case_of(name, "of rescaled i8", lambda f, name=name: _sum(f, name, True))
    case_of(name, "of i8 in 32 bits", lambda f, name=name: _narrowed(f, name))
for name in ("add", "sub", "bitwise_and", "bitwise_or", "bitwise_xor", "intdiv"):
    case_of(name, "i32 of two", lambda f, name=name: _of_two(f, name))
for name in ("equal", "greater", "greater_equal"):
    case_of(name, "i32", lambda f, name=name: _compared(f, name))


def _of_two(f: Function, name: str) -> str:
    a, b = (f.op("cast", [x], (1, 6, 5, 4), "i32") for x in (MAP, OTHER))
    if name == "intdiv":  # by anything but 0
        b = f.op("bitwise_or", [b, f.const([[[[1]]]], "i32")], (1, 6, 5, 4), "i32")
    return f.op(name, [a, b], (1, 6, 5, 4), "i32")


def widened(f: Function, value: str) -> str:
    """Return the same integers in 32 bits, as TOSA compares them."""
    return f.op("cast", [value], f.shape(value), "i32")


def _narrowed(f: Function, name: str) -> str:
    larger = f.op(name, [widened(f, MAP), widened(f, OTHER)], (1, 6, 5, 4), "i32")
    return f.op("cast", [larger], (1, 6, 5, 4), "i8")


def _compared(f: Function, name: str) -> str:
    a, b = widened(f, MAP), widened(f, OTHER)
    return f.op("cast", [f.op(name, [a, b], (1, 6, 5, 4), "i1")], (1, 6, 5, 4), "i8")


@case("select", "i8 of i8")
def select(f: Function) -> str:
    a, b = (f.op("cast", [x], (1, 6, 5, 4), "i32") for x in (MAP, OTHER))
    greater = f.op("greater", [a, b], (1, 6, 5, 4), "i1")
    return f.op("select", [greater, OTHER, MAP], (1, 6, 5, 4), "i8")


# Elements of one value

case_of("clamp", "i8", lambda f: f.clamp(MAP, -20, 77))
case_of("rescale", "i8 to i8", lambda f: f.rescale(MAP, (1717986918, 31), in_zero=-3, out_zero=8))
case_of(
    "rescale",
    "by channel",
    lambda f: f.rescale(MAP, [(1 << 30, 29), (1234567890, 31), (1 << 30, 31), (2000000000, 32)]),
)
case_of("rescale", "i16 to i8", lambda f: f.rescale(WIDE, (1717986918, 39), in_zero=0, out_zero=8, double=False))
case_of("rescale", "i8 to i16", lambda f: f.rescale(MAP, (1717986918, 24), "i16", in_zero=7, double=False))
case_of("rescale", "multiplier of 16 bits", lambda f: f.rescale(MAP, (19661, 15), in_zero=5, double=False, wide=False))
case_of("rescale", "i32 to i8", lambda f: f.rescale(LONG, (1 << 30, 53), double=True))
case_of(
    "rescale", "unsigned result", lambda f: f.rescale(MAP, (1 << 30, 30), out_zero=-128, unsigned=("false", "true"))
)
case_of("rescale", "unsigned input", lambda f: f.rescale(MAP, (1 << 30, 30), in_zero=-128, unsigned=("true", "false")))
case_of("table", "i8", lambda f: f.op("table", [MAP, f.const(f.random.integers(-128, 128, 256))], (1, 6, 5, 4), "i8"))


@case("add", "i32 of a constant, by channel")
def expression_by_channel(f: Function) -> str:
    """Constants that differ along the last axis, as those of an affine map of each channel do."""
    moved = f.op("add", [widened(f, MAP), f.const([[[[1, -20, 300, 4]]]], "i32")], (1, 6, 5, 4), "i32")
    return f.rescale(moved, (1 << 30, 31))


@case("sub", "i32 from a constant, by row")
def expression_by_row(f: Function) -> str:
    """Constants that differ along an axis that is not the last."""
    moved = f.op(
        "sub", [f.const([[[[k]] for k in (7, -1, 90, 0, -128, 3)]], "i32"), widened(f, MAP)], (1, 6, 5, 4), "i32"
    )
    return f.rescale(moved, (1 << 30, 30), out_zero=4)


@case("table", "i16")
def table_i16(f: Function) -> str:
    entries = np.clip(np.cumsum(f.random.integers(-300, 300, 513)), -32768, 32767)
    return f.op("table", [WIDE, f.const(entries, "i16")], (1, 6), "i32")


for name in ("abs", "clz", "bitwise_not"):
    case_of(name, "i32", lambda f, name=name: f.op(name, [LONG], (1, 7), "i32"))
for name in ("logical_left_shift", "logical_right_shift"):
    case_of(
        name,
        "i32 by constants",
        lambda f, name=name: f.op(name, [LONG, f.const([[0, 1, 5, 31, 9, 2, 17]], "i32")], (1, 7), "i32"),
    )
for rounds in ("true", "false"):
    case_of(
        "arithmetic_right_shift",
        f"i32 by constants, round = {rounds}",
        lambda f, rounds=rounds: f.op(
            "arithmetic_right_shift",
            [LONG, f.const([[0, 1, 5, 31, 9, 2, 17]], "i32")],
            (1, 7),
            "i32",
            f"round = {rounds}",
        ),
    )
case_of("negate", "i8", lambda f: f.op("negate", [MAP, f.point(0), f.point(0)], (1, 6, 5, 4), "i8"))
case_of("cast", "i8 to i32", lambda f: f.op("cast", [MAP], (1, 6, 5, 4), "i32"))
case_of("cast", "i32 to i8", lambda f: f.op("cast", [LONG], (1, 7), "i8"))


@case("logical_and", "with or, xor, not")
def logical(f: Function) -> str:
    zero = f.const([[[[0]]]], "i32")
    signs = [f.op("greater", [widened(f, x), zero], (1, 6, 5, 4), "i1") for x in (MAP, OTHER)]
    both = f.op("logical_xor", [f.op("logical_and", signs, (1, 6, 5, 4), "i1"), signs[0]], (1, 6, 5, 4), "i1")
    either = f.op("logical_or", [f.op("logical_not", [both], (1, 6, 5, 4), "i1"), signs[1]], (1, 6, 5, 4), "i1")
    return f.op("cast", [either], (1, 6, 5, 4), "i8")


# Movement

case_of("reshape", "i8", lambda f: f.op("reshape", [MAP, f.sizes([1, 30, 4])], (1, 30, 4), "i8"))
case_of(
    "transpose",
    "i8, channels first",
    lambda f: f.op("transpose", [MAP], (1, 4, 6, 5), "i8", "perms = array<i32: 0, 3, 1, 2>"),
)
case_of(
    "transpose",
    "i8, rows and columns",
    lambda f: f.op("transpose", [MAP], (1, 5, 6, 4), "i8", "perms = array<i32: 0, 2, 1, 3>"),
)
case_of("slice", "i8", lambda f: f.op("slice", [MAP, f.sizes([0, 1, 2, 1]), f.sizes([1, 3, 2, 3])], (1, 3, 2, 3), "i8"))
case_of("reverse", "i8", lambda f: f.op("reverse", [MAP], (1, 6, 5, 4), "i8", "axis = 2 : i32"))
case_of("tile", "i8", lambda f: f.op("tile", [MAP, f.sizes([1, 2, 1, 3])], (1, 12, 5, 12), "i8"))
case_of("concat", "i8, channels", lambda f: f.op("concat", [MAP, OTHER], (1, 6, 5, 8), "i8", "axis = 3 : i32"))
case_of("concat", "i8, rows", lambda f: f.op("concat", [MAP, OTHER, MAP], (1, 18, 5, 4), "i8", "axis = 1 : i32"))
case_of("pad", "i8", lambda f: f.op("pad", [MAP, f.sizes([0, 0, 1, 2, 3, 0, 0, 1]), f.point(9)], (1, 9, 8, 5), "i8"))


@case("gather", "i8, constant indices")
def gather(f: Function) -> str:
    rows = f.op("reshape", [MAP, f.sizes([1, 30, 4])], (1, 30, 4), "i8")
    return f.op("gather", [rows, f.const([[0, 29, 7, 7, 3]], "i32")], (1, 5, 4), "i8")


def _resize(f: Function, mode: str, kind: str, scale, shape) -> str:
    operands = [MAP, f.sizes(scale), f.sizes([-1, -1]), f.sizes([1, 1])]
    return f.op("resize", operands, shape, kind, f"mode = {mode}")


case_of("resize", "nearest, i8", lambda f: _resize(f, "NEAREST_NEIGHBOR", "i8", (4, 2, 4, 2), (1, 12, 10, 4)))
case_of("resize", "bilinear, i8", lambda f: _resize(f, "BILINEAR", "i32", (4, 2, 4, 2), (1, 12, 10, 4)))


@case("concat", "of layers")
def layers_in_a_row(f: Function) -> str:
    """Maps with their channels first between layers, and moved there."""
    first = f.layer(MAP, 6, (3, 3), pad=(1, 1, 1, 1), zero=1, out_zero=-128)
    part = f.op("slice", [first, f.sizes([0, 1, 1, 2]), f.sizes([1, 4, 3, 4])], (1, 4, 3, 4), "i8")
    both = f.op("concat", [part, part], (1, 4, 3, 8), "i8", "axis = 3 : i32")
    second = f.layer(both, 4, (1, 1), zero=-128, out_zero=5)
    grown = f.op("pad", [second, f.sizes([0, 0, 1, 1, 1, 1, 0, 0]), f.point(5)], (1, 6, 5, 4), "i8")
    return f.op("concat", [grown, MAP], (1, 6, 5, 8), "i8", "axis = 3 : i32")
