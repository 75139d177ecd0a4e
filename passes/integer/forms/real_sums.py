"""Layers that add up real values, or products of them: their sums are integers again, of 16 or 32 bits."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import integers as counting

from .arithmetic import divisors
from .builders import NotExact, fits, made, stored_type
from .reading import REMEDY, Reader, by_part
from .real_movement import taken
from .real_values import (
    Affine,
    Function,
    Joined,
    Lazy,
    Term,
    grid_of,
    settled,
    unmasked,
    weighted_sum,
)


def pool(op: accel.Pool2dOp, reader: Reader) -> Lazy:
    lazy = reader.lazy(op.input)
    shape = list(ir.ShapedType(accel.output(op).type).shape)
    if isinstance(lazy, Joined):
        if lazy.axis > 1:
            raise NotExact(f"pools over a Concat whose parts have different scales; {REMEDY} behind it")

        def pooled(part: Affine | Function, begin: int, end: int) -> Lazy:
            sizes = [end - begin if axis == lazy.axis else size for axis, size in enumerate(shape)]
            return _pooled(op, part, sizes)

        return by_part(lazy, pooled)
    return _pooled(op, lazy, shape)


def _pooled(op: accel.Pool2dOp, lazy: Affine | Function, shape: list[int]) -> Affine | Function:
    kind = op.kind.value
    if isinstance(lazy, Function) or (lazy.axis is not None and lazy.axis > 1):
        raise NotExact(f"pools the result of a function that nothing quantises; {REMEDY} before it")
    if kind in accel.EXTREMES:
        lazy = settled(lazy)
        if min(unit for unit in lazy.terms[0].units) <= 0:
            raise NotExact(f"takes the {kind}imum of a value whose scale is not positive; {REMEDY} before it")
        return replace(lazy, terms=(replace(lazy.terms[0], integers=_window(op, lazy.terms[0].integers, shape, {})),))
    if lazy.bounded:
        lazy = _on_grid(lazy)
    counts = sorted(set(_counts(op)))
    divided_by = divisors(op, counts)
    if len(set(divided_by)) > 1:
        raise NotExact(
            f"averages windows of {', '.join(map(str, counts))} elements at the border; set count_include_pad, "
            f"or {REMEDY} behind it"
        )
    if any(lazy.offsets) and len(counts) > 1:
        raise NotExact(f"sums windows of different sizes of a value with an offset; {REMEDY} before it")
    terms: list[Term] = []
    for term in lazy.terms:
        if term.zero_point and len(counts) > 1:
            raise NotExact(f"pads with 0 a value whose zero point is {term.zero_point}; {REMEDY} behind it")
        count = counts[-1]
        ends = counts[0] * term.lowest, count * term.lowest, counts[0] * term.highest, count * term.highest
        lowest, highest = min(ends), max(ends)
        if not -(1 << 15) <= lowest <= highest < 1 << 15:
            raise NotExact(f"sums up to {max(-lowest, highest):,}, which 16 bits do not hold; {REMEDY} behind it")
        extra: dict[str, ir.Attribute] = {
            "counts": ir.DenseI64ArrayAttr.get(counts),
            "accel.range": ir.DenseI64ArrayAttr.get([term.lowest, term.highest]),
            "kind": accel.PoolKindAttr.get(accel.PoolKind.SUM),
            "requant": _sums(),
        }
        built = _window(op, term.integers, shape, extra, ir.IntegerType.get_signless(16))
        units = tuple(unit / divided_by[0] for unit in term.units)
        terms.append(Term(built, units, count * term.zero_point, lowest, highest))
    offset = Fraction(op.offset.value) if op.offset is not None else Fraction(0)
    offsets = tuple(each * counts[-1] / divided_by[0] + offset for each in lazy.offsets)
    return Affine(tuple(terms), offsets, lazy.axis)


def _sums() -> ir.Attribute:
    """Return the requantisation to 16 bits that changes nothing."""
    return accel.RequantAttr.get(multiplier=[1], offset=[0], shift=[0], min=-(1 << 15), max=(1 << 15) - 1)


def _counts(op: accel.Pool2dOp) -> list[int]:
    sizes = list(ir.ShapedType(op.input.type).shape)[2:]
    dilations = list(op.dilations) if op.dilations is not None else None
    found = counting.window_counts(sizes, list(op.kernel), list(op.strides), list(op.pads), dilations)
    return found.reshape(-1).tolist()


def _window(
    op: accel.Pool2dOp,
    integers: ir.Value,
    shape: list[int],
    extra: dict[str, ir.Attribute],
    element: ir.Type | None = None,
) -> ir.Value:
    gone = ("rounding", "offset", "count_include_pad")
    attributes = {key: value for key, value in op.operation.attributes.items() if key not in gone} | extra
    element = element or stored_type(integers)
    return ir.Operation.create(
        "accel.pool2d", results=[quantisation.tensor(shape, element)], operands=[integers], attributes=attributes
    ).result


def linear(op: accel.Conv2dOp | accel.DenseOp, reader: Reader) -> Lazy:
    """A sum of products with constant weights: for each term of the input accumulators of 32 bits."""
    w, weights = Quantisation.of(op.weights), quantisation.stored(op.weights)
    if w is None or weights is None:
        raise NotExact(f"has weights that are computed; {REMEDY} behind it")
    if w.axis not in (None, 0):
        raise NotExact(f"has weight scales along axis {w.axis}, expected axis 0 (output channels)")
    weights = weights - np.array(w.zero_points).reshape(-1, *(1 for _ in weights.shape[1:]))
    outputs = len(weights)
    scales = [Fraction(w.scales[c % len(w.scales)]) for c in range(outputs)]
    is_conv = isinstance(op, accel.Conv2dOp)
    groups = op.groups.value if isinstance(op, accel.Conv2dOp) else 1
    channel_axis = 1 if is_conv else len(ir.ShapedType(op.input.type).shape) - 1
    padded = isinstance(op, accel.Conv2dOp) and any(op.pads)
    bias = reader.constant(op.bias) if op.bias is not None else None
    if op.bias is not None and bias is None:
        raise NotExact("has a bias that is not a quantised constant")
    offsets = (
        [Fraction(0)] * outputs
        if bias is None
        else [bias.numbers.reshape(-1)[c % bias.numbers.size] for c in range(outputs)]
    )
    terms: list[Term] = []
    for begin, lazy in _channels(reader.lazy(op.input), channel_axis):
        if lazy.bounded:
            lazy = _on_grid(lazy)
        if lazy.axis not in (None, channel_axis):
            raise NotExact(f"reads a value whose scales vary along axis {lazy.axis}; {REMEDY} before it")
        if any(lazy.offsets) and padded:
            lazy = _absorbed(lazy)
        if any(lazy.offsets) or (groups > 1 and begin is not None):
            if groups > 1:
                raise NotExact(f"convolves in groups a Concat or a value with an offset; {REMEDY} before it")
        size = lazy.shape[channel_axis]
        columns = weights if begin is None else weights[:, begin : begin + size]
        for c in range(outputs):
            own = columns[c].reshape(columns.shape[1], -1).sum(axis=1) if groups == 1 else None
            if own is not None and any(lazy.offsets):
                offsets[c] += scales[c] * sum(int(n) * lazy.offsets[i % len(lazy.offsets)] for i, n in enumerate(own))
        for term in lazy.terms:
            terms += _accumulated(op, term, columns, scales, groups, channel_axis, padded)
    axis = 1 if is_conv else len(ir.ShapedType(accel.output(op).type).shape) - 1
    kept = tuple(offsets[:1]) if len(set(offsets)) == 1 else tuple(offsets)
    varies = len(kept) > 1 or any(len(term.units) > 1 for term in terms)
    return Affine(tuple(terms), kept, axis if varies else None)


def _channels(lazy: Lazy, axis: int) -> list[tuple[int | None, Affine]]:
    """Return the parts of a linear layer's input by the channel at which each begins; None: it is whole."""
    if not isinstance(lazy, Joined):
        return [(None, _sums_only(lazy))]
    if lazy.axis != axis:
        raise NotExact(f"reads a Concat along axis {lazy.axis} whose parts have different scales; {REMEDY} behind it")
    begins = np.cumsum([0, *(part.shape[axis] for part in lazy.parts)]).tolist()
    return [(begin, _sums_only(part)) for begin, part in zip(begins, lazy.parts)]


