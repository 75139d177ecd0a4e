"""A plan: the decisions of a compilation as a file that can be kept, edited and given again.

    {"target": "diana", "options": {"requant": "pow2"}, "layers": [
        {"node": "conv1", "op": "conv2d", "engine": "digital", "memory": "l1",
         "tiling": {"outputs": 16, "rows": 32, "columns": 32, "buffers": 1, "outputs_first": true, "loads": true}}]}

options: how the model was compiled, as far as that is not the default (options.py); given again, they hold where the
command line has none of its own. node, op: a layer, by the first of its ONNX nodes and its operation; with "number": 2,
the second of these. engine: what runs it. kernel: of a linear layer on the host, its kernel; a plan that is saved has
those from outside, and may be given htvm's own. form: in which way, if that is not the plain one, with the size of its
tiles: {"kind": "rows_as_channels", "outputs": 12, "rows": 5}. tiling: of a layer on an accelerator, as choose-tilings
writes it. again: the tiling where the layer runs once more, for the other layout of its result. memory: where its
result stays; it follows from the tilings and is not read. Layers are in the order of execution; what only changes
layouts follows from them. Given again, an entry pins what it has: leave out entries, or `tiling`, `again`, `form`,
`kernel` or `engine` of one, for the compiler to decide; a tiling without a form is one of the plain form.
"""

from __future__ import annotations

import json
import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from mlir import ir

from htvm.backend import kernels
from htvm.backend.c.schema import Json
from htvm.backend.targets.jobs import Form
from htvm.diagnostics import CompileError
from htvm.dialects import accel, inserted
from htvm.dialects.accel import FormKind, Purpose
from htvm.options import DEFAULTS, CompileOptions
from htvm.passes.analysis import conversion
from htvm.passes.analysis.tiles import Tiling

Entry = Mapping[str, Any]


def saved(module: ir.Module, target: str, options: CompileOptions) -> dict[str, Any]:
    """Return the plan of a module of stage 'scheduled', which was compiled with `options`."""
    layers = [layer for layer in accel.layers(module) if layer.engine is not None and not conversion.is_one(layer)]
    again = {name_of(layer): layer for layer in layers if inserted.purpose(layer) is Purpose.RUN_AGAIN}
    own = accel.numbered(layer for layer in layers if inserted.purpose(layer) is not Purpose.RUN_AGAIN)
    times = Counter(name_of(layer) for layer in own.values())
    entries = [
        entry_of(name, layer, again.get(name_of(layer)) if times[name_of(layer)] == 1 else None)
        for name, layer in own.items()
    ]
    return {"target": target, "options": options.facts(), "layers": entries}


def name_of(layer: accel.Layer) -> tuple[str, str]:
    return accel.node(layer), accel.op_name(layer)


def entry_of(name: tuple[str, str, int], layer: accel.Layer, again: accel.Layer | None = None) -> dict[str, Any]:
    """Return the entry of a layer. again: the same one where it runs once more."""
    node, op, number = name
    entry: dict[str, Any] = {"node": node, "op": op} | ({"number": number} if number > 1 else {})
    entry["engine"] = accel.engine(layer)
    kernel = layer.kernel if isinstance(layer, accel.Conv2dOp | accel.DenseOp) else None
    if kernel is not None and kernel.value not in kernels.own():
        entry["kernel"] = kernel.value
    if (memory := accel.attribute(layer, accel.MEMORY, ir.StringAttr)) is not None:
        entry["memory"] = memory.value
    if (form := Form.of(layer)) is not None:
        entry["form"] = form_facts(form)
    if (tiling := accel.attribute(layer, "accel.tiling", accel.TilingAttr)) is not None:
        entry["tiling"] = accel.stated(tiling)
    if again is not None and (tiling := accel.attribute(again, "accel.tiling", accel.TilingAttr)) is not None:
        entry["again"] = accel.stated(tiling)
    return entry


def form_facts(form: Form) -> dict[str, Any]:
    """Return a form as a plan states it."""
    constants = {"constants": list(form.constants)} if form.constants else {}
    return {"kind": form.kind.value, "outputs": form.outputs, "rows": form.rows, **constants}


def read(path: str) -> CompileOptions:
    """Return the options that a plan's file gives: its layers as pins, and how the model was compiled.

    Raises CompileError, with all that is wrong with it.
    """
    try:
        found: Json = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, an integer of thousands of digits, brackets
        raise CompileError([f"{path}: is no JSON: {error}"]) from None
    if strange := list(islice(unusable(found), MOST_PROBLEMS)):
        raise CompileError([f"{path}: {each}" for each in strange])
    entries = found.get("layers") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(entries, list):
        raise CompileError([f"{path}: has no list 'layers', expected a plan as `htvm compile --save-plan` writes it"])
    pins = [entry for entry in entries if isinstance(entry, dict)]
    problems = [f"{path}: layers[{number}]: {why}" for number, entry in enumerate(entries) if (why := wrong(entry))]
    options, facts = DEFAULTS, found.get("options", {})
    try:
        options = CompileOptions.of_facts(facts if isinstance(facts, dict) else {"options": facts})
    except ValueError as error:
        problems.append(f"{path}: {error}")
    if problems:
        raise CompileError(problems)
    return replace(options, plan=tuple(pins))


