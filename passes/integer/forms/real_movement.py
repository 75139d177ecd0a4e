"""Movement of real values between layers: their integers move, and what the integers mean stays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mlir import ir

from htvm.dialects import accel, quantisation

from .builders import NotExact, stored_type
from .reading import REMEDY, Reader
from .real_values import (
    Affine,
    Function,
    Joined,
    Lazy,
    Term,
    settled,
    unmasked,
)

MOST_UNITS = 8_192
"""Of an axis into which others are joined."""


def moved(op: ir.OpView, reader: Reader) -> Lazy:
    lazy = reader.lazy(op.operation.operands[0])
    if isinstance(lazy, Joined):
        return _moved_parts(op, lazy)
    return _moved(op, lazy, list(ir.ShapedType(op.operation.results[0].type).shape))


def _moved_parts(op: ir.OpView, joined: Joined) -> Lazy:
    """Move each part alone, where the axis along which they are joined stays one."""
    shape = list(ir.ShapedType(op.operation.results[0].type).shape)
    axis = _new_axis(op, joined.axis, joined.shape, shape)
    keeps = not isinstance(op, accel.TakeOp) or accel.indices_of(op)[joined.axis] is None
    if isinstance(op, accel.PadOp):
        keeps = not (op.low[joined.axis] or op.high[joined.axis])
    if axis is None or not keeps:
        raise NotExact(f"moves a Concat whose parts have different scales; {REMEDY} behind the Concat")
    parts: list[Affine | Function] = []
    for part in joined.parts:
        sizes = [part.shape[joined.axis] if place == axis else size for place, size in enumerate(shape)]
        parts.append(_moved(op, part, sizes))
    return Joined(tuple(parts), axis)


def _moved(op: ir.OpView, lazy: Affine | Function, shape: list[int]) -> Affine | Function:
    if isinstance(lazy, Affine):
        lazy = unmasked(lazy)
    axis = lazy.axis
    if axis is not None:
        axis = _new_axis(op, axis, lazy.shape, shape)
        if axis is None and isinstance(op, accel.ReshapeOp) and isinstance(lazy, Affine):
            lazy, axis = _flattened(lazy, axis=lazy.axis or 0, new=shape)
        if axis is None:
            raise NotExact(f"splits or joins the channels of a value that nothing quantises; {REMEDY} before it")
    places = accel.indices_of(op) if isinstance(op, accel.TakeOp) else [None] * len(lazy.shape)
    taken_places = None if lazy.axis is None else places[lazy.axis]
    chosen: list[int] | None = None if taken_places is None else taken_places.tolist()
    if isinstance(lazy, Function):
        if chosen is not None or isinstance(op, accel.PadOp):
            raise NotExact(f"moves the result of a function that nothing quantises; {REMEDY} before it")
        return replace(lazy, integers=_built(op, lazy.integers, shape, 0), axis=axis)
    if isinstance(op, accel.PadOp):
        lazy = settled(lazy)
        if chosen is not None or (lazy.axis is not None and (op.low[lazy.axis] or op.high[lazy.axis])):
            raise NotExact(f"pads the channels of a value that nothing quantises; {REMEDY} before it")
    terms: list[Term] = []
    for term in lazy.terms:
        filler = _filler(op, lazy, term) if isinstance(op, accel.PadOp) else 0
        units = term.units if chosen is None or len(term.units) == 1 else tuple(term.units[i] for i in chosen)
        bounds = min(term.lowest, filler), max(term.highest, filler)
        if not isinstance(op, accel.PadOp):
            bounds = term.lowest, term.highest
        built = _built(op, term.integers, shape, filler)
        terms.append(replace(term, integers=built, units=units, lowest=bounds[0], highest=bounds[1]))
    offsets = lazy.offsets if chosen is None or len(lazy.offsets) == 1 else tuple(lazy.offsets[i] for i in chosen)
    return replace(lazy, terms=tuple(terms), offsets=offsets, axis=axis)


def _filler(op: accel.PadOp, lazy: Affine, term: Term) -> int:
    """Return the integer that means the number to pad with. Raises NotExact if there is none."""
    number = Fraction(op.value.value)
    if lazy.bounded:
        number = Fraction(min(max(number, lazy.low), lazy.high))
    found = {
        (number - lazy.row(i)[1]) / lazy.row(i)[0][0] + term.zero_point for i in range(lazy.rows()) if lazy.row(i)[0][0]
    }
    filler = found.pop() if len(found) == 1 else Fraction(1, 2)
    element = stored_type(term.integers)
    half = 1 << element.width - 1
    limits = (0, 2 * half - 1) if element.is_unsigned else (-half, half - 1)
    if filler.denominator != 1 or not limits[0] <= filler <= limits[1]:
        raise NotExact(
            f"pads with {op.value.value:g}, which no stored integer of the value means; "
            f"pad with 0 or a multiple of its scale, or {REMEDY} behind the Pad"
        )
    return int(filler)


def _built(op: ir.OpView, integers: ir.Value, shape: list[int], filler: int) -> ir.Value:
    attributes = {name: value for name, value in op.operation.attributes.items() if name != "rounding"}
    if isinstance(op, accel.PadOp):
        attributes["value"] = ir.FloatAttr.get_f64(float(filler))
    element = stored_type(integers)
    return ir.Operation.create(
        op.operation.name, results=[quantisation.tensor(shape, element)], operands=[integers], attributes=attributes
    ).result


def _new_axis(op: ir.OpView, axis: int, old: Sequence[int], new: Sequence[int]) -> int | None:
    """Return which axis of the result an axis becomes; None if it is none of them alone."""
    if isinstance(op, accel.TransposeOp):
        return list(op.permutation).index(axis)
    if isinstance(op, accel.ReshapeOp):
        for place, size in enumerate(new):
            if size == old[axis] and math.prod(new[:place]) == math.prod(old[:axis]):
                return place
        return None
    return axis


def _flattened(lazy: Affine, axis: int, new: Sequence[int]) -> tuple[Affine, int | None]:
    """Return a value whose units are written for each index of the one axis that its axis is joined into.

    The axis is None if it is split, or joined into one of too many indices.
    """
    old = lazy.shape
    for place, size in enumerate(new):
        begins = [first for first in range(axis + 1) if math.prod(old[:first]) == math.prod(new[:place])]
        ends = [end for end in range(axis + 1, len(old) + 1) if begins and math.prod(old[begins[0] : end]) == size]
        if ends and size <= MOST_UNITS:
            outer, inner = math.prod(old[begins[0] : axis]), math.prod(old[axis + 1 : ends[0]])

            def each(numbers: tuple[Fraction, ...], outer: int = outer, inner: int = inner) -> tuple[Fraction, ...]:
                return numbers if len(numbers) == 1 else tuple(n for n in numbers for _ in range(inner)) * outer

            terms = tuple(replace(term, units=each(term.units)) for term in lazy.terms)
            return replace(lazy, terms=terms, offsets=each(lazy.offsets)), place
    return lazy, None


def taken(lazy: Lazy, places: Mapping[int, list[int]]) -> Affine | Function:
    """Take elements at indices along some axes."""
    if isinstance(lazy, Joined):
        raise NotExact(f"takes parts of a Concat whose parts have different scales; {REMEDY} behind it")
    shape = [len(places[axis]) if axis in places else size for axis, size in enumerate(lazy.shape)]
    lists = [ir.DenseI64ArrayAttr.get(places.get(axis, [])) for axis in range(len(shape))]

    def take(value: ir.Value) -> ir.Value:
        own = list(ir.ShapedType(value.type).shape)
        sizes = [len(places[axis]) if axis in places else size for axis, size in enumerate(own)]
        element = stored_type(value)
        return accel.output(accel.TakeOp(quantisation.tensor(sizes, element), value, ir.ArrayAttr.get(lists)))

    if isinstance(lazy, Function):
        if lazy.axis in places:
            raise NotExact(f"takes channels of a function that nothing quantises; {REMEDY} before it")
        return replace(lazy, integers=take(lazy.integers))
    chosen = places.get(lazy.axis) if lazy.axis is not None else None

    def kept(numbers: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
        return numbers if chosen is None or len(numbers) == 1 else tuple(numbers[i] for i in chosen)

    terms = tuple(replace(t, integers=take(t.integers), units=kept(t.units)) for t in lazy.terms)
    return replace(lazy, terms=terms, offsets=kept(lazy.offsets))


def concat(op: accel.ConcatOp, reader: Reader) -> Lazy:
    parts: list[Affine | Function] = []
    for value in op.inputs:
        if reader.constant(value) is not None and value not in reader.integers:
            raise NotExact(f"joins a constant and a value that nothing quantises; {REMEDY} behind it")
        lazy = reader.lazy(value)
        if isinstance(lazy, Joined) and lazy.axis != op.axis.value:
            raise NotExact(f"joins Concats along different axes; {REMEDY} before it")
        parts.extend(lazy.parts if isinstance(lazy, Joined) else [lazy])
    return Joined(tuple(parts), op.axis.value)
