"""htvm's own kernels are known by their descriptions: no other file names them."""

import ast
import re
from pathlib import Path

from htvm.backend import kernels

ROOT = Path(__file__).parents[3]
FOLDERS = ("dialects", "passes", "backend", "runtime", "frontend")
OTHER_MEANINGS = {"frontend/htvm/explanation/explanation.py": "depthwise"}
"""Words that are no name of a kernel where they are: the kind of a convolution."""

OWN = ROOT / "backend" / "kernels" / "built_in"


def files(*suffixes: str) -> list[Path]:
    """Return the product's files; a developer's links of folders into the package are left out."""
    every = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in suffixes)
    return [path for path in every if not any(parent.is_symlink() for parent in path.parents) and path.parent != OWN]


def test_no_list_of_kernels_is_kept_beside_the_descriptions() -> None:
    names = set(kernels.own())
    assert {"packed", "winograd", "in_place", "collected", "depthwise"} <= names
    found: list[str] = []
    for file in files(".py"):
        constants = (
            node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
        )
        place = str(file.relative_to(ROOT))
        own = names - {OTHER_MEANINGS.get(place)}
        found += [f"{place}:{node.lineno}: {node.value}" for node in constants if node.value in own]
    quoted = re.compile("|".join(f'"{name}"' for name in names))
    for file in files(".td", ".cpp", ".h", ".c", ".json"):
        found += [f"{file.relative_to(ROOT)}: {each}" for each in quoted.findall(file.read_text(encoding="utf-8"))]
    assert not found


def test_each_file_of_kernels_describes_some_and_their_headers_exist() -> None:
    described = {path.stem for path in OWN.glob("*.py")} - {"__init__"}
    assert len(described) >= 8 and len(kernels.own()) >= len(described)
    for spec in kernels.own().values():
        assert (ROOT / "runtime" / "kernels" / spec.header).is_file() and not spec.origin
