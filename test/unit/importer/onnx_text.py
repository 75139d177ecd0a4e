"""What an ONNX file means, written from ONNX's operator text alone: a second judge beside htvm.reference.

Numbers are fractions, so that nothing is rounded but by QuantizeLinear, Floor, Round and Cast; functions without exact
values are computed in 60 digits. It shares no code with htvm. It is slow, and takes the operators that tests use.

More than 400 lines: ONNX's text, operator by operator, in one file, so that nothing of the product slips in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

DIGITS = 60
Arrays = dict[str, np.ndarray]


def evaluate(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Return the outputs: integers as numpy has them, real numbers as object arrays of fractions."""
    opset = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    functions = {(f.domain, f.name): f for f in model.functions}
    known = {tensor.name: _real(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}
    known |= {name: _real(np.asarray(array)) for name, array in inputs.items()}
    _nodes(model.graph.node, known, opset.get("ai.onnx", 1), functions)
    return {value.name: known[value.name] for value in model.graph.output}


def _nodes(nodes: Any, known: Arrays, opset: int, functions: Mapping[tuple[str, str], Any]) -> None:
    for node in nodes:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        given = [known[name] if name else None for name in node.input]
        if (node.domain, node.op_type) in functions:
            results = _called(functions[node.domain, node.op_type], given, node, opset, functions)
        else:
            results = OPERATORS[node.op_type](Call(node, attributes, given, opset))
        results = results if isinstance(results, list) else [results]
        known.update((name, result) for name, result in zip(node.output, results) if name)


def _called(function: Any, given: list[Any], node: Any, opset: int, functions: Any) -> list[np.ndarray]:
    """Run a function of the model: its attributes are those of the call, or their defaults."""
    values = {a.name: a for a in function.attribute_proto} | {a.name: a for a in node.attribute}
    inner = []
    for one in function.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(one)
        del copy.attribute[:]
        for a in one.attribute:
            if not a.ref_attr_name:
                copy.attribute.append(a)
            elif a.ref_attr_name in values:
                taken = onnx.AttributeProto()
                taken.CopyFrom(values[a.ref_attr_name])
                taken.name = a.name
                copy.attribute.append(taken)
        inner.append(copy)
    local = dict(zip(function.input, given))
    _nodes(inner, local, opset, functions)
    return [local[name] for name in function.output]


class Call:
    """One node: attributes, inputs (None where omitted), the opset."""

    def __init__(self, node: Any, attributes: Mapping[str, Any], inputs: list[Any], opset: int) -> None:
        self.node, self.attributes, self.inputs, self.opset = node, attributes, inputs, opset

    def __call__(self, name: str, default: Any = None) -> Any:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def at(self, index: int) -> Any:
        return self.inputs[index] if index < len(self.inputs) else None

    def list(self, index: int, name: str) -> list[int] | None:
        array = self.at(index)
        return [int(n) for n in array.reshape(-1)] if array is not None else self(name)


# Numbers


def _real(array: np.ndarray) -> np.ndarray:
    """Return floats as fractions (infinities stay), other arrays as they are."""
    if array.dtype.kind != "f":
        return array
    return each(lambda n: Fraction(float(n)) if math.isfinite(n) else float(n))(array)


def each(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return a function of single numbers as one of arrays, with broadcasting."""
    ufunc = np.frompyfunc(function, function.__code__.co_argcount, 1)

    def on_arrays(*arrays: Any) -> np.ndarray:
        return np.asarray(ufunc(*(np.asarray(a, object) for a in arrays)), object)

    return on_arrays


def is_real(array: np.ndarray) -> bool:
    return array.dtype == object


def _decimal(function: Callable[[Decimal], Decimal]) -> Callable[[Any], Any]:
    def on_fraction(x: Any) -> Any:
        with localcontext() as context:
            context.prec, context.Emax, context.Emin = DIGITS + 20, 10**9, -(10**9)
            number = Decimal(x.numerator) / Decimal(x.denominator) if isinstance(x, Fraction) else Decimal(x)
            found = function(number)
            if found.is_infinite():
                return float(found)
            if found != 0 and found.adjusted() < -2000:
                return Fraction(0)
            return Fraction(found)

    return on_fraction


def _erf(x: Decimal) -> Decimal:
    if abs(x) > 12:
        return Decimal(1).copy_sign(x)
    with localcontext() as context:
        context.prec = DIGITS + 130
        term, total, n = x, x, 0
        while abs(term) > Decimal(10) ** -(DIGITS + 60):
            n += 1
            term *= -x * x / n
            total += term / (2 * n + 1)
        return 2 * total / _pi().sqrt()


def _pi() -> Decimal:
    def arctan_inverse(n: int) -> Decimal:
        power = total = Decimal(1) / n
        k = 1
        while abs(power) > Decimal(10) ** -250:
            power /= -n * n
            k += 2
            total += power / k
        return total

    with localcontext() as context:
        context.prec = 260
        return 4 * (4 * arctan_inverse(5) - arctan_inverse(239))


def _sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp()) if x > -10000 else Decimal(0)


def _tanh(x: Decimal) -> Decimal:
    if x == 0:
        return x
    e = (-2 * abs(x)).exp()
    return ((1 - e) / (1 + e)).copy_sign(x)


def _softplus(x: Decimal) -> Decimal:
    return x + (1 + (-x).exp()).ln() if x > 0 else (1 + x.exp()).ln()


def _power(x: Decimal, exponent: Fraction) -> Decimal:
    if exponent.denominator == 1:
        return x ** int(exponent)
    return x ** (Decimal(exponent.numerator) / Decimal(exponent.denominator))


exp, log, sqrt = (each(_decimal(f)) for f in (Decimal.exp, Decimal.ln, Decimal.sqrt))


def unary(function: Callable[[Decimal], Decimal]) -> Callable[[Call], np.ndarray]:
    return lambda c: each(_decimal(function))(c.inputs[0])


def scaled(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Return fractions as integers over one denominator."""
    if not is_real(array):
        return array.astype(object), 1
    denominator = reduce(math.lcm, {n.denominator for n in array.flat}, 1)
    return each(lambda n: int(n * denominator))(array), denominator


def over(array: np.ndarray, denominator: int) -> np.ndarray:
    return each(lambda n: Fraction(n, denominator))(array)


# Elements


def arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Call], np.ndarray]:
    def run(c: Call) -> np.ndarray:
        if is_real(c.inputs[0]):
            return each(lambda a, b: function(a, b))(*c.inputs)
        return np.asarray(function(*c.inputs)).astype(c.inputs[0].dtype)

    return run


