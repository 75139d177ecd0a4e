"""How weights lie in memory: bit by bit, least significant plane first, the lowest channel in the lowest bit.

    3x3, 1x1   [K][C / 16][bit][tap][16 channels = 2 bytes]
    depthwise  [C / 16][bit][tap][2 bytes]
    linear     [K][bit][C / 256][256 channels = 32 bytes]

Stored weights are unsigned; the hardware adds one offset of -256 to 255 to all of them. Channels beyond the last one
are 0. Measured on the RTL: 793 recorded jobs have their results with these layouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from htvm.backend.targets.engines.ne16.job import INPUT_BLOCK, LINEAR_BLOCK, Mode, Strides
from htvm.backend.targets.engines.ne16.rules import OFFSETS

FEWEST_BITS, MOST_BITS = 2, 8


@dataclass(frozen=True)
class Layout:
    """How the weights of a layer lie: mode, bits of a stored weight, output and input channels (of a group)."""

    mode: Mode
    bits: int
    outputs: int
    inputs: int

    @property
    def kernel(self) -> int:
        """Rows and columns of the kernel."""
        return self.mode.kernel

    @property
    def _rows(self) -> tuple[int, int]:
        """Rows of channels, and the channels that are padded to blocks. A depthwise layer is one row of channels."""
        return (1, self.outputs) if self.mode is Mode.DEPTHWISE3X3 else (self.outputs, self.inputs)

    @property
    def block(self) -> int:
        """Channels of a word."""
        return LINEAR_BLOCK if self.mode is Mode.LINEAR else INPUT_BLOCK

    @property
    def size_bytes(self) -> int:
        """Bytes of the packed weights."""
        rows, channels = self._rows
        return rows * -(-channels // self.block) * self.bits * self.kernel * self.kernel * self.block // 8

    @property
    def strides(self) -> Strides:
        """What a job's registers say of the layout, in bytes: from bit to bit, output to output, block to block."""
        blocks = -(-self.inputs // self.block)
        if self.mode is Mode.LINEAR:
            word = LINEAR_BLOCK // 8 * blocks
            return Strides(word, word * self.bits, word * self.bits * 32)
        plane = INPUT_BLOCK // 8 * self.kernel * self.kernel
        if self.mode is Mode.DEPTHWISE3X3:
            return Strides(plane, 0, 0)
        # 1x1 reads all bits at once, and has no stride from bit to bit.
        inner = plane * self.bits if self.mode is Mode.CONV1X1 else plane
        return Strides(inner, plane * self.bits * blocks, 0)

    def pack(self, stored: np.ndarray) -> np.ndarray:
        """Return uint8[size_bytes] of stored weights, unsigned [K, C, R, S] ([C, 1, 3, 3] of a depthwise layer).

        Raises ValueError for another shape, or for a weight that the bits do not hold.
        """
        shape = (self.outputs, self.inputs, self.kernel, self.kernel)
        if stored.shape != shape:
            raise ValueError(f"weights {stored.shape}, expected {shape}")
        if stored.size and (stored.min() < 0 or stored.max() >= 1 << self.bits):
            raise ValueError(f"weights of {stored.min()}..{stored.max()}, expected 0..{(1 << self.bits) - 1}")
        rows, channels = self._rows
        taps = self.kernel * self.kernel
        matrix = stored.astype(np.uint8).reshape(rows, channels, taps)
        padded = np.pad(matrix, ((0, 0), (0, -channels % self.block), (0, 0)))
        blocks = padded.reshape(rows, -1, self.block, taps, 1)
        planes = np.unpackbits(blocks, axis=-1, count=self.bits, bitorder="little")  # [rows, blocks, C, taps, bits]
        order = (0, 4, 1, 3, 2) if self.mode is Mode.LINEAR else (0, 1, 4, 3, 2)
        return np.packbits(planes.transpose(order).reshape(-1), bitorder="little")

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Return the stored weights uint8[K, C, R, S] of packed ones."""
        rows, channels = self._rows
        taps = self.kernel * self.kernel
        bits = np.unpackbits(packed[: self.size_bytes], bitorder="little")
        if self.mode is Mode.LINEAR:
            planes = bits.reshape(rows, self.bits, -1, taps, self.block).transpose(0, 2, 4, 3, 1)
        else:
            planes = bits.reshape(rows, -1, self.bits, taps, self.block).transpose(0, 1, 4, 3, 2)
        stored = np.packbits(planes, axis=-1, bitorder="little").reshape(rows, -1, taps)[:, :channels]
        return stored.reshape(self.outputs, self.inputs, self.kernel, self.kernel)


def bits_and_offset(low: int, high: int) -> tuple[int, int] | None:
    """Return the fewest bits that weights of `low` to `high` are stored in, and the offset; None if none fit.

    A stored weight is weight - offset, from 0 on. The offset is the lowest weight where the hardware has it.
    """
    offset = min(max(low, OFFSETS.low), OFFSETS.high)
    bits = max(FEWEST_BITS, (high - offset).bit_length())
    return (bits, offset) if offset <= low and bits <= MOST_BITS else None
