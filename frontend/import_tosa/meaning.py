"""What a module of tosa means: the results of its function, and the tensors in between by the names of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.semantics import tosa
from htvm.dialects.semantics.tosa.functions import input_names, networks, output_names
from htvm.dialects.semantics.tosa.windows import FIRST

from .module import TosaError


def meaning(module: ir.Module, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the results of the module's function by name, in arrays of their own types."""
    return _run(module, inputs, None)


def values(module: ir.Module, inputs: Mapping[str, np.ndarray], converted: ir.Module) -> dict[str, np.ndarray]:
    """Return the tensors that the layers of a converted module compute, by the layers' names.

    A layer whose result has its channels first, as `accel.channels_first` says, gives the tensor in that order.
    """
    (function,) = networks(module)
    names = tosa.names_of(function)
    found: dict[str, np.ndarray] = {}

    def observe(op: ir.Operation, result: np.ndarray) -> None:
        found[names[op]] = result

    _run(module, inputs, observe)
    moved = (layer for layer in accel.layers(converted) if accel.CHANNELS_FIRST_ATTRIBUTE in layer.attributes)
    first = set(map(accel.node, moved))
    return {name: each.transpose(FIRST) if name in first and each.ndim == 4 else each for name, each in found.items()}


def _run(
    module: ir.Module, inputs: Mapping[str, np.ndarray], observe: Callable[[ir.Operation, np.ndarray], None] | None
) -> dict[str, np.ndarray]:
    found = networks(module)
    if len(found) != 1:
        raise TosaError(f"the module has {len(found)} functions with operations of tosa, expected 1")
    (function,) = found
    given = [inputs[name] for name in input_names(function)]
    results = tosa.interpret(function, given, observe)
    kinds = [ir.IntegerType(ir.ShapedType(each).element_type) for each in function.type.results]
    return {
        name: result.astype(f"{'u' if kind.is_unsigned else ''}int{max(8, kind.width)}")
        for name, result, kind in zip(output_names(function), results, kinds)
    }
