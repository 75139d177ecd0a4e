"""Names and comments of the generated C: whatever an ONNX file calls things, the C is valid and says it."""

import re
from collections.abc import Collection

KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register"
    " restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof"
    # Words of C++, since a C++ program may include the header.
    " alignas alignof and and_eq bitand bitor bool catch class compl concept const_cast constexpr decltype delete"
    " dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq"
    " private protected public reinterpret_cast requires static_assert static_cast template this thread_local throw"
    " true try typeid typename using virtual wchar_t xor xor_eq NULL main".split()
)

PROJECT_FILES = frozenset({"main", "start", "link", "report", "readme", "makefile"})
"""Names of files of every project, without their endings: no model's files may be called so."""


def identifier(text: str, taken: Collection[str] = ()) -> str:
    """Return a C identifier as like `text` as can be, none of `taken`, no keyword and no reserved name."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_") or "unnamed"
    if not name[0].isalpha() or name.lower().startswith("htvm") or re.fullmatch(r"u?int\d+_t", name):
        name = f"x_{name}"
    if name in KEYWORDS:
        name += "_"
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def project_name(model: str) -> str:
    """Return the name of a model's files and the prefix of its C names."""
    name = identifier(model)
    return f"model_{name}" if name.lower() in PROJECT_FILES else name


def comment_text(text: str) -> str:
    r"""Return `text` so that it may stand in a C comment: one line of printable ASCII that ends no comment.

    Backslashes, and the question marks of trigraphs, are written as \x5c and \x3f: a backslash at the end of a line
    would join the next one to it.
    """
    escaped = "".join(c if " " <= c <= "~" and c != "\\" else _escape(c) for c in text)
    return escaped.replace("*/", "*\\x2f").replace("/*", "/\\x2a").replace("??", "?\\x3f")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
