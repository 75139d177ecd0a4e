"""What an engine asks of an op, one rule at a time: the same objects refuse, explain and are listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlir import ir


@dataclass(frozen=True)
class Rule:
    """A rule. `broken` returns what of an op breaks it, as text; None if the op keeps it.

    wanted: in words. source: where it is known from. A rule with `proves` computes with numbers that the other rules
    have let through, and says itself what it wanted: "subject: found X, wanted Y".
    """

    subject: str
    wanted: str
    source: str
    broken: Callable[[ir.OpView], str | None]
    proves: bool = False

    def refusal(self, op: ir.OpView) -> str | None:
        """Return "subject: found X, wanted Y" if an op breaks the rule."""
        found = self.broken(op)
        return found if found is None or self.proves else f"{self.subject}: found {found}, wanted {self.wanted}"

    def __str__(self) -> str:
        return f"{self.subject}: {self.wanted} [{self.source}]"


def refusal(rules: Mapping[str, Sequence[Rule]], op: ir.Operation) -> str | None:
    """Return every rule that an op breaks, by the rules for ops of its name; None if it keeps them all.

    Rules that prove are asked only if the op keeps the others, and the first one broken is enough.
    """
    layer = op.operation.opview
    name = layer.operation.name
    if name not in rules:
        return f"op: found '{name}', wanted {' or '.join(rules)}"
    plain = [rule.refusal(layer) for rule in rules[name] if not rule.proves]
    broken = [reason for reason in plain if reason]
    if broken:
        return "; ".join(broken)
    return next((reason for rule in rules[name] if rule.proves and (reason := rule.refusal(layer))), None)


def listed(rules: Mapping[str, Sequence[Rule]]) -> list[str]:
    """Return a line for each rule: op, subject, what is wanted, source."""
    return [f"{name} {rule}" for name, each in rules.items() for rule in each]


# What rules find


def unless(found: object, wanted: object) -> str | None:
    """Return what was found, if it is not what is wanted."""
    return None if found == wanted else str(found)


def unless_in(found: object, wanted: Sequence[object]) -> str | None:
    """Return what was found, if it is none of what is wanted."""
    return None if found in wanted else str(found)


def why(answer: object) -> str | None:
    """Return a proof's answer, if it is the reason why there is no proof."""
    return answer if isinstance(answer, str) else None


def any_of(values: Sequence[object]) -> str:
    """Return the values as an enumeration."""
    *others, last = map(str, values)
    return f"{', '.join(others)} or {last}" if others else last


def spans(ranges: Sequence[tuple[int, int]]) -> str:
    """Return ranges as an enumeration."""
    return any_of([f"{low}..{high}" for low, high in ranges])
