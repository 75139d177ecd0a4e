"""The fewest changes of a model after which an engine takes a layer, and whether it would then run it.

Every reason that an engine gives has a subject, and an idea is for some subjects. Changes are tried alone, then two
and three together: each must remove a reason that is there, and the engine's rules are asked again after it. So what
is found was accepted, and what is not found has a reason that no idea removes, or more reasons than changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import process_time

from mlir import ir

from htvm.backend.targets.soc import HOST, Accelerator, Engine, Soc
from htvm.dialects import accel
from htvm.explanation.model_edits import geometry, scaling, values
from htvm.explanation.model_edits.layer_spec import EFFORTS, LINEAR, Change, Question, Reason
from htvm.passes.analysis import activations, layout
from htvm.passes.analysis.acceptance import refusal
from htvm.passes.analysis.placement import Placing, whole_parts
from htvm.passes.mapping.legalize_conv import LegalizeConv
from htvm.passes.mapping.split_clamp import SplitClamp

MOST_CHANGES = 3
MOST_REASONS = 4
"""How many rules are mended to see which are broken behind them."""

SECONDS = 2.0
"""The most that is spent on one layer and engine; most take a tenth of a second."""

Idea = Callable[[Question, Reason], Iterator[Change]]

IDEAS: dict[Idea, tuple[str, ...]] = {
    values.signed_input: ("input",),
    scaling.signed_output: ("output",),
    geometry.one_image: ("input",),
    geometry.as_convolution: ("op",),
    geometry.whole_map: ("window",),
    geometry.average: ("kind",),
    geometry.same_shapes: ("operands",),
    geometry.groups: ("groups",),
    geometry.kernel: ("kernel", "rows", "weights of"),
    geometry.dilations: ("dilations",),
    geometry.strides: ("strides",),
    geometry.pads: ("pads", "padding"),
    geometry.input_channels: ("input channels", "channels", "rows", "weights of", "smallest tile"),
    geometry.output_channels: ("output channels", "channels", "outputs"),
    values.constant_weights: ("weights",),
    values.weight_range: ("weights", "weight values"),
    values.input_range: ("input values",),
    values.zero_padding: ("padding",),
    scaling.rounding: ("rounding", "code rounding"),
    scaling.clip: ("clip", "code clip"),
    scaling.bias: ("bias", "code bias"),
    scaling.equal_scales: ("multipliers", "scale", "shift"),
    scaling.powers_of_two: ("scale", "shift", "rounding", "code scale", "code shift", "code rounding"),
    scaling.one_scale: ("scale", "shift", "code scale", "code shift"),
    scaling.code: ("code scale", "code shift", "code rounding", "code bias", "code clip"),
    scaling.one_step: ("result",),
    scaling.eight_bits: ("result", "output"),
}
"""The ideas, and how the subjects begin of the rules that they are for; README.md of backend/targets has the words."""

OF_THE_SCALES = ("padding", "multipliers", "scale", "shift", "rounding")
"""Subjects for which htvm's own option may be enough."""


@dataclass(frozen=True)
class Alone:
    """A layer alone: the engine that runs it fastest, cycles with transfers, and its weights in the engine's form."""

    engine: str
    cycles: int
    weight_bytes: int


@dataclass(frozen=True)
class Found:
    """The fewest changes with which an engine takes a layer.

    then: the changed layer alone, its maps in the host's memory, on the engine that runs it fastest; now: the layer as
    it is.
    """

    changes: tuple[Change, ...]
    then: Alone
    now: Alone

    @property
    def effort(self) -> str:
        """What the changes ask for, all together."""
        return max((each.effort for each in self.changes), key=EFFORTS.index)

    @property
    def saves(self) -> bool:
        """Whether the layer then takes fewer cycles than now."""
        return self.then.cycles < self.now.cycles

    @property
    def option(self) -> str | None:
        """The option of htvm that does all of them, if there is one."""
        options = {each.option for each in self.changes}
        return options.pop() if len(options) == 1 else None

    @property
    def says(self) -> str:
        return "; ".join(each.says for each in self.changes)


