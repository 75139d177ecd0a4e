"""The meaning of ONNX's operators that are a function of each element.

Those made of sums, products and bounds are written out; the others are in `htvm.dialects.semantics.functions`.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from htvm.dialects.semantics import functions, transcendental
from htvm.dialects.semantics.real import Real
from htvm.reference.node import Node
from htvm.reference.registry import operator

ZERO, ONE = Fraction(0), Fraction(1)


def number(value: float) -> Real:
    """Return a parameter, which ONNX keeps as float32."""
    return Real.of_floats(np.float64(np.float32(value)))


@operator("Abs")
def absolute(node: Node, x: Real | np.ndarray) -> Real | np.ndarray:
    return abs(x) if isinstance(x, np.ndarray) else x.clamp(low=ZERO) + (-x).clamp(low=ZERO)


@operator("Neg")
def negative(node: Node, x: Real | np.ndarray) -> Real | np.ndarray:
    return -x


@operator("LeakyRelu")
def leaky_relu(node: Node, x: Real) -> Real:
    return prelu(node, x, number(node.get("alpha", 0.01)))


@operator("PRelu")
def prelu(node: Node, x: Real, slope: Real) -> Real:
    return x.clamp(low=ZERO) + slope * x.clamp(high=ZERO)


@operator("HardSigmoid")
def hard_sigmoid(node: Node, x: Real) -> Real:
    return (number(node.get("alpha", 0.2)) * x + number(node.get("beta", 0.5))).clamp(ZERO, ONE)


@operator("HardSwish")
def hard_swish(node: Node, x: Real) -> Real:
    """ONNX defines it by HardSigmoid, whose alpha is the float32 nearest to a sixth."""
    return (number(1 / 6) * x + number(0.5)).clamp(ZERO, ONE) * x


@operator("Gelu")
def gelu(node: Node, x: Real) -> Real:
    return functions.apply({"none": "gelu", "tanh": "gelu_tanh"}[node.get("approximate", "none")], x)


@operator("Shrink")
def shrink(node: Node, x: Real) -> Real:
    node.require("bias", 0.0)
    return functions.apply("shrink", x, float(np.float32(node.get("lambd", 0.5))))


@operator("Pow")
def power(node: Node, x: Real, exponent: Real) -> Real:
    return functions.apply("pow", x, exponent.to_float64().item())


def quick_gelu(node: Node, x: Real) -> Real:
    return x * transcendental.sigmoid(number(node.get("alpha", 1.702)) * x)


def _named(name: str, **defaults: float) -> Callable[[Node, Real], Real]:
    def function(node: Node, x: Real) -> Real:
        return functions.apply(name, x, *(float(np.float32(node.get(key, value))) for key, value in defaults.items()))

    return function


NAMED: dict[str, Callable[[Node, Real], Real]] = {
    "Celu": _named("celu", alpha=1.0),
    "Elu": _named("elu", alpha=1.0),
    "Erf": _named("erf"),
    "Exp": _named("exp"),
    "Log": _named("log"),
    "Mish": _named("mish"),
    "Reciprocal": _named("reciprocal"),
    "Selu": _named("selu", alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "Sign": _named("sign"),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "Sqrt": _named("sqrt"),
    "ThresholdedRelu": _named("threshold", alpha=1.0),
}
for _kind, _function in NAMED.items():
    operator(_kind)(_function)
