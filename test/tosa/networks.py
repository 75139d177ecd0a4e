"""Networks of several architectures in tosa, with random weights: what a converter makes of quantised ones."""

from collections.abc import Callable

from .text import Function

IDENTITY = (1 << 30, 30)


def residual(f: Function) -> str:
    """Convolutions with additions around them, and an average."""
    x = f.layer(f.input((1, 8, 8, 3)), 8, (3, 3), pad=(1, 1, 1, 1), zero=-3, out_zero=-128)
    y = f.layer(x, 8, (3, 3), pad=(1, 1, 1, 1), zero=-128, out_zero=4)
    a, b = f.rescale(x, (1 << 30, 10), "i32", in_zero=-128), f.rescale(y, (1 << 30, 11), "i32", in_zero=4)
    total = f.op("add", [f.rescale(a, (1717986918, 32), "i32"), b], f.shape(x), "i32")
    z = f.clamp(f.rescale(total, (1503238553, 50), out_zero=-128), -128, 127)
    attributes = "kernel = array<i64: 8, 8>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 8, 8>, acc_type = i32"
    return f.op("avg_pool2d", [z, f.point(-128), f.point(-128)], (1, 1, 1, 8), "i8", attributes)


def separable(f: Function) -> str:
    """Depthwise and pointwise convolutions with strides, padded by operations of their own."""
    x = f.input((1, 11, 9, 2))
    padded = f.op("pad", [x, f.sizes([0, 0, 1, 1, 0, 1, 0, 0]), f.point(7)], (1, 13, 10, 2), "i8")
    x = f.layer(padded, 6, (3, 2), stride=(2, 2), zero=7, out_zero=-128)
    for channels, double in ((9, True), (12, False)):
        x = f.layer(x, 0, (3, 3), pad=(1, 1, 1, 1), zero=-128, out_zero=-128, depthwise=1)
        x = f.layer(x, channels, (1, 1), zero=-128, out_zero=-128, double=double)
    plain = f.rescale(x, IDENTITY, "i32", in_zero=-128, double=False)
    rows = f.op("reduce_sum", [plain], (1, 1, 5, 12), "i32", "axis = 1 : i32")
    sums = f.op("reduce_sum", [rows], (1, 1, 1, 12), "i32", "axis = 2 : i32")
    return f.rescale(sums, (1 << 30, 34), out_zero=-5)


def autoencoder(f: Function) -> str:
    """Rows times matrices, signed at the end."""
    x = f.input((1, 40))
    x = f.op("reshape", [x, f.sizes([1, 1, 1, 40])], (1, 1, 1, 40), "i8")
    for outputs, zero, out_zero in ((16, 5, -128), (4, -128, -128), (40, -128, 13)):
        sums, reach = f.conv2d(x, outputs, (1, 1), zero=zero)
        x = f.rescale(sums, f.scales(1, reach)[0], out_zero=out_zero)
    return f.op("reshape", [x, f.sizes([1, 40])], (1, 40), "i8")


def branches(f: Function) -> str:
    """Parallel convolutions of several sizes that are joined, and a maximum over windows."""
    x = f.input((1, 7, 7, 4))
    parts = [
        f.layer(x, 3, (1, 1), zero=1, out_zero=-9),
        f.layer(x, 5, (3, 3), pad=(1, 1, 1, 1), zero=1, out_zero=-9),
        f.layer(x, 2, (3, 3), pad=(2, 2, 2, 2), dilation=(2, 2), zero=1, out_zero=-9),
    ]
    joined = f.op("concat", parts, (1, 7, 7, 10), "i8", "axis = 3 : i32")
    attributes = "kernel = array<i64: 3, 3>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>"
    pooled = f.op("max_pool2d", [joined], (1, 3, 3, 10), "i8", attributes)
    gate = f.op("table", [pooled, f.const(f.random.integers(-128, 128, 256))], (1, 3, 3, 10), "i8")
    a, b = (f.rescale(each, IDENTITY, "i32", in_zero=zero, double=False) for each, zero in ((pooled, -9), (gate, -128)))
    product = f.op("mul", [a, b, f.point(0)], (1, 3, 3, 10), "i32")
    return f.rescale(product, (1 << 30, 38), out_zero=-128)


def attention(f: Function) -> str:
    """Products of matrices that are computed, normalised by integer operations as a softmax is."""
    x = f.input((1, 6, 8))
    turned = f.op("transpose", [x], (1, 8, 6), "i8", "perms = array<i32: 0, 2, 1>")
    scores = f.op("matmul", [x, turned, f.point(2), f.point(2)], (1, 6, 6), "i32")
    scores = f.rescale(scores, f.scales(1, 60000.0)[0], out_zero=0)
    wide = f.rescale(scores, IDENTITY, "i32", double=False)
    most = f.op("reduce_max", [wide], (1, 6, 1), "i32", "axis = 2 : i32")
    below = f.op("sub", [wide, most], (1, 6, 6), "i32")
    narrow = f.rescale(below, (1 << 30, 23), "i16", double=False)
    weights = f.op("table", [narrow, f.const([1 + 60 * place for place in range(513)], "i16")], (1, 6, 6), "i32")
    total = f.op("reduce_sum", [weights], (1, 6, 1), "i32", "axis = 2 : i32")
    leading = f.op("clz", [total], (1, 6, 1), "i32")
    shifted = f.op("logical_left_shift", [weights, f.const([[[2]]], "i32")], (1, 6, 6), "i32")
    shift = f.op("sub", [f.const([[[28]]], "i32"), leading], (1, 6, 1), "i32")
    part = f.op("arithmetic_right_shift", [shifted, shift], (1, 6, 6), "i32", "round = true")
    chances = f.rescale(part, (1 << 30, 26), out_zero=-128, double=False)
    mixed = f.op("matmul", [chances, x, f.point(-128), f.point(2)], (1, 6, 8), "i32")
    return f.rescale(mixed, f.scales(1, 60000.0)[0], out_zero=1)


def decoder(f: Function) -> str:
    """Maps that grow: nearest neighbours, a bilinear resize, and a transposed convolution."""
    x = f.layer(f.input((1, 4, 3, 3)), 4, (3, 3), pad=(1, 1, 1, 1), zero=0, out_zero=-128)
    operands = [x, f.sizes([4, 2, 4, 2]), f.sizes([-1, -1]), f.sizes([1, 1])]
    near = f.op("resize", operands, (1, 8, 6, 4), "i8", "mode = NEAREST_NEIGHBOR")
    smooth = f.op("resize", operands, (1, 8, 6, 4), "i32", "mode = BILINEAR")
    smooth = f.rescale(smooth, (1 << 30, 34))
    joined = f.op("concat", [near, smooth], (1, 8, 6, 8), "i8", "axis = 3 : i32")
    y = f.layer(joined, 4, (1, 1), zero=-20, out_zero=0)
    weights, bias = f.const(f.random.integers(-127, 128, [2, 2, 2, 4])), f.const([99, -500], "i32")
    attributes = "acc_type = i32, out_pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>"
    sums = f.op("transpose_conv2d", [y, weights, bias, *f.zeros("i8", "i8")], (1, 16, 12, 2), "i32", attributes)
    return f.rescale(sums, f.scales(2, 20000.0), out_zero=3)


NETWORKS: dict[str, Callable[[Function], str]] = {
    each.__name__: each for each in (residual, separable, autoencoder, branches, attention, decoder)
}


def network(name: str, seed: int = 0) -> Function:
    f = Function(seed)
    f.result(NETWORKS[name](f))
    return f