def div(c: Call) -> np.ndarray:
    if is_real(c.inputs[0]):
        return each(lambda a, b: a / b)(*c.inputs)
    a, b = (x.astype(object) for x in c.inputs)
    return each(lambda p, q: int(Fraction(int(p), int(q))))(a, b).astype(c.inputs[0].dtype)


def clip(c: Call) -> np.ndarray:
    x, low, high = c.inputs[0], c.at(1), c.at(2)
    if not is_real(x) and (found := {"min", "max"} & set(c.attributes)):
        ends = [int(c(name)) if name in found else None for name in ("min", "max")]
        return np.clip(x.astype(np.int64), *ends).astype(x.dtype)
    if low is None and "min" in c.attributes:
        low = _real(np.float32(c("min")))
    if high is None and "max" in c.attributes:
        high = _real(np.float32(c("max")))
    x = x if low is None else np.maximum(x, low)
    return np.asarray(x if high is None else np.minimum(x, high), x.dtype)


def extreme(choose: Any) -> Callable[[Call], np.ndarray]:
    return lambda c: np.asarray(reduce(choose, c.inputs), c.inputs[0].dtype)


def cast(c: Call) -> np.ndarray:
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(c("to")))
    x = c.inputs[0]
    if dtype.kind == "f":
        return x if is_real(x) else each(lambda n: Fraction(int(n)))(x)
    if is_real(x):
        x = each(lambda n: math.trunc(n))(x)
    return x.astype(np.int64).astype(dtype) if dtype.kind != "b" else (x != 0).astype(bool)


def function(formula: Callable[..., Any], **defaults: float) -> Callable[[Call], np.ndarray]:
    """Return an operator whose attributes (float32) are further arguments of a formula."""

    def run(c: Call) -> np.ndarray:
        numbers = [Fraction(float(np.float32(c(name, value)))) for name, value in defaults.items()]
        return each(lambda x: formula(x, *numbers))(c.inputs[0])

    return run


