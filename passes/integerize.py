"""integerize: replace scales and zero points by proved integer constants.

    %y = accel.conv2d %x, %w bias %b : (..x!quant.uniform<i8:f32, 0.5:3>>, ..) -> ..x!quant.uniform<i8<-5:127>:f32, 0.25:-5>>
    ==>
    %y = accel.conv2d %x, %w {pad_value = 3, requant = {multiplier = .., offset = .., pre_shift = 11, shift = 49,
                              min = -5, max = 127, narrow}} : (..xi8>, ..xi8>) -> ..xi8>

Stage    imported (fused) -> integer
Reads    quantised types; constants; which values can occur (the range of the stored integers)
Writes   every operation anew, on i8, ui8, i16 and i32; function types
Needs    fuse-epilogues before it: every result is quantised
Fails    on a value that is still real, and on what integers cannot do exactly, giving the node

Every function of one value (relu, sigmoid, a change of scale) becomes a table, computed exactly. Linear layers,
products and pools get constants from analysis/exact_requant.py, sums from analysis/exact_add.py. Where no constants are
exact, the nearest are taken and the attribute `accel.inexact` lists each (channel, accumulator) that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import arith, func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation, real
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.real import Real

from .analysis import exact_add, exact_requant
from .analysis.exact_requant import exact_round

INT32_LIMIT = 1 << 31


class NotExact(Exception):
    """An operation that integers cannot do as asked; the text says why."""


@dataclass(frozen=True)
class Integerize:
    """Rewrite every function of a module from quantised types to integers."""

    name: ClassVar[str] = "integerize"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for function in accel.functions(module):
            old = list(function.body.blocks[0].operations)
            integers: dict[ir.Value, ir.Value] = {argument: argument for argument in function.body.blocks[0].arguments}
            for op in old:
                try:
                    rewrite(op, integers)
                except NotExact as problem:
                    op.location.emit_error(f"'{op.operation.name}' {problem}")
                    this_pass.signal_pass_failure()
            if all(value in integers for value in old[-1].operands):
                with function.location:
                    finish(function, old, integers)


def rewrite(op: ir.OpView, integers: dict[ir.Value, ir.Value]) -> None:
    """Build the integer form of one operation in front of it and note its result in `integers`."""
    name = op.operation.name
    if name == "quant.scast":
        source = op.operation.operands[0]
        if source in integers:
            integers[op.operation.results[0]] = integers[source]
    elif name.startswith("accel."):
        sources = [value for value in op.operation.operands if quantisation.stored(value) is None]
        if any(value not in integers for value in sources):
            if any(isinstance(accel.producer(value), arith.ConstantOp) for value in sources):
                raise NotExact("has a real constant operand that no neighbour could take in")
            return  # what feeds it was reported
        if Quantisation.of(op.result) is None:
            raise NotExact(f"has a real result ({op.result.type}), expected a quantised one: no QuantizeLinear follows")
        with ir.InsertionPoint(op), op.location:
            integers[op.result] = FORMS[type(op)](op, [integers.get(value) for value in op.operation.operands])


def finish(function: func.FuncOp, old: list[ir.OpView], integers: dict[ir.Value, ir.Value]) -> None:
    """Return the integer results, drop the quantised operations and correct the function's type."""
    block = function.body.blocks[0]
    terminator = old[-1].operation
    describe_interface(function, list(block.arguments), list(terminator.operands))
    for index, value in enumerate(list(terminator.operands)):
        terminator.operands[index] = integers[value]
    for op in reversed(old[:-1]):
        if not any(True for result in op.operation.results for _ in result.uses):
            op.operation.erase()
    for argument in block.arguments:
        q = Quantisation.of(argument)
        if q is not None:
            argument.set_type(quantisation.tensor(ir.RankedTensorType(argument.type).shape, q.storage_type()))
    types = [value.type for value in block.arguments], [value.type for value in terminator.operands]
    function.operation.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(*types))


