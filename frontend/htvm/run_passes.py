"""Runs passes. When one fails, the module before it goes into a file, and one line of shell repeats it.

A pass that reports a diagnostic has found a mistake of the user's model. A pass of htvm's that raises has a bug;
whoever looks for it needs the module as the pass got it, and nothing of the model's way there. A pass from outside that
raises is its author's to mend, who needs the same.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from mlir import ir
from mlir.passmanager import PassManager

from htvm.backend import kernels, targets
from htvm.backend.kernels import KernelError
from htvm.backend.targets.checked_figures import TargetError
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.dialects.plugin import loaded_dialects
from htvm.options import of_target
from htvm.passes import pipeline, registry


class InternalError(Exception):
    """A bug of htvm: where it showed and how to repeat it. The exception itself is its cause.

    who: what failed, a pass or the backend. problem: that with the model and the exception, on one line.
    """

    def __init__(self, error: Exception, who: str, model: str, line: str) -> None:
        """line: of shell, which repeats it; others may follow."""
        self.who, self.problem = who, f"{model}: {who} failed: {described(error)}"
        super().__init__(f"{self.problem}\nto repeat it:\n  {line}")


class PassError(CompileError):
    """A pass from outside that raised. The exception itself is its cause; problems has the line that repeats it."""


class FailedPassError(ir.MLIRError):
    """A pass that has reported what is wrong, or left operations that are. element: which it was."""

    def __init__(self, element: pipeline.Element, silent: bool) -> None:
        self.element, self.silent = element, silent
        super().__init__(f"pass '{element}' failed", [])


@dataclass
class Progress:
    """How far a pipeline has come: the pass that was begun last, and the module before it."""

    element: pipeline.Element | None = None
    before: ir.Operation | None = None

    def observe(self, moment: pipeline.Moment, element: pipeline.Element, module: ir.Operation) -> None:
        """Follow a pass manager: this is what `pipeline.build` takes as `observe`."""
        if moment is pipeline.Moment.BEFORE:
            self.element = element
            self.before = module.clone().operation  # quick: constants are shared


def run_passes(passes: str, module: ir.Module, soc: Soc | None, model: str) -> None:
    """Run a pipeline on a module. Raises InternalError if a pass of htvm's raises, PassError if one from outside does.

    Diagnostics of passes come as the pass manager gives them, with a FailedPassError. Raises PipelineError.
    """
    progress = Progress()
    run_manager(pipeline.build(passes, soc, module.context, progress.observe), module, progress, soc, model)


def run_manager(manager: PassManager, module: ir.Module, progress: Progress, soc: Soc | None, model: str) -> None:
    """Run a pass manager that `progress` observes; raises what `run_passes` does."""
    heard: list[ir.DiagnosticSeverity] = []

    def hear(diagnostic: ir.Diagnostic) -> bool:
        heard.append(diagnostic.severity)
        return False  # whoever listens as well is told

    listening = module.context.attach_diagnostic_handler(hear)
    try:
        manager.run(module.operation)
    except Exception as error:
        if progress.element is None:
            raise
        if _is_of_the_pass_manager(error):
            raise FailedPassError(progress.element, ir.DiagnosticSeverity.ERROR not in heard) from error
        raise failed(error, progress, soc, model) from error
    finally:
        listening.detach()


def failed(error: Exception, progress: Progress, soc: Soc | None, model: str) -> InternalError | PassError:
    """Return what tells that a pass has raised."""
    element = progress.element
    assert element is not None and progress.before is not None, "a pass was begun"
    if isinstance(error, KernelError | TargetError):
        return PassError([f"{model}: {error}"])
    if soc is not None and (raised := _in_file_of(soc, error)):
        return PassError([f"{model}: {raised}"])
    file = saved(progress.before, f"{model}-before-{element.name}")
    line = shlex.join(["htvm-opt", str(file), *arguments_of(element, progress.before, soc), "-p", str(element)])
    source = registry.origin(element.name) if element.own else None
    if source is None:
        return InternalError(error, f"pass '{element}'", model, line + _advice(soc))
    problem = f"{model}: pass '{element}' of {source} failed: {described(error)}"
    return PassError([problem, f"  to repeat it: {line}"])


def _advice(soc: Soc | None) -> str:
    """Say what shows whether an engine of a target's file has answered wrongly."""
    if soc is None or soc.file is None:
        return ""
    command = shlex.join(["htvm", "test-engine", soc.file])
    return f"\nif an engine of '{soc.file}' answers wrongly, this says so:\n  {command}"


def _in_file_of(soc: Soc, error: Exception) -> str | None:
    """Return where in a target's file, or in one beside it, an exception was raised, and what; None if it was not."""
    if soc.file is None:
        return None
    folder = Path(soc.file).resolve().parent
    frame = extract_tb(error.__traceback__)[-1]
    if Path(frame.filename).resolve().parent != folder:
        return None
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"target file '{frame.filename}' fails: {said} (line {frame.lineno}, in {frame.name})"


def arguments_of(element: pipeline.Element, module: ir.Operation, soc: Soc | None) -> list[str]:
    """Return the arguments with which htvm-opt knows a pass and a target, and reads a module."""
    words = _target(soc) if soc is not None else []
    if registry.is_loaded(element.name):
        words += ["--load-pass-plugin", str(registry.origin(element.name))]
    words += [word for file in loaded_dialects() for word in ("--load-dialect-plugin", str(file))]
    words += [word for file in kernels.files(accel.kernels(module)) for word in ("--kernels", file)]
    if _has_unregistered(module):
        words.append("--allow-unregistered-dialect")
    return words


def _has_unregistered(module: ir.Operation) -> bool:
    """Say whether operations in a module are of no dialect that its context knows."""
    found: list[str] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if not module.context.is_registered_operation(op.name):
            found.append(op.name)
        return ir.WalkResult.INTERRUPT if found else ir.WalkResult.ADVANCE

    module.walk(visit, ir.WalkOrder.PRE_ORDER)
    return bool(found)


def emission_error(error: Exception, module: ir.Module, soc: Soc, model: str) -> InternalError:
    """Return what tells that the backend has failed on a module of the stage 'planned'."""
    file = saved(module.operation, f"{model}-planned")
    line = shlex.join(["htvm-translate", "--emit-c", str(file), *_target(soc)])
    return InternalError(error, "the C backend", model, line)


def _is_of_the_pass_manager(error: Exception) -> bool:
    """Say whether the pass manager raised: the last Python code that ran is then the call of it, above."""
    return isinstance(error, ir.MLIRError) and extract_tb(error.__traceback__)[-1].filename == __file__


def saved(module: ir.Operation, name: str) -> Path:
    """Write a module, with the names of its nodes, into a new folder for temporary files; return the file."""
    folder = Path(tempfile.mkdtemp(prefix="htvm-"))
    file = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.mlir"
    file.write_text(module.get_asm(enable_debug_info=True), encoding="utf-8")
    return file


def _target(soc: Soc) -> list[str]:
    """Return the options that give a target; one that was made in Python has a name of a file to be put in."""
    if soc.file is None and soc.name not in targets.names():
        return ["--target", f"{soc.name}.py"]
    named = soc.file or soc.name
    return ["--target", named, *of_target(targets.load(named), soc).arguments()]


def described(error: BaseException) -> str:
    """Say what an exception says and where it was raised, on one line."""
    said = " ".join(str(error).split())
    frames = extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}{f': {said}' if said else ''}{where}"
