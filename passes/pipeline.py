"""The order of the passes, and how a textual pipeline becomes a pass manager.

A phase is a list of passes that takes a module to the next stage:

    imported -> integer -> dispatched -> scheduled -> tiled -> planned

A pipeline mixes our passes, upstream's and whole phases, separated by commas: `fuse-epilogues,canonicalize,planned`.
Options follow in braces, as upstream: `verify-stage{stage=integer}`. Each of our passes says of which stages it takes a
module (`stages`); another one is an error that names the phases that come before.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mlir import ir
from mlir.passmanager import ExternalPass, PassManager

from htvm.backend.targets.soc import Soc
from htvm.dialects.text_enum import TextEnum

from . import registry
from .analysis.stages import STAGES, is_in, stage_of

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
        "unsign-integers",
        "split-rounding",  # after it: engines are asked, which must see the types that they read
        "fuse-converters",
        "fuse-patterns",
        "convert-lut-to-depthwise",
        "transpose-spatial-dims",
        "legalize-conv",
        "split-clamp",
        "pin-layers",
        "dispatch-engines",
        "assign-layouts",
        "choose-kernels",
        "lower-calls",
        "verify-stage{stage=dispatched}",
    ),
    "scheduled": ("order-layers", "choose-tilings", "verify-stage{stage=scheduled}"),
    "tiled": ("bufferize-layers", "tile-layers", "split-patches", "verify-stage{stage=tiled}"),
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


@dataclass(frozen=True)
class Element:
    """A pass in a pipeline: options, in braces, as they are written; the phase that it is of, if it was named so."""

    name: str
    options: str = ""
    phase: str | None = None

    def __str__(self) -> str:
        return f"{self.name}{self.options}"

    @property
    def own(self) -> type[registry.Pass] | None:
        """The class of a pass that is not one of MLIR's."""
        return registry.find(self.name)


Observer = Callable[[Moment, Element, ir.Operation], None]
"""Is called with the moment, the element of the pipeline, and the module."""


def build(
    pipeline: str,
    target: Soc | None,
    context: ir.Context,
    observe: Observer | None = None,
    *,
    observe_upstream: bool = True,
) -> PassManager:
    """Return a pass manager for a textual pipeline; `observe` looks at the module before and after each pass.

    observe_upstream: MLIR's passes too, for which passes are put between them that its own printing shows as well.

    Raises PipelineError for an unknown pass, an unknown option or a missing target.
    """
    manager = PassManager("builtin.module", context=context)
    for element in elements(pipeline):
        own = element.own
        if own is not None:
            manager.add(_guarded(_instance(own, element.options, target), element, observe), element.name)
            continue
        if observe and observe_upstream:
            _add_observer(manager, observe, Moment.BEFORE, element)
        _add_upstream(manager, element, context)
        if observe and observe_upstream:
            _add_observer(manager, observe, Moment.AFTER, element)
    return manager


def elements(pipeline: str) -> list[Element]:
    """Return the passes of a textual pipeline, in order; phases are replaced by theirs. Raises PipelineError."""
    return list(_expand(Element(*each) for each in _split(pipeline)))


def _add_observer(manager: PassManager, observe: Observer, moment: Moment, element: Element) -> None:
    manager.add(lambda module, _: observe(moment, element, module), f"{moment} {element.name}")


def _guarded(
    own: registry.Pass, element: Element, observe: Observer | None
) -> Callable[[ir.Operation, ExternalPass], None]:
    """Run a pass on a module of a stage that it takes, with the module's location and context as the current ones."""
    stages = getattr(own, "stages", ())

    def run(module: ir.Operation, this_pass: ExternalPass) -> None:
        if observe:
            observe(Moment.BEFORE, element, module)
        with module.location:  # building operations needs it, and the caller need not have a context
            if stages and (wrong := _wrong_stage(stages, element, module)):
                ir.Location.unknown(module.context).emit_error(wrong)
                this_pass.signal_pass_failure()
                return
            own(module, this_pass)
        if observe:
            observe(Moment.AFTER, element, module)

    return run


