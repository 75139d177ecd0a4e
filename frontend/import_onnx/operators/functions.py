"""Operators that are a function of each element: with a quantiser behind them they become tables."""

from collections.abc import Callable

import numpy as np

from htvm.dialects import accel
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem
from htvm.import_onnx.node import Node
from htvm.import_onnx.values import Constant, Tensor, emit_real

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
SIXTH = float(np.float32(1 / 6))
"""alpha of HardSwish, as ONNX's definition of it writes it."""


def leaky_relu(node: Node) -> Tensor:
    """Any alpha."""
    return _function(node, "leaky_relu", node.attribute("alpha", _float32(0.01)))


def elu(node: Node) -> Tensor:
    """Any alpha."""
    return _function(node, "elu", node.attribute("alpha", 1.0))


def celu(node: Node) -> Tensor:
    """Any alpha but 0."""
    alpha = node.attribute("alpha", 1.0)
    if alpha == 0:
        raise Problem("alpha is 0, expected another number")
    return _function(node, "celu", alpha)


def selu(node: Node) -> Tensor:
    """Any alpha and gamma."""
    return _function(node, "selu", node.attribute("alpha", SELU_ALPHA), node.attribute("gamma", SELU_GAMMA))


def hard_sigmoid(node: Node) -> Tensor:
    """Any alpha and beta."""
    return _function(node, "hard_sigmoid", node.attribute("alpha", _float32(0.2)), node.attribute("beta", 0.5))


def hard_swish(node: Node) -> Tensor:
    """On any shape."""
    return _function(node, "hard_swish", SIXTH, 0.5)


def thresholded_relu(node: Node) -> Tensor:
    """Any alpha."""
    return _function(node, "threshold", node.attribute("alpha", 1.0))


def shrink(node: Node) -> Tensor:
    """Any lambd; bias 0."""
    node.expect("bias", 0.0)
    return _function(node, "shrink", node.attribute("lambd", 0.5))


def gelu(node: Node) -> Tensor:
    """With the error function, or the approximation with tanh."""
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = node.attribute("approximate", "none")
    if approximate not in kinds:
        raise Problem(f"approximate is '{approximate}', expected 'none' or 'tanh'")
    return _function(node, kinds[approximate])


def quick_gelu(node: Node) -> Tensor:
    """x * sigmoid(alpha * x), any alpha."""
    alpha, x = node.attribute("alpha", _float32(1.702)), node.tensor(0)
    scaled = node.emit(accel.mul, x.shape, x.value, _number(alpha))
    gate = node.emit(accel.sigmoid, x.shape, scaled.value)
    return node.emit(accel.mul, x.shape, x.value, gate.value)


def pow_(node: Node) -> Tensor:
    """With one constant exponent."""
    exponent = node.number(1, "exponent")
    if exponent == 1:
        return node.tensor(0)
    if not np.isfinite(exponent) or abs(exponent) > 64:
        raise Problem(f"exponent is {exponent:g}, expected -64 to 64")
    return _function(node, "pow", exponent)


def prelu(node: Node) -> Tensor:
    """With constant slopes: one number, or one for each index of one axis."""
    x, slope = node.tensor(0), node.value(1)
    if isinstance(slope, Tensor):
        raise Problem(f"slope ('{node.proto.input[1]}') is computed, expected a constant")
    if isinstance(slope, Constant) and slope.array.size == 1:
        return node.emit(accel.unary, x.shape, x.value, "leaky_relu", alpha=node.number(1, "slope"))
    above = node.emit(accel.relu, x.shape, x.value)
    below = node.emit(accel.clamp, x.shape, x.value, -float(np.finfo(np.float32).max), 0.0)
    sloped = node.emit(accel.mul, x.shape, below.value, node.tensor(1).value)
    return node.emit(accel.add, x.shape, above.value, sloped.value)


def _named(function: str) -> Callable[[Node], Tensor]:
    """Return what imports an operator without parameters."""

    def operator(node: Node) -> Tensor:
        """On any shape."""
        return _function(node, function)

    return operator


FUNCTIONS: dict[str, Callable[[Node], Tensor]] = {
    "Abs": _named("abs"),
    "Celu": celu,
    "Elu": elu,
    "Erf": _named("erf"),
    "Exp": _named("exp"),
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "LeakyRelu": leaky_relu,
    "Log": _named("log"),
    "Mish": _named("mish"),
    "Neg": _named("neg"),
    "PRelu": prelu,
    "Pow": pow_,
    "Reciprocal": _named("reciprocal"),
    "Selu": selu,
    "Shrink": shrink,
    "Sign": _named("sign"),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "Sqrt": _named("sqrt"),
    "Tanh": _named("tanh"),
    "ThresholdedRelu": thresholded_relu,
}
"""Those of ONNX."""

MICROSOFT_FUNCTIONS: dict[str, Callable[[Node], Tensor]] = {"Gelu": _named("gelu"), "QuickGelu": quick_gelu}


def _function(node: Node, name: str, *parameters: float) -> Tensor:
    """Write a function of the first input; alpha and beta are what it is called with."""
    if not all(np.isfinite(number) for number in parameters):
        raise Problem(f"parameters are {', '.join(f'{number:g}' for number in parameters)}, expected finite numbers")
    x = node.tensor(0)
    named = dict(zip(("alpha", "beta"), map(float, parameters), strict=False))
    grid = q.ACCUMULATOR if name in ("abs", "neg", "sign") and x.integral else None
    return node.emit(accel.unary, x.shape, x.value, name, grid=grid, **named)


def _number(value: float) -> object:
    return emit_real(Constant(np.array(value, np.float32), "alpha")).value


def _float32(value: float) -> float:
    return float(np.float32(value))
