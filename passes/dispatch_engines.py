"""dispatch-engines: choose the engine that runs each layer.

    %y = accel.conv2d %x, %w {..} : ..
    ==>
    %y = accel.conv2d %x, %w {.., engine = "host"} : ..

Stage    integer -> dispatched
Reads    the layers; the target's engines, in their order of preference
Writes   the attribute `engine` of every layer that has none, and nothing else
Needs    integerize before it: an engine must see the whole fused layer
Fails    on a layer that every engine refuses, giving each engine's reason; on one pinned to an engine that
         refuses it or does not exist
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel


@dataclass(frozen=True)
class DispatchEngines:
    """Give every layer the first engine that accepts it; a layer that names its engine keeps it."""

    name: ClassVar[str] = "dispatch-engines"

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for layer in accel.layers(module):
                refusals = {engine.name: engine.refuses(layer) for engine in self.target.engines}
                willing = [name for name, why in refusals.items() if why is None]
                pinned = layer.engine and layer.engine.value
                if pinned and pinned not in willing:
                    layer.location.emit_error(pin_refused(layer, pinned, self.target, refusals))
                    this_pass.signal_pass_failure()
                elif not willing:
                    layer.location.emit_error(no_engine(layer, self.target, refusals))
                    this_pass.signal_pass_failure()
                elif not pinned:
                    layer.engine = ir.StringAttr.get(willing[0])


def no_engine(layer: ir.OpView, target: Soc, refusals: dict[str, str]) -> str:
    """Say that no engine of `target` runs `layer`, and why each one refuses."""
    reasons = "\n".join(f"  {engine}: {why}" for engine, why in refusals.items())
    return f"no engine of target '{target.name}' runs '{layer.operation.name}'\n{reasons}"


def pin_refused(layer: ir.OpView, pinned: str, target: Soc, refusals: dict[str, str | None]) -> str:
    """Say that `layer` asks for an engine that does not run it, and which would."""
    willing = [engine for engine, why in refusals.items() if why is None]
    if pinned not in refusals:
        problem = f"pinned to engine '{pinned}', which target '{target.name}' does not have"
    else:
        problem = f"pinned to engine '{pinned}', which refuses it: {refusals[pinned]}"
    return f"'{layer.operation.name}' is {problem}; engines that run it: {', '.join(willing) or 'none'}"
