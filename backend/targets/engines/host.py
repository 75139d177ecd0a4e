"""The host as an engine: a RISC-V core with a C kernel for every op of the accel dialect."""

from dataclasses import dataclass
from math import prod

import numpy as np
from mlir import ir

from htvm.backend.targets import rules
from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.rules import Rule
from htvm.backend.targets.soc import HOST, CostModel, Host
from htvm.backend.targets.violations import Described, OneOf, Quality, Subject, Violation
from htvm.dialects import accel, quantisation

CYCLES_PER_INSTRUCTION = 1.2
CYCLES_PER_INSTRUCTION_OF_A_ROW = 1.1
CYCLES_PER_MAC = 2.6
CYCLES_PER_DEPTHWISE_MAC = 5.5
CYCLES_PER_MATMUL_MAC = 6
CYCLES_PER_POOLED = 2.6
CYCLES_PER_POOLED_BYTE = 1.9
CYCLES_PER_POOLED_HALF = 1.25
CYCLES_PER_NCHW = CYCLES_PER_POOLED - CYCLES_PER_POOLED_HALF
CYCLES_PER_EXTREME, CYCLES_PER_EXTREME_BYTE = 11, 4.8
CYCLES_PER_POOL = 13
CYCLES_PER_SUM = 18
CYCLES_PER_SOFTMAX, CYCLES_PER_SOFTMAX_ELEMENT = 350, 43
CYCLES_PER_MOVED = 6
CYCLES_PER_LOOKED_UP, CYCLES_PER_FLIPPED = 4.8, 2.7
CYCLES_PER_FILLED = 2.3
CYCLES_PER_ELEMENT = 8
CYCLES_PER_CALLED_OPERATION = 1.3  # ResNet-8's softmax in tosa: 1,877 operations, 2,425 cycles
CYCLES_PER_THRESHOLD = 60
CYCLES_PER_WEIGHTED_TERM = 30
"""What the host takes, for choosing between engines: MLPerf Tiny's networks on the simulated core, `htvm run`. Products
of two computed matrices, of which these networks have none, alone: 5.6 to 6.0 for a multiplication of 16x32x16 to
128x128x128 and of 49 tokens' attention (clang -O3); 8 to 9 where a sum has 8 or 16 products. Largest elements
alone too: under windows of 3x3 of random bytes. A multiplication counts where the kernel is not chosen yet; afterwards
the kernel's estimated instructions do."""

INSTRUCTIONS = "accel.instructions"
"""Of a layer from choose-kernels on: what its kernel takes, by the kernel's estimate."""


CORE = Host(
    march="rv32imc",
    mabi="ilp32",
    copy_cycles=9,
    launch_cycles=2,
    wait_cycles=8,
    loop_cycles=16,
    step_cycles=9,
    call_bytes=28,
)
"""The core of a target with other units. Cycles of htvm_soc.h's calls: least squares over 100 steps of networks on
diana, clang -O3, on the simulated core. Their bytes: clang -O3 makes 16 to 27 of each in networks of 100 to 2,000
calls, 33 in a layer of 24.
"""

MOST_IN_WORDS = 256
"""HTVM_POOL2D_WORDS of htvm_pool2d_words.h: elements under a window."""
POOLED_RANGE = "accel.range"
"""Of a pool: the smallest and the largest integer that its map holds, from stage integer on."""


def _computed(op: accel.Weighted) -> bool:
    return quantisation.stored(op.weights) is None


COMPUTED_TYPES = ("i8", "i16")
"""Element types that the kernels for computed weights read."""

RULES: rules.Rules = {
    accel.FusedOp.OPERATION_NAME: (
        Rule(Subject.OP, Described("one layer"), "runtime/kernels", lambda op: op.operation.name),
    ),
    accel.TransferOp.OPERATION_NAME: (
        Rule(Subject.OP, Quality.COMPUTATION, "AccelOps.td", lambda op: op.operation.name),
    ),
    accel.DenseOp.OPERATION_NAME: (
        Rule(
            Subject.WEIGHTS,
            Quality.CONSTANT,
            "runtime/kernels",
            lambda op: Quality.COMPUTED if _computed(op) else None,
        ),
    ),
    accel.Conv2dOp.OPERATION_NAME: (
        Rule(
            Subject.WEIGHT_TYPE,
            OneOf(COMPUTED_TYPES),
            "runtime/kernels",
            lambda op: rules.unless_in(linear_ops.element(op.weights), COMPUTED_TYPES) if _computed(op) else None,
        ),
        Rule(
            Subject.WEIGHT_GROUPS,
            OneOf((1,)),
            "runtime/kernels",
            lambda op: rules.unless(op.groups.value, 1) if _computed(op) else None,
        ),
        Rule(
            Subject.RESULT,
            Quality.REQUANTISED,
            "runtime/kernels",
            lambda op: None if op.rescale is None else Quality.SCALED_CODE,
        ),
    ),
}
"""Of the ops that the host does not run whatever they are like."""


