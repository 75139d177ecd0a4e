"""Bugs of the compiler, planted on purpose: what finds them is tested with them."""

import dataclasses
from pathlib import Path

import pytest

from htvm.backend.c import linear_steps
from htvm.backend.c.commands import Commands
from htvm.backend.kernels.convolution import Convolution
from htvm.backend.kernels.requant import Requant
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.dialects import accel
from htvm.passes.planning.plan_memory import PlanMemory

TILED = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "resnet8_digital.onnx"
"""A network that target 'diana' runs in tiles."""


def wrong_shift(patch: pytest.MonkeyPatch) -> None:
    """The C of an addition shifts by one too many."""
    right = Requant.of

    def of(layer: object) -> Requant:
        found = right(layer)
        return dataclasses.replace(found, shift=found.shift + 1) if isinstance(layer, accel.AddOp) else found

    patch.setattr(Requant, "of", staticmethod(of))


def off_by_one(patch: pytest.MonkeyPatch) -> None:
    """The C of a convolution with stride 2 reads windows one row too low."""
    right = linear_steps.convolution_of

    def of(layer: object) -> Convolution:
        found = right(layer)
        return dataclasses.replace(found, pad_top=found.pad_top - 1) if found.strides == (2, 2) else found

    patch.setattr(linear_steps, "convolution_of", of)


def crash(patch: pytest.MonkeyPatch) -> None:
    """A pass fails on an addition."""
    right = PlanMemory.__call__

    def call(self: PlanMemory, module: object, this_pass: object) -> None:
        if any(isinstance(layer, accel.AddOp) for layer in accel.layers(module)):
            raise IndexError("tile 7 of 7")
        right(self, module, this_pass)

    patch.setattr(PlanMemory, "__call__", call)


def wrong_constants(patch: pytest.MonkeyPatch) -> None:
    """Stage 'integer' has additions that are one too large."""
    from htvm.passes.integer.integerize import Integerize

    right = Integerize.__call__

    def call(self: Integerize, module: object, this_pass: object) -> None:
        right(self, module, this_pass)
        for layer in accel.layers(module):
            if isinstance(layer, accel.AddOp):
                larger = layer.requant.offset[0] + (1 << layer.requant.shift[0])
                layer.requant = layer.requant.replace(offset=[larger])

    patch.setattr(Integerize, "__call__", call)


def off_by_one_tile(patch: pytest.MonkeyPatch) -> None:
    """Tiles after the first one get the weights of the output channel before."""
    right = ArrayEngine.pack

    def pack(self: ArrayEngine, job: object, op: object, outputs: tuple[int, int]) -> object:
        first, end = outputs
        return right(self, job, op, (first - 1, end - 1) if first else outputs)

    patch.setattr(ArrayEngine, "pack", pack)


def missing_wait(patch: pytest.MonkeyPatch) -> None:
    """The C does not wait for the first copy."""
    right = Commands.write

    def write(self: Commands, op: object, step: object) -> None:
        if not (isinstance(op, accel.WaitOp) and not self.waited):
            right(self, op, step)
        else:
            self.waited[""] = 1

    patch.setattr(Commands, "write", write)
