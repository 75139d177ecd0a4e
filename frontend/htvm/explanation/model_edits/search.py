"""The fewest model edits after which an engine runs a layer, and whether it would then be the fastest.

Every violation has a subject, and a model edit is for some subjects. Edits are tried alone, then two and three
together: each must remove a violation, and the engine's rules are checked again after it. So a result was accepted by
the engine; where there is none, some violation is removed by no edit, or there are more violations than edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from math import inf
from time import process_time

from mlir import ir

from htvm.backend.targets.engines import launches
from htvm.backend.targets.soc import HOST, Accelerator, Engine, Soc
from htvm.backend.targets.violations import Subject, Violation
from htvm.dialects import accel
from htvm.explanation.model_edits import geometry, scaling, values
from htvm.explanation.model_edits.layer_spec import EFFORTS, LayerSpec, ModelEdit
from htvm.passes.analysis import activations, layout
from htvm.passes.analysis.acceptance import legal_engines, violations
from htvm.passes.analysis.placement import Placing
from htvm.passes.analysis.ways import Way, in_forms
from htvm.passes.mapping.legalize_conv import LegalizeConv
from htvm.passes.mapping.split_clamp import SplitClamp

MOST_EDITS = 3
MOST_MENDED = 4
"""How many rules are mended to see which are broken behind them."""

SECONDS = 2.0
"""The most that is spent on one layer and engine; most take a tenth of a second."""

EditRule = Callable[[LayerSpec, Violation], Iterator[ModelEdit]]
"""Yields edits of a layer that may mend a violation, by the values of that violation."""

Path = tuple[str, ...]
"""The subject of a violation, and of those behind it."""


def behind(subject: Subject, *causes: Subject) -> tuple[Path, ...]:
    """Return the paths of some violations behind that of a proof."""
    return tuple((subject, cause) for cause in causes)


def plain(*subjects: Subject) -> tuple[Path, ...]:
    """Return the paths of violations that have nothing behind them."""
    return tuple((subject,) for subject in subjects)


MODEL_EDITS: Mapping[EditRule, tuple[Path, ...]] = {
    values.signed_input: plain(Subject.INPUT),
    scaling.signed_output: plain(Subject.OUTPUT),
    geometry.one_image: plain(Subject.INPUT),
    geometry.as_convolution: plain(Subject.OP),
    geometry.whole_map: plain(Subject.WINDOW),
    geometry.average: plain(Subject.KIND),
    geometry.same_shapes: plain(Subject.OPERANDS),
    geometry.groups: plain(Subject.GROUPS),
    geometry.kernel: plain(Subject.KERNEL, Subject.ROWS, Subject.WEIGHT_BYTES),
    geometry.dilations: plain(Subject.DILATIONS),
    geometry.strides: plain(Subject.STRIDES),
    geometry.pads: plain(Subject.PADS, Subject.PADDING),
    geometry.input_channels: plain(
        Subject.INPUT_CHANNELS, Subject.CHANNELS, Subject.ROWS, Subject.WEIGHT_BYTES, Subject.SMALLEST_TILE
    ),
    geometry.output_channels: plain(Subject.OUTPUT_CHANNELS, Subject.CHANNELS),
    values.constant_weights: plain(Subject.WEIGHTS),
    values.weight_range: plain(Subject.WEIGHTS, Subject.WEIGHT_VALUES),
    values.input_range: plain(Subject.INPUT_VALUES),
    values.zero_padding: plain(Subject.PADDING),
    scaling.rounding: (*behind(Subject.REQUANT, Subject.ROUNDING), *behind(Subject.CODE, Subject.ROUNDING)),
    scaling.clip: (*behind(Subject.REQUANT, Subject.CLIP), *behind(Subject.CODE, Subject.CLIP)),
    scaling.bias: (*behind(Subject.REQUANT, Subject.BIAS), *behind(Subject.CODE, Subject.BIAS)),
    scaling.equal_scales: (*plain(Subject.MULTIPLIERS), *behind(Subject.REQUANT, Subject.SCALE, Subject.SHIFT)),
    scaling.powers_of_two: (
        *behind(Subject.REQUANT, Subject.SCALE, Subject.SHIFT, Subject.ROUNDING),
        *behind(Subject.CODE, Subject.SCALE, Subject.SHIFT, Subject.ROUNDING),
    ),
    scaling.one_scale: (
        *behind(Subject.REQUANT, Subject.SCALE, Subject.SHIFT),
        *behind(Subject.CODE, Subject.SCALE, Subject.SHIFT),
    ),
    scaling.code: behind(Subject.CODE, Subject.SCALE, Subject.SHIFT, Subject.ROUNDING, Subject.BIAS, Subject.CLIP),
    scaling.one_step: plain(Subject.RESULT),
    scaling.eight_bits: plain(Subject.RESULT, Subject.OUTPUT),
}
"""The model edits, and the violations that they are for."""

OF_THE_SCALES = (
    *plain(Subject.PADDING, Subject.MULTIPLIERS),
    *behind(Subject.REQUANT, Subject.SCALE, Subject.SHIFT, Subject.ROUNDING),
)
"""Violations for which htvm's own option may be enough."""


