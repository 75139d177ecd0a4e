"""How weights of a 16-lane array lie in its weight memory.

    conv2d  for each 16 outputs: [C][R][S][16] weights, then 4 planes of 16 bytes: byte 0, 1, 2, 3 of the 16 biases
    dense   for each 16 outputs: for each 16 inputs [16 inputs][16 outputs] weights, then 16 slots of 16 bytes, each
            with one bias in its first 4

Weights are int8, biases int32 with the lowest byte first; lanes without an output, and inputs beyond the last, are 0.
HTVM's files have the bytes of each 32-bit word reversed, for a DMA that reverses them again; here transfers keep order.
Source: DORY, Diana_TVM, HW_Parser.py and C_Parser.py (pulp-platform/dory be3d6dd).
"""

import numpy as np

from htvm.backend.targets.jobs import Job
from htvm.dialects.accel import JobKind

LANES = 16
BIAS_BYTES = 4
SLOT_BYTES = 16
"""Of a bias of a dense layer."""


def size_bytes(job: Job) -> int:
    """Return the bytes of a job's weights and biases."""
    return _blocks(job.outputs) * block_bytes(job)


def block_bytes(job: Job) -> int:
    """Return the bytes of the weights and biases of up to 16 outputs."""
    if job.kind == JobKind.DENSE:
        return _blocks(job.channels) * LANES * LANES + LANES * SLOT_BYTES
    return job.rows_of_weights * LANES + LANES * BIAS_BYTES


def pack(job: Job, weights: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """Return uint8[size_bytes] of weights [K, C, R, S] and biases [K]."""
    outputs = _blocks(job.outputs) * LANES
    lanes = np.zeros((outputs, *weights.shape[1:]), np.int8)
    lanes[: len(weights)] = weights
    padded = np.zeros(outputs, "<i4")
    padded[: len(biases)] = biases
    bias_bytes = padded.view(np.uint8).reshape(-1, LANES, BIAS_BYTES)
    if job.kind == JobKind.DENSE:
        channels = _blocks(job.channels) * LANES
        rows = np.zeros((outputs, channels), np.int8)
        rows[:, : weights.shape[1]] = lanes.reshape(outputs, -1)
        slots = np.zeros((outputs // LANES, LANES, SLOT_BYTES), np.uint8)
        slots[:, :, :BIAS_BYTES] = bias_bytes
        parts = rows.reshape(-1, LANES, channels).transpose(0, 2, 1), slots
    else:
        parts = lanes.reshape(outputs // LANES, LANES, -1).transpose(0, 2, 1), bias_bytes.transpose(0, 2, 1)
    flat = [np.ascontiguousarray(part).view(np.uint8).reshape(outputs // LANES, -1) for part in parts]
    return np.concatenate(flat, axis=1).reshape(-1)


def unpack(job: Job, packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights int8[K, C, R, S] and biases int32[K] of a job."""
    blocks = packed[: size_bytes(job)].reshape(_blocks(job.outputs), -1)
    tail = LANES * (SLOT_BYTES if job.kind == JobKind.DENSE else BIAS_BYTES)
    lanes = np.ascontiguousarray(blocks[:, :-tail]).view(np.int8).reshape(len(blocks), -1, LANES)
    rows = lanes.transpose(0, 2, 1).reshape(len(blocks) * LANES, -1)[: job.outputs, : job.rows_of_weights]
    if job.kind == JobKind.DENSE:
        bias_bytes = blocks[:, -tail:].reshape(-1, SLOT_BYTES)[:, :BIAS_BYTES]
    else:
        bias_bytes = blocks[:, -tail:].reshape(-1, BIAS_BYTES, LANES).transpose(0, 2, 1)
    biases = np.ascontiguousarray(bias_bytes).reshape(-1).view("<i4")[: job.outputs]
    return rows.reshape(job.outputs, -1, *job.kernel), biases


def _blocks(count: int) -> int:
    return -(-count // LANES)