@dataclass(frozen=True)
class Search:
    """A search for one layer and an engine that refuses it. refits: whether htvm has been told to refit scales.

    until: the time of the process at which it gives up. answers: the reasons that are left after some changes.
    """

    soc: Soc
    engine: Engine
    question: Question
    refits: bool
    until: float = field(default_factory=lambda: process_time() + SECONDS)
    answers: dict[frozenset[str], list[Reason]] = field(default_factory=dict)

    def fewest(self) -> Found | str:
        """Return the changes; or why there are none, in words."""
        layers = [((), self.question, self.first)]
        for left in reversed(range(MOST_CHANGES)):
            accepted, layers = self.one_more(layers, left)
            if accepted:
                return min(accepted, key=self.rank)
        return self.why_none(self.first)

    @cached_property
    def first(self) -> list[Reason]:
        """The reasons that there are now."""
        return self.reasons(self.question)

    def rank(self, found: Found) -> tuple[bool, bool, int]:
        """Return what the best has least of: engines that are faster, cycles as many as now, and effort."""
        return found.then.engine != self.engine.name, not found.saves, EFFORTS.index(found.effort)

    def one_more(self, layers: Sequence[tuple], more: int) -> tuple[list[Found], list[tuple]]:
        """Return what is accepted with one change more, and the layers that as many as `more` may be enough for."""
        accepted, nearer, seen = [], [], set()
        for changes, question, reasons in layers:
            for change in self.changes(question, reasons):
                together = (*changes, change)
                names = called(together)
                if names in seen or process_time() > self.until:
                    continue
                seen.add(names)
                left = self.left(together)
                if not left:
                    accepted.append(self.found(together))
                elif len(left) <= more and {each.subject for each in reasons} - {each.subject for each in left}:
                    nearer.append((together, change.after, left))
        return accepted, nearer

    def ideas(self, question: Question, reasons: Sequence[Reason]) -> Iterator[Change]:
        """Yield what the ideas have for the reasons."""
        for reason in reasons:
            for idea, subjects in IDEAS.items():
                if reason.subject.startswith(subjects):
                    yield from idea(question, reason)

    def changes(self, question: Question, reasons: Sequence[Reason]) -> Iterator[Change]:
        """Yield what the ideas have for the reasons, and htvm's own option."""
        for reason in reasons:
            yield from self.ideas(question, [reason])
            if not self.refits and reason.subject in OF_THE_SCALES:
                yield from scaling.refitted(question, reason)

    def left(self, changes: Sequence[Change]) -> list[Reason]:
        """Return the reasons that are left after some changes."""
        names = called(changes)
        if names not in self.answers:
            self.answers[names] = self.reasons(changes[-1].after)
        return self.answers[names]

    def reasons(self, question: Question) -> list[Reason]:
        """Ask the engine, and once more after the passes that rewrite a layer for it."""
        module = question.posed()
        why = refusal(self.soc, self.engine, layer_of(module))
        if why is not None and self.narrowed is not None and may_be_rewritten(question):
            rewrite(module, self.narrowed)
            if all(refusal(self.soc, self.engine, each) is None for each in linear(module)):
                return []
        return [] if why is None else reasons_in(why)

    @cached_property
    def narrowed(self) -> Soc | None:
        """The machine with this engine and the host only."""
        names = [each.name for each in self.soc.engines if each.name in (HOST, self.engine.name)]
        return self.soc.with_engines(names) if HOST in names else None

    def found(self, changes: tuple[Change, ...]) -> Found:
        return Found(changes, alone(self.soc, changes[-1].after), self.now)

    @cached_property
    def now(self) -> Alone:
        return alone(self.soc, self.question)

    def then(self) -> tuple[str, ...]:
        """Return the subjects of rules that are broken only once those are kept that the layer breaks now.

        One reason after the other is mended, each for itself: not by an option of htvm, which mends several.
        """
        changes: tuple[Change, ...] = ()
        reasons, known = self.first, [each.subject for each in self.first]
        for _ in range(MOST_REASONS):
            mended = next(self.mended(changes, reasons), None)
            if mended is None:
                break
            changes, reasons = mended, self.left(mended)
            known += [each.subject for each in reasons if each.subject not in known]
        return tuple(known[len(self.first) :])

    def mended(self, changes: tuple[Change, ...], reasons: Sequence[Reason]) -> Iterator[tuple[Change, ...]]:
        """Yield changes with one more, after which the layer no longer breaks one of the rules."""
        question = changes[-1].after if changes else self.question
        for reason in reasons:
            for change in self.ideas(question, [reason]):
                if process_time() > self.until:
                    return
                if reason.subject not in {each.subject for each in self.left((*changes, change))}:
                    yield (*changes, change)

    def why_none(self, reasons: Sequence[Reason]) -> str:
        """Say which reasons no change of the model removes, or that they are too many."""
        if process_time() > self.until:
            return f"no change was found in {SECONDS:g} seconds"
        stuck = [each.subject for each in reasons if not self.removes(each)]
        if stuck:
            if stuck == ["op"]:
                return "no change of the model helps: it does not know this op"
            return f"no change of the model that is known here mends {', '.join(stuck)}"
        subjects = ", ".join(each.subject for each in reasons)
        return f"no {MOST_CHANGES} changes that are known here are enough for {subjects}"

    def removes(self, reason: Reason) -> bool:
        """Say whether some change removes a reason, whatever it leaves or brings."""
        return any(
            reason.subject not in {each.subject for each in self.left([change])}
            for change in self.changes(self.question, [reason])
        )


