"""The most that a program can take of its stack, whatever its inputs: found in its code, without running it.

The paths through each function are followed with the depth of the stack at each instruction; a call adds what the
called function takes at most. Jumps to other functions are paths like any other. Nothing can be said of a program with
recursion, with calls through a computed address, or with a frame of computed size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from htvm.runtime.simulator.error import SimulationError
from htvm.runtime.simulator.instructions import (
    BRANCH,
    JAL,
    JALR,
    IllegalInstruction,
    Instruction,
    bits,
    decode,
    signed,
)
from htvm.runtime.simulator.program import Program

RETURN_ADDRESS, STACK_POINTER = 1, 2


class UnknownStack(ValueError):
    """Nothing can be said of the stack; the message says where and why."""


def worst_stack_bytes(program: Program, entry: str) -> int:
    """Return the bytes of stack that a call of the function `entry` takes at most.

    Raises UnknownStack, and SimulationError if there is no such function.
    """
    return _Calls(program).worst(program.symbol(entry))


def worst_stack_or_none(program: Program, entry: str) -> int | None:
    """Return the same; None if nothing can be said of it, or there is no such function."""
    try:
        return worst_stack_bytes(program, entry)
    except (UnknownStack, SimulationError):
        return None


@dataclass
class _Calls:
    program: Program
    known: dict[int, int] = field(default_factory=dict[int, int])
    open: list[int] = field(default_factory=list[int])

    def worst(self, entry: int) -> int:
        """Return what a call of the function at an address takes."""
        if entry in self.open:
            raise UnknownStack(f"{self.program.place(entry)} calls itself")
        if entry not in self.known:
            self.open.append(entry)
            self.known[entry] = self._follow(entry)
            self.open.pop()
        return self.known[entry]

    def _follow(self, entry: int) -> int:
        worst, seen = 0, dict[int, int]()
        pending = [(entry, 0)]
        while pending:
            address, depth = pending.pop()
            while seen.get(address, -1) < depth:
                seen[address] = depth
                code, instruction = self._at(address)
                after = address + instruction.size
                if instruction.rd == STACK_POINTER:
                    depth = self._moved(address, instruction, depth)
                    worst = max(worst, depth)
                match instruction.kind:
                    case k if k == BRANCH:
                        pending.append((address + instruction.imm, depth))
                    case k if k == JAL:
                        to = address + _jump(code)
                        if instruction.rd == 0:
                            after = to
                        else:
                            worst = max(worst, depth + self.worst(to))
                    case k if k == JALR:
                        to = self._computed(address, instruction)
                        if instruction.rd == 0:
                            if to is None:
                                break
                            after = to
                        elif to is not None:
                            worst = max(worst, depth + self.worst(to))
                    case _:
                        pass
                address = after
        return worst

    def _moved(self, address: int, instruction: Instruction, depth: int) -> int:
        if instruction.name != "addi" or instruction.reads != (STACK_POINTER,):
            raise UnknownStack(f"{self.program.place(address)} computes its frame")
        return depth - instruction.imm

    def _computed(self, address: int, instruction: Instruction) -> int | None:
        """Return where a jump through a register goes that the instruction before has loaded; None for a return."""
        (register,) = instruction.reads
        try:
            code, before = self._at(address - 4)
        except UnknownStack:
            code, before = 0, None
        if before is not None and before.name == "auipc" and before.rd == register:
            return (address - 4 + signed(code >> 12 << 12, 32) + instruction.imm) & 0xFFFFFFFF
        if instruction.rd == 0 and register == RETURN_ADDRESS:
            return None
        raise UnknownStack(f"{self.program.place(address)} calls a computed address")

    def _at(self, address: int) -> tuple[int, Instruction]:
        for segment in self.program.segments:
            at = address - segment.address
            if segment.executable and 0 <= at < len(segment.data):
                code = int.from_bytes(segment.data[at : at + 4], "little")
                try:
                    return code, decode(code if code & 3 == 3 else code & 0xFFFF)
                except IllegalInstruction as error:
                    raise UnknownStack(f"{self.program.place(address)} has {error}") from error
        raise UnknownStack(f"{address:#x} is outside the code")


def _jump(code: int) -> int:
    """Return the distance of a jal, c.jal or c.j."""
    if code & 3 == 3:
        high, low = (31, 20), (20, 11)
        return signed(
            bits(code, high, low, *((12 + k, 12 + k) for k in range(8)), *((21 + k, 1 + k) for k in range(10))), 21
        )
    moves = ((12, 11), (11, 4), (10, 9), (9, 8), (8, 10), (7, 6), (6, 7), (5, 3), (4, 2), (3, 1), (2, 5))
    return signed(bits(code, *moves), 12)