def describe_interface(function: func.FuncOp, arguments: list[ir.Value], results: list[ir.Value]) -> None:
    """Keep what the types of named arguments and results say and integers do not: scale, zero point, range."""
    for key, values in (("arg_attrs", arguments), ("res_attrs", results)):
        if key not in function.operation.attributes:
            continue
        described = []
        for known, value in zip(ir.ArrayAttr(function.operation.attributes[key]), values):
            facts, q = {entry.name: entry.attr for entry in ir.DictAttr(known)}, Quantisation.of(value)
            if "accel.name" in facts and q is not None and q.axis is None:
                facts["accel.scale"] = ir.FloatAttr.get_f64(q.scales[0])
                facts["accel.zero_point"] = _integer(q.zero_point)
                facts["accel.range"] = ir.DenseI64ArrayAttr.get([q.lowest, q.highest])
            described.append(ir.DictAttr.get(facts))
        function.operation.attributes[key] = ir.ArrayAttr.get(described)


# Linear layers


def _linear(op: accel.Conv2dOp | accel.DenseOp, operands: list[ir.Value]) -> ir.Value:
    """acc = sum of x * w; the zero points and the bias go into the offset."""
    x, y = _uniform(op.input, "input"), Quantisation.of(op.result)
    w, weights = Quantisation.of(op.weights), quantisation.stored(op.weights)
    if weights is None:
        raise NotExact("has weights that are not constant")
    if w.axis not in (None, 0):
        raise NotExact(f"has weight scales along axis {w.axis}, expected axis 0 (output channels)")
    channels = weights.shape[0]
    weights = weights - np.array(w.zero_points).reshape(-1, *(1 for _ in weights.shape[1:]))
    sums = weights.reshape(channels, -1).sum(axis=1)
    steps = _steps(op, y, channels)
    slope = [x.scale * Fraction(w.scales[c % len(w.scales)]) / steps[c] for c in range(channels)]
    bias = _bias(op, channels)
    intercept = [bias[c] / steps[c] - slope[c] * x.zero_point * int(sums[c]) for c in range(channels)]
    first, last = _reach(op, weights, x)
    held = quantisation.integers(weights.astype(np.int8 if _fits(weights, 8) else np.int16))
    extra = {"pad_value": _integer(x.zero_point)} if isinstance(op, accel.Conv2dOp) else {}
    if y.bits == 32:
        return _raw(op, operands[0], held, slope, intercept, y, extra)
    solved = exact_requant.solve(_exact_steps(op, slope, intercept, first, last, y))
    return _made(op, [operands[0], held], {**extra, **_requant(solved)})


def _raw(
    op: accel.Conv2dOp | accel.DenseOp,
    x: ir.Value,
    weights: ir.Value,
    slope: list[Fraction],
    intercept: list[Fraction],
    y: Quantisation,
    extra: dict[str, ir.Attribute],
) -> ir.Value:
    """A 32-bit result is the accumulator itself, so its scale must be that of the products."""
    for channel, (a, b) in enumerate(zip(slope, intercept)):
        if a != 1 or b.denominator != 1 or y.zero_points != (0,):
            raise NotExact(f"has 32-bit results with scale ratio {float(a)} in channel {channel}, expected accumulators as they are (1)")
    bias = quantisation.integers(np.array([int(b) for b in intercept], np.int32))
    return _made(op, [x, weights, bias], extra)


