"""Quantised PyTorch programs to C: those of torchao's pt2e flow, and modules of Brevitas.

    quantized = convert_pt2e(prepared)
    compiled = from_torch(quantized, (example,), target="rv32", output="network_c")
    assert htvm.verify(compiled, inputs={"x": images}).exact

A program becomes ONNX with QuantizeLinear and DequantizeLinear, by PyTorch's exporter or Brevitas's; what these mean
exactly, the C computes. Needs the extra `torch`, and `brevitas` for its modules.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any

import onnx
import torch

from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.driver import CompiledModel, compile
from htvm.integrations import TRITON_IS_SAFE
from htvm.options import DEFAULTS, CompileOptions

if not TRITON_IS_SAFE:
    raise ImportError(
        "MLIR is loaded, and Triton, which PyTorch for CUDA needs, cannot be loaded after it: import htvm.integrations "
        "or torchao before what htvm computes with"
    )

OPSET = 18
"""Of what PyTorch's exporter writes: the oldest that it knows."""

BREVITAS_OPSET = 13
"""Of what Brevitas writes, by TorchScript: its other exporter knows no quantised bias."""

__all__ = ["from_torch", "to_onnx"]


def from_torch(
    program: torch.nn.Module | torch.export.ExportedProgram,
    example: Sequence[torch.Tensor],
    target: str | Soc = "rv32",
    output: str | os.PathLike[str] | None = None,
    *,
    name: str = "network",
    options: CompileOptions = DEFAULTS,
    **choices: Any,
) -> CompiledModel:
    """Compile a quantised PyTorch program to C, as htvm.compile does a model.

    program: of pt2e, as convert_pt2e or torch.export.export gives it, or a module of Brevitas. example: inputs, whose
    shapes the C is for. name: of the network.

    Raises CompileError for a program that is not quantised or that htvm cannot compile, with what to do.
    """
    return compile(to_onnx(program, example, name=name), target, output, options=options, **choices)


def to_onnx(
    program: torch.nn.Module | torch.export.ExportedProgram, example: Sequence[torch.Tensor], *, name: str = "network"
) -> onnx.ModelProto:
    """Return a quantised program as ONNX, with the shapes of an example. Raises CompileError."""
    if isinstance(program, torch.nn.Module) and is_brevitas(program):
        model = of_brevitas(program, example, name)
    else:
        model = of_pt2e(program, example, name)
    model.graph.name = name
    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise CompileError(
            [
                f"{name}: no operator of the program is quantised; quantise it first, by torchao's prepare_pt2e and "
                "convert_pt2e or with layers of brevitas.nn, or export it and use htvm quantize"
            ]
        )
    return model


def is_brevitas(module: torch.nn.Module) -> bool:
    """Return whether a module has layers of Brevitas, without importing that."""
    if "brevitas" not in sys.modules:  # a module of its classes cannot exist
        return False
    return any(type(each).__module__.split(".")[0] == "brevitas" for each in module.modules())


def of_brevitas(module: torch.nn.Module, example: Sequence[torch.Tensor], name: str) -> onnx.ModelProto:
    """Return what Brevitas writes: quantisers, and Clip where integers have fewer than 8 bits."""
    from brevitas.export import export_onnx_qcdq

    written = io.BytesIO()
    was_training = module.training
    module.eval()
    with quiet():
        try:
            export_onnx_qcdq(
                module,
                args=tuple(example),
                export_path=written,
                opset_version=BREVITAS_OPSET,
                dynamo=False,
                input_names=list(signature(module.forward).parameters)[: len(example)],
            )
        except Exception as error:
            raise CompileError([not_exported(name, error)]) from error
        finally:
            module.train(was_training)
    return onnx.load_from_string(written.getvalue())


def of_pt2e(
    program: torch.nn.Module | torch.export.ExportedProgram, example: Sequence[torch.Tensor], name: str
) -> onnx.ModelProto:
    """Return what PyTorch's exporter writes of a program of torch.export, or of a module that it can export."""
    with quiet():
        try:
            exported = (
                program
                if isinstance(program, torch.export.ExportedProgram)
                else torch.export.export(program, tuple(example))
            )
            written = torch.onnx.export(
                exported, tuple(example), dynamo=True, opset_version=OPSET, optimize=True, verbose=False
            )
        except Exception as error:  # PyTorch has no common class for what it cannot export
            raise CompileError([not_exported(name, error)]) from error
    assert written is not None
    return written.model_proto


def not_exported(name: str, error: Exception) -> str:
    """Return the message for a program that an exporter refuses."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{name}: PyTorch does not export the program to ONNX: {reason}"


@contextmanager
def quiet() -> Generator[None, None, None]:
    """Keep the exporters from writing about themselves."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
