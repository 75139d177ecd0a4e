"""Inputs of functions of tosa: the ends of their types, then random ones."""

import numpy as np

from .text import Function

LIMITS = {"i8": (-128, 127), "i16": (-32768, 32767), "i32": (-(1 << 20), 1 << 20)}
TYPES = {"i8": np.int8, "i16": np.int16, "i32": np.int32}


def samples(f: Function, count: int, seed: int = 0) -> list[list[np.ndarray]]:
    """Return `count` lists of arrays, one for each input."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        arrays = []
        for name in f.inputs:
            (low, high), shape, kind = LIMITS[f.kind(name)], f.shape(name), TYPES[f.kind(name)]
            if number < 2:
                arrays.append(np.full(shape, (low, high)[number], kind))
            else:
                arrays.append(random.integers(low, high, shape, kind, endpoint=True))
        found.append(arrays)
    return found
