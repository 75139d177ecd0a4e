"""The meaning of normalisations by channel, by group, and with statistics that are known."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from htvm.dialects.semantics import functions, transcendental
from htvm.dialects.semantics.real import Real
from htvm.reference.node import Node
from htvm.reference.registry import operator


def _epsilon(node: Node) -> Fraction:
    return Fraction(float(np.float32(node.get("epsilon", 1e-5))))


def _per_channel(numbers: Real, ndim: int) -> Real:
    return numbers.reshape([1, math.prod(numbers.shape), *[1] * (ndim - 2)])


def _rows(x: Real, groups: int, epsilon: Fraction) -> Real:
    """Return x normalised in each of `groups` groups of channels, in its own shape."""
    length = math.prod(x.shape[1:]) // groups
    ones = Real.of_integers(np.ones(length, np.int64))
    return transcendental.layer_norm(x.reshape([x.shape[0] * groups, length]), ones, epsilon).reshape(list(x.shape))


@operator("InstanceNormalization")
def instance_normalization(node: Node, x: Real, scale: Real, bias: Real) -> Real:
    return _rows(x, x.shape[1], _epsilon(node)) * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim)


@operator("GroupNormalization")
def group_normalization(node: Node, x: Real, scale: Real, bias: Real) -> Real:
    """Scale and bias are those of groups before opset 21, of channels from then on."""
    groups = node.get("num_groups", None)
    normal = _rows(x, groups, _epsilon(node))
    if math.prod(scale.shape) == x.shape[1]:
        return normal * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim)
    grouped = normal.reshape([x.shape[0], groups, math.prod(x.shape[1:]) // groups])
    return (grouped * scale.reshape([1, groups, 1]) + bias.reshape([1, groups, 1])).reshape(list(x.shape))


@operator("BatchNormalization")
def batch_normalization(node: Node, x: Real, scale: Real, bias: Real, mean: Real, variance: Real) -> Real:
    deviation = functions.apply("sqrt", variance + Real.of_floats(float(_epsilon(node))).reshape([1]))
    factor = _per_channel(scale / deviation, x.ndim)
    return (x - _per_channel(mean, x.ndim)) * factor + _per_channel(bias, x.ndim)
