"""An engine's launcher compiled for this computer, for `htvm test-engine` to call: which registers it writes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from operator import index
from typing import SupportsIndex, cast

import numpy as np

from htvm.backend.targets.engines import native_library
from htvm.backend.targets.jobs import OPERANDS, Job
from htvm.backend.targets.registers import SIZE_BYTES
from htvm.backend.targets.soc import Launched, Soc

FILLED = (0, 0xFFFF_FFFF)
"""What registers hold before a call, of which there are two: what is the same after both was written."""

WORD_BITS = 32

NAMES = "unit, descriptor, input, second, weights, sums, output"
PARAMETERS = (
    "uintptr_t unit, const uint32_t *descriptor, uint32_t input, uint32_t second, uint32_t weights, uint32_t sums, "
    "uint32_t output"
)
"""What a launcher is given (soc.Launcher)."""


class LauncherError(ValueError):
    """A launcher that this computer cannot compile, or a descriptor that is none."""


class LauncherLibrary:
    """The function of C that starts an engine's jobs, in this process; its registers are an array."""

    def __init__(self, soc: Soc, engine: Launched) -> None:
        """Compile the launcher with the clang of `ziglang`. Raises LauncherError if it cannot be compiled."""
        self.engine, launcher = engine, engine.launcher
        call = f"void htvm_call({PARAMETERS})\n{{\n    {launcher.function}({NAMES});\n}}\n"
        text = f'#include "{launcher.header}"\n\n{call}'
        folders = [each for each in (launcher.folder, soc.runtime) if each is not None]
        try:
            self.function = native_library.loaded(text, "launcher.so", folders).htvm_call
        except native_library.NotCompiledError as error:
            said = str(error)
            first = next((line for line in said.splitlines() if "error:" in line), said)
            message = f"launcher '{launcher.header}' cannot be compiled for this computer: {first}"
            raise LauncherError(message) from None

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
