"""The pages that are made from the code, so that no fact is written twice: dialect, passes, targets, commands."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import functools
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import htvm
from htvm import kernels
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.commands.htvm import SUBCOMMANDS, command_line
from htvm.passes import pipeline, registry

ROOT = Path(__file__).parents[1]

FIELDS = ("Stage", "Reads", "Writes", "Needs", "Fails")
"""What a pass's header says, in this order."""


def write(folder: Path) -> None:
    """Write all pages into a folder, those that are new or have changed."""
    folder.mkdir(exist_ok=True)
    for name, text in {
        "dialect.md": dialect(),
        "passes.md": passes(),
        "targets.md": all_targets(),
        "commands.md": commands(),
        "api.md": api(),
    }.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def api() -> str:
    """Return the reference of the public names of `htvm`, from their docstrings."""
    parts = [
        "# The Python API\n",
        "`import htvm` and these names are public: [versions](../versions.md) says what that means. "
        "[MLIR in Python](../integrations/mlir.md) has examples.\n",
    ]
    public = [(name, getattr(htvm, name)) for name in htvm.__all__]
    public += [(f"kernels.{name}", getattr(kernels, name)) for name in kernels.__all__]
    for name, found in public:
        found = getattr(found, name, found) if inspect.ismodule(found) else found  # import_onnx is both
        parts.append(f"## {name}\n\n{_documented(name, found)}")
        if inspect.isclass(found):
            members = [(key, member) for key, member in vars(found).items() if _is_public(key, member)]
            parts += [f"### {name}.{key}\n\n{_documented(key, member)}" for key, member in members]
    return "\n".join(parts)


def _is_public(name: str, member: object) -> bool:
    kinds = (property, functools.cached_property, staticmethod, classmethod)
    return not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, kinds))


def _documented(name: str, found: object) -> str:
    """Return the signature of something and its docstring."""
    inner = getattr(found, "__func__", getattr(found, "fget", getattr(found, "func", found)))
    is_error = inspect.isclass(found) and issubclass(found, Exception)
    is_called = callable(inner) and not is_error and not isinstance(found, property | functools.cached_property)
    called = _signature(name, inner) if is_called else ""
    called = re.sub(r"<function (<\w+>|.)*?>", "..", called)  # defaults that are functions, whose addresses change
    signature = f"```python\n{called}\n```\n\n" if called else ""
    return f"{signature}```text\n{inspect.getdoc(inner) or ''}\n```\n"


def _signature(name: str, found: Callable[..., object]) -> str:
    """Return how something is called; defaults that are options without a choice are short."""
    stated = inspect.signature(found)
    arguments: list[str] = []
    for each in stated.parameters.values():
        if each.kind is each.KEYWORD_ONLY and "*" not in arguments:
            arguments.append("*")
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        default = (
            "CompileOptions()"
            if each.default == htvm.CompileOptions()
            else repr(each.default).replace("<factory>", "{}")
        )
        kind = "" if each.annotation is each.empty else f": {each.annotation}"
        arguments.append(f"{stars}{each.name}{kind}" + ("" if each.default is each.empty else f" = {default}"))
    returned = stated.return_annotation
    return _call(
        name,
        [each for each in arguments if each.partition(":")[0] not in ("self", "cls")],
        returned if isinstance(returned, str) else "",
    )


def _call(name: str, arguments: Sequence[str], returned: str = "") -> str:
    """Return a call as it is written, an argument a line where one line is too long."""
    result = f" -> {returned}" if returned else ""
    line = f"{name}({', '.join(arguments)}){result}"
    return (
        line if len(line) <= 100 else "\n    ".join([f"{name}(", *(f"{each}," for each in arguments)]) + f"\n){result}"
    )


