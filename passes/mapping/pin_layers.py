"""pin-layers: give layers the engines and tilings that a plan wants for them.

    module attributes {accel.plan = [{node = "conv1", op = "conv2d", engine = "npu", tiling = {outputs = 16, ..}}]}
    %y = accel.conv2d %x, %w {..} loc("conv1")
    ==>
    %y = accel.conv2d %x, %w {engine = "npu", accel.tiling = {outputs = 16, ..}, ..} loc("conv1")

An entry names a layer by the first of its ONNX nodes and its operation, with `number = 2` the second of these, and
gives an engine, a tiling, or both; what no entry names is left to later passes. They say what is wrong with a pin:
dispatch-engines, why an engine refuses; choose-tilings, why a tiling does not fit.

Stage    integer, before dispatch-engines
Reads    `accel.plan` of the module; the nodes of the layers
Writes   `engine` and `accel.tiling` of layers
Needs    fuse-converters, split-clamp and the like before it: a plan names the layers that they make
Fails    on an entry that names no layer
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import accel

from ..analysis import tiling


@dataclass(frozen=True)
class PinLayers:
    """Write what a plan says on the layers that it names."""

    name: ClassVar[str] = "pin-layers"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if accel.PLAN_ATTRIBUTE not in module.attributes:
            return
        layers = accel.numbered(accel.layers(module))
        for entry in module.attributes[accel.PLAN_ATTRIBUTE]:
            key = entry["node"].value, entry["op"].value, entry["number"].value if "number" in entry else 1
            if key not in layers:
                module.location.emit_error(no_layer(*key, [node for node, *_ in layers]))
                this_pass.signal_pass_failure()
                continue
            attributes = layers[key].operation.attributes
            if "engine" in entry:
                attributes["engine"] = entry["engine"]
            if "tiling" in entry:
                try:
                    attributes[tiling.NAME] = tiling.Tiling.of(entry["tiling"]).attribute()
                except ValueError as error:
                    layers[key].location.emit_error(f"'{layers[key].operation.name}': {error}")
                    this_pass.signal_pass_failure()


def no_layer(node: str, op: str, number: int, known: list[str]) -> str:
    """Say that a plan's entry is about nothing."""
    which = f"{op} '{node}'" + (f", number {number}" if number != 1 else "")
    return f"the plan has an entry for {which}, but no such layer is there; layers are {', '.join(known)}"
