"""What a job computes, byte by byte, as measured on the RTL: 793 recorded jobs have these results.

    sum    = (weight * x + offset * x) over the enabled taps and channels [+ int32 at the output], 32 bits that wrap
    result = sum; or with requantisation, where a product has 48 bits that wrap:
             int32(int32(sum * scale[k]) + bias[k]) >> shift[k] with a bias, (sum * scale[k]) >> shift[k] without
             clipped to 0..255 or -128..127 for 8 bits; for 32 bits, with relu only its sign, else to int32

There is no rounding. A depthwise job with stream-in loses its offset. A linear job adds twice its padding value for
each bit and for the offset, in each block of inputs. A pixel of the input window is 0 beyond
`input_rows` and `input_columns`, else the padding value within the pads, else what is in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from htvm.backend.targets.engines.ne16 import operands, rules
from htvm.backend.targets.engines.ne16.job import OUTPUT_BLOCK, TILE, Job, Mode, Width
from htvm.backend.targets.engines.ne16.operands import Reader
from htvm.backend.targets.engines.ne16.rules import UndefinedJob
from htvm.backend.targets.engines.ne16.state import State, used_pixels
from htvm.backend.targets.violations import Described, Violation

PIXELS = TILE * TILE
BIAS_LANES = 8
"""Channels that a read of biases serves: all of them are computed, also those beyond the last channel."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a job has done: the bytes that it has written, at int64[n] addresses, and what it leaves to the next."""

    addresses: np.ndarray
    written: np.ndarray
    state: State

    def store(self, memory: np.ndarray, base: int = 0) -> None:
        """Write the bytes to uint8 memory whose first byte is at `base`. Raises IndexError for one outside."""
        places = self.addresses - base
        if places.size and (places.min() < 0 or places.max() >= len(memory)):
            raise IndexError(f"NE16 writes {self.addresses.min():#x}..{self.addresses.max():#x}, outside of the memory")
        memory[places] = self.written


def execute(job: Job, memory: np.ndarray, state: State, base: int = 0) -> Outcome:
    """Compute a job on uint8 memory whose first byte is at `base`; the memory stays as it is.

    state: in which the job starts (State.given). Its accumulators are added to the sums of the first tile where the
    hardware has not cleared them.
    Raises UndefinedJob for a job that the hardware does not define, or that reads what it writes; IndexError for an
    operand outside of the memory.
    """
    if broken := rules.violations(job):
        raise UndefinedJob(broken)
    reader = Reader(memory, base)
    used = _used(job)
    inputs = _Inputs(job, reader, used)
    places: list[np.ndarray] = []
    written: list[np.ndarray] = []
    lanes = np.zeros((0,))
    now = Reader(memory.copy(), base) if job.stream_in else None
    for block, channels in enumerate(job.outputs.sizes(job.output_step)):
        start = _start(job, reader, used, block, channels)
        if block == 0:
            _add_left_over(job, start, state, channels)
        start[..., :channels] += inputs.sums(block, channels)
        lanes = requantised(job, reader, wrapped(start, 32), block, channels)
        at = operands.output_addresses(job, block, channels)  # [tiles, pixels, bytes]
        size = job.output.size_bytes
        values = np.ascontiguousarray(lanes[..., :channels].astype("<i8")).view(np.uint8)
        values = values.reshape(*lanes.shape[:-1], channels, 8)[..., :size].reshape(at.shape)
        places.append(at[used].reshape(-1))
        written.append(values[used].reshape(-1))
        if now is not None:
            _read_behind(job, now, used, start, at, values, block, channels)
            lanes = requantised(job, reader, wrapped(start, 32), block, channels)
    addresses = np.concatenate(places)
    _check_overlap(reader, addresses)
    return Outcome(addresses, np.concatenate(written), state.after(job, _left(state, used, lanes)))


def _used(job: Job) -> np.ndarray:
    """Return bool[rows, columns, 9]: the pixels of each tile that are computed."""
    rows, columns = job.rows.count, job.columns.count
    used = np.empty((rows, columns, PIXELS), bool)
    for row in (0, rows - 1):
        for column in (0, columns - 1):
            kind = used_pixels(job, (row, column))
            used[row if row else slice(0, rows), column if column else slice(0, columns)] = kind
    return used


