"""Activations that a layer makes itself: no rounding between the two."""

from __future__ import annotations

from collections import Counter

import onnx

LINEAR = ("Conv", "Gemm")
ACTIVATIONS = ("Relu", "Clip")


def fuse_activations(graph: onnx.GraphProto) -> None:
    """Remove the rounding between a layer and its activation."""
    readers = Counter(name for node in graph.node for name in node.input)
    makers = {node.output[0]: node for node in graph.node}
    gone: list[onnx.NodeProto] = []
    for node in graph.node:
        dequantise = makers.get(node.input[0]) if node.op_type in ACTIVATIONS else None
        quantise = makers.get(dequantise.input[0]) if dequantise and dequantise.op_type == "DequantizeLinear" else None
        layer = makers.get(quantise.input[0]) if quantise and quantise.op_type == "QuantizeLinear" else None
        if (
            layer
            and quantise
            and dequantise
            and layer.op_type in LINEAR
            and all(readers[made.output[0]] == 1 for made in (layer, quantise, dequantise))
        ):
            node.input[0] = layer.output[0]
            gone += [quantise, dequantise]
    for node in gone:
        graph.node.remove(node)