class NoEdit(Enum):
    """Why there is no model edit after which an engine runs a layer."""

    KIND_OF_LAYER = "no model edit is known for layers of this kind"
    OP = "no model edit helps: the engine does not know this op"
    STUCK = "no known model edit satisfies: {subjects}"
    TOO_MANY = f"no combination of up to {MOST_EDITS} known model edits satisfies: {{subjects}}"
    TIME = f"no model edit was found in {SECONDS:g} seconds"


@dataclass(frozen=True)
class NothingHelps:
    """There is no model edit for some violations."""

    reason: NoEdit
    violations: tuple[Violation, ...] = ()

    def __str__(self) -> str:
        return self.reason.value.format(subjects=", ".join(each.title for each in self.violations))


@dataclass(frozen=True)
class Alone:
    """A layer alone: the engine that runs it fastest, cycles with transfers, and its weights in the engine's form."""

    engine: str
    cycles: int
    weight_bytes: int


@dataclass(frozen=True)
class Counterfactual:
    """The fewest model edits with which an engine runs a layer.

    then: the edited layer alone, its maps in the host's memory, on the engine that runs it fastest; now: the layer as
    it is.
    """

    edits: tuple[ModelEdit, ...]
    then: Alone
    now: Alone

    @property
    def effort(self) -> str:
        """What the edits ask for, all together."""
        return max((edit.effort for edit in self.edits), key=EFFORTS.index)

    @property
    def saves(self) -> bool:
        """Whether the layer then takes fewer cycles than now."""
        return self.then.cycles < self.now.cycles

    @property
    def option(self) -> str | None:
        """The option of htvm that does all of them, if there is one."""
        options = {edit.option for edit in self.edits}
        return options.pop() if len(options) == 1 else None

    @property
    def description(self) -> str:
        return "; ".join(edit.description for edit in self.edits)


@dataclass(frozen=True)
class Partial:
    """Some edits, the layer after them, and the violations that are left."""

    edits: tuple[ModelEdit, ...]
    layer: LayerSpec
    violations: Sequence[Violation]


