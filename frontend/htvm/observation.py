"""Looking into a run: what each step has left in memory, without a change of the code or of its memory plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from mlir import ir
from unicorn import UC_HOOK_CODE

from htvm.backend.c.steps import Step
from htvm.backend.c.values import element_type, size_bytes
from htvm.backend.targets.soc import HOST
from htvm.execution import Program


def observed(
    program: Program, steps: Sequence[Step], sample: Mapping[str, np.ndarray]
) -> list[tuple[Step, np.ndarray]]:
    """Run a sample and return what each step has left in memory when the next one began.

    Steps of accelerators are left out: what they make is in memories of their own, or passes through in tiles.
    """
    host = program.host
    found: list[tuple[Step, np.ndarray]] = []

    def on_entry(_: object, address: int, *__: object) -> None:
        ended = host.program.steps.index(address) - 1
        if ended >= 0 and is_visible(steps[ended]):
            found.append((steps[ended], _value(program, steps[ended].output)))

    hooks = [host.machine.hook_add(UC_HOOK_CODE, on_entry, begin=at, end=at) for at in host.program.steps]
    host.machine.ctl_flush_tb()  # blocks that were translated before do not call the hooks
    try:
        program.run_one(sample)
    finally:
        for hook in hooks:
            host.machine.hook_del(hook)
    return [*found, *((last, _value(program, last.output)) for last in steps[-1:] if is_visible(last))]


def is_visible(step: Step) -> bool:
    """Say whether what a step makes is in the host's memory when it has ended."""
    return step.engine == HOST


def _value(program: Program, value: ir.Value) -> np.ndarray:
    """Read an activation, in its logical order of axes, from its place in the arena."""
    kind = ir.MemRefType(value.type)
    strides, _ = kind.get_strides_and_offset()
    element = element_type(value)
    stored = program.host.read(program.arena + _offset(value), size_bytes(value))
    return np.lib.stride_tricks.as_strided(
        np.frombuffer(stored, np.dtype(element.numpy).newbyteorder("<")),
        kind.shape,
        [stride * element.size_bytes for stride in strides],
    )


def _offset(value: ir.Value) -> int:
    """Return where in the arena an activation lies, in bytes."""
    if isinstance(value.owner, ir.Block):
        argument = ir.BlockArgument(value)
        attributes = value.owner.owner.opview.arg_attrs[argument.arg_number]
        return ir.IntegerAttr(attributes["accel.offset"]).value
    return value.owner.opview.offset.value
