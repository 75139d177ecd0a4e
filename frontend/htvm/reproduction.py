"""When htvm fails inside: the module before the failing pass goes into a file, and one line of shell repeats it.

A pass that reports a diagnostic has found a mistake of the user's model. A pass that raises has a bug; whoever
looks for it needs the module as the pass got it, and nothing of the model's way there.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from mlir import ir

from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.options import of_target
from htvm.passes import pipeline


class InternalError(Exception):
    """A bug of htvm: where it showed and how to repeat it. The exception itself is its cause.

    who: what failed, a pass or the backend. problem: that with the model and the exception, on one line.
    """

    def __init__(self, error: Exception, who: str, model: str, line: str) -> None:
        """line: of shell, which repeats it."""
        self.who, self.problem = who, f"{model}: {who} failed: {described(error)}"
        super().__init__(f"{self.problem}\nto repeat it:\n  {line}")


@dataclass
class Progress:
    """How far a phase has come: the number of passes that were begun, and the module before the last of them."""

    phase: str
    begun: int = 0
    before: ir.Operation | None = None

    def observe(self, moment: pipeline.Moment, _: str, module: ir.Operation) -> None:
        """Follow a pass manager: this is what `pipeline.build` takes as `observe`."""
        if moment is pipeline.Moment.BEFORE:
            self.begun += 1
            self.before = module.clone().operation  # quick: constants are shared

    @property
    def element(self) -> str:
        """The pass that was begun last, with its options."""
        return pipeline.PHASES[self.phase][self.begun - 1]


def run_phase(phase: str, module: ir.Module, soc: Soc, model: str) -> None:
    """Take a module to the stage that `phase` ends in. Raises InternalError if a pass raises.

    Diagnostics of passes come as the pass manager gives them: as an MLIRError.
    """
    progress = Progress(phase)
    manager = pipeline.build(phase, soc, module.context, progress.observe)
    try:
        manager.run(module.operation)
    except Exception as error:
        if _is_of_the_pass_manager(error):
            raise
        name = progress.element.partition("{")[0]
        assert progress.before is not None, "a pass was begun"
        file = saved(progress.before, f"{model}-before-{name}")
        line = shlex.join(["htvm-opt", str(file), *_target(soc), "-p", progress.element])
        raise InternalError(error, f"pass '{progress.element}'", model, line) from error


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
