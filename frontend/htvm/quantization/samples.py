"""The samples that a float model is calibrated with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from htvm.interface import InputError, shape_text

Sample = dict[str, np.ndarray]


def split(model: onnx.ModelProto, given: Mapping[str, np.ndarray]) -> list[Sample]:
    """Return the samples of a model's inputs, of the types that it states. Raises InputError on what does not fit.

    Samples lie one after the other on axis 0, or on an axis of their own before it.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    columns: dict[str, list[np.ndarray]] = {}
    problems: list[str] = []
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        shape = [size.dim_value for size in tensor.shape.dim]
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        first, *others = shape or [1]
        first = first or 1
        wanted = f"N samples of {shape_text((first, *others))}"
        array = given.get(value.name)
        if array is None:
            problems.append(f"input '{value.name}' is missing; given: {', '.join(given) or 'none'}")
        elif array.ndim == len(shape) + 1 and list(array.shape[1:]) == [first, *others][: len(shape)] and len(array):
            columns[value.name] = list(_converted(array, dtype))
        elif array.ndim != len(shape) or list(array.shape[1:]) != others or not len(array) or len(array) % first:
            problems.append(f"input '{value.name}' has shape {shape_text(array.shape)}, expected {wanted}")
        else:
            columns[value.name] = np.split(_converted(array, dtype), len(array) // first)
    counts = {name: len(parts) for name, parts in columns.items()}
    if not problems and len(set(counts.values())) != 1:
        problems.append(f"the inputs hold different numbers of samples: {counts}")
    if problems:
        raise InputError("\n".join(problems))
    return [dict(zip(columns, parts, strict=True)) for parts in zip(*columns.values(), strict=True)]


def _converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return an array in the type of an input; integers stay what they are."""
    return array if array.dtype == dtype else array.astype(dtype)
