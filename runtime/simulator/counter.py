"""The bridge to block_hook.c: hooks a Unicorn machine so that instructions and cycles are counted.

The compiled hooks ask here for each block that they meet for the first time; timing.py says what it costs.
"""

import ctypes
import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from unicorn import UC_HOOK_BLOCK, UC_HOOK_CODE, Uc
from unicorn.riscv_const import UC_RISCV_REG_X0
from unicorn.unicorn_py3 import unicorn as binding  # the loaded library: compiled hooks need its C functions

from htvm.runtime.interrupts import ends_on_signals
from htvm.runtime.simulator.error import SimulationError
from htvm.runtime.simulator.instructions import IllegalInstruction, Instruction, decode
from htvm.runtime.simulator.timing import AT_EXIT, BRANCHES_TO_NEXT, Block, InFlight, Term, analyse

LIBRARY = Path(__file__).with_name("libhtvm_block_hook.so")

# The status of a counter, as in block_hook.c.
RUNNING, PAUSED, OUT_OF_CYCLES = range(3)


class TermRecord(ctypes.Structure):
    """struct term of block_hook.c."""

    _fields_ = [
        ("when", ctypes.c_uint32),
        ("cycles", ctypes.c_uint16 * 4),
        ("tail", ctypes.c_uint8 * 4),
        ("registers", ctypes.c_uint8),
        ("reg", ctypes.c_uint8 * 3),
        ("factor", ctypes.c_uint8 * 3),
        ("divisor", ctypes.c_uint8),
        ("is_signed", ctypes.c_uint8),
    ]


class BlockRecord(ctypes.Structure):
    """struct block of block_hook.c."""


BlockRecord._fields_ = [
    ("next", ctypes.POINTER(BlockRecord)),
    ("address", ctypes.c_uint32),
    ("size", ctypes.c_uint32),
    ("carry_in", ctypes.c_uint32),
    ("instructions", ctypes.c_uint32),
    ("cycles", ctypes.c_uint32),
    ("ends", ctypes.c_uint32),
    ("carry_out", ctypes.c_uint32 * 2),
    ("taken", (ctypes.c_uint8 * 2) * 2),
    ("unaligned", ctypes.c_uint8),
    ("condition", ctypes.c_uint8),
    ("rs1", ctypes.c_uint8),
    ("rs2", ctypes.c_uint8),
    ("step", ctypes.c_int32),
    ("terms", ctypes.c_uint32),
    ("term", ctypes.POINTER(TermRecord)),
]


class Account(ctypes.Structure):
    """struct account of block_hook.c."""

    _fields_ = [("instructions", ctypes.c_uint64), ("cycles", ctypes.c_uint64)]


ANALYSE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)


class CounterRecord(ctypes.Structure):
    """struct counter of block_hook.c."""

    _fields_ = [
        ("reg_read", ctypes.c_void_p),
        ("emu_stop", ctypes.c_void_p),
        ("analyse", ANALYSE),
        ("x0", ctypes.c_int),
        ("code_base", ctypes.c_uint32),
        ("code_bytes", ctypes.c_uint32),
        ("table", ctypes.POINTER(ctypes.POINTER(BlockRecord))),
        ("accounts", ctypes.POINTER(Account)),
        ("account", ctypes.POINTER(Account)),
        ("current", ctypes.POINTER(BlockRecord)),
        ("max_cycles", ctypes.c_uint64),
        ("other_cycles", ctypes.c_uint64),
        ("carry", ctypes.c_uint32),
        ("next_term", ctypes.c_uint32),
        ("settled", ctypes.c_uint8),
        ("taken", ctypes.c_uint8),
        ("tail_misaligned", ctypes.c_uint8),
        ("status", ctypes.c_int32),
    ]