def _wrong_stage(stages: tuple[str, ...], element: Element, module: ir.Operation) -> str | None:
    """Say that a pass does not take a module of its stage, and what comes first; None if it does."""
    if is_in(stages, module):
        return None
    found = stage_of(module)
    what, wanted, last = f"pass '{element.name}' takes", " or ".join(f"'{each}'" for each in stages), str(element)
    if element.phase is not None:
        what, last = f"phase '{element.phase}' starts from", element.phase
        wanted = f"'{STAGES[STAGES.index(element.phase) - 1]}'"
    if found is None:
        return f"{what} stage {wanted}; no function of the module has operations of accel"
    said = f"the module is in stage '{found}'; {what} stage {wanted}"
    between = STAGES[STAGES.index(found) + 1 : STAGES.index(stages[0]) + 1]
    return f"{said}: -p {','.join([*between, last])}" if between else f"{said}, which it has left behind"


def _expand(given: Iterable[Element], phase: str | None = None) -> Iterator[Element]:
    """Replace phases by their passes."""
    for element in given:
        if element.name not in PHASES:
            yield dataclasses.replace(element, phase=phase)
            continue
        if element.options:
            raise PipelineError(f"phase '{element.name}' has no options, found '{element.options}'")
        yield from _expand((Element(*each) for text in PHASES[element.name] for each in _split(text)), element.name)


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
    fields = {field.name: field for field in dataclasses.fields(own)}
    values: dict[str, Any] = {}
    if "target" in fields:
        if target is None and fields["target"].default is dataclasses.MISSING:
            raise PipelineError(f"pass '{own.name}' needs a target: give --target")
        values["target"] = target
    text = options.strip("{}")
    for after_comma in re.findall(r",\s*([\w-]+)=", text):
        if after_comma.replace("-", "_") in fields:
            raise PipelineError(f"pass '{own.name}': a comma comes before option '{after_comma}', expected a space")
    for option in text.split():
        key, _, value = option.partition("=")
        key = key.replace("-", "_")
        if key not in fields or key == "target":
            known = ", ".join(name for name in fields if name != "target") or "none"
            raise PipelineError(f"pass '{own.name}' has no option '{key}'; it has: {known}")
        values[key] = _value(own.name, key, value, typing.get_type_hints(own)[key])
    missing = [name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING]
    if missing:
        raise PipelineError(f"pass '{own.name}' needs the option '{missing[0]}'")
    try:
        return own(**values)
    except ValueError as error:
        raise PipelineError(f"pass '{own.name}': {error}") from None


def _value(name: str, key: str, text: str, kind: type) -> Any:
    """Return the value of an option. Raises PipelineError."""
    if kind is bool:
        if text not in ("true", "false"):
            raise PipelineError(f"pass '{name}': option '{key}' is '{text}', expected true or false")
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        raise PipelineError(f"pass '{name}': option '{key}' is '{text}', expected {kind.__name__}") from None


def _add_upstream(manager: PassManager, element: Element, context: ir.Context) -> None:
    try:
        with context:
            PassManager.parse(f"builtin.module({element})")  # a better message than `add` gives
            manager.add(str(element))
    except ValueError as error:
        raise PipelineError(_unknown(element, str(error).strip().partition("\n")[0])) from None


def _unknown(element: Element, said: str) -> str:
    """Say that something is no pass, and what there is."""
    inside = next((name for name in re.findall(r"[\w.-]+", element.options) if registry.find(name)), None)
    if inside is not None:
        return f"'{element}': '{inside}' is a pass on a module: write it by itself, or in builtin.module(..)"
    known = ", ".join([*registry.passes(), *PHASES])
    return f"'{element}' is neither a pass of htvm ({known}) nor one of MLIR: {said}"