def _reach(op: ir.OpView, weights: np.ndarray, x: Quantisation) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest accumulator of each channel."""
    lowest, highest = x.lowest, x.highest
    if isinstance(op, accel.Conv2dOp) and any(op.pads):
        lowest, highest = min(lowest, x.zero_point), max(highest, x.zero_point)
    rows = weights.reshape(weights.shape[0], -1)
    first = np.minimum(rows * lowest, rows * highest).sum(axis=1)
    last = np.maximum(rows * lowest, rows * highest).sum(axis=1)
    if -first.min() > INT32_LIMIT or last.max() >= INT32_LIMIT:
        raise NotExact(f"has accumulators from {first.min():,} to {last.max():,}, which 32 bits do not hold")
    return first, last


def _bias(op: accel.Conv2dOp | accel.DenseOp, channels: int) -> list[Fraction]:
    """Return each channel's bias as a real number."""
    if op.bias is None:
        return [Fraction(0)] * channels
    q, numbers = Quantisation.of(op.bias), quantisation.stored(op.bias)
    if q is None or numbers is None:
        raise NotExact("has a bias that is not a quantised constant")
    count = len(q.scales)
    return [Fraction(q.scales[c % count]) * (int(n) - q.zero_points[c % count]) for c, n in enumerate(numbers)]


# Sums, products, pools


def _add(op: accel.AddOp | accel.SubOp, operands: list[ir.Value]) -> ir.Value:
    a, b, y = _uniform(op.lhs, "left operand"), _uniform(op.rhs, "right operand"), _uniform(op.result, "result")
    sign = -1 if isinstance(op, accel.SubOp) else 1
    offset = Fraction(op.offset.value) if isinstance(op, accel.AddOp) and op.offset is not None else Fraction(0)
    slopes = a.scale / y.scale, sign * b.scale / y.scale
    intercept = offset / y.scale - slopes[0] * a.zero_point - slopes[1] * b.zero_point
    ranges = range(a.lowest, a.highest + 1), range(b.lowest, b.highest + 1)
    wanted = exact_add.Sum(slopes, intercept, *ranges, y.zero_point, y.lowest, y.highest, _rounding(op))
    solved = exact_add.solve(wanted)
    if solved is None:
        raise NotExact(f"has scale ratios {float(slopes[0])} and {float(slopes[1])}, for which no 64-bit sum is exact")
    requant = {
        "multiplier": ir.DenseI32ArrayAttr.get(list(solved.multipliers)),
        "offset": ir.DenseI64ArrayAttr.get([solved.offset]),
        "shift": ir.DenseI32ArrayAttr.get([solved.shift]),
        **_bounds(y),
    }
    if solved.narrow:
        requant["narrow"] = ir.UnitAttr.get()
    if solved.tie_below:
        requant |= {"tie_below": _integer(solved.tie_below), "zero_point": _integer(solved.zero_point)}
    return _made(op, _with_constants(op, operands), {"requant": ir.DictAttr.get(requant)}, name="accel.add")


def _mul(op: accel.MulOp, operands: list[ir.Value]) -> ir.Value:
    a, b, y = _uniform(op.lhs, "left operand"), _uniform(op.rhs, "right operand"), _uniform(op.result, "result")
    corners = [(p - a.zero_point) * (q - b.zero_point) for p in (a.lowest, a.highest) for q in (b.lowest, b.highest)]
    slope = a.scale * b.scale / y.scale
    solved = exact_requant.solve(
        _exact_steps(op, [slope], [Fraction(0)], np.array([min(corners)]), np.array([max(corners)]), y)
    )
    points = ir.DenseI64ArrayAttr.get([a.zero_point, b.zero_point])
    return _made(op, _with_constants(op, operands), {"zero_points": points, **_requant(solved)})


def _pool(op: accel.Pool2dOp, operands: list[ir.Value]) -> ir.Value:
    """A sum per window; each number of elements that a window can hold has its own constants."""
    x, y = _uniform(op.input, "input"), _uniform(op.result, "result")
    if op.kind.value == "max":
        largest = _made(op, operands, {}, element=x.storage_type())
        return _converted(largest, x, y, _rounding(op))
    counts = window_counts(op)
    area = op.kernel[0] * op.kernel[1]
    divisors = {
        "sum": [1] * len(counts),
        "average": [area] * len(counts) if op.count_include_pad.value else counts,
    }[op.kind.value]
    slope = [x.scale / y.scale / divisor for divisor in divisors]
    offset = Fraction(op.offset.value if op.offset is not None else 0) / y.scale
    intercept = [offset - a * count * x.zero_point for a, count in zip(slope, counts)]
    first, last = (np.array([count * bound for count in counts]) for bound in (x.lowest, x.highest))
    solved = exact_requant.solve(_exact_steps(op, slope, intercept, first, last, y))
    return _made(op, operands, {"counts": ir.DenseI64ArrayAttr.get(counts), **_requant(solved)})


