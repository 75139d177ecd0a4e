"""Operations of the tosa dialect as plain data, and the registry of their meanings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mlir import ir

PREFIX = "tosa."


@dataclass(frozen=True)
class TosaOp:
    """An operation of the tosa dialect, read without its Python class: numbers, lists and flags by name."""

    op: ir.Operation

    @property
    def name(self) -> str:
        """The operation's name without the dialect's."""
        return self.op.name.removeprefix(PREFIX)

    @property
    def operands(self) -> list[ir.Value]:
        return list(self.op.operands)

    @property
    def result(self) -> ir.Value:
        return self.op.results[0]

    def numbers(self, name: str) -> list[int]:
        """Return an attribute that is a list of integers."""
        return list(ir.DenseI64ArrayAttr(self.op.attributes[name]))

    def number(self, name: str) -> int:
        """Return an attribute that is one integer, as a signed one."""
        return ir.IntegerAttr(self.op.attributes[name]).value

    def flag(self, name: str) -> bool:
        """Return an attribute that is true or false; false where it is left out."""
        return name in self.op.attributes and ir.BoolAttr(self.op.attributes[name]).value

    def word(self, name: str) -> str:
        """Return an attribute that is one of a few words, such as DOUBLE_ROUND."""
        return str(self.op.attributes[name]).partition("<")[2].rstrip(">")

    @property
    def shape(self) -> list[int]:
        """The shape of the result."""
        return list(ir.ShapedType(self.result.type).shape)


Meaning = Callable[..., np.ndarray]

MEANINGS: dict[str, Meaning] = {}
"""What each operation computes, by its name without the dialect's: of the operation and the arrays of its operands."""


def meaning(*names: str) -> Callable[[Meaning], Meaning]:
    """Register the meaning of tosa.`name`, for each of some names."""

    def register(function: Meaning) -> Meaning:
        MEANINGS.update(dict.fromkeys(names, function))
        return function

    return register


def is_tosa(op: ir.OpView | ir.Operation) -> bool:
    """Say whether an operation is one of the tosa dialect."""
    return op.operation.name.startswith(PREFIX)


def bits(value: ir.Value) -> int | None:
    """Return the width of a tensor's integers; None where its elements are none."""
    if not isinstance(value.type, ir.ShapedType):
        return None
    element = ir.ShapedType(value.type).element_type
    return ir.IntegerType(element).width if isinstance(element, ir.IntegerType) else None


def wrapped(numbers: np.ndarray, width: int) -> np.ndarray:
    """Return integers modulo 2^width, as signed ones; 0 or 1 for a width of 1."""
    if width == 1:
        return numbers & 1
    unused = 64 - width
    return numbers.astype(np.int64) << unused >> unused


def evaluate(op: ir.OpView | ir.Operation, operands: Sequence[np.ndarray]) -> np.ndarray:
    """Return what an operation computes, with as many bits as its result has. Raises KeyError without meaning."""
    read = TosaOp(op.operation)
    found = MEANINGS[read.name](read, *operands)
    width = bits(read.result)
    return found if width is None else wrapped(np.asarray(found), width)


def literal(op: ir.OpView | ir.Operation) -> np.ndarray | None:
    """Return the integers of tosa.const, tosa.const_shape or arith.constant; None for others, and for floats."""
    attributes, name = op.operation.attributes, op.operation.name
    key = {"tosa.const": "values", "tosa.const_shape": "values", "arith.constant": "value"}.get(name)
    return None if key is None else elements(attributes[key])


def elements(held: ir.Attribute) -> np.ndarray | None:
    """Return the integers of an attribute that has some, of any width, as int64; None for others."""
    if not isinstance(held, ir.DenseElementsAttr):
        return None
    element = held.type.element_type
    if not isinstance(element, ir.IntegerType | ir.IndexType):
        return None
    shape = list(held.type.shape)
    if held.is_splat:
        number = ir.IntegerAttr(held.get_splat_value()).value
        return np.full(shape, number, np.int64)
    if isinstance(element, ir.IntegerType) and element.width not in NUMPY_WIDTHS:
        return _unusual(str(held), element.width).reshape(shape)
    return np.array(held).astype(np.int64).reshape(shape)


NUMPY_WIDTHS = (1, 8, 16, 32, 64)
"""Of integers that MLIR gives to numpy."""


def _unusual(text: str, width: int) -> np.ndarray:
    """Return the integers of a constant whose width numpy has not, such as the biases of 48 bits of convolutions of 16.

    MLIR gives them as text alone: a list, or the bytes of many.
    """
    if stored := re.match(r'dense<"0x([0-9A-F]+)">', text):
        size, data = -(-width // 8), bytes.fromhex(stored[1])
        pieces = (data[start : start + size] for start in range(0, len(data), size))
        return np.array([int.from_bytes(piece, "little", signed=True) for piece in pieces], np.int64)
    return np.array(
        [int(number) for number in re.findall(r"-?\d+", text.rpartition(">")[0].rpartition(">")[0])], np.int64
    )


def constant(value: ir.Value) -> np.ndarray | None:
    """Return the integers of a value that is computed from constants alone; None for others."""
    if isinstance(value.owner, ir.Block):
        return None
    op = value.owner
    found = literal(op)
    if found is not None or not is_tosa(op) or op.name.removeprefix(PREFIX) not in MEANINGS:
        return found
    operands = constants(op.operands)
    return evaluate(op, operands) if operands else None


def constants(values: Iterable[ir.Value]) -> list[np.ndarray] | None:
    """Return the integers of values that are all computed from constants alone; None where one is not."""
    found: list[np.ndarray] = []
    for value in values:
        numbers = constant(value)
        if numbers is None:
            return None
        found.append(numbers)
    return found


def scalar(numbers: np.ndarray) -> int:
    """Return the integer of a constant that has one element, such as a zero point."""
    return int(numbers.reshape(-1)[0])


def present(value: ir.Value, what: str) -> np.ndarray:
    """Return the integers of a value that must be constant. Raises ValueError where it is computed."""
    found = constant(value)
    if found is None:
        raise ValueError(f"has a computed {what}, expected a constant")
    return found


def users(value: ir.Value) -> Iterator[ir.Operation]:
    """Yield the operations that read a value, each once for each time."""
    for use in value.uses:
        yield use.owner.operation
