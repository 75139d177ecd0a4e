"""What the layers mean, in numpy: one line of formula each."""

import numpy as np


def windows(x, kernel, strides, pads, dilations, pad_value):
    """Yield (r, s, elements [N, C, H', W']) for each tap of a window. pads: top, left, bottom, right."""
    top, left, bottom, right = pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=pad_value)
    rows, columns = (
        (size - dilation * (length - 1) - 1) // stride + 1
        for size, length, stride, dilation in zip(padded.shape[2:], kernel, strides, dilations)
    )
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            h, w = r * dilations[0], s * dilations[1]
            yield (
                r,
                s,
                padded[
                    :,
                    :,
                    h : h + (rows - 1) * strides[0] + 1 : strides[0],
                    w : w + (columns - 1) * strides[1] + 1 : strides[1],
                ],
            )


def conv2d(x, weights, strides, pads, dilations, groups, pad_value):
    """Return the accumulators [N, K, H', W'] of x [N, C, H, W] and weights [K, C / groups, R, S]."""
    x, weights = x.astype(np.int64), weights.astype(np.int64)
    batch, k = len(x), len(weights)
    acc = 0
    for r, s, seen in windows(x, weights.shape[2:], strides, pads, dilations, pad_value):
        seen = seen.reshape(batch, groups, -1, *seen.shape[2:])
        grouped = weights[:, :, r, s].reshape(groups, k // groups, -1)
        acc = acc + np.einsum("gkc,ngchw->ngkhw", grouped, seen).reshape(batch, k, *seen.shape[3:])
    return acc


def pool(x, kernel, strides, pads, outside, reduce, dilations=(1, 1)):
    """Return the reduction of the elements inside each window; those outside read `outside`."""
    seen = [each for _, _, each in windows(x.astype(np.int64), kernel, strides, pads, dilations, outside)]
    return reduce(np.stack(seen), axis=0)
