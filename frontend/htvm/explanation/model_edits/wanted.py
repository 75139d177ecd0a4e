"""What the values of a violation name: numbers, intervals, pairs. A value that names none gives nothing."""

from __future__ import annotations

from htvm.backend.targets.violations import (
    AtLeast,
    AtMost,
    Bytes,
    EachAxis,
    EachSide,
    Interval,
    MultipleOf,
    OneOf,
    Value,
    Within,
)


def numbers(value: Value | None) -> list[int]:
    """Return the integers that a value names, those of shapes and intervals one by one."""
    match value:
        case bool():
            return []
        case int():
            return [value]
        case tuple():
            return list(value)
        case OneOf(values):
            return [number for each in values for number in numbers(each)]
        case Within(intervals):
            return [number for each in intervals for number in each]
        case EachAxis(wanted):
            return numbers(wanted)
        case EachSide(pads):
            return list(pads)
        case AtMost(limit):
            return numbers(limit)
        case Bytes(count):
            return [count]
        case AtLeast(number) | MultipleOf(number):
            return [number]
        case _:
            return []


def intervals(value: Value | None) -> list[Interval]:
    """Return the intervals that a value names."""
    match value:
        case Interval():
            return [value]
        case OneOf(values):
            return [each for each in values if isinstance(each, Interval)]
        case Within(named):
            return list(named)
        case _:
            return []


def pairs(value: Value | None) -> list[tuple[int, int]]:
    """Return the pairs (rows, columns) that a value allows."""
    named = value.values if isinstance(value, OneOf) else ()
    return [(each[0], each[1]) for each in named if isinstance(each, tuple) and len(each) == 2]
