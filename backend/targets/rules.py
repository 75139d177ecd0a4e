"""What an engine asks of an op, one rule at a time: the same objects find violations, explain, and are listed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlir import ir

from htvm.backend.targets.violations import OneOf, Subject, Value, Violation

Op = ir.Operation | ir.OpView


@dataclass(frozen=True)
class Rule:
    """A rule. `found` returns what of an op breaks it; None if the op keeps it. source: where it is known from.

    found: takes an op of the class that the rule is listed for.
    """

    subject: str
    wanted: Value
    source: str
    found: Callable[[Any], Value | None]

    def violation(self, op: ir.OpView) -> Violation | None:
        """Return how an op breaks the rule; None if it keeps it."""
        found = self.found(op)
        return None if found is None else Violation(self.subject, found, self.wanted)

    def __str__(self) -> str:
        return f"{self.subject}: {self.wanted} [{self.source}]"


@dataclass(frozen=True)
class Proof:
    """A rule that something is computed exactly, with numbers that all other rules have let through.

    solution: the proof's constants, or the violation that stands behind it.
    """

    subject: str
    wanted: Value
    source: str
    solution: Callable[[Any], object]

    def violation(self, op: ir.OpView) -> Violation | None:
        """Return why there is no proof for an op; None if there is one."""
        solution = self.solution(op)
        return Violation(self.subject, None, self.wanted, solution) if isinstance(solution, Violation) else None

    def __str__(self) -> str:
        return f"{self.subject}: {self.wanted} [{self.source}]"


Rules = Mapping[str, Sequence[Rule | Proof]]
"""The rules of an engine for ops, by the name of the op."""


def violations(rules: Rules, op: Op) -> tuple[Violation, ...]:
    """Return the rules that an op breaks, by the rules for ops of its name; none if it keeps them all.

    Proofs are asked only if the op keeps the other rules, and the first one that fails is enough.
    """
    layer = op.operation.opview
    name = layer.operation.name
    if name not in rules:
        return (Violation(Subject.OP, name, OneOf(tuple(rules))),)
    plain = [rule.violation(layer) for rule in rules[name] if isinstance(rule, Rule)]
    broken = tuple(each for each in plain if each is not None)
    if broken:
        return broken
    proofs = (rule.violation(layer) for rule in rules[name] if isinstance(rule, Proof))
    return next(((each,) for each in proofs if each is not None), ())


def keeps_all_but_proofs(rules: Rules, op: Op) -> bool:
    """Say whether an op keeps the rules for ops of its name, those that are proofs left out."""
    layer = op.operation.opview
    found = rules.get(layer.operation.name)
    return found is not None and not any(rule.violation(layer) for rule in found if isinstance(rule, Rule))


def listed(rules: Rules) -> list[str]:
    """Return a line for each rule: op, subject, what is wanted, source."""
    return [f"{name} {rule}" for name, each in rules.items() for rule in each]


# What rules find


def unless(found: Value, wanted: Value) -> Value | None:
    """Return what was found, if it is not what is wanted."""
    return None if found == wanted else found


def unless_in(found: Value, wanted: Collection[Value]) -> Value | None:
    """Return what was found, if it is none of what is wanted."""
    return None if found in wanted else found
