"""ONNX in, the stage 'imported' out: `accel` operations on tensors of quantised types.

`htvm.import_onnx` is this package and, called, its function of the same name.
"""

import sys
from types import ModuleType
from typing import Any

from htvm.import_onnx.errors import ModelError, ModelWarning
from htvm.import_onnx.graph import import_onnx
from htvm.import_onnx.model import open_shapes, with_shapes
from htvm.import_onnx.operators import OPERATORS

__all__ = ["OPERATORS", "ModelError", "ModelWarning", "import_onnx", "open_shapes", "with_shapes"]


class _Callable(ModuleType):
    """A package that can be called."""

    def __call__(self, *arguments: Any, **choices: Any) -> Any:
        return import_onnx(*arguments, **choices)


sys.modules[__name__].__class__ = _Callable
