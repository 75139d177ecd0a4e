"""What a called function computes: by MLIR's execution engine, on the machine that compiles."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from mlir import ir
from mlir.dialects import func
from mlir.execution_engine import ExecutionEngine
from mlir.passmanager import PassManager

from .lowering import is_lowered, lower

TO_LLVM = (
    "convert-scf-to-cf,convert-cf-to-llvm,convert-math-to-llvm,convert-arith-to-llvm,"
    "finalize-memref-to-llvm,convert-func-to-llvm{use-bare-ptr-memref-call-conv=true},reconcile-unrealized-casts"
)


def execute(function: func.FuncOp, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the elements that a function gives for arrays of integers, as int64. Raises NotLowered.

    function: on tensors, or lowered. The result has one axis.
    """
    compiled = _compiled(str(function), function.name.value)
    return compiled(inputs)


class _Compiled:
    """A function in machine code. arrays: those beside its inputs: the output, intermediate results, constants."""

    def __init__(self, text: str, name: str):
        self.name = name
        with ir.Context() as context, ir.Location.unknown():
            from htvm import dialects

            dialects.load(context)
            module = ir.Module.parse(f"module {{\n{text}\n}}")
            (found,) = (op for op in module.body if isinstance(op, func.FuncOp))
            if not is_lowered(found):
                found = lower(found)
            facts = [ir.DictAttr(each) for each in found.arg_attrs]
            memrefs = [ir.MemRefType(argument.type) for argument in found.arguments]
            self.types = [_dtype(memref.element_type) for memref in memrefs]
            self.shapes = [tuple(memref.shape) for memref in memrefs]
            self.constants = {
                place: np.broadcast_to(np.array(each["accel.constant"]).astype(self.types[place]), self.shapes[place])
                for place, each in enumerate(facts)
                if "accel.constant" in each
            }
            own = [place for place, each in enumerate(facts) if not len(each)]
            self.output = own[-1]
            found.attributes["sym_visibility"] = ir.StringAttr.get("public")
            found.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get({}) for _ in facts])
            PassManager.parse(f"builtin.module({TO_LLVM})").run(module.operation)
            self.engine = ExecutionEngine(module, opt_level=1)

    def __call__(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        arrays = [
            np.array(self.constants[place]) if place in self.constants else np.zeros(shape, kind)
            for place, (shape, kind) in enumerate(zip(self.shapes, self.types))
        ]
        for place, given in enumerate(inputs):
            arrays[place] = given.reshape(-1).astype(self.types[place])
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        packed = (ctypes.c_void_p * len(pointers))(*(ctypes.addressof(each) for each in pointers))
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.engine.raw_lookup(self.name))(packed)
        return arrays[self.output].astype(np.int64)


_compiled = lru_cache(maxsize=64)(_Compiled)


def _dtype(element: ir.Type) -> np.dtype[np.int64]:
    """Return the type of elements in memory."""
    width = ir.IntegerType(element).width if isinstance(element, ir.IntegerType) else 64
    return np.dtype(f"i{max(1, width // 8)}")
