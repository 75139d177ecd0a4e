"""Which folder may import which: stages talk through the IR, never by importing each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from htvm.backend import targets

ROOT = Path(__file__).parents[2]

FOLDERS = {
    "dialects": "dialects",
    "passes": "passes",
    "backend.targets": "backend/targets",
    "backend.kernels": "backend/kernels",
    "backend": "backend",
    "runtime.simulator": "runtime/simulator",
    "runtime": "runtime",
    "import_onnx": "frontend/import_onnx",
    "import_tosa": "frontend/import_tosa",
    "reference": "frontend/reference",
    "commands": "frontend/htvm/commands",
    "integrations": "frontend/htvm/integrations",
    "reporting": "frontend/htvm/reporting",
    "explanation": "frontend/htvm/explanation",
    "verification": "frontend/htvm/verification",
    "quantization": "frontend/htvm/quantization",
    "execution": "frontend/htvm/execution",
    "driver": "frontend/htvm",
}
"""The parts of the package `htvm` and their folders; a part inside another comes first."""

LIBRARY = {
    "dialects",
    "passes",
    "backend.targets",
    "backend.kernels",
    "backend",
    "runtime",
    "runtime.simulator",
    "import_onnx",
    "import_tosa",
    "reference",
}
"""What lies below the front door."""

MAY_IMPORT = {
    "dialects": set(),
    "backend.targets": {"dialects", "backend.kernels", "runtime"},
    "backend.kernels": {"dialects"},
    "passes": {"dialects", "backend.targets", "backend.kernels"},
    "import_onnx": {"dialects"},
    "import_tosa": {"dialects"},
    "reference": {"dialects"},
    "backend": {"dialects", "backend.targets", "backend.kernels", "runtime"},
    "runtime": set(),
    "runtime.simulator": {"backend.targets", "runtime"},
    "driver": LIBRARY | {"execution"},
    "execution": LIBRARY | {"driver"},
    "quantization": LIBRARY | {"driver"},
    "verification": LIBRARY | {"driver", "execution"},
    "explanation": LIBRARY | {"driver", "execution"},
    "reporting": LIBRARY | {"driver", "execution", "verification", "explanation"},
    "integrations": LIBRARY | {"driver"},
    "commands": set(FOLDERS),
}
"""The arrows. `runtime` is files of C, and the module `interrupts`, which whoever makes temporary files needs.

The one arrow that runs up: what the driver has compiled can be run, and imports `execution` when it is.
"""


def part_of(module: str) -> str:
    """Return the part that a module `htvm...` belongs to."""
    name = module.removeprefix("htvm").removeprefix(".")
    return next((part for part in FOLDERS if name == part or name.startswith(f"{part}.")), "driver")


def imports(file: Path, package: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each module of htvm that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            start = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            modules = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base == "htvm" else [base]
            modules = modules[1:] if base == "htvm" else modules
        else:
            continue
        yield from ((node.lineno, module) for module in modules if module.split(".")[0] == "htvm")


def files(part: str) -> Iterator[tuple[Path, str]]:
    """Yield each Python file of a part and the package it is in."""
    folder = ROOT / FOLDERS[part]
    inner = [ROOT / other for name, other in FOLDERS.items() if name != part and (ROOT / other).is_relative_to(folder)]
    name = "htvm" if part == "driver" else f"htvm.{part}"
    for file in folder.rglob("*.py"):
        if file == ROOT / "frontend/htvm/__init__.py":
            continue  # names what there is, and imports it when it is used
        links = any(parent.is_symlink() for parent in file.parents)  # a developer's links of folders into the package
        if not links and not any(file.is_relative_to(other) for other in inner):
            yield file, ".".join([name, *file.parent.relative_to(folder).parts])


@pytest.mark.parametrize("part", FOLDERS)
def test_imports_follow_the_arrows(part: str) -> None:
    seen = list(files(part))
    assert seen, f"no Python file in {FOLDERS[part]}"
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: imports {module}"
        for file, package in seen
        for line, module in imports(file, package)
        if part_of(module) not in MAY_IMPORT[part] | {part}
    ]
    allowed = ", ".join(sorted(MAY_IMPORT[part])) or "no other part"
    assert not wrong, "\n".join([f"{part} may import {allowed}:", *wrong])


def test_a_target_is_mentioned_in_its_own_files_only() -> None:
    """A SoC is one file in backend/targets and one folder in runtime/targets; passes and backend know none by name."""
    names = targets.BUILT_IN
    assert names
    for part in ("dialects", "passes", "backend", "import_onnx", "import_tosa", "reference"):
        for file, _ in files(part):
            text = file.read_text(encoding="utf-8")
            assert not any(f'"{name}"' in text for name in names), f"{file.relative_to(ROOT)} names a target"
