"""Cycles of straight-line code on the host: what is fixed, and what depends on values at run time.

The core is a RI5CY-class in-order pipeline with memories that never wait. Eleven terms describe it, each measured
on the RTL of CV32E40P; test/inputs/rtl_timing holds the programs that this model equals to the cycle. An instruction
costs 1, and more where one of these applies:

     1  load-use       +1   the next instruction reads the loaded register, or overwrites it and is no load
     2  taken branch   +2
     3  jal, jalr      +1
     4  unaligned      +1   a jump or taken branch goes to a 32-bit instruction at an address 4n+2,
                            or a fence is followed by one
     5  jalr-use       +1   the base of a jalr is written right before it, or by a load two before with 1 cycle between
     6  jalr-self      +1   jalr with rd = rs1, if it waits at all for its target
     7  mulh*          +4
     8  division       +2   and the leading zeros of rs2; signed and negative: and its leading ones less 1
     9  misaligned     +1   a word not at 4n, a half word at 4n+3
    10  csr, fence     +3   but for the CSRs in `CHEAP_CSRS`
    11  overlap        -1   a jump right behind an instruction that keeps it waiting has its target fetched meanwhile

The cost of an instruction is known when the next one is. So a block is charged for all its instructions but the
last, and for the last one of the block before it when nothing jumped between them (`carry`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from htvm.runtime.simulator.instructions import (
    ALU,
    BRANCH,
    CSR,
    DIVIDE,
    FENCE,
    JAL,
    JALR,
    LOAD,
    MULH,
    STORE,
    Instruction,
)

# mvendorid, mhartid, misa, mie, mscratch, mip: measured not to drain the pipeline.
CHEAP_CSRS = (0xF11, 0xF14, 0x301, 0x304, 0x340, 0x344)

# Cycles that an instruction takes by itself, at least: a division by a number with bit 31 set takes 3.
OWN_CYCLES = {MULH: 5, DIVIDE: 3, CSR: 4, FENCE: 4}
MAY_STALL = (LOAD, STORE, MULH, DIVIDE)

# How a block ends.
SPLIT, BRANCHES, BRANCHES_TO_NEXT, JUMPS = range(4)

# When the registers of a term can be read: when the block is entered, when it has been left, or at an address
# inside it, just before the instruction there.
AT_ENTRY, AT_EXIT = 0, 1

# An address that is a sum of more registers than this is read where it is used.
MAX_REGISTERS = 3


class InFlight(NamedTuple):
    """An instruction whose cost is not yet known, because it depends on the next one."""

    kind: int
    rd: int
    cycles: int  # that it takes by itself, aligned if it is an access
    misaligned: bool = False
    recent: int = 0  # the register of a load right before it, whose value is still on its way; else 0


class Term(NamedTuple):
    """Cycles that depend on registers.

    An access has `sums`: the registers and their factors whose sum, modulo 4, picks the extra cycles from
    `cycles`, and from `tail` whether the access that a following jump may wait for is misaligned. A division
    has `divisor`.
    """

    when: int  # AT_ENTRY, AT_EXIT, or an address
    sums: tuple[tuple[int, int], ...] = ()
    cycles: tuple[int, int, int, int] = (0, 0, 0, 0)
    tail: tuple[bool, bool, bool, bool] = (False, False, False, False)
    divisor: int = 0
    signed: bool = False


class Block(NamedTuple):
    """What a block costs.

    cycles: of the carried instruction and of all its own but the last, without its terms.
    taken: cycles of the last one if it jumps, by whether the access before it was misaligned, and by whether
    the target is unaligned. carry: what is in flight if it does not jump, by whether the access at the end was
    misaligned.
    """

    instructions: int
    cycles: int
    unaligned: bool  # as a target
    ends: int
    taken: tuple[tuple[int, int], tuple[int, int]]
    carry: tuple[InFlight, InFlight]
    terms: tuple[Term, ...]


def analyse(start: int, code: Sequence[Instruction], carry: InFlight | None) -> Block:
    """Return the costs of a block that is entered behind `carry`, or by a jump if that is None."""
    cycles, before, flight, address = 0, None, carry, start
    for instruction in code:
        before, recent = flight, 0
        if before is not None:
            gap, _, recent = charge(before, instruction)
            cycles += gap
            if before.kind == FENCE:
                cycles += is_unaligned(address, instruction)
        flight = in_flight(instruction, recent)
        address += instruction.size
    assert flight is not None, "a block has instructions"
    last = code[-1]
    ends = ending(last)
    # Whether a carried access is misaligned is known already; one of this block may be either.
    tails = (before, before) if len(code) == 1 or before is None else misaligned_or_not(before)
    return Block(
        instructions=len(code),
        cycles=cycles,
        unaligned=is_unaligned(start, code[0]),
        ends=ends,
        taken=(taken_cycles(last, tails[0], tails[0]), taken_cycles(last, tails[1], tails[0])),
        carry=misaligned_or_not(flight) if ends == SPLIT else (flight, flight),
        terms=terms(start, code, ends),
    )


def is_unaligned(address: int, instruction: Instruction) -> bool:
    """Say whether an instruction that is fetched anew needs two words (term 4)."""
    return address % 4 == 2 and instruction.size == 4


def in_flight(instruction: Instruction, recent: int) -> InFlight:
    """Start an instruction; `recent` is the register of a load on its way before it."""
    cycles = OWN_CYCLES.get(instruction.kind, 1)
    if instruction.csr in CHEAP_CSRS:
        cycles = 1
    elif instruction.kind == DIVIDE and instruction.reads[1] == 0:
        cycles = 35  # by x0
    return InFlight(instruction.kind, instruction.rd, cycles, recent=recent)


def charge(flight: InFlight, after: Instruction) -> tuple[int, bool, int]:
    """Return what `flight` costs before `after`, with no jump between.

    With it, whether `after` has fetched its target while it waited, and the register of the load that is still
    on its way when `after` is in flight. The one cycle of a misaligned access is not included: its term has it.
    """
    cycles = flight.cycles
    stall = cycles - 1 + flight.misaligned if flight.kind in MAY_STALL else 0
    used = flight.kind == LOAD and flight.rd != 0 and (
        flight.rd in after.reads or (flight.rd == after.rd and after.kind != LOAD))  # fmt: skip
    cycles += used  # term 1
    stall += used
    if after.kind == JALR:  # term 5
        if flight.rd and flight.rd in after.reads:
            cycles += 1
            stall = 0
        elif flight.recent and flight.recent in after.reads:
            cycles += cycles + flight.misaligned == 1
            stall -= 1
    fetched = stall > 0 and after.kind in (JAL, JALR)
    recent = flight.rd if flight.kind == LOAD and not used else 0
    return cycles, fetched, recent


def taken_cycles(last: Instruction, before: InFlight | None, counted: InFlight | None) -> tuple[int, int]:
    """Return what `last` costs if it jumps to an aligned and to an unaligned target.

    before, counted: what is in flight before it, and what the cycles of the block were counted with; the
    difference between the two is included.
    """
    if last.kind == BRANCH:
        return 3, 4
    if before is None or counted is None:  # there is none
        fetched, correction = False, 0
    else:
        gap, fetched, _ = charge(before, last)
        correction = gap - charge(counted, last)[0]
    loops = last.kind == JALR and last.rd != 0 and last.rd in last.reads
    waits = [unaligned + (not fetched) for unaligned in (0, 1)]  # terms 3, 4 and 11
    aligned, unaligned = (1 + wait + (loops and wait > 0) + correction for wait in waits)  # term 6
    return aligned, unaligned


def misaligned_or_not(flight: InFlight) -> tuple[InFlight, InFlight]:
    """Return `flight` as it is if aligned, and if not."""
    return flight, flight._replace(misaligned=flight.kind in (LOAD, STORE))


def ending(last: Instruction) -> int:
    """Say how a block ends whose last instruction is `last`."""
    if last.kind == BRANCH:
        # Whether it is taken then does not show in where it goes.
        return BRANCHES_TO_NEXT if last.imm == last.size else BRANCHES
    return JUMPS if last.kind in (JAL, JALR) else SPLIT


def terms(start: int, code: Sequence[Instruction], ends: int) -> tuple[Term, ...]:
    """Return the terms of a block's divisions and possibly misaligned accesses, one per set of registers."""
    # A jump may wait for the access right before it, here or in the block that follows a split.
    tail = {JUMPS: len(code) - 2, SPLIT: len(code) - 1}.get(ends)
    found: list[Term] = []
    residues: list[Residue | None] = [Residue(0, ((k, 1),)) for k in range(32)]
    residues[0] = Residue(0, ())
    written: set[int] = set()
    address = start
    for index, instruction in enumerate(code):
        later = {other.rd for other in code[index:]}
        if instruction.kind == DIVIDE and (divisor := instruction.reads[1]):
            when = AT_ENTRY if divisor not in written else AT_EXIT if divisor not in later else address
            found.append(Term(when, divisor=divisor, signed=instruction.name in ("div", "rem")))
        elif instruction.width > 1:
            base = instruction.reads[0]
            residue = residues[base]
            if residue is not None and len(residue.sums) <= MAX_REGISTERS:
                when = AT_ENTRY
            else:
                when = AT_EXIT if base not in later else address
                residue = Residue(0, ((base, 1),))
            found.append(access(when, residue, instruction, index == tail))
        if instruction.rd:
            residues[instruction.rd] = result(instruction, residues, address)
            written.add(instruction.rd)
        address += instruction.size
    return merge(found)