MOST_PROBLEMS = 10
LONGEST_TEXT = 1_000
LARGEST_NUMBER = 2**31 - 1
"""No size, number of a layer or count of bytes is larger."""


def unusable(value: Json, place: str = "") -> Iterator[str]:
    """Yield what JSON can say and nothing here can be: texts that are no Unicode, numbers beyond all sizes."""
    if isinstance(value, str):
        if any("\ud800" <= each <= "\udfff" for each in value):
            yield f"{place or 'text'}: {value[:40]!r} is no Unicode text"
        if "\0" in value:  # would end a message
            yield f"{place or 'text'}: {value[:40]!r} has a zero byte"
        if len(value) > LONGEST_TEXT:
            yield f"{place or 'text'}: a text of {len(value):,} characters, expected at most {LONGEST_TEXT:,}"
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        if not abs(value) <= LARGEST_NUMBER:
            shown = f"{value:.3g}" if isinstance(value, float) else f"a number of {value.bit_length():,} bits"
            yield f"{place or 'value'}: {shown}, expected at most {LARGEST_NUMBER:,}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from unusable(each, f"{place}[{number}]")
    else:
        for name, each in value.items():
            yield from unusable(name, f"a name in {place or 'the plan'}")
            yield from unusable(each, f"{place}.{name}" if place else name)


def wrong(entry: Json) -> str | None:
    """Say what is wrong with an entry; None if nothing is."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("node", "op")):
        return f"found {reprlib.repr(entry)}, expected an object with 'node' and 'op'"
    if not isinstance(entry.get("engine", ""), str):
        return f"engine is {reprlib.repr(entry['engine'])}, expected a name"
    if not isinstance(entry.get("kernel", ""), str):
        return f"kernel is {reprlib.repr(entry['kernel'])}, expected a name"
    number = entry.get("number", 1)
    if not isinstance(number, int):
        wanted = "expected which of the layers with this node and operation, from 1"
        return f"number is {reprlib.repr(entry['number'])}, {wanted}"
    if number < 1:
        return f"number is {entry['number']}, expected at least 1"
    try:
        if "form" in entry:
            form_of(entry["form"])
    except ValueError as error:
        return str(error)
    for key in ("tiling", "again"):
        tiling = entry.get(key, {})
        if not isinstance(tiling, dict) or not all(isinstance(value, int) for value in tiling.values()):
            return f"{key} is {reprlib.repr(tiling)}, expected sizes and flags"
        try:
            if key in entry:
                Tiling.of(tiling)
        except ValueError as error:
            return str(error) if key == "tiling" else f"{key}: {error}"
    return None


def form_of(stated: Json) -> Form:
    """Return the form that a plan states. Raises ValueError that says what is wrong with it."""
    kinds = [kind.value for kind in FormKind]
    if not isinstance(stated, dict) or set(stated) - {"constants"} != {"kind", "outputs", "rows"}:
        wanted = "expected an object with 'kind', 'outputs', 'rows', and for some kinds 'constants'"
        raise ValueError(f"form is {reprlib.repr(stated)}, {wanted}")
    kind, outputs, rows = (stated[name] for name in ("kind", "outputs", "rows"))
    constants = stated.get("constants", [])
    if not isinstance(constants, list) or not all(type(each) is int for each in constants):
        raise ValueError(f"form has constants {reprlib.repr(constants)}, expected a list of integers")
    if kind not in kinds:
        raise ValueError(f"form has kind {reprlib.repr(kind)}, expected one of {', '.join(kinds)}")
    if not (type(outputs) is int and type(rows) is int and outputs >= 1 and rows >= 1):
        raise ValueError(f"form has {outputs!r} outputs and {rows!r} rows, expected integers of at least 1")
    return Form(FormKind(kind), outputs, rows, tuple(each for each in constants if type(each) is int))


def attribute(entries: Sequence[Entry]) -> ir.ArrayAttr:
    """Return entries as pin-layers reads them, in the current context. Transfers are left out."""
    return ir.ArrayAttr.get([_pin(entry) for entry in entries if not _is_copy(entry)])


def _is_copy(entry: Entry) -> bool:
    """Say whether an entry is of a transfer that choose-tilings adds, which follows from other entries."""
    return entry["op"] == "transfer"


def _pin(entry: Entry) -> accel.PinAttr:
    """Return an entry as an attribute. Raises ValueError that names the layer."""
    try:
        tiling, again = (Tiling.of(entry[key]).attribute() if key in entry else None for key in ("tiling", "again"))
        form = form_of(entry["form"]).attribute() if "form" in entry else None
        number, engine = entry.get("number", 1), entry.get("engine", "")
        return accel.PinAttr.get(
            node=entry["node"],
            op=entry["op"],
            number=number,
            engine=engine,
            tiling=tiling,
            again=again,
            form=form,
            kernel=entry.get("kernel", ""),
        )
    except ValueError as error:
        raise ValueError(f"the plan's entry for {entry['op']} '{entry['node']}': {error}") from None
