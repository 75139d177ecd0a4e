"""Networks that are larger than a microcontroller's own memory, with random weights: they need a far one."""

from __future__ import annotations

import onnx
from architectures import Network

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Of MobileNetV2: expansion, channels, blocks, stride of the first (Sandler et al., CVPR 2018, table 2)."""


def mobilenet_v2(size: int = 224, classes: int = 1000) -> onnx.ModelProto:
    """MobileNetV2 of width 1.0."""
    net = Network((1, 3, size, size))
    x, width = net.relu6(net.same("x", 3, 32, stride=2)), 32
    for expansion, channels, count, first in BLOCKS:
        for number in range(count):
            stride, inner, y = (1 if number else first), width * expansion, x
            if expansion > 1:
                y = net.relu6(net.same(y, width, inner, size=1))
            y = net.relu6(net.same(y, inner, inner, stride=stride, groups=inner))
            y = net.same(y, inner, channels, size=1)
            x = net.node("Add", x, y) if stride == 1 and width == channels else y
            width = channels
    x = net.relu6(net.same(x, width, 1280, size=1))
    return net.model(net.dense(net.flat(net.node("GlobalAveragePool", x)), 1280, classes))


def resnet_18(size: int = 224, classes: int = 1000) -> onnx.ModelProto:
    """ResNet-18 (He et al., CVPR 2016, table 1)."""
    net = Network((1, 3, size, size))
    x = net.relu(net.conv("x", (3, 64), (7, 7), pads=[3, 3, 3, 3], strides=[2, 2]))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    width = 64
    for channels in (64, 128, 256, 512):
        for stride in (1 if channels == 64 else 2, 1):
            y = net.relu(net.same(x, width, channels, stride=stride))
            y = net.same(y, channels, channels)
            shortcut = x if stride == 1 and width == channels else net.same(x, width, channels, size=1, stride=stride)
            x, width = net.relu(net.node("Add", shortcut, y)), channels
    return net.model(net.dense(net.flat(net.node("GlobalAveragePool", x)), 512, classes))
