"""RV32IMC instructions, as far as the cycle model needs them: what each reads, writes and keeps busy."""

import functools
from typing import NamedTuple

LOAD, STORE, BRANCH, JAL, JALR, ALU, MULH, DIVIDE, CSR, FENCE = range(10)

# Bits 12..14 of each group of the base ISA (RISC-V unprivileged specification, instruction set listings).
LOADS = {0: 1, 1: 2, 2: 4, 4: 1, 5: 2}  # funct3: bytes of lb, lh, lw, lbu, lhu
STORES = {0: 1, 1: 2, 2: 4}
BRANCHES = (0, 1, 4, 5, 6, 7)
ALU_IMMEDIATE = {0: "addi", 1: "slli", 2: "slti", 3: "sltiu", 4: "xori", 6: "ori", 7: "andi"}
MULTIPLY_DIVIDE = ("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu")


class Instruction(NamedTuple):
    """One instruction. `rd` is 0 if it writes no register; `imm` is sign-extended."""

    kind: int
    name: str  # of the ALU operations that addresses are made of, and of divisions; else the kind of thing
    size: int  # bytes, 2 or 4
    rd: int
    reads: tuple[int, ...]  # rs1, rs2
    imm: int = 0
    width: int = 0  # bytes of a memory access
    csr: int = 0
    funct3: int = 0  # of a branch


class IllegalInstruction(ValueError):
    """These bits are not an RV32IMC instruction that the simulated host runs."""


@functools.cache
def decode(code: int) -> Instruction:
    """Decode the instruction in the low 16 or 32 bits of `code`. Raises IllegalInstruction."""
    if code & 3 == 3:
        return decode_word(code, size=4)
    return decode_word(expand(code & 0xFFFF), size=2)


def decode_word(word: int, size: int) -> Instruction:
    """Decode a 32-bit instruction that takes `size` bytes in the code."""
    opcode, rd, funct3, funct7 = word & 0x7F, word >> 7 & 31, word >> 12 & 7, word >> 25
    rs1, rs2 = word >> 15 & 31, word >> 20 & 31
    imm = signed(word >> 20, 12)
    if opcode == 0x03 and funct3 in LOADS:
        return Instruction(LOAD, "load", size, rd, (rs1,), imm, LOADS[funct3])
    if opcode == 0x23 and funct3 in STORES:
        return Instruction(STORE, "store", size, 0, (rs1, rs2), signed(funct7 << 5 | rd, 12), STORES[funct3])
    if opcode == 0x63 and funct3 in BRANCHES:
        offset = bits(word, (31, 12), (7, 11)) | bits(word, *((25 + k, 5 + k) for k in range(6)))
        offset |= bits(word, *((8 + k, 1 + k) for k in range(4)))
        return Instruction(BRANCH, "branch", size, 0, (rs1, rs2), signed(offset, 13), funct3=funct3)
    if opcode == 0x6F:
        offset = bits(word, (31, 20), (20, 11), *((12 + k, 12 + k) for k in range(8)))
        offset |= bits(word, *((21 + k, 1 + k) for k in range(10)))
        return Instruction(JAL, "jal", size, rd, (), signed(offset, 21))
    if opcode == 0x67 and funct3 == 0:
        return Instruction(JALR, "jalr", size, rd, (rs1,), imm)
    if opcode == 0x33 and funct7 == 1:
        kind = ALU if funct3 == 0 else MULH if funct3 < 4 else DIVIDE
        return Instruction(kind, MULTIPLY_DIVIDE[funct3], size, rd, (rs1, rs2))
    if opcode == 0x33 and (funct7 == 0 or (funct7 == 0x20 and funct3 in (0, 5))):
        name = "sub" if funct7 and funct3 == 0 else "add" if funct3 == 0 else "alu"
        return Instruction(ALU, name, size, rd, (rs1, rs2))
    if opcode == 0x13 and funct3 in (1, 5):
        if funct7 == 0 or (funct7 == 0x20 and funct3 == 5):
            return Instruction(ALU, "slli" if funct3 == 1 else "alu", size, rd, (rs1,), rs2)
    elif opcode == 0x13:
        return Instruction(ALU, ALU_IMMEDIATE[funct3], size, rd, (rs1,), imm)
    elif opcode in (0x37, 0x17):
        return Instruction(ALU, "lui" if opcode == 0x37 else "auipc", size, rd, (), signed(word >> 12 << 12, 32))
    elif opcode == 0x73 and funct3 & 3:
        return Instruction(CSR, "csr", size, rd, (rs1,) if funct3 < 4 else (), csr=word >> 20)
    elif opcode == 0x0F and funct3 < 2:
        return Instruction(FENCE, "fence", size, 0, ())
    raise IllegalInstruction(f"{word:#010x}")


def bits(word: int, *moves: tuple[int, int]) -> int:
    """Gather single bits of `word`: each move is (from, to)."""
    return sum((word >> source & 1) << to for source, to in moves)