class _Inputs:
    """The input windows of a job, and what they give with each block of weights."""

    def __init__(self, job: Job, reader: Reader, used: np.ndarray) -> None:
        self.job, self.reader, self.used, self.more = job, reader, used, 0
        if job.mode is Mode.LINEAR:
            pixel = reader.read(operands.linear_input_addresses(job)).astype(np.float64)
            self.columns = pixel[None]  # [1 pixel, C]
            # Sums of four pixels are added up, of which two are not used: those give the padding value, in each step.
            unused = 2 * job.pad_value * job.input_steps
            self.more = unused * (job.weight_bits + job.offset)
        elif job.mode is not Mode.DEPTHWISE3X3:
            windows = self._windows(0, job.input_channels)
            self.columns = windows.reshape(len(windows), -1)  # [pixels, taps * C]

    def sums(self, block: int, channels: int) -> np.ndarray:
        """Return the sums of a block of outputs, int64[rows, columns, 9, channels]; 0 where a pixel is not used.

        Products are summed in float64, which is exact: 4,095 blocks of 16 channels and 9 taps stay below 2^53.
        """
        job = self.job
        weights = operands.weights(job, self.reader, block, channels)  # [k, C, taps]; depthwise [k, 1, taps]
        if job.mode is Mode.DEPTHWISE3X3:
            weights = weights[:, 0] + (0 if job.stream_in else job.offset)
            windows = self._windows(block * job.output_step, channels)  # [pixels, taps, k]
            sums = np.einsum("ptk,kt->pk", windows, weights.astype(np.float64))
        else:
            matrix = (weights + job.offset).transpose(2, 1, 0).reshape(-1, channels)
            sums = self.columns @ matrix.astype(np.float64)
        every = np.zeros((*self.used.shape, channels), np.int64)
        every[self.used] = sums.astype(np.int64) + self.more
        return every

    def _windows(self, first: int, channels: int) -> np.ndarray:
        """Return float64[used pixels, taps, channels] of channels from `first` on."""
        job = self.job
        zero, padding = _outside(job)
        side, kernel = job.window, job.kernel
        used = self.used.reshape(*self.used.shape[:2], TILE, TILE)
        needed = np.zeros((*used.shape[:2], side, side), bool)
        for row in range(kernel):
            for column in range(kernel):
                needed[:, :, row : row + TILE, column : column + TILE] |= used
        real = needed & ~zero & ~padding
        at = operands.input_addresses(job)[..., None] + first + np.arange(channels)
        x = self.reader.read(at, real[..., None]).astype(np.float64)
        x = np.where(zero[..., None], 0.0, np.where(padding[..., None], float(job.pad_value), x))
        view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))  # [I, J, 3, 3, C, R, S]
        taps = view.transpose(0, 1, 2, 3, 5, 6, 4)[used] * _taps(job)[..., None]
        return taps.reshape(len(taps), kernel * kernel, channels)


