"""The most that a program can take of its stack, whatever its inputs: found in its code, without running it.

The paths through each function are followed with the depth of the stack at each instruction; a call adds what the
called function takes at most. Jumps to other functions are paths like any other. Nothing can be said of a program with
recursion, with calls through a computed address, or with a frame of computed size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from htvm.runtime.simulator.error import SimulationError
from htvm.runtime.simulator.instructions import BRANCH, JAL, JALR, IllegalInstruction, Instruction, decode
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
            if seen.get(address, -1) >= depth:
                continue
            seen[address] = depth
            instruction = self._at(address)
            if instruction.rd == STACK_POINTER:
                depth = self._moved(address, instruction, depth)
                worst = max(worst, depth)
            following = [address + instruction.size]
            if instruction.kind == BRANCH:
                following.append(address + instruction.imm)
            elif instruction.kind in (JAL, JALR):
                target = self._target(address, instruction)
                if target is None or instruction.rd == 0:
                    following = [] if target is None else [target]
                else:
                    worst = max(worst, depth + self.worst(target))
            pending += ((each, depth) for each in following)
        return worst

    def _moved(self, address: int, instruction: Instruction, depth: int) -> int:
        if instruction.name != "addi" or instruction.reads != (STACK_POINTER,):
            raise UnknownStack(f"{self.program.place(address)} computes its frame")
        return depth - instruction.imm

    def _target(self, address: int, jump: Instruction) -> int | None:
        """Return where a jump goes; None for a return.

        Raises UnknownStack for a jump through a register that the instruction before has not loaded.
        """
        if jump.kind == JAL:
            return address + jump.imm
        (register,) = jump.reads
        try:
            before = self._at(address - 4)
        except UnknownStack:  # the middle of an instruction, or no code
            before = None
        if before is not None and before.name == "auipc" and before.rd == register:
            return (address - 4 + before.imm + jump.imm) & 0xFFFFFFFF
        if jump.rd == 0 and register == RETURN_ADDRESS:
            return None
        raise UnknownStack(f"{self.program.place(address)} calls a computed address")

    def _at(self, address: int) -> Instruction:
        for segment in self.program.segments:
            at = address - segment.address
            if segment.executable and 0 <= at < len(segment.data):
                code = int.from_bytes(segment.data[at : at + 4], "little")
                try:
                    return decode(code if code & 3 == 3 else code & 0xFFFF)
                except IllegalInstruction as error:
                    raise UnknownStack(f"{self.program.place(address)} has {error}") from error
        raise UnknownStack(f"{address:#x} is outside the code")
