"""ortools.sat.python.cp_model_helper as far as htvm uses it: several functions of the package have no types.

What `==`, `<=` and the like make of expressions is a constraint, not a bool.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from ortools.util.python.sorted_interval_list import Domain

class CpSolverStatus:
    name: str

OPTIMAL: CpSolverStatus
FEASIBLE: CpSolverStatus

class LinearExpr:
    def __add__(self, other: _Expression) -> LinearExpr: ...
    def __radd__(self, other: _Expression) -> LinearExpr: ...
    def __sub__(self, other: _Expression) -> LinearExpr: ...
    def __rsub__(self, other: _Expression) -> LinearExpr: ...
    def __mul__(self, factor: int) -> LinearExpr: ...
    def __rmul__(self, factor: int) -> LinearExpr: ...
    def __neg__(self) -> LinearExpr: ...
    def __le__(self, other: _Expression) -> BoundedLinearExpression: ...
    def __ge__(self, other: _Expression) -> BoundedLinearExpression: ...
    def __eq__(self, other: _Expression) -> BoundedLinearExpression: ...  # type: ignore[override]

class IntVar(LinearExpr):
    def __init__(self, model: CpModelProto) -> None: ...
    def with_domain(self, domain: Domain) -> IntVar: ...
    @property
    def index(self) -> int: ...
    def __invert__(self) -> LinearExpr: ...
    def __hash__(self) -> int: ...

_Expression: TypeAlias = LinearExpr | int

class FlatIntExpr:
    def __init__(self, expression: LinearExpr) -> None: ...
    vars: list[IntVar]
    coeffs: list[int]
    offset: int

class BoundedLinearExpression: ...

class Constraint:
    def only_enforce_if(self, literal: IntVar) -> Constraint: ...

class BoolArgumentConstraint:
    bool_or: BoolArgumentConstraint
    exactly_one: BoolArgumentConstraint

class _Numbers:
    def append(self, number: int) -> None: ...
    def extend(self, numbers: Iterable[int]) -> None: ...

class _Objective:
    scaling_factor: float
    offset: float
    vars: _Numbers
    coeffs: _Numbers

class _Hint:
    vars: _Numbers
    values: _Numbers

class CpModelProto:
    objective: _Objective
    solution_hint: _Hint

class CpBaseModel:
    def __init__(self, proto: CpModelProto | None) -> None: ...
    @property
    def model_proto(self) -> CpModelProto: ...
    def _add_bounded_linear_expression(self, constraint: BoundedLinearExpression) -> Constraint: ...
    def _add_bool_argument_constraint(self, kind: BoolArgumentConstraint, *literals: IntVar | bool) -> Constraint: ...

class SatParameters:
    num_workers: int
    random_seed: int
    max_deterministic_time: float
    linearization_level: int
    catch_sigint_signal: bool

class CpSolverResponse:
    status: CpSolverStatus
    best_objective_bound: float

class SolveWrapper:
    def set_parameters(self, parameters: SatParameters) -> None: ...
    def solve(self, model: CpModelProto) -> CpSolverResponse: ...

class ResponseHelper:
    @staticmethod
    def value(response: CpSolverResponse, expression: Any) -> int: ...