@dataclass(frozen=True)
class HostEngine:
    """Runs every layer, but those whose weights are computed."""

    name: str = HOST

    def violations(self, op: rules.Op) -> tuple[Violation, ...]:
        """Return the rules that an op breaks: for computed weights, and for the code of a converter."""
        layer = op.operation.opview
        if not layer.operation.name.startswith("accel."):
            return (Violation(Subject.OP, layer.operation.name, Quality.ACCEL_OP),)
        return rules.violations(RULES, layer) if layer.operation.name in RULES else ()

    def cycles(self, op: ir.Operation | ir.OpView, cost_model: CostModel | None) -> int:
        """Estimate from the instructions of the kernel chosen, or the number of multiplications, or of elements."""
        layer = op.operation.opview
        assert accel.is_layer(layer), layer.operation.name
        elements = prod(accel.output(layer).type.shape)
        instructions = accel.attribute(layer, INSTRUCTIONS, ir.IntegerAttr)
        if instructions is not None:
            per_instruction = CYCLES_PER_INSTRUCTION_OF_A_ROW if is_row(layer) else CYCLES_PER_INSTRUCTION
            return round(instructions.value * per_instruction)
        if isinstance(layer, accel.Weighted):
            taps = prod(layer.weights.type.shape[1:])
            is_depthwise = isinstance(layer, accel.Conv2dOp) and layer.groups.value > 1
            return round(elements * taps * (CYCLES_PER_DEPTHWISE_MAC if is_depthwise else CYCLES_PER_MAC))
        if isinstance(layer, accel.MatMulOp):
            return round(elements * layer.lhs.type.shape[-1] * CYCLES_PER_MATMUL_MAC)
        if isinstance(layer, accel.Pool2dOp):
            return round(elements * (prod(layer.kernel) * per_pooled(layer) + CYCLES_PER_POOL))
        if isinstance(layer, accel.AddOp):
            return elements * CYCLES_PER_SUM
        if isinstance(layer, accel.ThresholdOp):
            return elements * CYCLES_PER_THRESHOLD
        if isinstance(layer, accel.WeightedSumOp):
            return elements * (CYCLES_PER_SUM + CYCLES_PER_WEIGHTED_TERM * len(layer.inputs))
        if isinstance(layer, accel.SoftmaxOp):
            rows = elements // accel.output(layer).type.shape[layer.axis.value]
            return rows * CYCLES_PER_SOFTMAX + elements * CYCLES_PER_SOFTMAX_ELEMENT
        if isinstance(layer, accel.CallOp):
            from htvm.dialects import calls  # slow to load, and few models have calls

            return round(calls.operations(calls.callee(layer)) * CYCLES_PER_CALLED_OPERATION)
        if isinstance(layer, accel.PadOp):
            return round(elements * CYCLES_PER_FILLED + prod(layer.input.type.shape) * CYCLES_PER_MOVED)
        if isinstance(layer, accel.LookupOp):
            return round(elements * (CYCLES_PER_FLIPPED if flips(layer) else CYCLES_PER_LOOKED_UP))
        if isinstance(layer, accel.Moves):
            return elements * CYCLES_PER_MOVED
        if isinstance(layer, accel.ArgMaxOp):
            elements = prod(layer.input.type.shape)
        return elements * CYCLES_PER_ELEMENT


def is_row(layer: accel.Layer) -> bool:
    """Say whether a layer is one row times a matrix: its kernels walk along memory, and the core waits less."""
    return isinstance(layer, accel.DenseOp) and prod(layer.input.type.shape[:-1]) == 1


def per_pooled(layer: accel.Pool2dOp) -> float:
    """Return the cycles of an element under a window: fewer where words have four (htvm_pool2d_words.h)."""
    value = layer.input.type
    is_nchw = isinstance(value, ir.MemRefType) and value.get_strides_and_offset()[0][1] != 1
    has_words = not is_nchw and value.shape[1] % 4 == 0
    if layer.counts is None:
        return CYCLES_PER_EXTREME_BYTE if has_words else CYCLES_PER_EXTREME
    if not has_words or max(layer.counts) > MOST_IN_WORDS:
        return CYCLES_PER_POOLED
    return CYCLES_PER_POOLED_HALF if is_half(layer) else CYCLES_PER_POOLED_BYTE


def flips(layer: accel.LookupOp) -> bool:
    """Say whether each entry of a table is its index with the highest of 8 bits turned: uint8 in place of int8."""
    table = quantisation.stored(layer.table)
    if table is None or layer.axis is not None:
        return False
    bytes_wide = all(linear_ops.element(value) in ("i8", "ui8") for value in (layer.input, accel.output(layer)))
    indices = np.arange(layer.lowest.value, layer.lowest.value + table.size)
    return bytes_wide and np.array_equal(table.reshape(-1) & 0xFF, (indices & 0xFF) ^ 0x80)


def is_half(layer: accel.Pool2dOp) -> bool:
    """Say whether a pool's map has integers from 0 to 127: a byte holds the sum of two."""
    held = accel.attribute(layer, POOLED_RANGE, ir.DenseI64ArrayAttr)
    return held is not None and min(held) >= 0 and max(held) <= 127
