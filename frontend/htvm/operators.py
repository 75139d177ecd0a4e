"""Which operators can be compiled, and which engine runs them under which rules: facts, as text, as a page."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from htvm.backend.targets.soc import Engine, Soc
from htvm.import_onnx.catalogue import Entry, catalogue
from htvm.import_onnx.model import OPSETS
from htvm.interface import InputError

DOMAINS = {
    "": "ONNX",
    "com.microsoft": "com.microsoft (onnxruntime)",
    "any": "Quantisers' own, in any domain",
}

WIDTH = 100

PAGE = """\
# Operators

This page is what `htvm ops --markdown` prints, read from the code; a test compares the two. After a change:
`htvm ops --markdown > docs/operators.md`.

An ONNX operator is taken in the forms of the second column and becomes the operations of the accel dialect in the
third. Which engine of a target runs an operation depends on that engine's rules, below; what quantises a result, and
most functions of one element, are then part of the operation before. ONNX opset {first} to {last}.
"""


def facts(names: Collection[str], socs: Sequence[Soc]) -> dict[str, Any]:
    """Return operators, all or those of some names (any case), and what the engines ask of what they become.

    Raises InputError on a name that no operator has.
    """
    known = catalogue()
    wanted = {name.lower() for name in names}
    chosen = [entry for entry in known if not wanted or entry.name.lower() in wanted]
    missing = wanted - {entry.name.lower() for entry in chosen}
    if missing:
        raise InputError("\n".join(f"operator '{name}' is not supported" for name in names if name.lower() in missing))
    operations = {operation for entry in chosen for operation in entry.becomes} if wanted else None
    return {
        "opsets": [OPSETS.start, OPSETS.stop - 1],
        "operators": [_operator(entry) for entry in chosen],
        "targets": [
            {
                "name": soc.name,
                "description": soc.description,
                "engines": [_engine(engine, operations) for engine in soc.engines],
            }
            for soc in socs
        ],
    }


def _operator(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "domain": entry.domain, "forms": entry.forms, "becomes": list(entry.becomes)}


def _engine(engine: Engine, operations: Collection[str] | None) -> dict[str, Any]:
    """Return what an engine says of itself, and its rules for some operations, or for all.

    An engine that has no list of rules takes what its description says.
    """
    rules = {
        name: [{"subject": rule.subject, "wanted": str(rule.wanted), "source": rule.source} for rule in each]
        for name, each in getattr(engine, "rules", {}).items()
        if operations is None or name in operations
    }
    description = " ".join((inspect.getdoc(type(engine)) or "").partition("\n")[0].split())
    return {"name": engine.name, "description": description, "rules": rules}


def text(found: dict[str, Any]) -> str:
    """Return facts as lines for a terminal."""
    return "\n".join([*_operator_lines(found["operators"]), *_engine_lines(found["targets"])])


def _operator_lines(operators: Sequence[dict[str, Any]]) -> Iterator[str]:
    for domain, title in DOMAINS.items():
        those = [operator for operator in operators if operator["domain"] == domain]
        if those:
            yield title
        for operator in those:
            becomes = f" -> {', '.join(operator['becomes'])}" if operator["becomes"] else ""
            yield f"  {operator['name']}{becomes}"
            yield textwrap.fill(operator["forms"], WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _engine_lines(socs: Sequence[dict[str, Any]]) -> Iterator[str]:
    for soc in socs:
        yield ""
        yield f"target {soc['name']}: {soc['description']}"
        for engine in soc["engines"]:
            yield f"  {engine['name']}: {engine['description']}"
            for operation, rules in engine["rules"].items():
                yield f"    {operation}"
                yield from (f"      {rule['subject']}: {rule['wanted']}" for rule in rules)


def markdown(found: dict[str, Any]) -> str:
    """Return facts as a page."""
    first, last = found["opsets"]
    parts = [PAGE.format(first=first, last=last)]
    for domain, title in DOMAINS.items():
        rows = [
            f"| {operator['name']} | {_cell(operator['forms'])} | {', '.join(operator['becomes'])} |"
            for operator in found["operators"]
            if operator["domain"] == domain
        ]
        parts.append("\n".join([f"## {title}", "", "| operator | forms | becomes |", "|---|---|---|", *rows, ""]))
    for soc in found["targets"]:
        parts.append(f"## Target {soc['name']}\n\n{soc['description']}\n")
        for engine in soc["engines"]:
            parts.append(f"### {soc['name']}: {engine['name']}\n\n{engine['description']}\n")
            for operation, rules in engine["rules"].items():
                rows = [f"| {rule['subject']} | {_cell(rule['wanted'])} | {_cell(rule['source'])} |" for rule in rules]
                parts.append("\n".join([f"| {operation} | wanted | source |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def _cell(words: str) -> str:
    return words.replace("|", "\\|")