def on_fractions(rounding: Callable[[Fraction], int]) -> Callable[[Call], np.ndarray]:
    """Return an operator that rounds; integers are what they are."""
    return lambda c: each(lambda x: Fraction(rounding(x)))(c.inputs[0]) if is_real(c.inputs[0]) else c.inputs[0]


_exp1, _tanh1, _sig1, _soft1, _erf1 = (_decimal(f) for f in (Decimal.exp, _tanh, _sigmoid, _softplus, _erf))
_SQRT_HALF = _decimal(lambda x: x.sqrt())(Fraction(1, 2))
_SQRT_2_PI = _decimal(lambda x: (2 / _pi()).sqrt())(Fraction(1))


def gelu(c: Call) -> np.ndarray:
    half = Fraction(1, 2)
    if c("approximate", "none") == "tanh":
        inner = Fraction(44715, 10**6)
        return each(lambda x: half * x * (1 + _tanh1(_SQRT_2_PI * (x + inner * x**3))))(c.inputs[0])
    return each(lambda x: half * x * (1 + _erf1(x * _SQRT_HALF)))(c.inputs[0])


def clamp01(x: Fraction) -> Fraction:
    return min(max(x, Fraction(0)), Fraction(1))


def prelu(c: Call) -> np.ndarray:
    return each(lambda x, s: x if x >= 0 else x * s)(*c.inputs)


def softmax(c: Call) -> np.ndarray:
    x = c.inputs[0]
    if c.opset >= 13:
        return _softmax(x, c("axis", -1))
    axis = c("axis", 1) % x.ndim
    rows = x.reshape(math.prod(x.shape[:axis]), -1)
    return _softmax(rows, 1).reshape(x.shape)


def _softmax(x: np.ndarray, axis: int) -> np.ndarray:
    powers = exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# Quantisation


def _along(array: Any, axis: int, rank: int, shape: tuple[int, ...], block: int) -> Any:
    if array is None or array.size == 1:
        return array if array is None else array.reshape(())
    if block:
        return np.repeat(array, block, axis).take(range(shape[axis]), axis)
    return array.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def quantize(c: Call) -> np.ndarray:
    x, scale, zero = c.inputs[0], c.inputs[1], c.at(2)
    dtype = np.dtype(np.uint8) if zero is None else zero.dtype
    if zero is None and c("output_dtype", 0):
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(c("output_dtype")))
    axis, block = c("axis", 1), c("block_size", 0)
    scale, zero = (_along(a, axis, x.ndim, x.shape, block) for a in (scale, zero))
    zero = np.int64(0) if zero is None else zero.astype(np.int64)
    low, high = LIMITS.get(dtype.name) or (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    return (
        each(lambda n, s, z: min(max(round(n / s) + int(z), low), high))(x, scale, zero).astype(np.int64).astype(dtype)
    )


LIMITS = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}


def dequantize(c: Call) -> np.ndarray:
    x, axis, block = c.inputs[0].astype(np.int64), c("axis", 1), c("block_size", 0)
    scale, zero = (_along(a, axis, x.ndim, x.shape, block) for a in (c.inputs[1], c.at(2)))
    zero = np.int64(0) if zero is None else zero.astype(np.int64)
    return each(lambda n, z, s: (int(n) - int(z)) * s)(x, zero, scale)


