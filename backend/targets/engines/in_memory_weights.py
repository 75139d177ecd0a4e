"""How ternary weights and the scales behind the converters lie in an in-memory array.

    for each row: a bit for each column that is 1 if the weight is +1, then a bit for each that is 1 if it is -1
    int8 scale of each column, then int8 offset of each column

Rows are the taps in the order of the kernel's rows, its columns and the input channels, padded to a multiple of 288;
columns are the output channels, padded to a multiple of 128. Bits go from the lowest to the highest of each byte.
HTVM's files mirror rows and flip signs by block, which undoes what the circuit does; a chip's loader may do so.
Source: DORY, Diana_TVM, weights_encoder_analog.py (pulp-platform/dory be3d6dd).
"""

import numpy as np

from htvm.backend.targets.jobs import Job

ROW_STEP, COLUMN_STEP = 288, 128


def size_bytes(job: Job) -> int:
    """Return the bytes of a job's weights, scales and offsets."""
    rows, columns = _padded(job)
    return rows * 2 * columns // 8 + 2 * columns


def pack(job: Job, weights: np.ndarray, scales: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return uint8[size_bytes] of weights [K, C, R, S] of -1, 0 and 1, scales [K] and offsets [K]."""
    rows, columns = _padded(job)
    matrix = np.zeros((rows, columns), np.int8)
    matrix[: job.rows_of_weights, : job.outputs] = weights.transpose(2, 3, 1, 0).reshape(-1, job.outputs)
    lines = np.packbits(np.stack([matrix == 1, matrix == -1], axis=1), axis=2, bitorder="little")
    after = np.zeros((2, columns), np.int8)
    after[:, : job.outputs] = scales, offsets
    return np.concatenate([lines.reshape(-1), after.view(np.uint8).reshape(-1)])


def unpack(job: Job, packed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights int8[K, C, R, S], scales int8[K] and offsets int8[K] of a job."""
    rows, columns = _padded(job)
    bits = np.unpackbits(packed[: rows * 2 * columns // 8], bitorder="little").reshape(rows, 2, columns)
    matrix = (bits[:, 0].astype(np.int8) - bits[:, 1].astype(np.int8))[: job.rows_of_weights, : job.outputs]
    weights = matrix.reshape(*job.kernel, job.channels, job.outputs).transpose(3, 2, 0, 1)
    scales, offsets = packed[rows * 2 * columns // 8 : size_bytes(job)].view(np.int8).reshape(2, columns)
    return weights, scales[: job.outputs], offsets[: job.outputs]


def _padded(job: Job) -> tuple[int, int]:
    return -(-job.rows_of_weights // ROW_STEP) * ROW_STEP, -(-job.outputs // COLUMN_STEP) * COLUMN_STEP