class Residue(NamedTuple):
    """A value modulo 4: a constant plus registers as the block is entered, each with a factor 1 to 3."""

    constant: int
    sums: tuple[tuple[int, int], ...]

    def plus(self, other: "Residue", factor: int = 1) -> "Residue":
        """Return self + factor * other."""
        factors = dict(self.sums)
        for register, one in other.sums:
            factors[register] = (factors.get(register, 0) + factor * one) % 4
        sums = tuple(sorted((register, one) for register, one in factors.items() if one))
        return Residue((self.constant + factor * other.constant) % 4, sums)


ZERO = Residue(0, ())


def result(instruction: Instruction, residues: Sequence[Residue | None], address: int) -> Residue | None:
    """Return what an instruction writes, modulo 4; None if the block's entry does not tell."""
    if instruction.kind != ALU:
        return None
    name, imm = instruction.name, instruction.imm
    if name == "lui":
        return ZERO
    if name == "auipc":
        return Residue(address % 4, ())
    if (name == "slli" and imm >= 2) or (name == "andi" and imm % 4 == 0):
        return ZERO
    read = [residue for register in instruction.reads if (residue := residues[register]) is not None]
    if len(read) < len(instruction.reads):
        return None
    if name == "addi":
        return read[0].plus(Residue(imm % 4, ()))
    if name == "slli":
        return ZERO.plus(read[0], 1 << imm)
    if name in ("add", "sub"):
        return read[0].plus(read[1], 1 if name == "add" else -1)
    return None


