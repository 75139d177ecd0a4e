"""Functions of one number that have a name: what accel.unary means.

Values are computed to far more digits than any rounding can see, and then taken to the grid of `real`: a value that
lies exactly between two steps of a quantised type is a fraction of a power of two, which that grid holds.
Where a function grows beyond all bounds its value is `INFINITE`, which every quantised type saturates; where it has
no value, 0 is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from htvm.dialects.semantics import transcendental
from htvm.dialects.semantics.real import Real

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")

INFINITE = Decimal(2) ** 100

MOST_EXPONENT = Decimal(60)
"""exp(60) is beyond every scale times every integer that a network quantises to, but for those of 32 bits."""

ERF_IS_ONE_FROM = Decimal(10)
"""1 - erf(10) is below 2^-147, less than the grid of `real` can hold."""


def apply(name: str, x: Real, *parameters: float) -> Real:
    """Return the function called `name` of each element; `parameters` are alpha and beta, as far as it has them."""
    if name in LINEAR_IN_PARTS:
        return LINEAR_IN_PARTS[name](x, *(Real.of_floats(number) for number in parameters))
    exact = [Decimal(number) for number in parameters]
    return transcendental.of_each_value(x, lambda value: OF_NUMBERS[name](value, *exact))


# Made of sums, products and bounds: nothing is rounded


def _hard_sigmoid(x: Real, alpha: Real, beta: Real) -> Real:
    return (x * alpha + beta).clamp(Fraction(0), Fraction(1))


_LINEAR: dict[str, Callable[[Real], Real]] = {
    "abs": lambda x: x.clamp(low=Fraction(0)) - x.clamp(high=Fraction(0)),
    "neg": lambda x: -x,
}
_LINEAR_WITH_ALPHA: dict[str, Callable[[Real, Real], Real]] = {
    "leaky_relu": lambda x, alpha: x.clamp(low=Fraction(0)) + x.clamp(high=Fraction(0)) * alpha,
}
_LINEAR_WITH_BETA: dict[str, Callable[[Real, Real, Real], Real]] = {
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda x, alpha, beta: x * _hard_sigmoid(x, alpha, beta),
}
LINEAR_IN_PARTS: dict[str, Callable[..., Real]] = {**_LINEAR, **_LINEAR_WITH_ALPHA, **_LINEAR_WITH_BETA}


# Of each different number


def _erf(x: Decimal) -> Decimal:
    """2 / sqrt(pi) * exp(-x^2) * sum over n of 2^n x^(2n+1) / (1 * 3 * .. * (2n+1)): no term cancels another."""
    if abs(x) >= ERF_IS_ONE_FROM:
        return Decimal(1).copy_sign(x)
    term = total = x
    n = 0
    while term and abs(term) > abs(total) * Decimal("1e-70"):
        n += 1
        term *= 2 * x * x / (2 * n + 1)
        total += term
    return 2 / PI.sqrt() * (-x * x).exp() * total


def _tanh(x: Decimal) -> Decimal:
    power = (-2 * abs(x)).exp()
    return ((1 - power) / (1 + power)).copy_sign(x)


def _exp(x: Decimal) -> Decimal:
    return x.exp() if x < MOST_EXPONENT else INFINITE


def _log(x: Decimal) -> Decimal:
    return x.ln() if x > 0 else -INFINITE if x == 0 else Decimal(0)


def _softplus(x: Decimal) -> Decimal:
    return max(x, Decimal(0)) + (1 + (-abs(x)).exp()).ln()


def _elu(x: Decimal, alpha: Decimal) -> Decimal:
    return x if x >= 0 else alpha * (x.exp() - 1)


def _pow(x: Decimal, alpha: Decimal) -> Decimal:
    if alpha == 0:
        return Decimal(1)
    if x == 0:
        return Decimal(0) if alpha > 0 else INFINITE
    if alpha == alpha.to_integral_value():
        return x ** int(alpha)
    if alpha == Decimal("0.5"):
        return _sqrt(x)
    return x**alpha if x > 0 else Decimal(0)


def _sqrt(x: Decimal) -> Decimal:
    return x.sqrt() if x > 0 else Decimal(0)


_OF_NUMBERS: dict[str, Callable[[Decimal], Decimal]] = {
    "erf": _erf,
    "exp": _exp,
    "gelu": lambda x: x * (1 + _erf(x / Decimal(2).sqrt())) / 2,
    "gelu_tanh": lambda x: x * (1 + _tanh((2 / PI).sqrt() * (x + Decimal("0.044715") * x * x * x))) / 2,
    "log": _log,
    "mish": lambda x: x * _tanh(_softplus(x)),
    "reciprocal": lambda x: 1 / x if x else INFINITE,
    "sign": lambda x: Decimal(int(x > 0) - int(x < 0)),
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + abs(x)),
    "sqrt": _sqrt,
    "tanh": _tanh,
}
_WITH_ALPHA: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "celu": lambda x, alpha: x if x >= 0 else alpha * ((x / alpha).exp() - 1),
    "elu": _elu,
    "pow": _pow,
    "shrink": lambda x, alpha: x if abs(x) > alpha else Decimal(0),
    "threshold": lambda x, alpha: x if x > alpha else Decimal(0),
}
_WITH_BETA: dict[str, Callable[[Decimal, Decimal, Decimal], Decimal]] = {
    "selu": lambda x, alpha, beta: beta * _elu(x, alpha),
}
OF_NUMBERS: dict[str, Callable[..., Decimal]] = {**_OF_NUMBERS, **_WITH_ALPHA, **_WITH_BETA}