@dataclass(frozen=True)
class Search:
    """A search for one layer and an engine that does not run it.

    can_refit: whether htvm itself could refit the scales, and was not told to. until: the time of the process at which
    it gives up. known: the violations that are left after some edits.
    """

    soc: Soc
    engine: Engine
    layer: LayerSpec
    can_refit: bool
    until: float = field(default_factory=lambda: process_time() + SECONDS)
    known: dict[frozenset[str], Sequence[Violation]] = field(
        default_factory=dict[frozenset[str], "Sequence[Violation]"]
    )

    def fewest(self) -> Counterfactual | NothingHelps:
        """Return the fewest edits; or why there are none."""
        partial = [Partial((), self.layer, self.first)]
        for remaining in reversed(range(MOST_EDITS)):
            accepted, partial = self.one_more(partial, remaining)
            if accepted:
                return min(accepted, key=self.rank)
        return self.nothing_helps(self.first)

    @cached_property
    def first(self) -> Sequence[Violation]:
        """The violations of the layer as it is."""
        return self.violations(self.layer)

    def rank(self, result: Counterfactual) -> tuple[bool, bool, int]:
        """Return what the best has least of: engines that are faster, cycles as many as now, and effort."""
        return result.then.engine != self.engine.name, not result.saves, EFFORTS.index(result.effort)

    def one_more(self, partial: Sequence[Partial], remaining: int) -> tuple[list[Counterfactual], list[Partial]]:
        """Return what is accepted with one edit more, and what `remaining` further edits may be enough for."""
        accepted: list[Counterfactual] = []
        nearer: list[Partial] = []
        seen: set[frozenset[str]] = set()
        for before in partial:
            for edit in self.edits(before.layer, before.violations):
                together = (*before.edits, edit)
                key = identity(together)
                if key in seen or process_time() > self.until:
                    continue
                seen.add(key)
                left = self.left(together)
                if not left:
                    accepted.append(Counterfactual(together, alone(self.soc, edit.after), self.now))
                elif len(left) <= remaining and paths(before.violations) - paths(left):
                    nearer.append(Partial(together, edit.after, left))
        return accepted, nearer

    def known_edits(self, layer: LayerSpec, violations: Sequence[Violation]) -> Iterator[ModelEdit]:
        """Yield the known edits for some violations."""
        for violation in violations:
            for edits, subjects in MODEL_EDITS.items():
                if violation.path in subjects:
                    found = edits(layer, violation)
                    yield from found if self.can_refit else (replace(each, option=None) for each in found)

    def edits(self, layer: LayerSpec, violations: Sequence[Violation]) -> Iterator[ModelEdit]:
        """Yield the known edits for some violations, and htvm's own option."""
        for violation in violations:
            yield from self.known_edits(layer, [violation])
            if self.can_refit and violation.path in OF_THE_SCALES:
                yield from scaling.refitted(layer, violation)

    def left(self, edits: Sequence[ModelEdit]) -> Sequence[Violation]:
        """Return the violations that are left after some edits."""
        key = identity(edits)
        if key not in self.known:
            self.known[key] = self.violations(edits[-1].after)
        return self.known[key]

    def violations(self, layer: LayerSpec) -> Sequence[Violation]:
        """Check the engine's rules, and once more after the passes that rewrite a layer for it."""
        module = layer.as_module()
        broken = violations(self.soc, self.engine, layer_of(module))
        if broken and self.narrowed is not None and may_be_rewritten(layer):
            rewrite(module, self.narrowed)
            if not any(violations(self.soc, self.engine, each) for each in linear(module)):
                return ()
        return broken

    @cached_property
    def narrowed(self) -> Soc | None:
        """The machine with this engine and the host only."""
        names = [each.name for each in self.soc.engines if each.name in (HOST, self.engine.name)]
        return self.soc.with_engines(names) if HOST in names else None

    @cached_property
    def now(self) -> Alone:
        return alone(self.soc, self.layer)

    def then(self) -> tuple[str, ...]:
        """Return the subjects of rules that are broken only once those are kept that the layer breaks now.

        One violation after the other is mended, each for itself: not by an option of htvm, which mends several.
        """
        edits: tuple[ModelEdit, ...] = ()
        broken = self.first
        subjects = {violation.path: violation.title for violation in broken}
        for _ in range(MOST_MENDED):
            mended = next(self.mended(edits, broken), None)
            if mended is None:
                break
            edits, broken = mended, self.left(mended)
            subjects |= {violation.path: violation.title for violation in broken}
        return tuple(title for path, title in subjects.items() if path not in paths(self.first))

    def mended(self, edits: tuple[ModelEdit, ...], broken: Sequence[Violation]) -> Iterator[tuple[ModelEdit, ...]]:
        """Yield edits with one more, after which the layer no longer breaks one of the rules."""
        layer = edits[-1].after if edits else self.layer
        for violation in broken:
            for edit in self.known_edits(layer, [violation]):
                if process_time() > self.until:
                    return
                if violation.path not in paths(self.left((*edits, edit))):
                    yield (*edits, edit)

    def nothing_helps(self, broken: Sequence[Violation]) -> NothingHelps:
        """Return which violations no model edit removes, or that they are too many."""
        if process_time() > self.until:
            return NothingHelps(NoEdit.TIME)
        stuck = tuple(violation for violation in broken if not self.removes(violation))
        if paths(stuck) == {(Subject.OP,)}:
            return NothingHelps(NoEdit.OP, stuck)
        return NothingHelps(NoEdit.STUCK, stuck) if stuck else NothingHelps(NoEdit.TOO_MANY, tuple(broken))

    def removes(self, violation: Violation) -> bool:
        """Say whether some edit removes a violation, whatever it leaves or brings."""
        edits = self.edits(self.layer, [violation])
        return any(violation.path not in paths(self.left([edit])) for edit in edits)


