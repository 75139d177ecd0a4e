"""htvm inside other compilers: one module for each, and each needs the extra of its name.

PyTorch for CUDA comes with Triton, whose library has an LLVM of its own: loaded after MLIR's, the process crashes;
loaded before it, both work. So it is loaded here, before anything of htvm that needs MLIR.
"""

import sys
from importlib import import_module
from importlib.util import find_spec


def load_triton() -> bool:
    """Load Triton where it is installed; return False if it is too late for that."""
    if "triton" in sys.modules or find_spec("triton") is None:
        return True
    if "mlir.ir" in sys.modules:
        return False
    import_module("triton")
    return True


TRITON_IS_SAFE = load_triton()
"""Whether what needs Triton can be used: it is loaded, or not installed."""
