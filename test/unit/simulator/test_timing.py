"""The terms of the cycle model, one by one. That all of them together equal the RTL is in test_rtl_timing.py."""

from collections.abc import Callable, Sequence

import pytest

# One measured body: what precedes it, with a0 the address of a word that holds it; then the body between two steps.
MEASURED = """
    .balign 4
    setup_{number}: la a0, buffer_{number}
                    sw a0, 0(a0)
                    {setup}
                    ret
    .balign 4
    htvm_step_{step}: {body}
                      nop
                      ret
    .balign 4
    htvm_step_{after}: ret
    .pushsection .bss
    .balign 4
    buffer_{number}: .space 16
    .popsection
"""
# The nop, ret, and the call of the next step.
AROUND = 1 + 2 + 2


@pytest.fixture
def cycles(build) -> Callable[[Sequence[tuple[str, str]]], list[int]]:
    """Return a function that measures bodies, each given with its setup."""

    def measure(cases: Sequence[tuple[str, str]]) -> list[int]:
        text, functions = "", []
        for number, (setup, body) in enumerate(cases):
            step, after = 2 * number, 2 * number + 1
            text += MEASURED.format(number=number, step=step, after=after, setup=setup, body=body)
            functions += f"setup_{number}", f"htvm_step_{step}", f"htvm_step_{after}"
        host = build(text, functions)
        first, second = host.run(), host.run()
        assert first == second
        return [step.cycles - AROUND for step in first.steps[0::2]]

    return measure


SEQUENCES = {
    "nop": 1,
    "lw a1, 0(a0)\nadd a2, a1, a1": 3,
    "lw a1, 0(a0)\nnop\nadd a2, a1, a1": 3,
    "lw a1, 0(a0)\nli a1, 5": 3,
    "lw a1, 0(a0)\nlw a1, 0(a0)": 2,
    "beqz a0, 1f\nnop\n1:": 2,
    "bnez a0, 1f\nnop\n1:": 3,
    "bnez a0, 1f\n1:": 3,
    "beqz a0, 1f\n1:": 1,
    "j 1f\nnop\n1:": 2,
    "j 1f\n.option rvc\nc.nop\n.option norvc\n1: li a1, 100\n.option rvc\nc.nop\n.option norvc": 2 + 1 + 1 + 1,
    "la a1, 1f\nnop\njr a1\n1:": 2 + 1 + 2,
    "la a1, 1f\njr a1\n1:": 2 + 1 + 2,
    "1: auipc a1, 0\njalr a1, 8(a1)": 1 + 1 + 3,
    "mulh a1, a0, a0": 5,
    "mul a1, a0, a0": 1,
    "mulh a1, a0, a0\nj 1f\n1:": 5 + 1,
    "div a1, a0, x0": 35,
    ".word 0x34002573": 1,  # csrr a0, mscratch
    ".word 0x30002573": 4,  # csrr a0, mstatus
    "fence": 4,
}


def test_sequences(cycles):
    assert dict(zip(SEQUENCES, cycles([("", body) for body in SEQUENCES]), strict=True)) == SEQUENCES


DIVISIONS = {
    ("divu", 7): 32,
    ("divu", 1): 34,
    ("remu", 255): 27,
    ("divu", 0): 35,
    ("divu", 1 << 30): 4,
    ("divu", 1 << 31): 3,
    ("div", 7): 32,
    ("div", -1): 34,
    ("rem", -7): 31,
    ("div", -(1 << 31)): 3,
}
# Where the model reads the divisor: what precedes the body, the body, and what it takes without the division.
DIVISORS = {
    "as the block is entered": ("li a2, {value}", "{name} a1, a0, a2", 0),
    "after the block": ("li a2, {value}\nsw a2, 4(a0)", "lw a2, 4(a0)\nnop\n{name} a1, a0, a2", 2),
    "inside the block": ("li a2, {value}\nsw a2, 4(a0)", "lw a2, 4(a0)\nnop\n{name} a2, a0, a2", 2),
}


@pytest.mark.parametrize("read", DIVISORS)
def test_a_division_depends_on_its_divisor(cycles, read):
    setup, body, around = DIVISORS[read]
    cases = [(setup.format(value=value), body.format(name=name)) for name, value in DIVISIONS]
    measured = [found - around for found in cycles(cases)]
    assert dict(zip(DIVISIONS, measured, strict=True)) == DIVISIONS


ACCESSES = [(name, offset) for name in ("lw", "sw", "lh", "lhu", "sh", "lb", "sb") for offset in range(4)]
# Where the model reads the address, in the same way.
ADDRESSES = {
    "constant offset": ("", "{name} a1, {offset}(a0)", 0),
    "as the block is entered": ("addi a2, a0, {offset}", "{name} a1, 4(a2)", 0),
    "sum": (
        "addi a2, a0, {offset}\nli a3, 1",
        "slli a3, a3, 2\nadd a2, a3, a2\naddi a2, a2, -4\n{name} a1, 0(a2)",
        3,
    ),
    "after the block": ("addi a2, a0, {offset}\nsw a2, 4(a0)", "lw a2, 4(a0)\nnop\n{name} a1, 8(a2)", 2),
    "inside the block": ("addi a2, a0, {offset}\nsw a2, 4(a0)", "lw a2, 4(a0)\nnop\n{name} a1, 8(a2)\nli a2, 0", 3),
}


@pytest.mark.parametrize("read", ADDRESSES)
def test_a_misaligned_access_takes_one_more(cycles, read):
    setup, body, around = ADDRESSES[read]
    cases = [(setup.format(offset=offset), body.format(name=name, offset=offset)) for name, offset in ACCESSES]
    misaligned = {**dict.fromkeys(("lw", "sw"), (1, 2, 3)), **dict.fromkeys(("lh", "lhu", "sh"), (3,))}
    expected = {(name, offset): 1 + (offset in misaligned.get(name, ())) for name, offset in ACCESSES}
    measured = [found - around for found in cycles(cases)]
    assert dict(zip(ACCESSES, measured, strict=True)) == expected


def test_a_jump_waits_less_behind_a_misaligned_access(cycles):
    store = "sw a1, 4(a2)\nj 1f\n1:"
    loaded = f"lw a2, 4(a0)\nnop\n{store}"
    setup = "addi a2, a0, {}\nsw a2, 4(a0)"
    aligned, misaligned = setup.format(0), setup.format(1)
    cases = [(aligned, store), (misaligned, store), (aligned, loaded), (misaligned, loaded)]
    assert cycles(cases) == [1 + 2, 2 + 1, 2 + 1 + 2, 2 + 2 + 1]


def test_long_straight_code_is_charged_as_one_piece(cycles):
    # Unicorn splits it at each page's end and after some hundreds of instructions.
    straight = "\n".join(["lw a1, 0(a0)", "add a2, a1, a1", "mulh a3, a1, a1"] * 1000)
    assert cycles([("", straight)]) == [1000 * (1 + 1 + 1 + 5)]