class Counter:
    """Counts what a machine executes between `begin` and `done`, in one account per step and one before them.

    code_base, code: the bytes that are executed, which do not change.
    """

    def __init__(self, machine: Uc, code_base: int, code: bytes, done: int, steps: Sequence[int]) -> None:
        self.machine, self.code_base, self.code, self.done = machine, code_base, code, done
        self.step_at = {address: number for number, address in enumerate(steps)}
        self.watched: set[int] = set()  # addresses with a code hook
        self.unwatched: dict[tuple[int, int], list[int]] = {}  # ascending addresses that need one, by block
        self.problem: Exception | None = None
        self.carries: list[InFlight | None] = [None]
        self.carry_number: dict[InFlight, int] = {}
        self.records: list[ctypes.Structure | ctypes.Array[TermRecord]] = []  # what C has pointers to
        self.table = (ctypes.POINTER(BlockRecord) * (len(code) // 2 + 1))()
        self.accounts = (Account * (len(steps) + 1))()
        # Instructions and cycles in turn, the same memory.
        self.numbers: np.ndarray = np.frombuffer(memoryview(self.accounts), np.uint64)
        self.library = load_library()
        self.callback = ANALYSE(self.new_block)  # C calls it: it must live as long as the machine
        self.record = CounterRecord(
            reg_read=ctypes.cast(binding.uclib.uc_reg_read, ctypes.c_void_p),
            emu_stop=ctypes.cast(binding.uclib.uc_emu_stop, ctypes.c_void_p),
            analyse=self.callback,
            x0=UC_RISCV_REG_X0,
            code_base=code_base,
            code_bytes=len(code),
            table=self.table,
            accounts=self.accounts,
        )
        self.add_hook(UC_HOOK_BLOCK, ctypes.cast(self.library.htvm_enter_block, ctypes.c_void_p), first=1, last=0)

    def begin(self, max_cycles: int) -> None:
        """Start a run: all accounts are empty, nothing is in flight."""
        ctypes.memset(self.accounts, 0, ctypes.sizeof(self.accounts))
        record = self.record
        record.account, record.current = self.accounts, None
        record.max_cycles, record.other_cycles = max_cycles, 0
        record.carry = record.settled = record.taken = record.tail_misaligned = 0
        record.status = RUNNING

    def resume(self) -> bool:
        """After the machine has stopped: say whether it must go on where it is.

        Raises SimulationError if it was stopped for what it did or was about to execute.
        """
        if self.problem:
            problem, self.problem = self.problem, None
            raise problem
        if self.record.status != PAUSED:
            return False
        for block, addresses in self.unwatched.items():
            # One hook for all: Unicorn goes through the list of hooks at each instruction that has any.
            function = ctypes.cast(self.library.htvm_before_instruction, ctypes.c_void_p)
            self.add_hook(UC_HOOK_CODE, function, addresses[0], addresses[-1])
            self.machine.ctl_remove_cache(*block)
            self.watched.update(addresses)
        self.unwatched.clear()
        self.record.status = RUNNING
        return True

    def stop(self, problem: SimulationError) -> None:
        """Have `resume` raise what is wrong with the instruction that is being executed."""
        self.problem = problem
        self.machine.emu_stop()

    def finish(self) -> None:
        """Charge what was in flight when the machine reached `done`."""
        size = self.instructions(self.done, 2)[0].size
        self.library.htvm_enter_block(self.machine._uch, self.done, size, ctypes.byref(self.record))

    @property
    def out_of_cycles(self) -> bool:
        """Whether the run was stopped because of its limit."""
        return self.record.status == OUT_OF_CYCLES

    @contextmanager
    def interruptible(self) -> Generator[None]:
        """Let Ctrl-C stop the machine that runs in the block, and only then do what Python does about it.

        An exception that a signal handler raised in one of Unicorn's callbacks would end the process.
        """
        on_main_thread = threading.current_thread() is threading.main_thread()
        if not on_main_thread or ends_on_signals() or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            yield
            return
        self.library.htvm_hold_interrupts()
        try:
            yield
        finally:
            arrived = self.library.htvm_release_interrupts()
            if arrived:
                signal.raise_signal(arrived)

    @property
    def cycles(self) -> int:
        """The cycles charged so far in this run: those of the current block too, but for its last instruction."""
        return int(self.numbers[1::2].sum())

    @property
    def executed(self) -> int:
        """The instructions charged so far in this run, all of the current block included."""
        return int(self.numbers[::2].sum())

    def add(self, cycles: int, instructions: int = 0) -> None:
        """Charge the current step with cycles in which the host was kept from going on, or with known iterations."""
        account = self.record.account.contents
        account.cycles += cycles
        account.instructions += instructions

    def set(self, cycles: int, instructions: int) -> None:
        """Make this the run's cycles and instructions so far; the difference is the current step's."""
        account = self.record.account.contents
        account.cycles += cycles - self.cycles
        account.instructions += instructions - self.executed

    def step(self) -> int:
        """Return the index of the account charged now: 0 for the start-up, 1 for step 0."""
        offset = ctypes.addressof(self.record.account.contents) - ctypes.addressof(self.accounts)
        return offset // ctypes.sizeof(Account)

    def add_hook(self, kind: int, function: ctypes.c_void_p, first: int, last: int) -> None:
        """Have Unicorn call a compiled function."""
        status = binding.uclib.uc_hook_add(
            self.machine._uch, ctypes.byref(ctypes.c_size_t()), ctypes.c_int(kind),
            function, ctypes.byref(self.record),
            ctypes.c_uint64(first), ctypes.c_uint64(last))  # fmt: skip
        assert status == 0, f"uc_hook_add answers {status}"

    def new_block(self, address: int, size: int, carry: int) -> int | None:
        """Make the record of a block never entered like this; None to stop the machine in front of it."""
        try:
            block = analyse(address, self.instructions(address, size), self.carries[carry])
        except Exception as error:  # `resume` raises it: no exception may cross the C that calls this
            self.problem = error
            return None
        if address == self.done:
            block = block._replace(instructions=0, terms=())
        record = self.keep(address, size, carry, block)
        addresses = [term.when for term in block.terms if term.when > AT_EXIT and term.when not in self.watched]
        if addresses:
            self.unwatched[address, address + size] = sorted(addresses)
        return None if self.unwatched else ctypes.addressof(record)

    def instructions(self, address: int, size: int) -> list[Instruction]:
        """Decode the `size` bytes of code at `address`, one instruction at least."""
        found: list[Instruction] = []
        at = address - self.code_base
        if not 0 <= at < len(self.code):
            raise SimulationError(f"executes what is not code at {address:#010x}")
        end = at + max(size, 2)
        while at < end:
            try:
                found.append(decode(int.from_bytes(self.code[at : at + 4], "little")))
            except IllegalInstruction as error:
                where = self.code_base + at
                raise SimulationError(f"illegal instruction {error} at {where:#010x}") from error
            at += found[-1].size
        return found

    def keep(self, address: int, size: int, carry: int, block: Block) -> BlockRecord:
        """Write a block where C finds it."""
        terms = (TermRecord * len(block.terms))(*map(term_record, sorted(block.terms, key=lambda term: term.when)))
        place = (address - self.code_base) // 2
        record = BlockRecord(
            next=self.table[place],
            address=address,
            size=size,
            carry_in=carry,
            instructions=block.instructions,
            cycles=block.cycles,
            ends=block.ends,
            carry_out=tuple(map(self.number, block.carry)),
            unaligned=block.unaligned,
            step=self.step_at.get(address, -1),
            terms=len(terms),
            term=terms,
        )
        for misaligned in (0, 1):
            record.taken[misaligned][:] = block.taken[misaligned]
        if block.ends == BRANCHES_TO_NEXT:
            branch = self.instructions(address, size)[-1]
            record.condition = branch.funct3
            record.rs1, record.rs2 = branch.reads
        self.table[place] = ctypes.pointer(record)
        self.records += record, terms
        return record

    def number(self, flight: InFlight) -> int:
        """Return the number of what is in flight; 0 is nothing."""
        if flight not in self.carry_number:
            self.carry_number[flight] = len(self.carries)
            self.carries.append(flight)
        return self.carry_number[flight]


def term_record(term: Term) -> TermRecord:
    """Write a term for C."""
    registers = [register for register, _ in term.sums]
    factors = [factor for _, factor in term.sums]
    return TermRecord(
        when=term.when,
        cycles=term.cycles,
        tail=term.tail,
        registers=len(registers),
        reg=tuple(registers),
        factor=tuple(factors),
        divisor=term.divisor,
        is_signed=term.signed,
    )


def load_library() -> ctypes.CDLL:
    """Load the compiled hooks."""
    if not LIBRARY.is_file():
        raise SimulationError(f"{LIBRARY} is missing: build it from block_hook.c, as README.md beside it says")
    library = ctypes.CDLL(str(LIBRARY))
    library.htvm_enter_block.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
    library.htvm_enter_block.restype = None
    return library
