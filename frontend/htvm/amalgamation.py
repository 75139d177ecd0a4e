"""A network as two files, to drop into another project: one of C, which has its kernels in it, and its header."""

from __future__ import annotations

import re
from collections.abc import Mapping

from htvm.driver import CompiledModel

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"[^\n]*\n', re.MULTILINE)


def amalgamate(compiled: CompiledModel) -> dict[str, str]:
    """Return NAME.c and NAME.h of a compiled network, by their names.

    The C includes NAME.h, the headers of C itself and, for a target with accelerators, the target's own. Compilers of
    C99 and of C++20 take it; in C++ the names that it defines have C's linkage.

    Raises TypeError for what is not compiled, ValueError for kernels that have sources beside their header.
    """
    if not hasattr(compiled, "project"):
        found = type(compiled).__name__
        raise TypeError(f"amalgamate takes what htvm.compile returns, a CompiledModel; found {found}")
    name, sources = compiled.project.report.name, compiled.project.sources
    files = {f"{name}.c", "main.c", "start.S"}
    if apart := [each for each in sources if each.endswith((".c", ".S")) and each not in files]:
        raise ValueError(
            f"{name}: kernels from outside have sources of their own, {', '.join(apart)}: take the project"
        )
    own = f"{name}.h"
    text = _inlined(sources[f"{name}.c"], sources, {own})
    opening, closing = '#ifdef __cplusplus\nextern "C" {\n#endif\n', "#ifdef __cplusplus\n}\n#endif\n"
    return {f"{name}.c": f'#include "{own}"\n\n{opening}\n{text}\n{closing}', own: sources[own]}


def _inlined(text: str, sources: Mapping[str, str], done: set[str]) -> str:
    """Return a text with the files that it includes in place of what includes them; each comes once."""

    def content(include: re.Match[str]) -> str:
        name = include[1]
        if name in done:
            return ""
        if name not in sources:
            return include[0]
        done.add(name)
        return f"/* {name} */\n{_inlined(sources[name], sources, done)}"

    return _INCLUDE.sub(content, text)
