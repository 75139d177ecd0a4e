"""Find the loops that a sequence of commands is the trace of.

A command has a kind and numbers. Three runs of commands in a row that are alike and whose numbers grow by the same
steps are a loop; as many more as go on like this belong to it. Loops are commands as well, of the kind of what they
repeat: so loops in loops are found. What is unrolled again is the sequence, number for number.

Source: Ketterlin and Clauss, "Prediction and trace compression of data access addresses through nested loop
recognition", CGO 2008.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeAlias, TypeVar

Kind = TypeVar("Kind", bound=Hashable)
"""What a command is, its numbers aside."""

LONGEST = 192
"""The most commands and loops that one loop may repeat: what is sought in takes time."""


@dataclass(frozen=True)
class Single(Generic[Kind]):
    """A command: what it is, and its numbers."""

    kind: Kind
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Repeat(Generic[Kind]):
    """A loop: `body` is what it does the first time; each time the numbers grow by `steps`.

    numbers, steps: of all commands in the body, one behind the other, those of inner loops as they are at first.
    """

    count: int
    body: tuple[Term[Kind], ...]
    steps: tuple[int, ...]
    kind: tuple[Hashable, ...] = field(init=False, repr=False, compare=False)
    numbers: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", (self.count, self.steps, tuple(each.kind for each in self.body)))
        object.__setattr__(self, "numbers", joined(self.body))

    def comes_next(self, terms: Sequence[Term[Kind]]) -> bool:
        """Say whether `terms` are what the loop would do if it went on."""
        return (
            len(terms) == len(self.body)
            and all(one.kind == other.kind for one, other in zip(self.body, terms))
            and all(
                found == first + self.count * step
                for first, step, found in zip(self.numbers, self.steps, joined(terms), strict=True)
            )
        )


Term: TypeAlias = "Single[Kind] | Repeat[Kind]"


def joined(terms: Iterable[Term[Kind]]) -> tuple[int, ...]:
    return tuple(number for each in terms for number in each.numbers)


def rolled(commands: Iterable[Single[Kind]]) -> list[Term[Kind]]:
    """Return commands with loops instead of what repeats."""
    terms: list[Term[Kind]] = []
    for command in commands:
        terms.append(command)
        while shorten(terms):
            pass
    return terms


def shorten(terms: list[Term[Kind]]) -> bool:
    """Let the end of a sequence become a loop, or part of the loop before it; say whether it did."""
    last = terms[-1].kind
    for length in range(1, min(LONGEST, len(terms) - 1) + 1):
        before = terms[-1 - length]
        if isinstance(before, Repeat) and before.comes_next(terms[-length:]):
            terms[-1 - length :] = [replace(before, count=before.count + 1)]
            return True
        if 3 * length > len(terms) or before.kind != last or terms[-1 - 2 * length].kind != last:
            continue
        groups = [terms[len(terms) - back * length : len(terms) - (back - 1) * length] for back in (3, 2, 1)]
        if all(a.kind == b.kind == c.kind for a, b, c in zip(*groups)):
            first, second, third = map(joined, groups)
            steps = tuple(b - a for a, b in zip(first, second, strict=True))
            if all(c - b == step for b, c, step in zip(second, third, steps, strict=True)):
                terms[-3 * length :] = [Repeat(3, tuple(groups[0]), steps)]
                return True
    return False


def unrolled(terms: Sequence[Term[Kind]]) -> Iterator[Single[Kind]]:
    """Yield the commands that terms stand for."""
    for term in terms:
        if isinstance(term, Single):
            yield term
            continue
        for index in range(term.count):
            moved = iter([a + index * step for a, step in zip(term.numbers, term.steps, strict=True)])
            yield from unrolled([shifted(each, moved) for each in term.body])


def shifted(term: Term[Kind], numbers: Iterator[int]) -> Term[Kind]:
    """Return a term with the next of `numbers` instead of its own."""
    if isinstance(term, Single):
        return Single(term.kind, tuple(next(numbers) for _ in term.numbers))
    return replace(term, body=tuple(shifted(each, numbers) for each in term.body))
