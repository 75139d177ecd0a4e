"""htvm inside other compilers: one module for each, and each needs the extra of its name.

PyTorch for CUDA comes with Triton, whose library has an LLVM of its own: loaded after MLIR's, the process crashes;
loaded before it, both work. So it is loaded here, before anything of htvm that needs MLIR.
"""

import sys
from importlib import import_module
from importlib.util import find_spec


def load_triton() -> None:
    """Load Triton where it is installed. Raises ImportError if it is too late for that."""
    if "triton" in sys.modules or find_spec("triton") is None:
        return
    if "mlir.ir" in sys.modules:
        raise ImportError(
            "MLIR is loaded, and Triton, which PyTorch for CUDA needs, cannot be loaded after it: import "
            "htvm.integrations or torchao before what htvm computes with"
        )
    import_module("triton")


load_triton()
