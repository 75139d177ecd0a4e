"""ONNX in, the stage 'imported' out: `accel` operations on tensors of quantised types."""

from htvm.import_onnx.errors import ModelError, ModelWarning
from htvm.import_onnx.graph import import_onnx
from htvm.import_onnx.model import open_shapes, with_shapes
from htvm.import_onnx.operators import OPERATORS

__all__ = ["OPERATORS", "ModelError", "ModelWarning", "import_onnx", "open_shapes", "with_shapes"]
