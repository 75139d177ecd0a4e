"""lower-calls: make loops on memory of the functions that layers call.

    %y = accel.call @softmax(%x) {engine = "host"} : (tensor<1x10xi8>) -> tensor<1x10xi8>
    func.func private @softmax(%x: tensor<1x10xi8>) -> tensor<1x10xi8> { tosa.. }
    ==>
    %y = accel.call @softmax(%x) {engine = "host", scratch_bytes = 52} : (tensor<1x10xi8>) -> tensor<1x10xi8>
    func.func private @softmax(%x: memref<1x10xi8>, %y: memref<1x10xi8>,
        %0: memref<1x10xi32> {accel.offset = 0}, .., %1: memref<513xi16> {accel.constant = dense<..>}) { scf.for .. }

Stage    dispatched
Reads    functions of tosa, linalg, arith, math, tensor and scf on integers
Writes   these functions, and `scratch_bytes` of the layers that call them
Needs    nothing
Fails    on a function that MLIR's passes do not lower, with what they say

MLIR's own passes lower (dialects/calls/lowering.py): chains of operations on single elements become one loop, and
intermediate results that are left share scratch memory as their lifetimes allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import accel


@dataclass(frozen=True)
class LowerCalls:
    """Lower the functions that layers call, and give these layers their scratch memory."""

    name: ClassVar[str] = "lower-calls"
    stages: ClassVar[tuple[str, ...]] = ("dispatched",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for layer in list(accel.layers(module)):
            if not isinstance(layer, accel.CallOp):
                continue
            from htvm.dialects import calls  # slow to load, and few models have calls

            function = calls.callee(layer)
            try:
                lowered = function if calls.is_lowered(function) else calls.lower(function)
            except calls.NotLowered as problem:
                layer.location.emit_error(f"calls '@{layer.callee.value}', which has no form on memory: {problem}")
                this_pass.signal_pass_failure()
                continue
            if size_bytes := calls.scratch_bytes(lowered):
                layer.scratch_bytes = accel.integer(size_bytes)
