"""dispatch-engines: choose the engine that runs each layer.

    %y = accel.conv2d %x, %w {..} : ..
    ==>
    %y = accel.conv2d %x, %w {.., engine = "npu"} : ..

Every layer is offered to every engine. Of the ways to give each layer to one that accepts it, the one that takes the
fewest cycles is chosen, transfers and conversions between engines included (analysis/placement.py), with a proof that
there is no better one in this model.

Stage    integer -> dispatched
Reads    the layers; the target's engines, their rules and costs
Writes   the attribute `engine` of every layer that has none; `accel.placement` of the function, "optimal" or
         "bounded" where there was no time for a proof
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

from htvm.backend.targets.soc import Engine, Soc
from htvm.backend.targets.violations import Violation, all_of, text_by_engine
from htvm.dialects import accel

from ..analysis import activations
from ..analysis.acceptance import per_engine
from ..analysis.placement import Placing


@dataclass(frozen=True)
class DispatchEngines:
    """Give every layer an engine that accepts it, all of them together the fastest; one that is named stays."""

    name: ClassVar[str] = "dispatch-engines"
    stages: ClassVar[tuple[str, ...]] = ("integer", "dispatched")

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for function in accel.functions(module):
                candidates: dict[accel.Layer, Sequence[Engine]] = {}
                for layer in activations.layers(function):
                    violations = per_engine(self.target, layer)
                    legal = [engine for engine in self.target.engines if not violations[engine.name]]
                    if layer.engine is not None:
                        legal = [engine for engine in legal if engine.name == accel.engine(layer)]
                    if not legal:
                        message = no_engine if layer.engine is None else illegal_pin
                        layer.location.emit_error(message(layer, self.target, violations))
                        this_pass.signal_pass_failure()
                    candidates[layer] = legal
                if all(candidates.values()):
                    place(function, self.target, candidates)


def place(function: func.FuncOp, target: Soc, candidates: Mapping[accel.Layer, Sequence[Engine]]) -> None:
    """Write the engine of each layer. candidates: the engines that it may have."""
    engines, is_optimal = {layer: found[0].name for layer, found in candidates.items()}, True
    if any(len(found) > 1 for found in candidates.values()):
        by_result: dict[ir.Value, Sequence[Engine]] = {
            accel.output(layer): found for layer, found in candidates.items()
        }
        placement = Placing(target, function, by_result).solve()
        engines = {layer: placement.engines[accel.output(layer)] for layer in candidates}
        is_optimal = placement.is_optimal
    for layer, engine in engines.items():
        layer.engine = ir.StringAttr.get(engine)
    function.attributes["accel.placement"] = accel.OptimalityAttr.get(
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
