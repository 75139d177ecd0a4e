"""Passes of a user's, for htvm_opt_plugins.test."""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import accel


@dataclass(frozen=True)
class CountLayers:
    """Write how many layers there are, and refuse more than a limit."""

    name: ClassVar[str] = "count-layers"

    limit: int = 8

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        layers = list(accel.layers(module))
        module.attributes["mine.layers"] = accel.integer(len(layers))
        if len(layers) > self.limit:
            layers[self.limit].location.emit_error(f"layer {self.limit + 1}, expected at most {self.limit}")
            this_pass.signal_pass_failure()


@dataclass(frozen=True)
class NeedsOrder:
    """Take a module that is scheduled, and nothing else."""

    name: ClassVar[str] = "needs-order"
    stages: ClassVar[tuple[str, ...]] = ("scheduled",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        module.attributes["mine.ordered"] = ir.UnitAttr.get()


@dataclass(frozen=True)
class Raises:
    """Have a bug."""

    name: ClassVar[str] = "raises"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        raise KeyError("no such layer")


@dataclass(frozen=True)
class Silent:
    """Fail and say nothing."""

    name: ClassVar[str] = "silent"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        this_pass.signal_pass_failure()


@dataclass(frozen=True)
class Spoils:
    """Leave an operation that its verifier refuses."""

    name: ClassVar[str] = "spoils"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for layer in accel.layers(module):
            layer.operation.attributes["kind"] = ir.UnitAttr.get()
            del layer.operation.attributes["kernel"]
