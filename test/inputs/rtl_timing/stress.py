"""Random programs in assembly, with every kind of instruction next to every other.

Usage: stress.py PROGRAMS SEED > FILE.S
A program is some 60 instructions with forward branches and jumps, between the openings of two regions. The last one
is long and straight, so that the simulator splits it where nothing jumps.
"""

import random
import sys

REGISTERS = ["a0", "a1", "a2", "a3", "a4", "a5", "s2", "s3", "t3", "t4", "ra"]
ALU = ["add", "sub", "xor", "and", "or", "sll", "srl", "sra", "slt", "sltu", "mul"]
# Their values are the same on the RTL and on an emulator; mcycle is timed too, but read into x0.
CSRS = ["mhartid", "mscratch", "mepc"]
KINDS = {"alu": 20, "imm": 14, "load": 18, "store": 9, "mulh": 6, "div": 5, "csr": 2, "fence": 1}
JUMPS = {"branch": 12, "jal": 6, "jalr": 4, "loaded jalr": 4, "moved base": 4}
PROGRAM_SIZE, STRAIGHT_SIZE = 60, 1500


class Programs:
    """Writes programs; labels are unique to each."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def register(self) -> str:
        return self.rng.choice(REGISTERS)

    def offset(self) -> int:
        return self.rng.choice((4 * self.rng.randrange(15), self.rng.randrange(60)))

    def plain(self, kind: str) -> str:
        """Return an instruction that does not jump."""
        rng, one = self.rng, self.register
        if kind == "alu":
            return f"{rng.choice(ALU)} {one()}, {one()}, {one()}"
        if kind == "imm":
            source = one()
            return f"addi {rng.choice((source, one()))}, {source}, {rng.randrange(-40, 40) or 1}"
        if kind == "load":
            return f"{rng.choice(('lw', 'lw', 'lw', 'lh', 'lhu', 'lb', 'lbu'))} {one()}, {self.offset()}(s0)"
        if kind == "store":
            return f"{rng.choice(('sw', 'sw', 'sh', 'sb'))} {one()}, {self.offset()}(s0)"
        if kind == "mulh":
            return f"{rng.choice(('mulh', 'mulhu', 'mulhsu'))} {one()}, {one()}, {one()}"
        if kind == "div":
            divisor = rng.choice((one(), one(), "x0"))
            return f"{rng.choice(('div', 'divu', 'rem', 'remu'))} {one()}, {one()}, {divisor}"
        if kind == "csr":
            return rng.choice((f"csrr {one()}, {rng.choice(CSRS)}", "csrr x0, mcycle"))
        return rng.choice(("fence", ".word 0x0000100f"))  # the latter is fence.i

    def jump(self, kind: str, target: str, word: str) -> list[str]:
        """Return a jump to `target`. With what makes its address it is one unit, which no branch enters."""
        rng = self.rng
        if kind == "branch":
            condition = rng.choice(("beq", "bne", "blt", "bge", "bltu", "bgeu"))
            return [f"{condition} {self.register()}, {rng.choice((self.register(), 'x0'))}, {target}"]
        if kind == "jal":
            return [f"jal {rng.choice(('x0', 'ra', 't0'))}, {target}"]
        if kind == "moved base":  # an access through a register that is itself loaded, changed or overwritten
            load = rng.choice(("lw", "lh", "lhu"))
            return rng.choice((
                ["lw t6, 64(s0)", f"{load} a0, {rng.randrange(8)}(t6)"],
                ["lw t6, 64(s0)", f"{load} t6, {rng.randrange(8)}(t6)"],
                ["andi t6, a0, 31", "add t6, t6, s0", f"{load} a1, {rng.randrange(8)}(t6)", "xor t6, t6, a1"],
                ["slli t6, s10, 1", "add t6, t6, s0", f"sw a1, {rng.randrange(8)}(t6)", "sub t6, t6, s10"],
                [f"li t6, {rng.randrange(1, 300)}", "div t6, a1, t6", "jal x0, 1f", "1:"],
                [f"addi t6, s0, {rng.randrange(8)}", "lw a2, 0(t6)", f"jal x0, {target}"],
            ))  # fmt: skip
        if kind == "jalr":
            lines = [f"la t5, {target}"]
        else:
            lines = [".pushsection .data", ".balign 4", f"{word}: .word {target}", ".popsection"]
            lines += [f"la t6, {word}", "lw t5, 0(t6)"]
        between = (
            "add a0, a1, a2",
            "addi a3, a3, 1",
            "mulh a0, a1, a2",
            "lw a4, 1(s0)",
            "lw ra, 4(s0)",
            "sw a0, 2(s0)",
        )
        lines += [rng.choice(between) for _ in range(rng.randrange(3))]
        return [*lines, f"jalr {rng.choice(('x0', 'ra', 't0', 't5'))}, 0(t5)"]

    def program(self, name: str) -> list[str]:
        """Return a program with jumps."""
        lines = []
        for at in range(PROGRAM_SIZE):
            lines.append(f"{name}_{at}:")
            kinds = {**KINDS, **JUMPS}
            kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
            if kind in KINDS:
                lines.append(self.plain(kind))
            else:
                target = min(PROGRAM_SIZE, at + self.rng.choice((1, 1, 2, 3, 4)))
                lines += self.jump(kind, f"{name}_{target}", f"w{name}_{at}")
        return [*lines, f"{name}_{PROGRAM_SIZE}:"]

    def straight(self) -> list[str]:
        """Return a long program without jumps."""
        return [self.plain(self.rng.choices(list(KINDS), list(KINDS.values()))[0]) for _ in range(STRAIGHT_SIZE)]

    def setup(self) -> list[str]:
        """Return code that fills the registers and the buffer."""
        rng = self.rng
        lines = ["la s0, buffer", "addi s4, s0, 8"]
        for register in REGISTERS[:-1]:
            value = rng.choice((rng.randrange(-8, 9), rng.getrandbits(32), rng.getrandbits(rng.randrange(1, 32))))
            lines.append(f"li {register}, {value}")
        lines += [f"li s10, {rng.randrange(16)}"]
        lines += [f"sw {rng.choice(REGISTERS)}, {4 * k}(s0)" for k in range(16)]
        lines += [f"addi t6, s0, {rng.randrange(32)}", "sw t6, 64(s0)"]
        return lines


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    programs = Programs(random.Random(seed))
    print(".option norelax\n.globl main\n.text\nmain:\naddi sp, sp, -16\nsw ra, 0(sp)")
    for number in range(count):
        body = programs.straight() if number == count - 1 else programs.program(f"p{number}")
        print(
            *programs.setup(),
            f"call htvm_step_{2 * number}",
            *body,
            f"call htvm_step_{2 * number + 1}",
            sep="\n",
        )
    print("lw ra, 0(sp)\naddi sp, sp, 16\nret\n.bss\n.balign 64\nbuffer: .space 256")


if __name__ == "__main__":
    main()