def _outside(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Return bool[rows, columns, window, window] twice: what of each tile's window is 0, and what is padding."""
    zeros: list[np.ndarray] = []
    pads: list[np.ndarray] = []
    for axis, read, before, after in (
        (job.rows, job.input_rows, job.pads.top, job.pads.bottom),
        (job.columns, job.input_columns, job.pads.left, job.pads.right),
    ):
        line, tile = np.arange(job.window), np.arange(axis.count)[:, None]
        last = tile == axis.count - 1
        zeros.append(last & (line >= (read or job.window)))
        # The hardware's window has 5 lines in every mode: padding behind a map is counted from the fifth.
        pads.append((tile == 0) & (line < before) | last & (line >= TILE + 2 - after))
    zero, padding = (rows[:, None, :, None] | columns[None, :, None, :] for rows, columns in (zeros, pads))
    return zero, padding


def _taps(job: Job) -> np.ndarray:
    """Return bool[R, S]: the taps of the kernel that take part."""
    line, mask = np.arange(job.kernel), job.filter_mask
    if job.kernel == 1:
        return np.ones((1, 1), bool)
    rows = (line >= mask.top) & (line < job.kernel - mask.bottom)
    columns = (line >= mask.left) & (line < job.kernel - mask.right)
    return rows[:, None] & columns[None, :]


def _start(job: Job, reader: Reader, used: np.ndarray, block: int, channels: int) -> np.ndarray:
    """Return what the accumulators of a block start with, int64[rows, columns, 9, 32 channels]."""
    lanes = np.zeros((*used.shape, OUTPUT_BLOCK), np.int64)
    if job.stream_in:
        at = operands.stream_in_addresses(job, block, channels)
        count = int(at.shape[-1]) // 4
        needed = used[..., None] & (np.arange(count * 4) < channels * 4)
        words = np.ascontiguousarray(reader.read(at, needed, is_output=True)).view("<i4")
        lanes[..., :count] = np.where(used[..., None], words, 0)
    return lanes


def _read_behind(
    job: Job,
    now: Reader,
    used: np.ndarray,
    start: np.ndarray,
    at: np.ndarray,
    values: np.ndarray,
    block: int,
    channels: int,
) -> None:
    """Correct what accumulators beyond the last channel start with: what is behind a pixel's sums, as it is by then.

    Sums are read in words of 8 channels. Behind the last one is mostly the next pixel, or the result that a block or
    tile before has written there. now: the memory, which gets the results of this block, tile by tile.
    """
    words_at = operands.stream_in_addresses(job, block, channels)
    count = int(words_at.shape[-1]) // 4
    for row, column in np.ndindex(*used.shape[:2]):
        pixels = used[row, column]
        words = np.ascontiguousarray(now.read(words_at[row, column], np.zeros(1, bool), is_output=True)).view("<i4")
        start[row, column, :, channels:count] = np.where(pixels[:, None], words[:, channels:], 0)
        places = (at[row, column][pixels].reshape(-1) - now.base) & 0xFFFFFFFF
        inside = places < len(now.memory)
        now.memory[places[inside]] = values[row, column][pixels].reshape(-1)[inside]


def _add_left_over(job: Job, lanes: np.ndarray, state: State, channels: int) -> None:
    """Add the accumulators of jobs before to the first tile of a job, where it does not overwrite them."""
    overwritten = 0
    if job.stream_in:
        overwritten = -(-channels // BIAS_LANES) * BIAS_LANES
    elif job.mode is Mode.DEPTHWISE3X3:
        overwritten = channels
    lanes[0, 0, :, overwritten:] += state.accumulators[:, overwritten:]


def _left(state: State, used: np.ndarray, lanes: np.ndarray) -> np.ndarray:
    """Return the accumulators that a job leaves, int32[9, 32]: each pixel's of the last tile that uses it."""
    left = state.accumulators.copy()
    for pixel in range(PIXELS):
        tiles = np.argwhere(used[..., pixel])
        if len(tiles):
            row, column = tiles[-1]
            left[pixel] = lanes[row, column, pixel].astype(np.int32)
    return left


def requantised(job: Job, reader: Reader, lanes: np.ndarray, block: int, channels: int) -> np.ndarray:
    """Return accumulators int64[.., 32] of a block after scales, biases and shifts.

    Scales are applied to 4, 2 or 1 channels at a time, biases to 8: accumulators beyond the last channel change too, by
    what lies behind the operands. They are not written, but a later job can start on them.
    """
    requant = job.requantisation
    if not requant.enabled:
        return lanes
    step = {Width.BITS_8: 4, Width.BITS_16: 2}.get(requant.scale, 1)
    scaled = -(-channels // step) * step
    scales = operands.scales(job, reader, block, channels, scaled)
    shifts = operands.shifts(job, reader, block, channels)
    lanes = lanes.copy()
    product = wrapped_product(lanes[..., :scaled], scales, 48)
    if not requant.has_bias:
        lanes[..., :scaled] = clipped(job, product >> shifts[:scaled], 48)
        return lanes
    lanes[..., :scaled] = wrapped(product, 32)
    biased = -(-channels // BIAS_LANES) * BIAS_LANES
    biases = operands.biases(job, reader, block, channels, biased)
    sums = wrapped(lanes[..., :biased] + biases, 32)
    lanes[..., :biased] = clipped(job, sums >> shifts[:biased], 32)
    return lanes


def clipped(job: Job, values: np.ndarray, bits: int) -> np.ndarray:
    """Return what accumulators of 32 bits hold of results with `bits` bits; of 8-bit ones, the lowest 8 are written.

    The upper bits are 0, but 1 where a result is too large: a later job can start on them.
    """
    relu = job.requantisation.relu
    if job.output is Width.BITS_8 and relu:
        return np.where(values < 0, 0, np.where(values > 255, -1, values))
    if job.output is Width.BITS_8:
        return np.where(values < -128, 0x80, np.where(values > 127, 0x7F - 256, values & 0xFF))
    if relu:
        return wrapped(np.maximum(values, 0), 32)
    return np.clip(values, -(1 << 31), (1 << 31) - 1) if bits > 32 else values


def wrapped(values: np.ndarray, bits: int) -> np.ndarray:
    """Return int64 values as signed numbers of `bits` bits."""
    low = values & ((1 << bits) - 1)
    return low - ((low >> (bits - 1)) << bits)


def wrapped_product(a: np.ndarray, b: np.ndarray, bits: int) -> np.ndarray:
    """Return a * b as a signed number of `bits` bits, at most 64: multiplication wraps at 64."""
    with np.errstate(over="ignore"):
        return wrapped(a.astype(np.int64) * b.astype(np.int64), bits)


def _check_overlap(reader: Reader, written: np.ndarray) -> None:
    """Raise UndefinedJob if a job reads what it writes, or writes a byte twice: then the order of blocks matters."""
    unique = np.unique(written)
    if len(unique) < len(written):
        raise UndefinedJob((Violation(rules.Field.OPERANDS, None, Described("an output whose bytes are distinct")),))
    if reader.has_read(unique):
        raise UndefinedJob((Violation(rules.Field.OPERANDS, None, Described("an output apart from the inputs")),))
