"""The geometry of a conv2d or dense layer in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod


@dataclass(frozen=True)
class Convolution:
    """A conv2d layer, or a dense one: then a map of one row whose pixels are the rows of the matrix.

    channels and out_channels are of one group; x and y are strides of (N, C, H, W).
    """

    batch: int
    groups: int
    channels: int
    out_channels: int
    height: int
    width: int
    out_height: int
    out_width: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pad_top: int
    pad_left: int
    pad_value: int
    x: tuple[int, ...]
    y: tuple[int, ...]

    def flat(self) -> Convolution:
        """Return the same layer with its map as one row, if it has a 1x1 kernel and walks along memory."""
        whole = (self.height, self.width) == (self.out_height, self.out_width)
        in_line = self.x[2] == self.width * self.x[3] and self.y[2] == self.out_width * self.y[3]
        if self.kernel != (1, 1) or self.strides != (1, 1) or not whole or not in_line:
            return self
        pixels = self.height * self.width
        return replace(self, height=1, width=pixels, out_height=1, out_width=pixels)

    def transposed(self) -> Convolution:
        """Return the layer with rows and columns exchanged: the same sums, if the weights [.., R, S] are, too."""
        n, c, h, w = range(4)
        return replace(
            self,
            height=self.width,
            width=self.height,
            out_height=self.out_width,
            out_width=self.out_height,
            kernel=(self.kernel[1], self.kernel[0]),
            strides=(self.strides[1], self.strides[0]),
            dilations=(self.dilations[1], self.dilations[0]),
            pad_top=self.pad_left,
            pad_left=self.pad_top,
            x=tuple(self.x[axis] for axis in (n, c, w, h)),
            y=tuple(self.y[axis] for axis in (n, c, w, h)),
        )

    @property
    def macs(self) -> int:
        outputs = self.batch * self.groups * self.out_channels * self.out_height * self.out_width
        return outputs * self.channels * prod(self.kernel)

    @property
    def taps(self) -> int:
        """Elements of a window."""
        return self.channels * prod(self.kernel)

    @property
    def is_depthwise(self) -> bool:
        return self.groups > 1 and self.channels == 1