def _sums_only(lazy: Affine | Function) -> Affine:
    """Return a sum of terms. Raises NotExact on others."""
    if isinstance(lazy, Function):
        raise NotExact(f"multiplies the result of a function that nothing quantises; {REMEDY} before it")
    return unmasked(lazy)


def _on_grid(lazy: Affine) -> Affine:
    """Return a Relu or Clip of a value as integers: of a 16-bit value, whose bounds its integers can mean."""
    lazy = settled(lazy)
    (term,) = lazy.terms
    unit = term.units[0]
    ends: list[int] = []
    for bound, end in ((lazy.low, term.lowest), (lazy.high, term.highest)):
        place = Fraction(end) if math.isinf(bound) else (Fraction(bound) - lazy.offsets[0]) / unit + term.zero_point
        if lazy.rows() > 1 or unit <= 0 or (place.denominator != 1 and term.lowest < place < term.highest):
            raise NotExact(f"works on a Relu or Clip of a value that nothing quantises; {REMEDY} before it")
        ends.append(min(max(math.floor(place), term.lowest), term.highest))
    element = stored_type(term.integers)
    x = Quantisation(element.width, not element.is_unsigned, term.lowest, term.highest, (1.0,), (0,))
    if x.highest - x.lowest >= 1 << 16:
        raise NotExact(f"works on a Relu or Clip of a sum that nothing quantises; {REMEDY} before it")
    entries = np.clip(np.arange(x.lowest, x.highest + 1), ends[0], ends[1])
    table = quantisation.integers(x.signless(entries))
    clipped = accel.output(
        accel.LookupOp(quantisation.tensor(list(lazy.shape), element), term.integers, table, lowest=x.lowest)
    )
    return replace(
        lazy, terms=(replace(term, integers=clipped, lowest=ends[0], highest=ends[1]),), low=-math.inf, high=math.inf
    )