def dialect() -> str:
    """Return the reference of the dialect, as mlir-tblgen makes it from the definitions, with the classes' names."""
    mlir = Path(next(iter(find_spec("mlir").submodule_search_locations)))
    accel = ROOT / "dialects" / "accel"
    command = [mlir / "bin" / "mlir-tblgen", "-gen-dialect-doc", "-dialect=accel"]
    command += ["-I", accel, "-I", mlir / "include", accel / "AccelOps.td"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text, enums = text.replace("[TOC]\n", "").split("## Enums\n")
    text = re.sub(r"^(### `accel\.\w+`) \(::htvm::accel::(\w+)\)$", _with_class, text, flags=re.MULTILINE)
    text = re.sub(r"^(### (\w+Attr))$", _with_class, text, flags=re.MULTILINE)
    text += "## Enums\n" + re.sub(r"^(### (\w+))$", _with_class, enums, flags=re.MULTILINE)
    text = re.sub(r"^# 'accel' Dialect$", "# The accel dialect", text, flags=re.MULTILINE)
    text = re.sub(r"^```$\n^operation", "```text\noperation", text, flags=re.MULTILINE)
    return re.sub(r"^#### (\w+):$", r"**\1**", text, flags=re.MULTILINE)


def _with_class(heading: re.Match[str]) -> str:
    """Return a heading of the dialect's reference with the names of its class below, and how Python makes one."""
    shown, name = heading.groups()
    made = _builders().get(name)
    builder = f"\n\n```python\n{made}\n```" if made else ""
    return f"{shown}\n\nIn Python `accel.{name}`, in C++ `htvm::accel::{name}`.{builder}"


@functools.cache
def _builders() -> dict[str, str]:
    """Return how Python makes an operation or attribute of each class, from the files that are generated."""
    made: dict[str, str] = {}
    for file, builder in (("_accel_ops_gen.pyi", "__init__"), ("_attributes.py", "get")):
        tree = ast.parse((ROOT / "dialects" / "accel" / file).read_text(encoding="utf-8"))
        for found in (each for each in tree.body if isinstance(each, ast.ClassDef)):
            for method in (each for each in found.body if isinstance(each, ast.FunctionDef) and each.name == builder):
                call = found.name if builder == "__init__" else f"{found.name}.{builder}"
                made[found.name] = _call(f"accel.{call}", _arguments(method.args))
    return made


def _arguments(stated: ast.arguments) -> list[str]:
    """Return the arguments of a builder; those that are given by name come behind a star."""
    named = [ast.unparse(each) + (f" = {ast.unparse(default)}" if default else "")
             for each, default in zip(stated.kwonlyargs, stated.kw_defaults)]  # fmt: skip
    placed = [ast.unparse(each) for each in stated.args if each.arg != "self"]
    defaults = [""] * (len(placed) - len(stated.defaults)) + [f" = {ast.unparse(each)}" for each in stated.defaults]
    placed = [argument + default for argument, default in zip(placed, defaults)]
    return [*placed, *(["*"] if named else []), *named]


@dataclasses.dataclass(frozen=True)
class Header:
    """What the header of a pass says: summary, before and after, the five fields, and what else it explains."""

    summary: str
    example: str
    fields: dict[str, str]
    rest: str

    @staticmethod
    def of(own: type[registry.Pass]) -> Header:
        """Read the header of a pass's file. Raises ValueError if a field is missing."""
        module = sys.modules[own.__module__]
        title, _, body = inspect.cleandoc(module.__doc__).partition("\n")
        lines = body.strip("\n").splitlines()
        starts = [number for number, line in enumerate(lines) if line.split(" ")[0] in FIELDS and "  " in line]
        found = [lines[number].split()[0] for number in starts]
        if found != list(FIELDS):
            raise ValueError(f"{module.__file__}: the header has the lines {found}, expected {list(FIELDS)}")
        end = next((n for n in range(starts[-1], len(lines)) if not lines[n].strip()), len(lines))
        fields = {
            lines[start].split()[0]: " ".join(line.strip() for line in lines[start:stop]).split(None, 1)[1]
            for start, stop in zip(starts, [*starts[1:], end])
        }
        return Header(title.partition(": ")[2], "\n".join(lines[: starts[0]]), fields, "\n".join(lines[end:]))


def passes() -> str:
    """Return a page with every pass, in the order of the phases."""
    parts = [
        "# Passes\n",
        "From the headers of the files in `passes/`. `htvm-opt -p NAME` runs one, `-p PHASE` all of a phase; options "
        "follow in braces, `-p 'verify-stage{stage=planned}'`.\n",
    ]
    known, told = registry.own_passes(), set()
    for phase, elements in pipeline.PHASES.items():
        names = [element.partition("{")[0] for element in elements]
        listed = ", ".join(f"[{name}](#{name})" if name in known else f"`{name}` of MLIR" for name in names)
        parts.append(f"## Phase {phase}\n\nIn this order: {listed}.\n")
        for name in names:
            if name in known and name not in told:
                told.add(name)
                parts.append(one_pass(name, known[name]))
    others = [name for name in known if name not in told]
    if others:
        parts.append("## In no phase\n")
        parts += [one_pass(name, known[name]) for name in others]
    return "\n".join(parts)


def one_pass(name: str, own: type[registry.Pass]) -> str:
    """Return the part of the page about one pass."""
    header = Header.of(own)
    parts = [f"({name})=\n### {name}\n\n{header.summary[:1].upper()}{header.summary[1:]}\n"]
    parts += [_with_blocks(header.example)]
    parts += [f"{field}\n: {text}\n" for field, text in header.fields.items()]
    options = [field.name for field in dataclasses.fields(own) if field.name != "target"]
    if options:
        parts.append(f"Options\n: {', '.join(f'`{option}`' for option in options)}\n")
    if header.rest.strip():
        parts.append(_with_blocks(header.rest))
    return "\n".join(parts)


def _with_blocks(text: str) -> str:
    """Return a text whose indented parts are blocks of MLIR."""
    parts = []
    for indented, lines in _groups(text.splitlines()):
        block = "\n".join(lines).strip("\n")
        if block:
            parts.append(f"```mlir\n{inspect.cleandoc(block)}\n```\n" if indented else f"{block}\n")
    return "\n".join(parts)


def _groups(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    """Yield runs of lines that are indented, or are not; empty lines go with what is before them."""
    run: list[str] = []
    indented = False
    for line in lines:
        if line.strip() and line.startswith(" ") != indented:
            yield indented, run
            run, indented = [], not indented
        run.append(line)
    yield indented, run


def all_targets() -> str:
    """Return a page with every target that comes with htvm, and its engines."""
    parts = ["# Targets\n", "What `backend/targets/` says of the machines that can be compiled for.\n"]
    parts += [one_target(targets.load(name)) for name in targets.BUILT_IN]
    return "\n".join(parts)


def one_target(soc: Soc) -> str:
    """Return the part of the page about one target."""
    described = f"{soc.description[:1].upper()}{soc.description[1:]}"
    parts = [f"## {soc.name}\n\n{described}. Clock: {soc.clock_hz / 1e6:g} MHz.\n"]
    parts.append("| memory | bytes | address | the host can address it |\n|---|---:|---|---|")
    parts += [
        f"| `{each.name}` | {each.size_bytes:,} | `{each.base:#x}` | {'yes' if each.host_visible else 'no'} |"
        for each in soc.memories
    ]
    parts.append(f"\nProgram: in `{soc.program_memory}`. Activations of the host: in `{soc.arena_memory}`.\n")
    if soc.dmas:
        parts.append("| transfer engine | routes |\n|---|---|")
        parts += [f"| `{dma.name}` | {', '.join(f'`{route.name}`' for route in dma.routes)} |" for dma in soc.dmas]
        parts.append("")
    for engine in soc.engines:
        parts.append(f"### Engine {engine.name} of {soc.name}\n\n{inspect.getdoc(type(engine))}\n")
    if soc.cost_models:
        parts.append(f"### Cost models of {soc.name}\n")
        parts += [f"{model.name}\n: {model.source}. {inspect.getdoc(type(model))}\n" for model in soc.cost_models]
    return "\n".join(parts)


def commands() -> str:
    """Return a page with the help of every command."""
    parts = ["# Commands\n", "What `htvm --help` and `htvm COMMAND --help` print.\n"]
    top = command_line(SUBCOMMANDS)
    top.formatter_class = _formatter
    parts.append(f"```text\n{top.format_help()}```\n")
    (subparsers,) = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    for name, parser in subparsers.choices.items():
        parser.formatter_class = _formatter
        parts.append(f"## htvm {name}\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Format help alike, however wide the terminal is."""
    return argparse.RawDescriptionHelpFormatter(prog, width=110)
