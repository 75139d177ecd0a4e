"""ONNX in, the stage 'imported' out: `accel` operations on tensors of quantised types."""

from htvm.importer.errors import ModelError, ModelWarning
from htvm.importer.graph import import_onnx
from htvm.importer.model import with_shapes
from htvm.importer.operators import OPERATORS

__all__ = ["OPERATORS", "ModelError", "ModelWarning", "import_onnx", "with_shapes"]
