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
Fails    on a layer that every engine refuses, giving each engine's reason; on one pinned to an engine that
         refuses it or does not exist
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Engine, Soc
from htvm.dialects import accel

from ..analysis import activations
from ..analysis.acceptance import refusal
from ..analysis.placement import Placing


@dataclass(frozen=True)
class DispatchEngines:
    """Give every layer an engine that accepts it, all of them together the fastest; one that is named stays."""

    name: ClassVar[str] = "dispatch-engines"

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for function in accel.functions(module):
                willing: dict[ir.Value, list[Engine]] = {}
                for layer in activations.layers(function):
                    refusals = {engine.name: refusal(self.target, engine, layer) for engine in self.target.engines}
                    pinned = layer.engine and layer.engine.value
                    wanted = [pinned] if pinned else list(refusals)
                    willing[accel.output(layer)] = [
                        engine
                        for engine in self.target.engines
                        if engine.name in wanted and refusals[engine.name] is None
                    ]
                    if not willing[accel.output(layer)]:
                        explain = pin_refused if pinned else no_engine
                        layer.location.emit_error(explain(layer, self.target, refusals))
                        this_pass.signal_pass_failure()
                if all(willing.values()):
                    place(function, self.target, willing)


def place(function: func.FuncOp, target: Soc, willing: dict[ir.Value, list[Engine]]) -> None:
    """Write the engine of each layer; `willing` has those that accept it, by what it makes."""
    if all(len(engines) == 1 for engines in willing.values()):
        engines, is_optimal = {output: only.name for output, (only,) in willing.items()}, True
    else:
        found = Placing(target, function, willing).solve()
        engines, is_optimal = found.engines, found.is_optimal
    for output, engine in engines.items():
        output.owner.opview.engine = ir.StringAttr.get(engine)
    function.attributes["accel.placement"] = ir.StringAttr.get("optimal" if is_optimal else "bounded")


def no_engine(layer: ir.OpView, target: Soc, refusals: dict[str, str]) -> str:
    """Say that no engine of `target` runs `layer`, and why each one refuses."""
    reasons = "\n".join(f"  {engine}: {why}" for engine, why in refusals.items())
    return f"no engine of target '{target.name}' runs '{layer.operation.name}'\n{reasons}"


def pin_refused(layer: ir.OpView, target: Soc, refusals: dict[str, str | None]) -> str:
    """Say that `layer` asks for an engine that does not run it, and which would."""
    pinned = layer.engine.value
    willing = [engine for engine, why in refusals.items() if why is None]
    if pinned not in refusals:
        problem = f"pinned to engine '{pinned}', which target '{target.name}' does not have"
    else:
        problem = f"pinned to engine '{pinned}', which refuses it: {refusals[pinned]}"
    return f"'{layer.operation.name}' is {problem}; engines that run it: {', '.join(willing) or 'none'}"
