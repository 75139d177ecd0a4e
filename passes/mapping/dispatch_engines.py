"""dispatch-engines: choose the engine that runs each layer, and the form in which it does.

    %y = accel.conv2d %x, %w {..} : ..
    ==>
    %y = accel.conv2d %x, %w {.., engine = "npu"} : ..

Every layer is offered to every engine, in each form that the engine has for it (backend/targets/forms); in the plain
one alone with `mapping = htvm` in the module's `accel.options`. Of the ways to give each layer to one that accepts it,
the one that takes the fewest cycles is chosen, transfers and conversions between engines included
(analysis/placement.py), with a proof that there is no better one in this model.

Stage    integer -> dispatched
Reads    the layers; the target's engines, their rules and costs
Writes   the attribute `engine` of every layer that has none, and `accel.form` where that is not the plain one;
         `accel.placement` of the function, "optimal" or "bounded" where there was no time for a proof
Needs    integerize before it: an engine must see the whole fused layer
Fails    on a layer that no engine supports, giving the rules of each that it violates; on one pinned to an engine
         that does not support it or does not exist
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.jobs import FORM
from htvm.backend.targets.soc import Soc
from htvm.backend.targets.violations import Violation, all_of, text_by_engine
from htvm.dialects import accel

from ..analysis import activations
from ..analysis.acceptance import per_engine
from ..analysis.partial_forms import with_partial_forms
from ..analysis.placement import SOLVER_LIMIT, Placing
from ..analysis.ways import Way, in_forms


@dataclass(frozen=True)
class DispatchEngines:
    """Give every layer an engine that accepts it, all of them together the fastest; one that is named stays."""

    name: ClassVar[str] = "dispatch-engines"
    stages: ClassVar[tuple[str, ...]] = ("integer", "dispatched")

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            has_forms = accel.mapping(module) == accel.Mapping.DEFAULT
            for function in accel.functions(module):
                candidates: dict[ir.Value, Sequence[Way]] = {}
                for layer in activations.layers(function):
                    violations = per_engine(self.target, layer)
                    engines = [
                        each for each in self.target.engines if layer.engine is None or each.name == accel.engine(layer)
                    ]
                    legal = [engine for engine in engines if not violations[engine.name]]
                    ways = in_forms(self.target, layer, engines, legal) if has_forms else [Way(each) for each in legal]
                    if not ways:
                        message = no_engine if layer.engine is None else illegal_pin
                        layer.location.emit_error(message(layer, self.target, violations))
                        this_pass.signal_pass_failure()
                    candidates[accel.output(layer)] = ways
                if all(candidates.values()):
                    place(function, self.target, candidates, SOLVER_LIMIT * accel.effort(module))


def place(function: func.FuncOp, target: Soc, candidates: Mapping[ir.Value, Sequence[Way]], limit: float) -> None:
    """Write the engine and the form of each layer: if nothing is found within the limit, the first that it may have.

    candidates: the ways in which a layer may be computed, by its result. limit: of the search, in deterministic time.
    """
    ways, is_optimal = {output: found[0] for output, found in candidates.items()}, True
    if any(len(found) > 1 for found in candidates.values()):
        placing = Placing(target, function, candidates)
        placement = placing.solve(limit)
        if placement is not None and (wider := with_partial_forms(placing, placement)) is not None:
            placement = Placing(target, function, wider).solve(limit) or placement
        ways, is_optimal = (ways, False) if placement is None else (placement.ways, placement.is_optimal)
    for layer in activations.layers(function):
        way = ways[accel.output(layer)]
        layer.engine = ir.StringAttr.get(way.engine.name)
        if way.form is not None:
            layer.operation.attributes[FORM] = way.form.attribute()
    function.attributes[accel.PLACEMENT] = accel.OptimalityAttr.get(
        accel.Optimality.OPTIMAL if is_optimal else accel.Optimality.BOUNDED
    )


def no_engine(layer: accel.Layer, target: Soc, violations: Mapping[str, Sequence[Violation]]) -> str:
    """Report that no engine of `target` runs `layer`, with the violated rules of each."""
    reasons = text_by_engine(violations)
    return f"no engine of target '{target.name}' runs '{layer.operation.name}'\n{reasons}"


def illegal_pin(layer: accel.Layer, target: Soc, violations: Mapping[str, Sequence[Violation]]) -> str:
    """Report that `layer` is pinned to an engine that does not run it, and which engines do."""
    pin = accel.engine(layer)
    legal = ", ".join(engine for engine, broken in violations.items() if not broken) or "none"
    if pin in violations:
        problem = f"pinned to engine '{pin}', which does not support it: {all_of(violations[pin])}"
    else:
        problem = f"pinned to engine '{pin}', which target '{target.name}' does not have"
    return f"'{layer.operation.name}' is {problem}; engines that run it: {legal}"