def requant_shift(c: Call) -> np.ndarray:
    def number(index: int, name: str) -> np.ndarray:
        array = c.at(index) if c.at(index) is not None else c(name)
        array = numpy_helper.to_array(array) if isinstance(array, onnx.TensorProto) else np.asarray(array)
        array = _real(array.astype(np.float64)) if not is_real(array) else array
        rank = c.inputs[0].ndim
        return array.reshape([1, -1] + [1] * (rank - 2)) if array.size > 1 else array.reshape(())

    def one(name: str) -> int:
        value = c(name)
        array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
        return int(array.reshape(()))

    levels = one("n_levels_out" if "n_levels_out" in c.attributes else "n_levels")
    low = -(levels // 2) if one("signed") else 0
    d = one("div")
    half = d // 2 if c("rounding", 0) else 0
    return each(lambda x, m, a: Fraction(min(max(math.floor(Fraction(x * m + a + half) / d), low), low + levels - 1)))(
        c.inputs[0], number(1, "mul"), number(2, "add")
    )


# Windows


def _window(
    c: Call, sizes: list[int], kernel: list[int]
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Return strides, dilations, pads at the start, pads at the end and output sizes."""
    rank = len(sizes)
    strides, dilations = list(c("strides", [1] * rank)), list(c("dilations", [1] * rank))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    pads, mode = list(c("pads", [0] * 2 * rank)), c("auto_pad", "NOTSET")
    first, last = pads[:rank], pads[rank:]
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(sizes, strides, spans)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        first, last = (small, large) if mode == "SAME_UPPER" else (large, small)
    outs = []
    for n, a, b, k, s in zip(sizes, first, last, spans, strides):
        left = n + a + b - k
        out = left // s + 1
        if c("ceil_mode", 0) and left % s:
            out += 1
            if (out - 1) * s >= n + a:  # a window that would begin in the padding at the end is ignored
                out -= 1
        outs.append(out)
    return strides, dilations, first, last, outs


def _places(c: Call, sizes: list[int], kernel: list[int]) -> Any:
    """Yield each output place with [(tap, position)] inside the input, and the taps inside the padded input."""
    strides, dilations, first, last, outs = _window(c, sizes, kernel)
    for place in product(*map(range, outs)):
        inside, padded = [], 0
        for tap in product(*map(range, kernel)):
            at = [p * s - f + t * d for p, s, f, t, d in zip(place, strides, first, tap, dilations)]
            padded += all(a < n + e for a, n, e in zip(at, sizes, last))
            if all(0 <= a < n for a, n in zip(at, sizes)):
                inside.append((tap, tuple(at)))
        yield place, inside, padded
    return


def of_integers(layer: Callable[[Call], np.ndarray]) -> Callable[[Call], np.ndarray]:
    """Let a layer that ONNX has on floats take integers, as MATCH's exporter writes it: the sums have 32 bits."""

    def run(c: Call) -> np.ndarray:
        if is_real(c.inputs[0]):
            return layer(c)
        found = layer(Call(c.node, c.attributes, [each(lambda n: Fraction(int(n)))(x) for x in c.inputs], c.opset))
        assert all(n.denominator == 1 and abs(n) < 2**31 for n in found.flat)
        return found.astype(np.int64).astype(np.int32)

    return run


def conv(c: Call) -> np.ndarray:
    (x, dx), (w, dw) = scaled(c.inputs[0]), scaled(c.inputs[1])
    groups, sizes, kernel = c("group", 1), list(x.shape[2:]), list(w.shape[2:])
    outs, per, own = _window(c, sizes, kernel)[4], w.shape[0] // groups, w.shape[1]
    y = np.zeros((x.shape[0], w.shape[0], *outs), object)
    for place, inside, _ in _places(c, sizes, kernel):
        for tap, at in inside:
            for g in range(groups):
                part = x[(slice(None), slice(g * own, (g + 1) * own), *at)]
                y[(slice(None), slice(g * per, (g + 1) * per), *place)] += (
                    part @ w[(slice(g * per, (g + 1) * per), slice(None), *tap)].T
                )
    y = over(y, dx * dw)
    return y if c.at(2) is None else y + c.at(2).reshape([-1] + [1] * len(sizes))


def conv_transpose(c: Call) -> np.ndarray:
    x, w = c.inputs[0], c.inputs[1]
    groups, kernel, sizes = c("group", 1), list(w.shape[2:]), list(x.shape[2:])
    rank, own, per = len(kernel), w.shape[0] // c("group", 1), w.shape[1]
    strides, dilations = list(c("strides", [1] * rank)), list(c("dilations", [1] * rank))
    extra, pads = list(c("output_padding", [0] * rank)), list(c("pads", [0] * 2 * rank))
    full = [s * (n - 1) + e + (k - 1) * d + 1 for s, n, e, k, d in zip(strides, sizes, extra, kernel, dilations)]
    if c("output_shape") is not None or c("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        wanted = c("output_shape") or [n * s for n, s in zip(sizes, strides)]
        total = [max(f - o, 0) for f, o in zip(full, wanted)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = small + large if c("auto_pad") == "SAME_UPPER" else large + small
    y = each(lambda n: Fraction(n))(np.zeros((x.shape[0], per * groups, *full), object))
    for at in product(*map(range, sizes)):
        for tap in product(*map(range, kernel)):
            place = tuple(a * s + t * d for a, s, t, d in zip(at, strides, tap, dilations))
            for g in range(groups):
                part = (
                    x[(slice(None), slice(g * own, (g + 1) * own), *at)]
                    @ w[(slice(g * own, (g + 1) * own), slice(None), *tap)]
                )
                y[(slice(None), slice(g * per, (g + 1) * per), *place)] += part
    cut = tuple(slice(p, f - q) for p, q, f in zip(pads[:rank], pads[rank:], full))
    y = y[(slice(None), slice(None), *cut)]
    return y if c.at(2) is None else y + c.at(2).reshape([-1] + [1] * rank)


def pool(c: Call) -> np.ndarray:
    x, kernel = c.inputs[0], list(c("kernel_shape"))
    sizes, average = list(x.shape[2:]), c.node.op_type == "AveragePool"
    y = np.zeros((*x.shape[:2], *_window(c, sizes, kernel)[4]), x.dtype)
    for place, inside, padded in _places(c, sizes, kernel):
        parts = [x[(slice(None), slice(None), *at)] for _, at in inside]
        if average:
            found = sum(parts) / Fraction(padded if c("count_include_pad", 0) else len(parts))
        else:
            found = reduce(np.maximum, parts)
        y[(slice(None), slice(None), *place)] = found
    return y


# Matrices, reductions, normalisations


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (x, dx), (y, dy) = scaled(a), scaled(b)
    return over(np.asarray(np.matmul(x, y), object), dx * dy)


def gemm(c: Call) -> np.ndarray:
    a, b = (x.T if c(t, 0) else x for x, t in zip(c.inputs, ("transA", "transB")))
    alpha, beta = (Fraction(float(np.float32(c(n, 1.0)))) for n in ("alpha", "beta"))
    y = _product(a, b) * alpha
    return y if c.at(2) is None else y + c.at(2) * beta


def reduction(kind: str) -> Callable[[Call], np.ndarray]:
    def run(c: Call) -> np.ndarray:
        x, axes = c.inputs[0], c.list(1, "axes")
        if not axes and c("noop_with_empty_axes", 0):
            return x
        axes = tuple(range(x.ndim)) if not axes else tuple(a % x.ndim for a in axes)
        y = np.asarray(getattr(x, {"mean": "sum"}.get(kind, kind))(axis=axes, keepdims=bool(c("keepdims", 1))), x.dtype)
        return y / Fraction(math.prod(x.shape[a] for a in axes)) if kind == "mean" else y

    return run


def over_space(kind: str) -> Callable[[Call], np.ndarray]:
    def run(c: Call) -> np.ndarray:
        x = c.inputs[0]
        axes = tuple(range(2, x.ndim))
        if kind == "max":
            return x.max(axis=axes, keepdims=True)
        return x.sum(axis=axes, keepdims=True) / Fraction(math.prod(x.shape[2:]))

    return run


def arg(smallest: bool) -> Callable[[Call], np.ndarray]:
    def run(c: Call) -> np.ndarray:
        x, axis = c.inputs[0], c("axis", 0)
        rows = np.moveaxis(-x if smallest else x, axis, -1)
        found = np.empty(rows.shape[:-1], np.int64)
        for place in np.ndindex(*found.shape):
            row = list(rows[place])
            best = max(row)
            found[place] = len(row) - 1 - row[::-1].index(best) if c("select_last_index", 0) else row.index(best)
        return np.expand_dims(found, axis) if c("keepdims", 1) else found

    return run


def _normal(x: np.ndarray, axes: tuple[int, ...], epsilon: Any) -> np.ndarray:
    count = Fraction(math.prod(x.shape[a] for a in axes))
    centred = x - x.sum(axis=axes, keepdims=True) / count
    variance = (centred * centred).sum(axis=axes, keepdims=True) / count
    return centred / sqrt(np.asarray(variance + epsilon, object))


def _epsilon(c: Call) -> Fraction:
    return Fraction(float(np.float32(c("epsilon", 1e-5))))


def layer_norm(c: Call) -> np.ndarray:
    x = c.inputs[0]
    y = _normal(x, tuple(range(c("axis", -1) % x.ndim, x.ndim)), _epsilon(c)) * c.inputs[1]
    return y if c.at(2) is None else y + c.at(2)


def _channels(array: np.ndarray, rank: int) -> np.ndarray:
    return array.reshape([1, -1] + [1] * (rank - 2))


def instance_norm(c: Call) -> np.ndarray:
    x = c.inputs[0]
    y = _normal(x, tuple(range(2, x.ndim)), _epsilon(c))
    return y * _channels(c.inputs[1], x.ndim) + _channels(c.inputs[2], x.ndim)


def group_norm(c: Call) -> np.ndarray:
    x, groups = c.inputs[0], c("num_groups")
    y = _normal(x.reshape(x.shape[0], groups, -1), (2,), _epsilon(c))
    if c.opset >= 21:
        return y.reshape(x.shape) * _channels(c.inputs[1], x.ndim) + _channels(c.inputs[2], x.ndim)
    scale, bias = (a.reshape(1, groups, 1) for a in c.inputs[1:3])
    return (y * scale + bias).reshape(x.shape)


def batch_norm(c: Call) -> np.ndarray:
    x = c.inputs[0]
    scale, bias, mean, variance = (_channels(a, x.ndim) for a in c.inputs[1:5])
    return (x - mean) / sqrt(np.asarray(variance + _epsilon(c), object)) * scale + bias


# Movement


def reshape(c: Call) -> np.ndarray:
    x, wanted = c.inputs[0], [int(n) for n in c.inputs[1]]
    if not c("allowzero", 0):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return x.reshape(wanted)


def squeeze(c: Call) -> np.ndarray:
    axes = c.list(1, "axes")
    return c.inputs[0].squeeze(None if axes is None else tuple(axes))


def unsqueeze(c: Call) -> np.ndarray:
    axes, x = c.list(1, "axes"), c.inputs[0]
    return np.expand_dims(x, tuple(a % (x.ndim + len(axes)) for a in axes))


def pad(c: Call) -> np.ndarray:
    x, amounts, mode = c.inputs[0], c.list(1, "pads"), c("mode", "constant")
    axes = [a % x.ndim for a in c.list(3, "axes") or range(x.ndim)]
    both = [[0, 0] for _ in range(x.ndim)]
    for place, axis in enumerate(axes):
        both[axis] = [amounts[place], amounts[place + len(axes)]]
    x = x[tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(both, x.shape))]
    widths = [(max(0, a), max(0, b)) for a, b in both]
    if mode != "constant":
        return np.pad(x, widths, mode=mode)
    value = c.at(2).reshape(())[()] if c.at(2) is not None else (Fraction(0) if is_real(x) else 0)
    y = np.full([n + a + b for n, (a, b) in zip(x.shape, widths)], value, x.dtype)
    y[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths))] = x
    return y


def slice_(c: Call) -> np.ndarray:
    x, starts, ends = c.inputs[0], c.list(1, "starts"), c.list(2, "ends")
    axes, steps = c.list(3, "axes") or list(range(len(starts))), c.list(4, "steps") or [1] * len(starts)
    cut = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps):
        cut[axis] = (
            slice(*slice(start, end, step).indices(x.shape[axis]))
            if step > 0
            else slice(start, end if end >= -x.shape[axis] else None, step)
        )
    return x[tuple(cut)]