def paths(violations: Iterable[Violation]) -> set[Path]:
    """Return what tells violations apart from those of other rules."""
    return {violation.path for violation in violations}


def identity(edits: Sequence[ModelEdit]) -> frozenset[str]:
    """Return what tells edits of a layer apart from others, in whatever order they are made."""
    return frozenset(edit.description for edit in edits)


def alone(soc: Soc, spec: LayerSpec) -> Alone:
    """Return what a layer takes on the engine that runs it fastest, its maps in the host's memory."""
    module = spec.as_module()
    rewrite(module, soc)
    (function,) = accel.functions(module)
    candidates: dict[ir.Value, list[Way]] = {
        accel.output(layer): in_forms(soc, layer, soc.engines, legal_engines(soc, layer))
        for layer in activations.layers(function)
    }
    with function.location:
        placed = accel.present(Placing(soc, function, candidates).solve(inf), "placement")
    weights = sum(weight_bytes(each, placed.ways[accel.output(each)]) for each in linear(module))
    return Alone(placed.ways[accel.output(layer_of(module))].engine.name, placed.cycles, weights)


def weight_bytes(layer: accel.Layer, way: Way) -> int:
    """Return the bytes of a layer's weights as a way wants them: packed, or as the model has them."""
    engine = way.engine
    if isinstance(engine, Accelerator):
        return sum(map(engine.weight_bytes, launches.fewest(engine, way.job(layer))))
    constants = [value for value in layer.operation.operands if activations.is_constant(value)]
    return sum(layout.size_bytes(value.type) for value in constants)


def may_be_rewritten(layer: LayerSpec) -> bool:
    """Say whether a layer is one that LegalizeConv or SplitClamp look at."""
    return layer.op is accel.AddOp or layer.strides == (2, 2) or any(side % 2 == 0 for side in layer.kernel)


def rewrite(module: ir.Module, soc: Soc) -> None:
    """Let the passes that fit layers to accelerators do so."""
    for rewriting in (LegalizeConv(soc), SplitClamp(soc)):
        rewriting.rewrite(module.operation)


def layer_of(module: ir.Module) -> accel.Layer:
    """Return the layer whose result a module's function returns."""
    (function,) = accel.functions(module)
    found = accel.producer(function.body.blocks[0].operations[-1].operands[0])
    assert found is not None and accel.is_layer(found), found
    return found


def linear(module: ir.Module) -> list[accel.Layer]:
    """Return the layers of a module that are not there to move a map."""
    return [each for each in accel.layers(module) if isinstance(each, accel.Weighted | accel.AddOp | accel.Pool2dOp)]
