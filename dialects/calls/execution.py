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
from .parameters import parameters

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
    """A function in machine code."""

    def __init__(self, text: str, name: str):
        self.name = name
        with ir.Context() as context, ir.Location.unknown():
            from htvm import dialects

            dialects.load(context)
            module = ir.Module.parse(f"module {{\n{text}\n}}")
            (found,) = (op for op in module.body if isinstance(op, func.FuncOp))
            if not is_lowered(found):
                found = lower(found)
            self.parameters = parameters(found)
            found.attributes["sym_visibility"] = ir.StringAttr.get("public")
            found.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get({}) for _ in self.parameters])
            PassManager.parse(f"builtin.module({TO_LLVM})").run(module.operation)
            self.engine = ExecutionEngine(module, opt_level=1)

    def __call__(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        arrays = [
            np.zeros(each.size, each.numpy) if each.constant is None else np.array(each.constant)
            for each in self.parameters
        ]
        for place, given in enumerate(inputs):
            arrays[place] = given.reshape(-1).astype(self.parameters[place].numpy)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        packed = (ctypes.c_void_p * len(pointers))(*(ctypes.addressof(each) for each in pointers))
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.engine.raw_lookup(self.name))(packed)
        return arrays[len(inputs)].astype(np.int64)


_compiled = lru_cache(maxsize=64)(_Compiled)
