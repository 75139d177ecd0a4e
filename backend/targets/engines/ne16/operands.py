"""Where the operands of a job are in memory, and what they hold.

Addresses within a tile follow the strides of the job; from tile to tile they move by 3 pixels or rows, and from block
to block by what the hardware knows (measured on the RTL): the weights of 32 output channels, 16 input channels, 32
bytes or 128 of outputs, 32 scales, biases and shifts (depthwise: 16 of each).
"""

from __future__ import annotations

import numpy as np

from htvm.backend.targets.engines.ne16.job import INPUT_BLOCK, LINEAR_BLOCK, OUTPUT_BLOCK, TILE, Job, Mode, Width

WORD_BYTES = 32
"""What an access holds of the operand that it is for."""

BITS_16_BYTES = 2
"""Of one bit plane: a bit of each of 16 input channels."""


class Reader:
    """uint8 memory whose first byte is at `base`, and what was read of it. Addresses have 32 bits."""

    def __init__(self, memory: np.ndarray, base: int) -> None:
        self.memory, self.base = memory, base
        self._read = np.zeros(len(memory), bool)

    def read(self, addresses: np.ndarray, needed: np.ndarray | None = None, is_output: bool = False) -> np.ndarray:
        """Return the bytes at addresses; 0 for one outside of the memory that is not needed.

        needed: bool, broadcast to the addresses; what is needed counts as read, if it is not the job's own output.
        Raises IndexError for one that is needed outside of the memory.
        """
        places = (addresses - self.base) & 0xFFFFFFFF
        inside = places < len(self.memory)
        wanted = np.ones(1, bool) if needed is None else needed
        missing = wanted & ~inside
        if missing.any():
            first = int(addresses[missing].min())
            raise IndexError(f"NE16 reads {first:#x}, outside of the memory of {len(self.memory):,} at {self.base:#x}")
        clipped = np.where(inside, places, 0)
        if not is_output:
            self._read[clipped[inside & wanted]] = True
        return np.where(inside, self.memory[clipped], np.uint8(0))

    def has_read(self, addresses: np.ndarray) -> bool:
        """Say whether one of these bytes was read."""
        places = (addresses - self.base) & 0xFFFFFFFF
        return bool(self._read[places[places < len(self.memory)]].any())


def input_addresses(job: Job) -> np.ndarray:
    """Return int64[rows, columns, window, window]: the first channel of the pixels of each tile's window."""
    line = np.arange(job.window)
    row = (TILE * np.arange(job.rows.count)[:, None] + line) * job.input_strides.middle
    column = (TILE * np.arange(job.columns.count)[:, None] + line) * job.input_strides.inner
    return job.addresses.input + row[:, None, :, None] + column[None, :, None, :]


def linear_input_addresses(job: Job) -> np.ndarray:
    """Return int64[C]: the input channels of a linear job, 16 at each stride and 256 in each block."""
    channel = np.arange(job.input_channels)
    inside = channel % LINEAR_BLOCK
    start = channel - inside
    return job.addresses.input + start + inside // INPUT_BLOCK * job.input_strides.inner + inside % INPUT_BLOCK


def weight_block_bytes(job: Job) -> tuple[int, int]:
    """Return how far weights move from a block of outputs to the next, and from one of inputs."""
    planes = BITS_16_BYTES * job.kernel * job.kernel * job.weight_bits
    if job.mode is Mode.LINEAR:
        return job.weight_strides.outer, WORD_BYTES
    return (planes, 0) if job.mode is Mode.DEPTHWISE3X3 else (OUTPUT_BLOCK * job.inputs.count * planes, planes)