def access(when: int, residue: Residue, instruction: Instruction, is_tail: bool) -> Term:
    """Return the term of a load or store whose address is `residue` plus its immediate."""
    offsets = [(residue.constant + instruction.imm + k) % 4 for k in range(4)]
    a, b, c, d = (offset != 0 if instruction.width == 4 else offset == 3 for offset in offsets)
    tail = (a and is_tail, b and is_tail, c and is_tail, d and is_tail)
    return Term(when, residue.sums, (int(a), int(b), int(c), int(d)), tail)


def merge(found: Sequence[Term]) -> tuple[Term, ...]:
    """Join accesses through the same registers at the same time, and drop those that are never misaligned."""
    joined: dict[tuple[int, tuple[tuple[int, int], ...]], Term] = {}
    kept: list[Term] = []
    for term in found:
        if term.divisor or term.when > AT_EXIT:
            kept.append(term)
            continue
        key = term.when, term.sums
        other = joined.get(key, Term(*key))
        cycles = tuple(a + b for a, b in zip(other.cycles, term.cycles, strict=True))
        tail = tuple(a or b for a, b in zip(other.tail, term.tail, strict=True))
        joined[key] = term._replace(cycles=cycles, tail=tail)
    return (*kept, *(term for term in joined.values() if any(term.cycles)))
