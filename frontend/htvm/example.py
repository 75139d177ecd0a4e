"""A small int8 network and inputs for it: what `htvm example` writes.

Three convolutions around an addition, and a classifier of ten classes: 1.3 million multiply-accumulates. Its weights
are random and always the same, so its classes mean nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIZE, CLASSES = 16, 16, 10
SEED = 1


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, np.ndarray] = {"zero": np.array(0, np.int8)}
        self.random = np.random.default_rng(SEED)

    def add(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def dequantised(self, name: str, stored: str, scale: float) -> str:
        self.tensors[f"{name}_scale"] = np.array(scale, np.float32)
        return self.add("DequantizeLinear", name, stored, f"{name}_scale", "zero")

    def rounded(self, name: str, value: str, scale: float) -> str:
        """Round a tensor to int8 and go on with what that means."""
        self.tensors[f"{name}_to"] = np.array(scale, np.float32)
        stored = self.add("QuantizeLinear", f"{name}_int8", value, f"{name}_to", "zero")
        return self.dequantised(f"{name}_real", stored, scale)

    def weights(self, name: str, shape: tuple[int, ...], scale: float) -> str:
        self.tensors[f"{name}_int8"] = self.random.integers(-127, 128, shape).astype(np.int8)
        return self.dequantised(name, f"{name}_int8", scale)

    def convolution(self, name: str, value: str, channels: int, scale: float) -> str:
        weights = self.weights(f"{name}_weights", (CHANNELS, channels, 3, 3), 0.01)
        summed = self.add("Conv", name, value, weights, pads=[1, 1, 1, 1])
        return self.rounded(name, self.add("Relu", f"{name}_relu", summed), scale)


def model() -> onnx.ModelProto:
    """Return the network: input int8[1, 3, 16, 16], output float32[1, 10]."""
    graph = _Graph()
    first = graph.convolution("conv0", graph.dequantised("image", "input", 1 / 64), 3, 1 / 16)
    second = graph.convolution("conv1", first, CHANNELS, 1 / 4)
    third = graph.convolution("conv2", second, CHANNELS, 1.0)
    added = graph.rounded("add", graph.add("Add", "add", third, first), 1.0)
    pooled = graph.rounded("pool", graph.add("GlobalAveragePool", "pool", added), 1.0)
    flat = graph.add("Flatten", "flat", pooled)
    scores = graph.add("MatMul", "classes", flat, graph.weights("classes_weights", (CHANNELS, CLASSES), 0.01))
    graph.rounded("scores", scores, 1 / 2)
    graph.nodes[-1].output[0] = "output"
    made = helper.make_graph(
        graph.nodes,
        "example",
        [helper.make_tensor_value_info("input", TensorProto.INT8, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in graph.tensors.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def inputs() -> dict[str, np.ndarray]:
    """Return four samples for it."""
    return {"input": np.random.default_rng(SEED).integers(-128, 128, (4, 3, SIZE, SIZE)).astype(np.int8)}