def window_counts(op: accel.Pool2dOp) -> list[int]:
    """Return the numbers of elements that windows hold, in rising order: fewer at padded borders."""
    _, _, height, width = ir.ShapedType(op.input.type).shape
    _, _, rows, columns = ir.ShapedType(op.result.type).shape
    pads, kernel, strides = list(op.pads), list(op.kernel), list(op.strides)

    def inside(length: int, windows: int, axis: int) -> set[int]:
        starts = (index * strides[axis] - pads[axis] for index in range(windows))
        return {min(start + kernel[axis], length) - max(start, 0) for start in starts}

    return sorted({r * c for r in inside(height, rows, 0) for c in inside(width, columns, 1)})


# Functions of one value


def _lookup(op: ir.OpView, operands: list[ir.Value]) -> ir.Value:
    """Any function of one stored integer is a table."""
    x, y = _uniform(op.input, "input"), _uniform(op.result, "result")
    function = UNARY[type(op)]
    return _table(operands[0], x, y, lambda numbers: function(op, numbers), _rounding(op))


UNARY: dict[type, Callable[[Any, Real], Real]] = {
    accel.QuantizeOp: lambda op, numbers: numbers,
    accel.ReluOp: lambda op, numbers: numbers.clamp(low=Fraction(0)),
    accel.ClampOp: lambda op, numbers: numbers.clamp(*(_bound(b) for b in (op.min, op.max))),
    accel.SigmoidOp: lambda op, numbers: real.sigmoid(numbers),
}


def _bound(attribute: ir.FloatAttr) -> Fraction | float:
    return attribute.value if np.isinf(attribute.value) else Fraction(attribute.value)


def _converted(value: ir.Value, x: Quantisation, y: Quantisation, rounding: str) -> ir.Value:
    """Change a value's scale and range by a table; the value itself if they are the same and nothing is cut."""
    fits = y.lowest <= x.lowest and x.highest <= y.highest
    if x.same_numbers(y) and fits and (x.bits, x.signed) == (y.bits, y.signed):
        return value
    return _table(value, x, y, lambda numbers: numbers, rounding)


def _table(
    value: ir.Value, x: Quantisation, y: Quantisation, function: Callable[[Real], Real], rounding: str
) -> ir.Value:
    if x.highest - x.lowest >= 1 << 16:
        raise NotExact(f"has {x.highest - x.lowest + 1:,} different inputs, expected at most 65,536 for a table")
    occurring = Real.of_storage(np.arange(x.lowest, x.highest + 1), x.scales[0], x.zero_point)
    results = function(occurring).quantise(y.scales[0], y.zero_point, y.lowest, y.highest, rounding)
    entries = results.astype(f"{'i' if y.signed else 'u'}{y.bits // 8}").view(f"i{y.bits // 8}")
    shape = ir.ShapedType(value.type).shape
    made = accel.LookupOp(
        quantisation.tensor(shape, y.storage_type()), value, quantisation.integers(entries), lowest=x.lowest
    )
    return made.result