def weights(job: Job, reader: Reader, block: int, channels: int) -> np.ndarray:
    """Return the stored weights of a block of outputs, int64[k, C, taps]; of a depthwise job [k, 1, taps]."""
    (block_bytes, input_bytes), bits = weight_block_bytes(job), job.weight_bits
    steps = np.arange(job.input_steps)[:, None, None] * input_bytes
    outputs = np.arange(channels)[:, None] * job.weight_strides.middle
    first = job.addresses.weights + block * block_bytes + steps + outputs  # [steps, k, 1]
    taps = job.kernel * job.kernel
    if job.mode is Mode.CONV1X1:
        at = first[..., None] + np.arange(bits)[:, None] * BITS_16_BYTES + np.arange(BITS_16_BYTES)
    else:
        size = WORD_BYTES if job.mode is Mode.LINEAR else taps * BITS_16_BYTES
        at = first[..., None] + np.arange(bits)[:, None] * job.weight_strides.inner + np.arange(size)
    planes = np.unpackbits(reader.read(at), axis=-1, bitorder="little")  # [steps, k, bits, taps * 16 or 256]
    stored = np.einsum("skbn,b->skn", planes.astype(np.int64), 1 << np.arange(bits))
    if job.mode is Mode.LINEAR:
        return stored.transpose(1, 0, 2).reshape(channels, -1)[:, : job.input_channels, None]
    stored = stored.reshape(job.input_steps, channels, taps, INPUT_BLOCK)
    if job.mode is Mode.DEPTHWISE3X3:
        return stored[0, np.arange(channels), :, np.arange(channels)][:, None]
    every = stored.transpose(1, 0, 3, 2).reshape(channels, -1, taps)
    return every[:, : job.input_channels]


def output_addresses(job: Job, block: int, channels: int) -> np.ndarray:
    """Return int64[rows, columns, 9, bytes]: where each byte of a block of outputs is written."""
    return _output_words(job, block, channels)[..., : channels * job.output.size_bytes]


def stream_in_addresses(job: Job, block: int, channels: int) -> np.ndarray:
    """Return int64[rows, columns, 9, bytes]: where the sums of a block are read, in words of 8."""
    return _output_words(job, block, channels)


def _output_words(job: Job, block: int, channels: int) -> np.ndarray:
    """Return the address of each byte of the words of 32 bytes that a block of outputs has at a pixel."""
    strides, line = job.output_strides, np.arange(TILE)
    row = (TILE * np.arange(job.rows.count)[:, None] + line) * strides.outer
    column = (TILE * np.arange(job.columns.count)[:, None] + line) * strides.middle
    pixel = row[:, None, :, None] + column[None, :, None, :]  # [I, J, 3, 3]
    words = -(-channels // 8) if job.output is Width.BITS_32 else 1
    within = (np.arange(words)[:, None] * strides.inner + np.arange(WORD_BYTES)).reshape(-1)
    first = job.addresses.output + block * job.output_step * job.output.size_bytes
    every = first + pixel.reshape(*pixel.shape[:2], -1)[..., None] + within
    return every & 0xFFFFFFFF


def scales(job: Job, reader: Reader, block: int, channels: int, count: int) -> np.ndarray:
    """Return int64[count] scales of a block; those from `channels` on are whatever is there."""
    size = job.requantisation.scale.size_bytes
    return _numbers(reader, job.addresses.scale + block * job.output_step * size, size, channels, count)


def biases(job: Job, reader: Reader, block: int, channels: int, count: int) -> np.ndarray:
    """Return int64[count] biases of a block; those from `channels` on are whatever is there."""
    found = _numbers(reader, job.addresses.bias + block * job.output_step * 4, 4, channels, count)
    return found - ((found >> 31) << 32)


def shifts(job: Job, reader: Reader, block: int, channels: int) -> np.ndarray:
    """Return int64[32]: how far each channel of a block is shifted."""
    if not job.requantisation.has_shift_array:
        return np.full(OUTPUT_BLOCK, job.requantisation.shift, np.int64)
    found = _numbers(reader, job.addresses.shift + block * job.output_step, 1, channels, OUTPUT_BLOCK)
    return found & 63


def _numbers(reader: Reader, first: int, size: int, needed: int, count: int) -> np.ndarray:
    """Return unsigned numbers of `size` bytes as int64[count], of which the first `needed` must be there."""
    at = first + np.arange(count * size)
    found = reader.read(at, np.arange(count * size) < needed * size).reshape(count, size).astype(np.int64)
    return (found << 8 * np.arange(size)).sum(1)
