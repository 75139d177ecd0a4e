"""An engine's launcher compiled for this computer, for `htvm test-engine` to call: which registers it writes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from operator import index
from typing import SupportsIndex, cast

import numpy as np

from htvm.backend.targets.engines.driver_library import OPTIONS
from htvm.backend.targets.jobs import OPERANDS, Job
from htvm.backend.targets.registers import SIZE_BYTES
from htvm.backend.targets.soc import Launched, Soc
from htvm.runtime.interrupts import run_child, scratch_folder

FILLED = (0, 0xFFFF_FFFF)
"""What registers hold before a call, of which there are two: what is the same after both was written."""

WORD_BITS = 32


NAMES = "unit, descriptor, input, second, weights, sums, output"
PARAMETERS = (
    "uintptr_t unit, const uint32_t *descriptor, uint32_t input, uint32_t second, uint32_t weights, uint32_t sums, "
    "uint32_t output"
)


class LauncherError(ValueError):
    """A launcher that this computer cannot compile, or a descriptor that is none."""


class LauncherLibrary:
    """The function of C that starts an engine's jobs, in this process; its registers are an array."""

    def __init__(self, soc: Soc, engine: Launched) -> None:
        """Compile the launcher with the clang of `ziglang`. Raises LauncherError if it cannot be compiled."""
        self.engine, launcher = engine, engine.launcher
        call = f"void htvm_call({PARAMETERS})\n{{\n    {launcher.function}({NAMES});\n}}\n"
        text = f'#include "{launcher.header}"\n\n{call}'
        with scratch_folder() as folder:
            for header in (resources.files("htvm.runtime") / "kernels").iterdir():
                if header.name.endswith(".h"):
                    (folder / header.name).write_text(header.read_text(encoding="utf-8"), encoding="utf-8")
            source, library = folder / "call.c", folder / "launcher.so"
            source.write_text(text, encoding="utf-8")
            own = [f"-I{each}" for each in (launcher.folder, soc.runtime) if each is not None]
            compiler = [sys.executable, "-m", "ziglang", "cc", *OPTIONS, *own, f"-I{folder}"]
            done = run_child([*compiler, str(source), "-o", str(library)])
            if done.returncode:
                first = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr.strip())
                raise LauncherError(f"launcher '{launcher.header}' cannot be compiled for this computer: {first}")
            self.function = ctypes.CDLL(str(library)).htvm_call

    def registers(self, words: Sequence[int], addresses: Mapping[str, int]) -> dict[int, int]:
        """Return what the launcher writes for a job, by the register's offset."""
        descriptor, after = np.array(words, np.uint32), [np.full(SIZE_BYTES // 4, each, np.uint32) for each in FILLED]
        places = [ctypes.c_uint32(addresses.get(name, 0)) for name in OPERANDS]
        for unit in after:
            self.function(ctypes.c_void_p(unit.ctypes.data), ctypes.c_void_p(descriptor.ctypes.data), *places)
        written = np.flatnonzero(after[0] == after[1])
        return {4 * int(word): int(after[0][word]) for word in written}

    def difference(self, job: Job, addresses: Mapping[str, int]) -> str | None:
        """Say what the hardware makes of a lowered job's descriptor, if that is another job; None if it is not.

        addresses: of the operands that the job has. Raises LauncherError for a descriptor that is none.
        """
        words: Sequence[object] = list(self.engine.descriptor(job))
        if wrong := [word for word in words if not is_word(word)]:
            raise LauncherError(f"descriptor has a word {wrong[0]!r}, expected an integer from 0 to 0xffffffff")
        registers = self.registers([index(cast("SupportsIndex", word)) for word in words], addresses)
        if (start := self.engine.launcher.start) not in registers:
            return f"the launcher does not write register {start:#x}, which starts a job"
        found, places = self.engine.decoded(registers)
        if found != job:
            return f"{job} is decoded as {found}"
        for name, address in addresses.items():
            if places.get(name, 0) != address:
                return f"the {name} of {job} at {address:#x} is decoded as at {places.get(name, 0):#x}"
        return None


def is_word(word: object) -> bool:
    """Say whether something is a number of 32 bits."""
    is_number = hasattr(word, "__index__") and not isinstance(word, bool)
    return is_number and 0 <= index(cast("SupportsIndex", word)) < 1 << WORD_BITS
