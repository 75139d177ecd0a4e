"""The README of a folder names each of its files: a newcomer looks there for the one to open."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("folder", "readme"),
    [
        ("benchmarks/rtl", "benchmarks/rtl/README.md"),
        ("dialects", "dialects/README.md"),
        ("dialects/accel", "dialects/README.md"),
        ("frontend/htvm", "frontend/htvm/README.md"),
        ("passes/analysis", "passes/README.md"),
        ("runtime/kernels", "runtime/kernels/README.md"),
        ("runtime/simulator", "runtime/simulator/README.md"),
    ],
)
def test_each_file_is_named(folder: str, readme: str) -> None:
    named = set(re.findall(r"[\w.]+", (ROOT / readme).read_text(encoding="utf-8")))
    files = [
        path.name
        for path in sorted((ROOT / folder).iterdir())
        if path.suffix in (".py", ".h", ".c", ".cpp", ".sv", ".td") and not path.name.startswith("_")
    ]
    assert files and [name for name in files if name not in named] == []
