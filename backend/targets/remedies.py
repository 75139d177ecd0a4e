"""What a message can advise when a network does not fit a target."""

from __future__ import annotations

from htvm.backend.targets.soc import Soc


def larger_memory(soc: Soc, memory: str, needed_bytes: int) -> str:
    """Return the option that makes a memory large enough, as words; "" where another memory lies behind it."""
    try:
        soc.with_memory(memory, needed_bytes)
    except ValueError:
        return ""
    return f"a larger {memory} (--memory {memory}={needed_bytes})"
