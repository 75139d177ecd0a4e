"""Kernels that slide over a map: what Conv and the pools have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

from htvm.dialects import accel
from htvm.import_onnx.errors import Problem, choices_text
from htvm.import_onnx.node import Node
from htvm.import_onnx.values import Tensor

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Windows:
    """A kernel, how it moves over a map of H rows and W columns, and how many places it takes.

    kernel, strides, dilations: [rows, columns]. pads: [top, left, bottom, right]. places: [H', W'].
    A sequence is a map of one row.
    """

    kernel: list[int]
    strides: list[int]
    pads: list[int]
    dilations: list[int]
    places: list[int]


def windows(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Windows:
    """Return what a node's attributes say of the windows of `kernel` in a map of `sizes` [H, W], or [W]."""
    rank = len(sizes)
    strides, dilations = positive(node, "strides", rank), positive(node, "dilations", rank)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = _pads(node, sizes, spans, strides)
    rounds_up = node.attribute("ceil_mode", 0)
    places: list[int] = []
    for axis, name in enumerate(("rows", "columns")[-rank:]):
        span, stride, padded = spans[axis], strides[axis], sizes[axis] + pads[axis] + pads[axis + rank]
        if span > padded:
            raise Problem(f"kernel spans {span} {name}, input has {padded} with padding")
        left_over = (padded - span) % stride
        # Rounded up, there is one window more, if it begins before the padding at the end.
        if rounds_up and left_over and (padded - span) // stride * stride + stride < sizes[axis] + pads[axis]:
            pads[axis + rank] += stride - left_over
            padded += stride - left_over
        places.append((padded - span) // stride + 1)
    if rank == 1:
        return Windows([1, *kernel], [1, *strides], [0, pads[0], 0, pads[1]], [1, *dilations], [1, *places])
    return Windows(list(kernel), strides, pads, dilations, places)


def expect_map(shape: Sequence[int], what: str = "input") -> None:
    """Raise Problem unless `shape` is that of a map [N, C, H, W], or of a sequence [N, C, W]."""
    if len(shape) not in (3, 4):
        raise Problem(f"{what} has rank {len(shape)}, expected 4 (N, C, H, W) or 3 (N, C, W)")


def as_map(node: Node, x: Tensor) -> Tensor:
    """Return a map as it is, a sequence as a map of one row."""
    if len(x.shape) == 4:
        return x
    batch, channels, length = x.shape
    return node.emit_move(accel.reshape, (batch, channels, 1, length), [x], x.value)


def from_map(node: Node, x: Tensor, rank: int) -> Tensor:
    """Return a map of one row as the sequence that it was, if that had rank 3."""
    if len(x.shape) == rank:
        return x
    batch, channels, _, length = x.shape
    return node.emit_move(accel.reshape, (batch, channels, length), [x], x.value)


def positive(node: Node, name: str, rank: int) -> list[int]:
    """Return an attribute that has a number for each axis of a map."""
    numbers = list(node.attribute(name, [1] * rank))
    if len(numbers) != rank or min(numbers) < 1:
        raise Problem(f"{name} is {numbers}, expected {rank} of at least 1")
    return numbers


def _pads(node: Node, sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return the elements before each axis, then those after, computed if `auto_pad` asks for it."""
    rank = len(sizes)
    mode = node.attribute("auto_pad", "NOTSET")
    pads = list(node.attribute("pads", [0] * 2 * rank))
    if mode not in AUTO_PADS:
        raise Problem(f"auto_pad is '{mode}', expected {choices_text(AUTO_PADS)}")
    if len(pads) != 2 * rank or min(pads) < 0:
        raise Problem(f"pads is {pads}, expected {2 * rank} numbers of at least 0")
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
