"""pin-layers: give layers the engines, kernels, forms and tilings that a plan wants for them.

    module attributes {accel.plan = [#accel.pin<node = "conv1", op = "conv2d", engine = "npu", tiling = <..>>]}
    %y = accel.conv2d %x, %w {..} loc("conv1")
    ==>
    %y = accel.conv2d %x, %w {engine = "npu", accel.tiling = #accel.tiling<..>, ..} loc("conv1")

An entry names a layer by the first of its ONNX nodes and its operation, with `number = 2` the second of these, and
gives an engine, a kernel of the host, a form, a tiling, another one for the layer where it runs once more, or several
of these; what no entry names is left to later passes, but that a tiling without a form is one of the plain form. They
say what is wrong with a pin: dispatch-engines, why an engine does not support it; choose-kernels, why a kernel does not
compute it; assign-layouts, that a layer does not run once more; choose-tilings, why a tiling does not fit.

Stage    integer, before dispatch-engines
Reads    `accel.plan` of the module; the nodes of the layers
Writes   `engine`, `accel.pinned_kernel`, `accel.form`, `accel.tiling` and `accel.again` of layers
Needs    fuse-converters, split-clamp and the like before it: a plan names the layers that they make
Fails    on an entry that names no layer
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.jobs import FORM
from htvm.dialects import accel

from ..analysis import tiles


@dataclass(frozen=True)
class PinLayers:
    """Write what a plan says on the layers that it names."""

    name: ClassVar[str] = "pin-layers"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        plan = accel.attribute(module, accel.PLAN_ATTRIBUTE, ir.ArrayAttr)
        if plan is None:
            return
        layers = accel.numbered(accel.layers(module))
        for pin in plan:
            assert isinstance(pin, accel.PinAttr), pin  # the dialect's verifier sees to it
            key = pin.node, pin.op, pin.number
            if key not in layers:
                module.location.emit_error(no_layer(*key, [node for node, *_ in layers]))
                this_pass.signal_pass_failure()
                continue
            attributes = layers[key].operation.attributes
            if pin.engine:
                attributes["engine"] = ir.StringAttr.get(pin.engine, context=module.context)
            if pin.tiling is not None:
                attributes[tiles.NAME] = pin.tiling
            if pin.again is not None:
                attributes[accel.AGAIN] = pin.again
            if pin.kernel:
                attributes[accel.PINNED_KERNEL] = ir.StringAttr.get(pin.kernel, context=module.context)
            if pin.form is not None:
                attributes[FORM] = pin.form


def no_layer(node: str, op: str, number: int, known: list[str]) -> str:
    """Say that a plan's entry is about nothing."""
    which = f"{op} '{node}'" + (f", number {number}" if number != 1 else "")
    return f"the plan has an entry for {which}, but no such layer is there; layers are {', '.join(known)}"