def _softmax(op: accel.SoftmaxOp, operands: list[ir.Value]) -> ir.Value:
    """exp(-scale * d) for each distance d from the largest input, in fixed point that 64-bit comparisons can use."""
    x, y = _uniform(op.input, "input"), _uniform(op.result, "result")
    length = ir.ShapedType(op.input.type).shape[op.axis.value]
    multiplier, shift = y.scale.numerator, y.scale.denominator.bit_length() - 1
    steps = 2 * max(abs(y.highest - y.zero_point), abs(y.lowest - y.zero_point)) + 1
    bits = 62 - max(shift + 1, (steps * multiplier * length).bit_length())
    if bits < 16 or _rounding(op) != "half_even":
        raise NotExact(f"has output scale {y.scales[0]}, which leaves {bits} bits for exponentials, expected at least 16")
    with localcontext() as decimal:
        decimal.prec = 50
        scale = Decimal(x.scale.numerator) / Decimal(x.scale.denominator)
        table = [round((-scale * d).exp() * (1 << bits)) for d in range(x.highest - x.lowest + 1)]
    while len(table) > 1 and table[-1] == 0:
        table.pop()
    attributes = {
        "scale_multiplier": _integer(multiplier),
        "scale_shift": _integer(shift),
        "zero_point": _integer(y.zero_point),
        **_bounds(y),
    }
    return _made(op, [operands[0], quantisation.integers(np.array(table, np.int64))], attributes)


# Data movement


def _moved(op: ir.OpView, operands: list[ir.Value]) -> ir.Value:
    """Move integers as they are; where the scale changes, change it before, where there are fewest elements."""
    y = _uniform(op.result, "result")
    inputs = list(op.operation.operands)
    converted = [
        _converted(value, _uniform(source, f"input {number}"), y, _rounding(op))
        for number, (source, value) in enumerate(zip(inputs, _with_constants(op, operands)))
    ]
    attributes: dict[str, ir.Attribute] = {}
    if isinstance(op, accel.PadOp):
        pad = exact_round(Fraction(op.value.value) / y.scale, _rounding(op)) + y.zero_point
        attributes["value"] = ir.FloatAttr.get_f64(float(min(max(pad, y.lowest), y.highest)))
    return _made(op, converted, attributes)


FORMS: dict[type, Callable[[Any, list[ir.Value]], ir.Value]] = {
    accel.Conv2dOp: _linear,
    accel.DenseOp: _linear,
    accel.AddOp: _add,
    accel.SubOp: _add,
    accel.MulOp: _mul,
    accel.Pool2dOp: _pool,
    **dict.fromkeys(UNARY, _lookup),
    accel.SoftmaxOp: _softmax,
    **dict.fromkeys((accel.ConcatOp, accel.PadOp, accel.TransposeOp, accel.ReshapeOp), _moved),
}


# What the forms share


def _uniform(value: ir.Value, what: str) -> Quantisation:
    """Return the quantisation of a value that must have one scale."""
    q = Quantisation.of(value)
    if q is None:
        raise NotExact(f"has a real {what} ({value.type}), expected a quantised one")
    if q.axis is not None:
        raise NotExact(f"has {len(q.scales)} scales in its {what}, expected one")
    return q


def _steps(op: ir.OpView, y: Quantisation, channels: int) -> list[Fraction]:
    """Return the output scale of each channel."""
    channel_axis = 1 if isinstance(op, accel.Conv2dOp) else ir.ShapedType(op.result.type).rank - 1
    if y.axis not in (None, channel_axis) or len(set(y.zero_points)) > 1:
        raise NotExact(f"has result scales along axis {y.axis}, expected one, or one per channel and one zero point")
    return [Fraction(y.scales[channel % len(y.scales)]) for channel in range(channels)]


def _exact_steps(
    op: ir.OpView, slope: list[Fraction], intercept: list[Fraction], first: np.ndarray, last: np.ndarray, y: Quantisation
) -> exact_requant.Steps:
    if y.bits > 16:
        raise NotExact(f"has results of {y.bits} bits, expected 8 or 16")
    return exact_requant.Steps(slope, intercept, first, last, y.zero_points[0], y.lowest, y.highest, _rounding(op))


def _rounding(op: ir.OpView) -> str:
    return op.rounding.value if op.rounding is not None else "half_even"


