"""The meaning of ConvTranspose, Resize and Upsample."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from htvm.dialects.semantics import integers
from htvm.dialects.semantics.real import Real, Term
from htvm.reference.node import Node
from htvm.reference.registry import Value, operator


@operator("ConvTranspose")
def conv_transpose(node: Node, x: Real, w: Real, bias: Real | None = None) -> Real:
    """Each x[n, c, i..] times the kernels of c is added to the results from i * stride on, less the pads."""
    rank, groups = x.ndim - 2, node.get("group", 1)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    kernel, sizes = w.shape[2:], x.shape[2:]
    spans = [
        stride * (size - 1) + (length - 1) * dilation + 1
        for size, stride, length, dilation in zip(sizes, strides, kernel, dilations, strict=True)
    ]
    begins, results = _cut(node, sizes, strides, spans)
    image, kernels = x.single(uniform=range(1, x.ndim)), w.single(uniform=[0, *range(2, w.ndim)])
    batch, channels = x.shape[:2]
    pixels = np.broadcast_to(image.integers, x.shape).reshape(batch, groups, channels // groups, -1)
    pixels = pixels.transpose(0, 1, 3, 2)
    weights = np.broadcast_to(kernels.integers, w.shape).reshape(groups, channels // groups, *w.shape[1:])
    room = [max(span, begin + result) for span, begin, result in zip(spans, begins, results, strict=True)]
    total = np.zeros((batch, groups * w.shape[1], *room), object)
    for tap in np.ndindex(*kernel):
        products = integers.matmul(pixels, weights[(..., *tap)]).transpose(0, 1, 3, 2)
        places = tuple(
            slice(r * dilation, r * dilation + (size - 1) * stride + 1, stride)
            for r, dilation, size, stride in zip(tap, dilations, sizes, strides, strict=True)
        )
        total[(slice(None), slice(None), *places)] += products.reshape(batch, -1, *sizes)
    kept = tuple(slice(begin, begin + result) for begin, result in zip(begins, results, strict=True))
    total = integers.narrow(total[(slice(None), slice(None), *kept)])
    unit = kernels.unit if kernels.unit.shape[1] == 1 else np.tile(kernels.unit, [1, groups] + [1] * rank)
    sums = Real((Term(total, image.unit * unit),))
    return sums if bias is None else sums + bias.reshape([1, -1] + [1] * rank)


def _cut(node: Node, sizes: Sequence[int], strides: Sequence[int], spans: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return how many results are cut off at the beginning of each axis, and how many are kept."""
    rank, mode = len(sizes), node.get("auto_pad", "NOTSET")
    more, pads, wanted = node.get("output_padding", [0] * rank), node.get("pads", [0] * 2 * rank), None
    if node.get("output_shape"):
        wanted = node.get("output_shape")
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    if wanted is None:
        results = [s + m - pads[i] - pads[i + rank] for i, (s, m) in enumerate(zip(spans, more, strict=True))]
        return list(pads[:rank]), results
    totals = [max(0, s + m - result) for s, m, result in zip(spans, more, wanted, strict=True)]
    begins = [total // 2 if mode == "SAME_UPPER" else (total + 1) // 2 for total in totals]
    return begins, list(wanted)


@operator("Upsample")
@operator("Resize")
def resize(node: Node, x: Value, *operands: Value | None) -> Value:
    if node.version >= 11:
        scales, sizes = (*operands[1:], None, None)[:2]
    else:
        scales, sizes = operands[0] if operands else Real.of_floats(np.array(node.get("scales"))), None
    axes: list[int] = [axis % x.ndim for axis in node.get("axes") or range(x.ndim)]
    how = node.get("coordinate_transformation_mode", "half_pixel" if node.version >= 11 else "asymmetric")
    for axis, scale in zip(axes, _scales(scales, sizes, [x.shape[axis] for axis in axes]), strict=True):
        size = x.shape[axis]
        places = [_place(index, size, math.floor(size * scale), scale, how) for index in range(int(size * scale))]
        if scale != 1:
            x = _resized(node, x, axis, places)
    return x


def _scales(scales: Value | None, sizes: Value | None, extents: Sequence[int]) -> list[Fraction]:
    """Return the factor of each axis, as it is stated or by the size of the result. Raises ValueError without both."""
    if isinstance(scales, Real) and math.prod(scales.shape) > 0:
        return scales.exact().tolist()
    if not isinstance(sizes, np.ndarray):
        raise ValueError("neither scales nor sizes are given")
    return [Fraction(size, extent) for size, extent in zip(sizes.tolist(), extents, strict=True)]


def _place(index: int, size: int, result: int, scale: Fraction, how: str) -> Fraction:
    """Return the place in the input of a result, as ONNX's formulas say."""
    half = Fraction(1, 2)
    if how == "asymmetric":
        return Fraction(index) / scale
    if how == "align_corners":
        return Fraction(index * (size - 1), result - 1) if result > 1 else Fraction(0)
    if how == "pytorch_half_pixel" and result <= 1:
        return Fraction(0)
    if how == "half_pixel_symmetric":
        adjustment = result / (scale * size)
        return Fraction(size, 2) * (1 - adjustment) + (index + half) / scale - half
    if how not in ("half_pixel", "pytorch_half_pixel"):
        raise ValueError(f"coordinate_transformation_mode is '{how}'")
    return (index + half) / scale - half


def _resized(node: Node, x: Value, axis: int, places: Sequence[Fraction]) -> Value:
    last = x.shape[axis] - 1

    def taken(indices: Sequence[int]) -> Value:
        chosen = np.clip(indices, 0, last)
        if not isinstance(x, Real):
            return x.take(chosen, axis)
        return x.take([chosen if index == axis else None for index in range(x.ndim)])

    if node.get("mode", "nearest") == "nearest":
        rounding = node.get("nearest_mode", "round_prefer_floor" if node.version >= 11 else "floor")
        half = Fraction(1, 2)
        choices: dict[str, Callable[[Fraction], int]] = {
            "round_prefer_floor": lambda place: math.ceil(place - half),
            "round_prefer_ceil": lambda place: math.floor(place + half),
            "floor": math.floor,
            "ceil": math.ceil,
        }
        choose = choices[rounding]
        return taken([choose(place) for place in places])
    node.require("mode", "linear")
    left = [math.floor(place) for place in places]
    shares = [place - start for place, start in zip(places, left, strict=True)]
    common = math.lcm(*(share.denominator for share in shares))
    shape = [-1 if index == axis else 1 for index in range(x.ndim)]
    right = Real.of_integers(np.array([int(share * common) for share in shares]).reshape(shape), Fraction(1, common))
    one = Real.of_integers(np.ones([1] * x.ndim, np.int64))
    return taken(left) * (one - right) + taken([start + 1 for start in left]) * right
