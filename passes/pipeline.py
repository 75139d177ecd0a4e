"""The order of the passes, and how a textual pipeline becomes a pass manager.

A phase is a list of passes that takes a module to the next stage:

    imported -> integer -> dispatched -> scheduled -> tiled -> planned

A pipeline mixes our passes, upstream's and whole phases, separated by commas: `fuse-epilogues,canonicalize,planned`.
Options follow in braces, as upstream: `verify-stage{stage=integer}`.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mlir import ir
from mlir.passmanager import ExternalPass, PassManager

from htvm.backend.targets.soc import Soc
from htvm.dialects.text_enum import TextEnum

from . import registry
from .analysis.stages import STAGES

PHASES: dict[str, tuple[str, ...]] = {
    "integer": (
        "unsign-maps",
        "fold-constants",
        "propagate-scales",
        "tabulate-functions",
        "convert-affine-to-depthwise",
        "sink-movement",
        "fold-arithmetic",
        "propagate-scales{activations=true}",  # again, for the scales that were folded
        "fuse-epilogues",
        "fold-constants",  # again: what is concatenated is rounded first, constants too
        "canonicalize-layers",  # scales of constants that were folded are now unused
        "refit-scales",
        "integerize",
        "canonicalize-layers",
        "verify-stage{stage=integer}",
    ),
    "dispatched": (
        "fuse-converters",
        "convert-lut-to-depthwise",
        "transpose-spatial-dims",
        "legalize-conv",
        "split-clamp",
        "pin-layers",
        "dispatch-engines",
        "assign-layouts",
        "choose-kernels",
        "verify-stage{stage=dispatched}",
    ),
    "scheduled": ("order-layers", "choose-tilings", "verify-stage{stage=scheduled}"),
    "tiled": ("bufferize-layers", "tile-layers", "verify-stage{stage=tiled}"),
    "planned": ("plan-memory", "predict-cycles", "verify-stage{stage=planned}"),
}
"""The passes of each phase; the key is the stage that the phase ends in."""

assert tuple(PHASES) == STAGES[1:], "each stage but the first has the phase that ends in it"


class PipelineError(ValueError):
    """A textual pipeline that cannot be built; the message says which part and why."""


def up_to(stage: str) -> str:
    """Return the pipeline that takes an imported module to `stage`."""
    return ",".join(STAGES[1 : STAGES.index(stage) + 1])


class Moment(TextEnum):
    """When a pass manager is observed: before or after it runs a pass."""

    BEFORE = "before"
    AFTER = "after"


Observer = Callable[[Moment, str, ir.Operation], None]
"""Is called with the moment, the name of the pass, and the module."""


def build(pipeline: str, target: Soc | None, context: ir.Context, observe: Observer | None = None) -> PassManager:
    """Return a pass manager for a textual pipeline; `observe` looks at the module before and after each pass.

    Raises PipelineError for an unknown pass, an unknown option or a missing target.
    """
    manager = PassManager("builtin.module", context=context)
    for name, options in _expand(_split(pipeline)):
        if observe:
            _add_observer(manager, observe, Moment.BEFORE, name)
        own = registry.passes().get(name)
        if own is not None:
            manager.add(_located(_instance(own, options, target)), name)
        else:
            _add_upstream(manager, name, options, context)
        if observe:
            _add_observer(manager, observe, Moment.AFTER, name)
    return manager


def _add_observer(manager: PassManager, observe: Observer, moment: Moment, name: str) -> None:
    manager.add(lambda module, _: observe(moment, name, module), f"{moment} {name}")


def _located(own: registry.Pass) -> Callable[[ir.Operation, ExternalPass], None]:
    """Run a pass with the module's context and location as the current ones: building operations needs them."""

    def run(module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            own(module, this_pass)

    return run


def _expand(elements: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Replace phases by their passes."""
    for name, options in elements:
        if name in PHASES:
            yield from _expand(element for text in PHASES[name] for element in _split(text))
        else:
            yield name, options


def _split(pipeline: str) -> Iterator[tuple[str, str]]:
    """Yield (name, options) of each element at the top level of a pipeline; `builtin.module(...)` is looked into."""
    text = pipeline.strip()
    whole = re.fullmatch(r"builtin\.module\((.*)\)", text, re.DOTALL)
    text = whole[1] if whole else text
    depth, start = 0, 0
    for index, letter in enumerate(text + ","):
        depth += (letter in "({") - (letter in ")}")
        if depth < 0:
            raise PipelineError(f"pipeline '{pipeline}': unbalanced '{letter}'")
        if letter == "," and depth == 0:
            element = text[start:index].strip()
            start = index + 1
            if element:
                named = re.fullmatch(r"([\w.-]+)\s*(.*)", element, re.DOTALL)
                if named is None:
                    raise PipelineError(f"pipeline '{pipeline}': '{element}' is not a pass")
                yield named[1], named[2]
    if depth:
        raise PipelineError(f"pipeline '{pipeline}': a bracket is not closed")


def _instance(own: type[registry.Pass], options: str, target: Soc | None) -> registry.Pass:
    """Make a pass from its class: `target` comes from the caller, the other fields from the options in braces."""
    kinds = typing.get_type_hints(own)
    fields = {field.name: field for field in dataclasses.fields(own)}
    values: dict[str, Any] = {}
    if "target" in fields:
        if target is None and fields["target"].default is dataclasses.MISSING:
            raise PipelineError(f"pass '{own.name}' needs a target: give --target")
        values["target"] = target
    for option in options.strip("{}").split():
        key, _, value = option.partition("=")
        key = key.replace("-", "_")
        if key not in fields or key == "target":
            known = ", ".join(name for name in fields if name != "target") or "none"
            raise PipelineError(f"pass '{own.name}' has no option '{key}'; it has: {known}")
        values[key] = value == "true" if kinds[key] is bool else kinds[key](value)
    missing = [name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING]
    if missing:
        raise PipelineError(f"pass '{own.name}' needs the option '{missing[0]}'")
    try:
        return own(**values)
    except ValueError as error:
        raise PipelineError(f"pass '{own.name}': {error}") from None


def _add_upstream(manager: PassManager, name: str, options: str, context: ir.Context) -> None:
    try:
        with context:
            PassManager.parse(f"builtin.module({name}{options})")  # a better message than `add` gives
            manager.add(f"{name}{options}")
    except ValueError as error:
        known = ", ".join([*registry.passes(), *PHASES])
        raise PipelineError(
            f"'{name}{options}' is neither a pass of htvm ({known}) nor one of MLIR: {str(error).strip()}"
        ) from None
