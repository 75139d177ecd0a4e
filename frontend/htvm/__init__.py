"""htvm: deploy quantised networks on small heterogeneous SoCs.

    compiled = htvm.compile("resnet8.onnx", target="rv32", output="resnet8_c")
    result = compiled.run({"input": image})
    print(result.outputs["output"], result.metrics["cycles"])
    assert htvm.verify(compiled, inputs={"input": image}).exact

The work is done in the folders beside this one; driver.py has the path of a model through them.
"""

import importlib

TYPE_CHECKING = False  # as in `typing`, which a command that is just starting does not wait for
if TYPE_CHECKING:
    from htvm.amalgamation import amalgamate
    from htvm.backend.targets import load as load_target
    from htvm.diagnostics import CompileError
    from htvm.dialects import load as load_dialect
    from htvm.dialects import load_dialect_plugin
    from htvm.driver import CompiledModel, compile
    from htvm.execution.program import RunResult
    from htvm.import_onnx import ModelError, ModelWarning, import_onnx
    from htvm.integrations.pytorch import from_torch as from_torch  # not in __all__: it needs the extra `torch`
    from htvm.interface import InputError
    from htvm.lowering import Pipeline
    from htvm.options import CompileOptions
    from htvm.passes.registry import load_passes, register_pass
    from htvm.verification.verification import Verification, verify

__all__ = [
    "CompileError",
    "CompileOptions",
    "CompiledModel",
    "InputError",
    "ModelError",
    "ModelWarning",
    "Pipeline",
    "RunResult",
    "Verification",
    "amalgamate",
    "compile",
    "import_onnx",
    "load_dialect",
    "load_dialect_plugin",
    "load_passes",
    "load_target",
    "register_pass",
    "verify",
]
__version__ = "0.1.0"

_MODULE_OF = {
    "CompileError": "diagnostics",
    "CompileOptions": "options",
    "CompiledModel": "driver",
    "InputError": "interface",
    "ModelError": "import_onnx.errors",
    "ModelWarning": "import_onnx.errors",
    "Pipeline": "lowering",
    "amalgamate": "amalgamation",
    "compile": "driver",
    "from_torch": "integrations.pytorch",
    "import_onnx": "import_onnx",
    "load_dialect": "dialects:load",
    "load_dialect_plugin": "dialects",
    "load_passes": "passes.registry",
    "load_target": "backend.targets:load",
    "register_pass": "passes.registry",
    "RunResult": "execution.program",
    "Verification": "verification.verification",
    "verify": "verification.verification",
}


def __getattr__(name: str) -> object:
    """Import a part of the library when it is first used: MLIR and onnx take a while to load."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, _, inner = _MODULE_OF[name].partition(":")
    return getattr(importlib.import_module(f"htvm.{module}"), inner or name)


def __dir__() -> list[str]:
    """Name what is public, although most of it is not imported yet."""
    return sorted({*globals(), *_MODULE_OF})
