"""The host as an engine: a RISC-V core with a C kernel for every op of the accel dialect."""

from dataclasses import dataclass
from math import prod

from mlir import ir

from htvm.backend.targets.soc import HOST, CostModel
from htvm.dialects import accel, quantisation

CYCLES_PER_MAC = 2.6
CYCLES_PER_DEPTHWISE_MAC = 5.5
CYCLES_PER_MATMUL_MAC = 6
CYCLES_PER_POOLED = 2.6
CYCLES_PER_POOLED_BYTE = 1.9
CYCLES_PER_POOLED_HALF = 1.25
CYCLES_PER_NCHW = CYCLES_PER_POOLED - CYCLES_PER_POOLED_HALF
CYCLES_PER_POOL = 13
CYCLES_PER_SUM = 18
CYCLES_PER_SOFTMAX = 75
CYCLES_PER_MOVED = 6
CYCLES_PER_ELEMENT = 8
"""What the host takes, for choosing between engines: MLPerf Tiny's networks on the simulated core, `htvm run`. Products
of two computed matrices, of which these networks have none, alone: 5.6 to 6.0 for a multiplication of 16x32x16 to
128x128x128 and of 49 tokens' attention (clang -O3); 8 to 9 where a sum has 8 or 16 products."""


MOVES = (
    accel.LookupOp,
    accel.TransposeOp,
    accel.ReshapeOp,
    accel.TakeOp,
    accel.ConcatOp,
    accel.PadOp,
)
"""Layers that copy elements, or look them up."""

MOST_IN_WORDS = 256
"""HTVM_POOL2D_WORDS of htvm_pool2d_words.h: elements under a window."""
POOLED_RANGE = "accel.range"
"""Of a pool: the smallest and the largest integer that its map holds, from stage integer on."""


@dataclass(frozen=True)
class HostEngine:
    """Runs every layer, but those whose weights are computed."""

    name: str = HOST

    def refuses(self, op: ir.Operation) -> str | None:
        """Refuse what is not an accel op, computed weights but in convolutions of one group, and a converter."""
        name = op.operation.name
        if not name.startswith("accel."):
            return f"runs ops of the accel dialect, got '{name}'"
        layer = op.operation.opview
        if isinstance(layer, accel.Conv2dOp | accel.DenseOp) and quantisation.stored(layer.weights) is None:
            found = f"{layer.weights.type.element_type}"
            if isinstance(layer, accel.DenseOp) or layer.groups.value > 1 or found not in ("i8", "i16"):
                what = "rows of a matrix" if isinstance(layer, accel.DenseOp) else f"{layer.groups.value} groups"
                return f"takes computed weights of i8 or i16 in convolutions of one group, got {found} for {what}"
        if isinstance(layer, accel.Conv2dOp) and layer.rescale is not None:
            return "has kernels that requantise once, got a converter's code that is scaled again ('rescale')"
        return None

    def cycles(self, op: ir.Operation, cost_model: CostModel | None) -> int:
        """Estimate from the number of multiplications, or of elements."""
        layer = op.operation.opview
        elements = prod(accel.output(layer).type.shape)
        if isinstance(layer, accel.Conv2dOp | accel.DenseOp):
            taps = prod(layer.weights.type.shape[1:])
            is_depthwise = isinstance(layer, accel.Conv2dOp) and layer.groups.value > 1
            return round(elements * taps * (CYCLES_PER_DEPTHWISE_MAC if is_depthwise else CYCLES_PER_MAC))
        if isinstance(layer, accel.MatMulOp):
            return round(elements * layer.lhs.type.shape[-1] * CYCLES_PER_MATMUL_MAC)
        if isinstance(layer, accel.Pool2dOp):
            return round(elements * (prod(layer.kernel) * per_pooled(layer) + CYCLES_PER_POOL))
        if isinstance(layer, accel.AddOp):
            return elements * CYCLES_PER_SUM
        if isinstance(layer, accel.SoftmaxOp):
            return elements * CYCLES_PER_SOFTMAX
        if isinstance(layer, MOVES):
            return elements * CYCLES_PER_MOVED
        if isinstance(layer, accel.ArgMaxOp):
            elements = prod(layer.input.type.shape)
        return elements * CYCLES_PER_ELEMENT


def per_pooled(layer: accel.Pool2dOp) -> float:
    """Return the cycles of an element under a window: fewer where it is summed in words (htvm_pool2d_words.h)."""
    value = layer.input.type
    is_nchw = isinstance(value, ir.MemRefType) and value.get_strides_and_offset()[0][1] != 1
    if is_nchw or layer.counts is None or max(layer.counts) > MOST_IN_WORDS or value.shape[1] % 4:
        return CYCLES_PER_POOLED
    return CYCLES_PER_POOLED_HALF if is_half(layer) else CYCLES_PER_POOLED_BYTE


def is_half(layer: accel.Pool2dOp) -> bool:
    """Say whether a pool's map has integers from 0 to 127: a byte holds the sum of two."""
    attributes = layer.operation.attributes
    return POOLED_RANGE in attributes and min(attributes[POOLED_RANGE]) >= 0 and max(attributes[POOLED_RANGE]) <= 127
