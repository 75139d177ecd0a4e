"""What is left of a memory for activations, as far as is known before the program is linked."""

from __future__ import annotations

from mlir import ir

from htvm.backend.targets.soc import STACK_BYTES, Soc
from htvm.dialects import accel

CODE_BYTES = 16 << 10
"""What is left for code, and for the constants of requantisation: MLPerf Tiny's networks have 4 to 16 kB of both."""

STEP_BYTES = 60
"""Code of one more step of patches, whose work others do as well: 54 in ResNet-8 in 8 patches (clang -O3)."""


def arena_bytes(module: ir.Operation, target: Soc, constants_bytes: int, more_steps: int = 0) -> int:
    """Return what constants, code and stack leave of the memory of the host's activations.

    constants_bytes: of all constants. more_steps: steps of patches. `accel.arena_room` on the module overrides it.
    """
    memory = target.memory(target.arena_memory)
    asked = accel.bytes_by_memory(module, accel.ARENA_ROOM)
    if memory.name in asked:
        return asked[memory.name]
    return memory.size_bytes - beside_bytes(target, constants_bytes, more_steps)


def beside_bytes(target: Soc, constants_bytes: int, more_steps: int = 0) -> int:
    """Return what constants, code and stack take of the memory of the host's activations."""
    taken = constants_bytes if target.constants_in == target.arena_memory else 0
    if target.program_memory == target.arena_memory:
        taken += CODE_BYTES + STACK_BYTES + STEP_BYTES * more_steps
    return taken
