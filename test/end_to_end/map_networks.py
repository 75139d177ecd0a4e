"""Random chains of layers on feature maps whose rows begin at words: what patches cut, and outputs overlap inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper
from random_networks import LAYERS, OPSET, Network, convolution, convolution_3x3

KINDS = ("conv", "conv", "depthwise", "maximum", "add")
SQUARES = ("square", "square", "square", "conv", "add")
"""Mostly convolutions of 3x3 elements and stride 1, which kernel "winograd" computes."""

MULTIPLIER = 4
"""Of channels: rows then begin at words."""


def chain_of_maps(seed: int, kinds: Sequence[str] = KINDS) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return a chain of two to five layers on maps whose rows begin at words, and inputs for it."""
    generator = np.random.default_rng(seed)
    storage = np.dtype(generator.choice(["int8", "uint8"], p=[0.7, 0.3]))
    shape = (1, int(generator.choice([1, 3, 4, 8])), int(generator.integers(6, 20)), int(generator.choice([4, 8, 12])))
    network = Network(generator, storage, bool(generator.random() < 0.3), shape)
    kind = TensorProto.INT8 if storage == np.int8 else TensorProto.UINT8
    limits = np.iinfo(storage)
    given = generator.integers(limits.min, limits.max + 1, shape).astype(storage)
    stored, scale, zero_point = "x", network.random_scale(-2.5, -0.5), network.random_zero_point()
    before = None
    for number in range(int(generator.integers(2, 6))):
        real = network.dequantised(stored, scale, zero_point)
        if before is not None and before[1] == network.shape and generator.random() < 0.6:
            real = network.node("Add", [real, before[0]], f"residual{number}")
        before = (real, network.shape)
        real = _layer(network, real, f"layer{number}", scale, kinds)
        if generator.random() < 0.4:
            real = network.node("Relu", [real], f"relu{number}")
        scale, zero_point = network.random_scale(-2, 0.5), network.random_zero_point()
        stored = network.quantised(real, scale, zero_point)
    result = helper.make_tensor_value_info(stored, kind, network.shape)
    interface = helper.make_tensor_value_info("x", kind, shape)
    graph = helper.make_graph(network.nodes, f"maps_{seed}", [interface], [result], network.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), {"x": given}


def _layer(network: Network, x: str, name: str, scale: np.float32, kinds: Sequence[str]) -> str:
    """Add a layer that keeps the channels a multiple of four, or makes them one."""
    kind, channels = str(network.generator.choice(kinds)), network.shape[1]
    if kind == "square":
        return convolution_3x3(network, x, name, scale, MULTIPLIER * int(network.generator.integers(1, 4)))
    if kind == "conv" or channels % MULTIPLIER:
        return convolution(network, x, name, scale, 1, MULTIPLIER * int(network.generator.integers(1, 4)))
    if kind == "depthwise":
        return convolution(network, x, name, scale, channels, channels)
    return LAYERS[kind](network, x, name, scale)