def signed(value: int, width: int) -> int:
    """Read the low `width` bits of `value` as two's complement."""
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def expand(half: int) -> int:
    """Return the 32-bit form of a 16-bit instruction. Raises IllegalInstruction."""
    quadrant, funct3 = half & 3, half >> 13
    rd, rs2 = half >> 7 & 31, half >> 2 & 31
    short_high, short_low = (half >> 7 & 7) + 8, (half >> 2 & 7) + 8
    imm6 = signed(bits(half, (12, 5)) | rs2, 6)
    if half & 0xFFFF == 0:
        raise IllegalInstruction("0x0000")
    if quadrant == 0:
        if funct3 == 0:  # c.addi4spn
            offset = bits(half, (12, 5), (11, 4), (10, 9), (9, 8), (8, 7), (7, 6), (6, 2), (5, 3))
            if offset:
                return immediate(0x13, short_low, 0, 2, offset)
        offset = bits(half, (12, 5), (11, 4), (10, 3), (6, 2), (5, 6))
        if funct3 == 2:  # c.lw
            return immediate(0x03, short_low, 2, short_high, offset)
        if funct3 == 6:  # c.sw
            return store_word(short_high, short_low, offset)
    if quadrant == 1:
        if funct3 == 0:  # c.addi, c.nop
            return immediate(0x13, rd, 0, rd, imm6)
        if funct3 in (1, 5):  # c.jal, c.j
            offset = bits(
                half, (12, 11), (11, 4), (10, 9), (9, 8), (8, 10), (7, 6), (6, 7), (5, 3), (4, 2), (3, 1), (2, 5)
            )
            return jump(1 if funct3 == 1 else 0, signed(offset, 12))
        if funct3 == 2:  # c.li
            return immediate(0x13, rd, 0, 0, imm6)
        if funct3 == 3 and rd == 2:  # c.addi16sp
            offset = signed(bits(half, (12, 9), (6, 4), (5, 6), (4, 8), (3, 7), (2, 5)), 10)
            if offset:
                return immediate(0x13, 2, 0, 2, offset)
        elif funct3 == 3 and imm6:  # c.lui
            return (imm6 & 0xFFFFF) << 12 | rd << 7 | 0x37
        if funct3 == 4:
            return expand_arithmetic(half, short_high, short_low, imm6)
        if funct3 in (6, 7):  # c.beqz, c.bnez
            offset = bits(half, (12, 8), (11, 4), (10, 3), (6, 7), (5, 6), (4, 2), (3, 1), (2, 5))
            return branch_zero(short_high, funct3 - 6, signed(offset, 9))
    if quadrant == 2:
        if funct3 == 0 and not half >> 12 & 1:  # c.slli
            return immediate(0x13, rd, 1, rd, rs2)
        if funct3 == 2 and rd:  # c.lwsp
            return immediate(0x03, rd, 2, 2, bits(half, (12, 5), (6, 4), (5, 3), (4, 2), (3, 7), (2, 6)))
        if funct3 == 4 and (rd or rs2):
            return expand_register(half, rd, rs2)
        if funct3 == 6:  # c.swsp
            return store_word(2, rs2, bits(half, (12, 5), (11, 4), (10, 3), (9, 2), (8, 7), (7, 6)))
    raise IllegalInstruction(f"{half:#06x}")


def expand_arithmetic(half: int, rd: int, rs2: int, imm6: int) -> int:
    """Expand c.srli, c.srai, c.andi and the register forms beside them."""
    group = half >> 10 & 3
    if group < 2 and not half >> 12 & 1:
        return immediate(0x13, rd, 5, rd, (half >> 2 & 31) | (0x400 if group else 0))
    if group == 2:
        return immediate(0x13, rd, 7, rd, imm6)
    if group == 3 and not half >> 12 & 1:
        funct3, funct7 = ((0, 0x20), (4, 0), (6, 0), (7, 0))[half >> 5 & 3]  # c.sub, c.xor, c.or, c.and
        return register(rd, funct3, rd, rs2, funct7)
    raise IllegalInstruction(f"{half:#06x}")


def expand_register(half: int, rd: int, rs2: int) -> int:
    """Expand c.jr, c.jalr, c.mv and c.add. Raises IllegalInstruction on c.ebreak."""
    link = half >> 12 & 1
    if rs2:
        return register(rd, 0, rd if link else 0, rs2, 0)
    if rd:
        return immediate(0x67, link, 0, rd, 0)
    raise IllegalInstruction(f"{half:#06x}")


def immediate(opcode: int, rd: int, funct3: int, rs1: int, imm: int) -> int:
    """Encode an I-type instruction."""
    return (imm & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def register(rd: int, funct3: int, rs1: int, rs2: int, funct7: int) -> int:
    """Encode an R-type ALU instruction."""
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x33


def store_word(rs1: int, rs2: int, offset: int) -> int:
    """Encode sw."""
    return (offset >> 5) << 25 | rs2 << 20 | rs1 << 15 | 2 << 12 | (offset & 31) << 7 | 0x23


def jump(rd: int, offset: int) -> int:
    """Encode jal."""
    word = bits(offset, (20, 31), (11, 20), *((12 + k, 12 + k) for k in range(8))) | rd << 7 | 0x6F
    return word | bits(offset, *((1 + k, 21 + k) for k in range(10)))


def branch_zero(rs1: int, funct3: int, offset: int) -> int:
    """Encode beq or bne of a register with x0."""
    word = bits(offset & 0x1FFF, (12, 31), (11, 7)) | rs1 << 15 | funct3 << 12 | 0x63
    return word | bits(offset, *((5 + k, 25 + k) for k in range(6))) | bits(offset, *((1 + k, 8 + k) for k in range(4)))