def _requant(solved: exact_requant.Requant) -> dict[str, ir.Attribute]:
    """Return the attributes `requant` and, where constants are not exact, `accel.inexact`."""
    requant = {
        "multiplier": ir.DenseI32ArrayAttr.get(_entries(solved.multiplier)),
        "offset": ir.DenseI64ArrayAttr.get(_entries(solved.offset)),
        "shift": ir.DenseI32ArrayAttr.get(_entries(solved.shift)),
        "pre_shift": _integer(solved.pre_shift),
        "min": _integer(solved.lowest),
        "max": _integer(solved.highest),
    }
    if solved.narrow:
        requant["narrow"] = ir.UnitAttr.get()
    if solved.tie_below:
        requant |= {"tie_below": _integer(solved.tie_below), "zero_point": _integer(solved.zero_point)}
    attributes: dict[str, ir.Attribute] = {"requant": ir.DictAttr.get(requant)}
    if solved.wrong:
        attributes["accel.inexact"] = ir.DenseI64ArrayAttr.get([number for pair in solved.wrong for number in pair])
    return attributes


def _entries(numbers: np.ndarray) -> list[int]:
    """Return one number if all are equal, else all."""
    listed = [int(number) for number in numbers]
    return listed[:1] if len(set(listed)) == 1 else listed


def _bounds(y: Quantisation) -> dict[str, ir.Attribute]:
    return {"min": _integer(y.lowest), "max": _integer(y.highest)}


def _integer(number: int) -> ir.IntegerAttr:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)


def _fits(numbers: np.ndarray, bits: int) -> bool:
    half = 1 << (bits - 1)
    return numbers.min(initial=0) >= -half and numbers.max(initial=0) < half


def _with_constants(op: ir.OpView, operands: list[ir.Value | None]) -> list[ir.Value]:
    """Fill in the operands that are constants: their stored integers in a constant of their own width."""
    return [
        _constant_operand(source) if value is None else value
        for source, value in zip(op.operation.operands, operands)
    ]


def _constant_operand(value: ir.Value) -> ir.Value:
    q = Quantisation.of(value)
    if not q.signed:
        raise NotExact(f"has a constant operand of type {q.type()}, expected signed storage")
    return quantisation.integers(quantisation.stored(value).astype(f"i{q.bits // 8}"))


def _made(
    op: ir.OpView,
    operands: list[ir.Value],
    extra: dict[str, ir.Attribute],
    name: str | None = None,
    element: ir.Type | None = None,
) -> ir.Value:
    """Build an operation like `op` on integers: its attributes but those of real arithmetic, and `extra`."""
    gone = ("rounding", "offset", "count_include_pad", "operandSegmentSizes")
    attributes = {key: value for key, value in op.operation.attributes.items() if key not in gone} | extra
    segments = _segments(op, len(operands))
    if segments:
        attributes["operandSegmentSizes"] = ir.DenseI32ArrayAttr.get(segments)
    element = element or Quantisation.of(op.result).storage_type()
    shape = ir.ShapedType(op.result.type).shape
    made = ir.Operation.create(
        name or op.operation.name,
        results=[quantisation.tensor(shape, element)],
        operands=operands,
        attributes=attributes,
    )
    return made.result


def _segments(op: ir.OpView, count: int) -> list[int] | None:
    """Return how `count` operands fill an operation's operand groups; the destination, last, is empty on tensors."""
    if isinstance(op, accel.ConcatOp):
        return [count, 0]
    groups = {accel.Conv2dOp: 3, accel.DenseOp: 3, accel.SoftmaxOp: 2}.get(type(op))
    return None if groups is None else [1] * count + [0] * (groups - count) + [0]


def _pairs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    return zip(numbers[::2], numbers[1::2])


def inexact(layer: ir.OpView) -> list[tuple[int, int]]:
    """Return the (channel, accumulator) pairs for which a layer's constants are not exact."""
    attributes = layer.operation.attributes
    return list(_pairs(list(attributes["accel.inexact"]))) if "accel.inexact" in attributes else []
