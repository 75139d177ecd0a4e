"""The `accel` dialect: its plugin, its operation classes, its meaning.

`context()` gives an MLIR context that knows the dialect; `htvm.dialects.accel` has the classes of the operations
and attributes, generated from the definitions in `accel/`.
"""

from __future__ import annotations

from mlir import ir
from mlir._mlir_libs._mlir import globals as mlir_globals
from mlir.dialects import arith, func, memref, quant

from . import plugin
from .plugin import PLUGIN as PLUGIN
from .plugin import load_dialect_plugin as load_dialect_plugin

_OTHER_DIALECTS = (arith, func, memref, quant)
"""Loaded here: their types occur in every module."""

# Where MLIR looks for the module `accel` that has the operation classes.
mlir_globals.append_dialect_search_prefix(__name__)


def context() -> ir.Context:
    """Return a new MLIR context with the accel dialect loaded, and with those of libraries (`load_dialect_plugin`)."""
    made = ir.Context()
    load(made)
    plugin.add_loaded_dialects(made)
    return made


def load(into: ir.Context) -> None:
    """Load the accel dialect into a context that exists already, such as that of an embedding compiler.

    Raises TypeError for what is no context.
    """
    if not isinstance(into, ir.Context):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers need not be typed)
        raise TypeError(f"the dialect is loaded into a context of MLIR; found {type(into).__name__}")
    plugin.library().htvmLoadAccelDialect(plugin.context_pointer(into))
