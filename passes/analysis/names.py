"""What globals are called."""

import re


def identifier(text: str) -> str:
    """Return a C identifier as like `text` as can be."""
    name = re.sub(r"[\W_]+", "_", text, flags=re.ASCII).strip("_")
    return name if name[:1].isalpha() else f"node_{name}"
