"""Constraint programs for CP-SAT, the solver of OR-tools, through its compiled module alone.

`ortools.sat.python.cp_model` wraps the same module and imports pandas, which takes longer than compiling a small
network. Solving is deterministic: one worker, a fixed seed, and a limit of the solver's deterministic work.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ortools.sat.python import cp_model_helper as cp_sat
from ortools.sat.python.cp_model_helper import Constraint, IntVar, LinearExpr
from ortools.util.python.sorted_interval_list import Domain

Expression = LinearExpr | int


class ConstraintProgram:
    """Variables, constraints and an objective to be minimised."""

    def __init__(self) -> None:
        self.model = cp_sat.CpBaseModel(None)

    def integer(self, low: int, high: int) -> IntVar:
        """Return a new variable of low..high, both included."""
        return IntVar(self.model.model_proto).with_domain(Domain(low, high))

    def boolean(self) -> IntVar:
        """Return a new variable that is 0 or 1."""
        return self.integer(0, 1)

    def add(self, constraint: cp_sat.BoundedLinearExpression | bool) -> Constraint:
        """Add a comparison of two expressions; a bool where both are numbers."""
        if isinstance(constraint, bool):
            return self._bool_argument(cp_sat.BoolArgumentConstraint.bool_or, [True] if constraint else [])
        return self.model._add_bounded_linear_expression(constraint)

    def exactly_one(self, literals: Iterable[IntVar]) -> Constraint:
        return self._bool_argument(cp_sat.BoolArgumentConstraint.exactly_one, list(literals))

    def at_least_one(self, literals: Iterable[IntVar]) -> Constraint:
        return self._bool_argument(cp_sat.BoolArgumentConstraint.bool_or, list(literals))

    def _bool_argument(self, kind: cp_sat.BoolArgumentConstraint, literals: list[IntVar | bool]) -> Constraint:
        return self.model._add_bool_argument_constraint(kind, *literals)

    def hint(self, variable: IntVar, value: int) -> None:
        """Let the search begin with a value."""
        hints = self.model.model_proto.solution_hint
        hints.vars.append(variable.index)
        hints.values.append(value)

    def minimize(self, objective: Expression) -> None:
        proto = self.model.model_proto.objective
        proto.scaling_factor = 1.0
        if isinstance(objective, int):
            proto.offset = objective
            return
        flat = cp_sat.FlatIntExpr(objective)
        proto.offset = flat.offset
        proto.vars.extend([variable.index for variable in flat.vars])
        proto.coeffs.extend(flat.coeffs)

    def solve(self, limit: float, *, relaxes: bool = True) -> Solution:
        """Return the best solution that is found within some deterministic work; a unit is about a second.

        relaxes: solve linear relaxations meanwhile, which are of no help where most of it is a matter of order.
        """
        parameters = cp_sat.SatParameters()
        parameters.num_workers, parameters.random_seed = 1, 0
        parameters.max_deterministic_time = limit
        if not relaxes:
            parameters.linearization_level = 0
        parameters.catch_sigint_signal = False  # it would end the search, but not the process
        wrapper = cp_sat.SolveWrapper()
        wrapper.set_parameters(parameters)
        return Solution(wrapper.solve(self.model.model_proto))


@dataclass(frozen=True)
class Solution:
    """What a search has found."""

    response: cp_sat.CpSolverResponse

    @property
    def status(self) -> str:
        return self.response.status.name

    @property
    def is_found(self) -> bool:
        """Whether there are values."""
        return self.response.status in (cp_sat.OPTIMAL, cp_sat.FEASIBLE)

    @property
    def is_optimal(self) -> bool:
        return self.response.status == cp_sat.OPTIMAL

    @property
    def bound(self) -> float:
        """What no solution's objective is below."""
        return self.response.best_objective_bound

    def value(self, expression: Expression) -> int:
        """Return the value of an expression. Only where some are found."""
        return cp_sat.ResponseHelper.value(self.response, expression)
