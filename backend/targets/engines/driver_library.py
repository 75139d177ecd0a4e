"""A driver compiled for this computer, so that `htvm test-engine` can call it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache

import numpy as np

import htvm.backend.kernels as kernels
from htvm.backend.kernels.spec import KernelError, KernelSpec
from htvm.backend.targets.engines import native_library

GUARD_BYTES = 64
"""Bytes before and behind what a driver is given, which it must leave alone; a multiple of every alignment."""

GUARD = 0xA5


class DriverLibrary:
    """The function that htvm_driver.h defines for a driver, in this process."""

    def __init__(self, driver: KernelSpec, macro: str, function: str) -> None:
        """Compile the driver with the clang of `ziglang`. Raises KernelError if it is not C that this computer runs."""
        what = f"{driver.origin}: driver '{driver.name}'"
        if assembly := [name for name in driver.sources if not name.endswith(".c")]:
            raise KernelError(f"{what}: {', '.join(assembly)} is assembly, expected C: only `htvm run` executes that")
        text = f'#include "{driver.header}"\n#include "htvm_driver.h"\n\n{macro}\n\n'
        text += f"void htvm_call({PARAMETERS})\n{{\n    {function}(job, x, constants, scratch, y);\n}}\n"
        own = kernels.folder(driver)
        sources = [own / name for name in driver.sources]
        flags = [flag for flag in driver.flags if not flag.startswith("-m")]
        try:
            self.function = native_library.loaded(text, "driver.so", [own], sources, flags).htvm_call
        except native_library.NotCompiledError as error:
            raise KernelError(f"{what}: cannot be compiled for this computer\n{error}") from None
        self.what = what

    def call(
        self,
        job: Sequence[int],
        x: np.ndarray,
        constants: np.ndarray,
        scratch: np.ndarray,
        y: np.ndarray,
        gap: int | None = None,
    ) -> None:
        """Compute a job. job: its words. Other arrays are bytes; scratch and y are written.

        gap: so many bytes before x y begins, in one memory that holds nothing else; None: both are apart, and the
        driver may only read x.

        Raises KernelError if the driver writes anything else, up to GUARD_BYTES beside an array.
        """
        memories = {"job": np.array(job, np.uint32).view(np.uint8), "constants": constants, "scratch": scratch}
        if gap is None:
            memories |= {"x": x, "y": y}
        else:
            both = np.full(max(gap + x.size, y.size), GUARD, np.uint8)
            both[gap : gap + x.size] = x
            memories["y"] = both
        made = {"scratch": scratch, "y": y}
        guarded = {name: np.pad(each, GUARD_BYTES, constant_values=GUARD) for name, each in memories.items()}
        before = {name: each.copy() for name, each in guarded.items()}
        starts = {name: each.ctypes.data + GUARD_BYTES for name, each in guarded.items()}
        starts.setdefault("x", starts["y"] + (gap or 0))
        self.function(*(ctypes.c_void_p(starts[name]) for name in ORDER))
        for name, each in guarded.items():
            if name in made:
                own = slice(GUARD_BYTES, GUARD_BYTES + made[name].size)
                made[name][:] = before[name][own] = each[own]
            if (places := np.flatnonzero(each != before[name]) - GUARD_BYTES).size:
                wanted = f"expected {name}[0:{made[name].size}] only" if name in made else "which it may only read"
                written = f"{name}[{places[0]}:{places[-1] + 1}]"
                raise KernelError(f"{self.what} has written {written}, {wanted}")


PARAMETERS = "const uint32_t *job, const void *x, const void *constants, void *scratch, void *y"
ORDER = ("job", "x", "constants", "scratch", "y")


@cache
def of(driver: KernelSpec, macro: str, function: str) -> DriverLibrary:
    """Return the library of a driver, compiled once. macro: what defines `function`."""
    return DriverLibrary(driver, macro, function)