def _absorbed(lazy: Affine) -> Affine:
    """Return a value whose offset is in the zero point of its term, so that a border of 0 is an integer."""
    grid = grid_of(settled(lazy))
    if grid is None:
        raise NotExact(
            f"pads with 0 a value whose offset ({float(lazy.offsets[0]):g}) is no multiple of its scale; "
            f"{REMEDY} before it"
        )
    term = replace(settled(lazy).terms[0], zero_point=grid.zero_point)
    return Affine((term,))


def _accumulated(
    op: accel.Conv2dOp | accel.DenseOp,
    term: Term,
    weights: np.ndarray,
    scales: list[Fraction],
    groups: int,
    channel_axis: int,
    padded: bool,
) -> list[Term]:
    """Build the accumulators of one term; of several, where its channels have different units."""
    outputs = len(weights)
    if len(set(term.units)) > 1 and groups == 1:
        found: list[Term] = []
        for unit in dict.fromkeys(term.units):
            own = [channel for channel, each in enumerate(term.units) if each == unit]
            part = taken(Affine((replace(term, units=(unit,)),)), {channel_axis: own})
            assert isinstance(part, Affine)
            found += _accumulated(op, part.terms[0], weights[:, own], scales, groups, channel_axis, padded)
        return found
    element = str(stored_type(term.integers))
    integers = term.integers
    if element == "i32":
        integers = _narrowed(term)
    per_group = outputs // groups
    inputs_per_group: int = weights.shape[1]
    unit = [term.units[(c // per_group) * inputs_per_group % len(term.units)] for c in range(outputs)]
    if len(set(term.units)) > 1 and inputs_per_group != 1:
        raise NotExact(f"convolves in groups a value whose channels have different scales; {REMEDY} before it")
    lowest, highest = term.lowest, term.highest
    if padded:
        lowest, highest = min(lowest, term.zero_point), max(highest, term.zero_point)
    rows = weights.reshape(outputs, -1)
    first = np.minimum(rows * lowest, rows * highest).sum(axis=1)
    last = np.maximum(rows * lowest, rows * highest).sum(axis=1)
    if first.min() < -(1 << 31) or last.max() >= 1 << 31:
        raise NotExact(f"has accumulators from {first.min():,} to {last.max():,}, which 32 bits do not hold")
    held = quantisation.integers(weights.astype(np.int8 if fits(weights, 8) else np.int16))
    # What the zero point adds is in the bias, so that the accumulators mean units alone.
    starts = -term.zero_point * rows.sum(axis=1)
    if (
        np.abs(starts).max(initial=0) >= 1 << 31
        or (first + starts).min() < -(1 << 31)
        or (last + starts).max() >= 1 << 31
    ):
        raise NotExact("has accumulators which 32 bits do not hold without their zero point")
    bias = quantisation.integers(starts.astype(np.int32))
    attributes = {
        key: value for key, value in op.operation.attributes.items() if key not in ("rounding", "operandSegmentSizes")
    }
    attributes["operandSegmentSizes"] = ir.DenseI32ArrayAttr.get([1, 1, 1, 0, 0])
    attributes["pad_value" if isinstance(op, accel.Conv2dOp) else "zero_point"] = accel.integer(term.zero_point)
    shape = list(ir.ShapedType(accel.output(op).type).shape)
    accumulators = ir.Operation.create(
        op.operation.name,
        results=[quantisation.tensor(shape, ir.IntegerType.get_signless(32))],
        operands=[integers, held, bias],
        attributes=attributes,
    ).result
    units = tuple(scale * u for scale, u in zip(scales, unit))
    units = units[:1] if len(set(units)) == 1 else units
    return [Term(accumulators, units, 0, int((first + starts).min()), int((last + starts).max()))]


def _narrowed(term: Term) -> ir.Value:
    """Store sums of 32 bits in 16, if these hold them."""
    if term.lowest < -(1 << 15) or term.highest >= 1 << 15:
        raise NotExact(
            f"multiplies sums from {term.lowest:,} to {term.highest:,} that nothing quantises, expected 16 bits; "
            f"{REMEDY} before it"
        )
    lazy = Affine((term,))
    limits = -(1 << 15), (1 << 15) - 1
    return weighted_sum(lazy, [[1, 1, 0, 0, 1, 0]], ir.IntegerType.get_signless(16), None, False, 0, *limits)


def matmul(op: accel.MatMulOp, reader: Reader) -> Lazy:
    """A product of two computed matrices: accumulators of 32 bits."""
    sides = [reader.lazy(value) if reader.constant(value) is None else None for value in (op.lhs, op.rhs)]
    if None in sides:
        raise NotExact(f"multiplies a constant that is no weight of its own and nothing quantises; {REMEDY} behind it")
    settled_sides = [settled(side) if isinstance(side, Affine) and not side.bounded else None for side in sides]
    a, b = (grid_of(side) if side is not None else None for side in settled_sides)
    if a is None or b is None:
        raise NotExact(f"multiplies a value that nothing quantises; {REMEDY} before it")
    if a.bits > 16 or b.bits > 16:
        raise NotExact(f"multiplies sums of 32 bits that nothing quantises; {REMEDY} before it")
    terms = ir.ShapedType(op.lhs.type).shape[-1]
    corners = [
        terms * (p - a.zero_point) * (q - b.zero_point) for p in (a.lowest, a.highest) for q in (b.lowest, b.highest)
    ]
    if min(corners) < -(1 << 31) or max(corners) >= 1 << 31:
        raise NotExact(f"has accumulators from {min(corners):,} to {max(corners):,}, which 32 bits do not hold")
    points = {"zero_points": ir.DenseI64ArrayAttr.get([a.zero_point, b.zero_point])}
    sources = [side.terms[0].integers for side in settled_sides if side is not None]
    built = made(op, sources, points, element=ir.IntegerType.get_signless(32))
    return Affine((Term(built, (a.scale * b.scale,), 0, min(corners), max(corners)),))
