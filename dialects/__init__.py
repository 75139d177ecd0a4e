"""The `accel` dialect: its plugin, its operation classes, its meaning.

`context()` gives an MLIR context that knows the dialect; `htvm.dialects.accel` has the classes of the
operations, generated from `accel/AccelOps.td`.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import mlir._mlir_libs
from mlir import ir
from mlir._mlir_libs._mlir import globals as mlir_globals
from mlir.dialects import arith, func, memref, quant

from . import installed_mlir

_OTHER_DIALECTS = (arith, func, memref, quant)
"""Loaded here: their types occur in every module."""

# Where MLIR looks for the module `accel` that has the operation classes.
mlir_globals.append_dialect_search_prefix(__name__)

PLUGIN = Path(__file__).parent / "libhtvm_accel.so"
"""The compiled dialect; the same file serves `mlir-opt --load-dialect-plugin`."""


def context() -> ir.Context:
    """Return a new MLIR context with the accel dialect loaded."""
    made = ir.Context()
    load(made)
    return made


def load(into: ir.Context) -> None:
    """Load the accel dialect into a context that exists already, such as that of an embedding compiler."""
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = into._CAPIPtr
    _plugin().htvmLoadAccelDialect(get_pointer(capsule, b"mlir.ir.Context._CAPIPtr"))


@cache
def _plugin() -> ctypes.CDLL:
    """Load the plugin; it finds MLIR's symbols in the library of the Python package, opened globally before it."""
    installed_mlir.check()
    capi = Path(mlir._mlir_libs.__file__).parent / "libMLIRPythonCAPI.so"
    ctypes.CDLL(str(capi), mode=os.RTLD_GLOBAL | os.RTLD_NOW)
    plugin = ctypes.CDLL(str(PLUGIN), mode=os.RTLD_NOW)
    plugin.htvmLoadAccelDialect.argtypes = [ctypes.c_void_p]
    plugin.htvmLoadAccelDialect.restype = None
    return plugin
