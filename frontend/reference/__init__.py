"""What an ONNX graph says, evaluated in exact real arithmetic: the meaning that compiled code must reproduce.

It shares nothing with the importer, the passes and the kernels but the arithmetic of `htvm.dialects.semantics.real`.
"""

from htvm.reference.evaluation import UnsupportedOperators, evaluate, tensor_names

__all__ = ["UnsupportedOperators", "evaluate", "tensor_names"]
