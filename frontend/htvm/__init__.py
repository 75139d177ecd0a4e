"""htvm: deploy quantised ONNX networks on small heterogeneous SoCs.

    compiled = htvm.compile("resnet8.onnx", target="rv32", output="resnet8_c")
    result = compiled.run({"input": image})
    print(result.outputs["output"], result.metrics["cycles"])
    assert htvm.verify(compiled, inputs={"input": image}).exact

The work is done in the folders beside this one; driver.py has the path of a model through them.
"""

import importlib

TYPE_CHECKING = False  # as in `typing`, which a command that is just starting does not wait for
if TYPE_CHECKING:
    from htvm.diagnostics import CompileError
    from htvm.driver import CompiledModel, compile
    from htvm.execution.program import RunResult
    from htvm.integrations.pytorch import from_torch as from_torch  # not in __all__: it needs the extra `torch`
    from htvm.interface import InputError
    from htvm.verification.verification import Verification, verify

__all__ = ["CompileError", "CompiledModel", "InputError", "RunResult", "Verification", "compile", "verify"]
__version__ = "0.1.0"

_MODULE_OF = {
    "CompileError": "diagnostics",
    "CompiledModel": "driver",
    "compile": "driver",
    "from_torch": "integrations.pytorch",
    "InputError": "interface",
    "RunResult": "execution.program",
    "Verification": "verification.verification",
    "verify": "verification.verification",
}


def __getattr__(name: str) -> object:
    """Import a part of the library when it is first used: MLIR and onnx take a while to load."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"htvm.{_MODULE_OF[name]}"), name)
