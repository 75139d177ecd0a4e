"""RequantShift, the rounding that quantlib's exporters and Deeploy write as one node."""

import numpy as np
import onnx

from htvm.dialects import accel
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem
from htvm.import_onnx.node import Node, quantise
from htvm.import_onnx.values import Constant, Tensor, emit_real


def requant_shift(node: Node) -> Tensor:
    """y = clip(floor((x * mul + add) / div)) to n_levels integers, signed or not.

    mul and add are inputs or attributes, one number or one per channel; div is one number. With rounding = 1
    (--requant-shift half) half of div is added first, as Deeploy's kernels do.
    """
    x = node.tensor(0)
    factors, terms = (_numbers(node, index, name, x.shape) for index, name in ((1, "mul"), (2, "add")))
    divisor = _number(node, "div")
    if divisor <= 0:
        raise Problem(f"div is {divisor:g}, expected a positive number")
    levels = int(_number(node, "n_levels_out" if node.has_attribute("n_levels_out") else "n_levels"))
    if not 2 <= levels <= 1 << 16:
        raise Problem(f"n_levels is {levels}, expected 2 to 65,536")
    lowest = 0
    if _number(node, "signed"):
        lowest = -(levels // 2)
    highest = lowest + levels - 1
    scaled = node.emit(accel.mul, x.shape, x.value, emit_real(factors).value)
    moved = node.emit(accel.add, x.shape, scaled.value, emit_real(terms).value)
    if node.attribute("rounding", 0) and divisor // 2:
        half = emit_real(Constant(np.array(divisor // 2, np.float32), "half"))
        moved = node.emit(accel.add, x.shape, moved.value, half.value)
    by = emit_real(Constant(np.array(divisor, np.float32), "div"))
    divided = node.emit(accel.div, x.shape, moved.value, by.value)
    return quantise(divided, q.integers(q.storage_for(lowest, highest), lowest, highest), rounding="floor")


def _numbers(node: Node, index: int, name: str, shape: tuple[int, ...]) -> Constant:
    """Return the factors or terms as numbers along the channels of a tensor."""
    array = node.array(index, name) if node.has(index) else _attribute(node, name)
    array = np.asarray(array, np.float32)
    if array.size not in (1, shape[1] if len(shape) > 1 else 1):
        raise Problem(f"{name} has {array.size} numbers, expected 1 or one per channel")
    spread = [1] * len(shape)
    if array.size > 1:
        spread[1] = array.size
    return Constant(array.reshape(spread if array.size > 1 else ()), name)


def _number(node: Node, name: str) -> float:
    array = _attribute(node, name)
    if array.size != 1:
        raise Problem(f"{name} has {array.size} numbers, expected 1")
    return float(array.reshape(()))


def _attribute(node: Node, name: str) -> np.ndarray:
    """Return an attribute that is a number, a list of numbers or a tensor."""
    value = node.attribute(name)
    if value is None:
        raise Problem(f"attribute '{name}' is missing")
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise Problem(f"attribute '{name}' is {value!r}, expected numbers") from None
