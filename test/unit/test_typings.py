"""The stubs in typings/ promise only what the packages have: each class, function and attribute is looked up."""

import ast
import importlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

TYPINGS = Path(__file__).parents[2] / "typings"
STUBS = sorted(TYPINGS.rglob("*.pyi"))


def names(body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield each name that a stub declares, with the body of a class; an attribute without a value is an instance's."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            yield statement.name, statement.body if isinstance(statement, ast.ClassDef) else []
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, []


def missing(found: object, body: list[ast.stmt], path: str) -> Iterator[str]:
    """Yield what a stub declares and the module or class lacks; names with an underscore are the stub's own."""
    for name, inner in names(body):
        if name not in dir(found):
            if not name.startswith("_") or name.startswith("__"):
                yield f"{path}.{name}"
        elif inner:
            yield from missing(getattr(found, name), inner, f"{path}.{name}")


@pytest.mark.parametrize("stub", STUBS, ids=[str(each.relative_to(TYPINGS)) for each in STUBS])
def test_a_stub_declares_what_the_package_has(stub: Path) -> None:
    module = ".".join(stub.relative_to(TYPINGS).with_suffix("").parts).removesuffix(".__init__")
    if find_spec(package := module.split(".")[0]) is None:
        pytest.skip(f"no {package}")
    absent = list(missing(importlib.import_module(module), ast.parse(stub.read_text()).body, module))
    assert absent == []
