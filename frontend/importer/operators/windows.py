"""Kernels that slide over a map: what Conv and the pools have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

from htvm.importer.errors import Problem, choices_text
from htvm.importer.node import Node

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Windows:
    """A kernel, how it moves over a map of H rows and W columns, and how many places it takes.

    kernel, strides, dilations: [rows, columns]. pads: [top, left, bottom, right]. places: [H', W'].
    """

    kernel: list[int]
    strides: list[int]
    pads: list[int]
    dilations: list[int]
    places: list[int]


def windows(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Windows:
    """Return what a node's attributes say of the windows of `kernel` in a map of `sizes` [H, W]."""
    strides, dilations = _positive(node, "strides"), _positive(node, "dilations")
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = _pads(node, sizes, spans, strides)
    rounds_up = node.attribute("ceil_mode", 0)
    places = []
    for axis, name in enumerate(("rows", "columns")):
        span, stride, padded = spans[axis], strides[axis], sizes[axis] + pads[axis] + pads[axis + 2]
        if span > padded:
            raise Problem(f"kernel spans {span} {name}, input has {padded} with padding")
        if rounds_up and (padded - span) % stride:
            found = f"{padded} {name} with padding, kernel {span}, stride {stride}"
            raise Problem(f"ceil_mode is 1 with {found}, which do not come out even; expected ceil_mode 0")
        places.append((padded - span) // stride + 1)
    return Windows(list(kernel), strides, pads, dilations, places)


def expect_map(shape: Sequence[int], what: str = "input") -> None:
    """Raise Problem unless `shape` is that of a two-dimensional map: [N, C, H, W]."""
    if len(shape) != 4:
        raise Problem(f"{what} has rank {len(shape)}, expected 4 (N, C, H, W)")


def _positive(node: Node, name: str) -> list[int]:
    """Return an attribute that has a number for rows and one for columns."""
    numbers = list(node.attribute(name, [1, 1]))
    if len(numbers) != 2 or min(numbers) < 1:
        raise Problem(f"{name} is {numbers}, expected 2 numbers of at least 1")
    return numbers


def _pads(node: Node, sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return [top, left, bottom, right], computed if `auto_pad` asks for it."""
    mode = node.attribute("auto_pad", "NOTSET")
    pads = list(node.attribute("pads", [0, 0, 0, 0]))
    if mode not in AUTO_PADS:
        raise Problem(f"auto_pad is '{mode}', expected {choices_text(AUTO_PADS)}")
    if len(pads) != 4 or min(pads) < 0:
        raise Problem(f"pads is {pads}, expected 4 numbers of at least 0")
    if mode == "NOTSET":
        return pads
    if any(pads):
        raise Problem(f"pads is {pads} beside auto_pad '{mode}', expected one of the two")
    if mode == "VALID":
        return pads
    totals = [
        max((-(-size // stride) - 1) * stride + span - size, 0)
        for size, span, stride in zip(sizes, spans, strides, strict=True)
    ]
    smaller, larger = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return smaller + larger if mode == "SAME_UPPER" else larger + smaller