def split(c: Call) -> list[np.ndarray]:
    x, axis, count = c.inputs[0], c("axis", 0), len(c.node.output)
    part = -(-x.shape[axis] // count)
    lengths = c.list(1, "split") or [part] * (count - 1) + [x.shape[axis] - part * (count - 1)]
    return np.split(x, np.cumsum(lengths)[:-1], axis)


def depth_to_space(c: Call) -> np.ndarray:
    x, b = c.inputs[0], c("blocksize")
    n, d, h, w = x.shape
    if c("mode", "DCR") == "DCR":
        y = x.reshape(n, b, b, d // b**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(n, d // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(n, d // b**2, h * b, w * b)


def space_to_depth(c: Call) -> np.ndarray:
    x, b = c.inputs[0], c("blocksize")
    n, d, h, w = x.shape
    return x.reshape(n, d, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, d * b * b, h // b, w // b)


def resize(c: Call) -> np.ndarray:
    x, mode, how = c.inputs[0], c("mode", "nearest"), c("coordinate_transformation_mode", "half_pixel")
    places = (2, 3) if c.opset >= 11 else (1, 2)
    scales, sizes = (None if c.at(i) is None or not c.at(i).size else list(c.at(i)) for i in places)
    axes = [a % x.ndim for a in c("axes") or range(x.ndim)]
    if c.opset < 11:
        how = "asymmetric"
    for axis, given in zip(axes, scales if sizes is None else sizes):
        n = x.shape[axis]
        scale = given if sizes is None else Fraction(int(given), n)
        out = math.floor(n * scale) if sizes is None else int(given)
        if scale == 1 and out == n:
            continue
        rows = np.moveaxis(x, axis, 0)
        x = np.moveaxis(
            np.stack([_sampled(rows, _position(i, how, n, out, scale), mode, c) for i in range(out)]), 0, axis
        )
    return x


def _position(i: int, how: str, n: int, out: int, scale: Fraction) -> Fraction:
    half = Fraction(1, 2)
    if how == "asymmetric":
        return i / scale
    if how == "align_corners":
        return Fraction(i * (n - 1), out - 1) if out > 1 else Fraction(0)
    if how == "pytorch_half_pixel" and out <= 1:
        return Fraction(0)
    if how == "half_pixel_symmetric":
        adjustment = Fraction(out) / (scale * n)
        return Fraction(n, 2) * (1 - adjustment) + (i + half) / scale - half
    return (i + half) / scale - half


def _sampled(rows: np.ndarray, x: Fraction, mode: str, c: Call) -> np.ndarray:
    last = len(rows) - 1
    if mode == "nearest":
        half, kind = Fraction(1, 2), c("nearest_mode", "round_prefer_floor") if c.opset >= 11 else "floor"
        index = {
            "round_prefer_floor": math.ceil(x - half),
            "round_prefer_ceil": math.floor(x + half),
            "floor": math.floor(x),
            "ceil": math.ceil(x),
        }[kind]
        return rows[min(max(index, 0), last)]
    left = math.floor(x)
    ratio = x - left
    a, b = (rows[min(max(i, 0), last)] for i in (left, left + 1))
    return a * (1 - ratio) + b * ratio


def where(c: Call) -> np.ndarray:
    return np.where(*c.inputs)


def constant(c: Call) -> np.ndarray:
    for name in ("value_float", "value_floats"):
        if name in c.attributes:
            return _real(np.array(c(name), np.float32))
    for name in ("value_int", "value_ints"):
        if name in c.attributes:
            return np.array(c(name), np.int64)
    return _real(numpy_helper.to_array(c("value")))


def constant_of_shape(c: Call) -> np.ndarray:
    value = numpy_helper.to_array(c("value")) if "value" in c.attributes else np.zeros(1, np.float32)
    return _real(np.full(c.inputs[0].tolist(), value.reshape(())[()], value.dtype))


def compare(symbol: Callable[[Any, Any], Any]) -> Callable[[Call], np.ndarray]:
    return lambda c: np.asarray(symbol(c.inputs[0], c.inputs[1]), bool)


OPERATORS: dict[str, Callable[[Call], Any]] = {
    "Abs": lambda c: abs(c.inputs[0]),
    "Add": arithmetic(lambda a, b: a + b),
    "ArgMax": arg(False),
    "ArgMin": arg(True),
    "AveragePool": pool,
    "BatchNormalization": batch_norm,
    "Cast": cast,
    "Ceil": function(lambda x: Fraction(math.ceil(x))),
    "Celu": function(lambda x, a: max(x, Fraction(0)) + min(Fraction(0), a * (_exp1(x / a) - 1)), alpha=1.0),
    "Clip": clip,
    "Concat": lambda c: np.concatenate(c.inputs, c("axis")),
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Conv": of_integers(conv),
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "DequantizeLinear": dequantize,
    "Div": div,
    "Dropout": lambda c: c.inputs[0],
    "Elu": function(lambda x, a: x if x >= 0 else a * (_exp1(x) - 1), alpha=1.0),
    "Equal": compare(np.equal),
    "Erf": unary(_erf),
    "Exp": unary(Decimal.exp),
    "Expand": lambda c: np.broadcast_to(
        c.inputs[0], np.broadcast_shapes(c.inputs[0].shape, tuple(c.inputs[1].tolist()))
    ),
    "Flatten": lambda c: c.inputs[0].reshape(math.prod(c.inputs[0].shape[: c("axis", 1)]), -1),
    "Floor": on_fractions(math.floor),
    "Gather": lambda c: np.take(c.inputs[0], c.inputs[1].astype(np.int64), c("axis", 0)),
    "Gelu": gelu,
    "Gemm": of_integers(gemm),
    "GlobalAveragePool": over_space("mean"),
    "GlobalMaxPool": over_space("max"),
    "Greater": compare(np.greater),
    "GroupNormalization": group_norm,
    "HardSigmoid": function(lambda x, a, b: clamp01(a * x + b), alpha=0.2, beta=0.5),
    "HardSwish": function(lambda x, a: x * clamp01(a * x + Fraction(1, 2)), alpha=1 / 6),
    "Identity": lambda c: c.inputs[0],
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "LeakyRelu": function(lambda x, a: x if x >= 0 else a * x, alpha=0.01),
    "Less": compare(np.less),
    "Log": unary(Decimal.ln),
    "MatMul": of_integers(lambda c: _product(*c.inputs)),
    "Max": extreme(np.maximum),
    "MaxPool": pool,
    "Min": extreme(np.minimum),
    "Mish": function(lambda x: x * _tanh1(_soft1(x))),
    "Mul": arithmetic(lambda a, b: a * b),
    "Neg": lambda c: -c.inputs[0],
    "Not": lambda c: ~c.inputs[0],
    "PRelu": prelu,
    "Pad": pad,
    "Pow": lambda c: each(lambda x, e: x ** int(e) if e.denominator == 1 else _decimal(lambda d: _power(d, e))(x))(
        *c.inputs
    ),
    "QuantizeLinear": quantize,
    "Reciprocal": function(lambda x: 1 / x),
    "ReduceMax": reduction("max"),
    "ReduceMean": reduction("mean"),
    "ReduceMin": reduction("min"),
    "ReduceSum": reduction("sum"),
    "Relu": lambda c: np.maximum(c.inputs[0], Fraction(0) if is_real(c.inputs[0]) else c.inputs[0].dtype.type(0)),
    "RequantShift": requant_shift,
    "Reshape": reshape,
    "Resize": resize,
    "Round": on_fractions(round),
    "Selu": function(
        lambda x, a, g: g * x if x > 0 else g * (a * _exp1(x) - a),
        alpha=1.67326319217681884765625,
        gamma=1.05070102214813232421875,
    ),
    "Shape": lambda c: np.array(c.inputs[0].shape[c("start", 0) : c("end", c.inputs[0].ndim)], np.int64),
    "Shrink": function(
        lambda x, edge, b: x + b if x < -edge else x - b if x > edge else Fraction(0), lambd=0.5, bias=0.0
    ),
    "Sigmoid": unary(_sigmoid),
    "Sign": function(lambda x: Fraction((x > 0) - (x < 0))),
    "Slice": slice_,
    "Softmax": softmax,
    "Softplus": unary(_softplus),
    "Softsign": function(lambda x: x / (1 + abs(x))),
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Sqrt": unary(Decimal.sqrt),
    "Squeeze": squeeze,
    "Sub": arithmetic(lambda a, b: a - b),
    "Tanh": unary(_tanh),
    "ThresholdedRelu": function(lambda x, a: x if x > a else Fraction(0), alpha=1.0),
    "Tile": lambda c: np.tile(c.inputs[0], c.inputs[1].tolist()),
    "Transpose": lambda c: c.inputs[0].transpose(c("perm", list(range(c.inputs[0].ndim))[::-1])),
    "Unsqueeze": unsqueeze,
    "Where": where,
}