def called(changes: Sequence[Change]) -> frozenset[str]:
    """Return what tells changes of a question apart from others, in whatever order they are made."""
    return frozenset(each.says for each in changes)


def alone(soc: Soc, question: Question) -> Alone:
    """Return what a layer takes on the engine that runs it fastest, its maps in the host's memory."""
    module = question.posed()
    rewrite(module, soc)
    (function,) = accel.functions(module)
    willing = {
        accel.output(layer): [each for each in soc.engines if refusal(soc, each, layer) is None]
        for layer in activations.layers(function)
    }
    with function.location:
        placed = Placing(soc, function, willing).solve()
    weights = sum(weight_bytes(each, soc.engine(placed.engines[each.result])) for each in linear(module))
    return Alone(placed.engines[layer_of(module).result], placed.cycles, weights)


def weight_bytes(layer: ir.OpView, engine: Engine) -> int:
    """Return the bytes of a layer's weights as an engine wants them: packed, or as the model has them."""
    if isinstance(engine, Accelerator):
        return sum(map(engine.weight_bytes, whole_parts(engine, layer)))
    constants = [value for value in layer.operation.operands if activations.is_constant(value)]
    return sum(layout.size_bytes(value.type) for value in constants)


def may_be_rewritten(question: Question) -> bool:
    """Say whether a layer is one that LegalizeConv or SplitClamp look at."""
    return question.op is accel.AddOp or question.strides == (2, 2) or any(side % 2 == 0 for side in question.kernel)


def rewrite(module: ir.Module, soc: Soc) -> None:
    """Let the passes that fit layers to accelerators do so."""
    for rewriting in (LegalizeConv(soc), SplitClamp(soc)):
        rewriting(module.operation, None)


def layer_of(module: ir.Module) -> ir.OpView:
    """Return the layer that makes a question's result."""
    (function,) = accel.functions(module)
    return function.body.blocks[0].operations[-1].operands[0].owner.opview


def linear(module: ir.Module) -> list[ir.OpView]:
    """Return the layers of a question that are not there to move a map."""
    return [each for each in accel.layers(module) if isinstance(each, (*LINEAR, accel.AddOp, accel.Pool2dOp))]


def reasons_in(why: str) -> list[Reason]:
    """Return the reasons in what an engine says: "subject: found X, wanted Y; ..." (backend/targets/rules.py)."""
    found = []
    for part in why.split("; "):
        subject, _, rest = part.partition(": ")
        value, _, wanted = rest.removeprefix("found ").partition(", wanted ")
        found.append(Reason(subject, value, wanted))
    return found
