"""What is wrong with the description of a machine: found when it is loaded, not by a pass that stumbles over it."""

from __future__ import annotations

import inspect
import re
import reprlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from types import FunctionType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from htvm.backend.targets.jobs import MOST_OWN
from htvm.backend.targets.registers import SIZE_BYTES
from htvm.backend.targets.soc import (
    Accelerator,
    CostModel,
    Dma,
    Engine,
    Host,
    KeepsSums,
    Launched,
    Launcher,
    Memory,
    Operand,
    Price,
    Route,
    Soc,
    fuses,
    has_launcher,
    is_driven,
    keeps_sums,
    operands,
)

PARTS = {"memories": Memory, "engines": Engine, "dmas": Dma, "cost_models": CostModel}
"""The fields of a Soc that are tuples, and of what."""

FACTS: Mapping[str, Any] = {"name": str}
ACCELERATOR_FACTS: Mapping[str, Any] = {**FACTS, "base": int, "output_step": int, "job_fields": tuple[str, ...]}
"""The members of an engine that are neither methods nor operands, with their types."""

LEAST = {"clock_hz": 1, "size_bytes": 1, "queue_depth": 1, "limit_bytes": 1, "row_bytes": 1, "output_step": 1}
"""What numbers must be at least; others 0."""

ELEMENTS = re.compile(r"u?i\d+")
"""Element types, as MLIR prints them."""

C_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""Names that the C has in macros: of engines, memories and transfer engines."""

ADDRESSES = 1 << 32
"""The host's addresses have 32 bits."""


def validate(soc: Soc) -> list[str]:
    """Return what is wrong with a Soc, each as "what: found X, wanted Y"; nothing if passes can use it."""
    if wrong := list(_of_types(soc)):
        return wrong
    wrong = list(_of_names(soc))
    return [*(wrong or list(_of_reach(soc)) or _of_routes(soc)), *_of_addresses(soc)]


def _of_types(soc: Soc) -> Iterator[str]:
    host = cast("object", soc.host)  # a file may have given anything
    if not isinstance(host, Host):
        yield f"host: found {_kind(host)}, wanted a soc.Host"
    else:
        yield from _of_fields("host.", host)
    yield from _of_fields("", soc, leave_out={*PARTS, "host"})
    for field, wanted in PARTS.items():
        parts: object = getattr(soc, field)
        if not isinstance(parts, tuple):
            yield f"{field}: found {_kind(parts)}, wanted a tuple; a single element is written (part,)"
            continue
        for number, part in enumerate(cast("tuple[object, ...]", parts)):
            yield from _of_part(f"{field}[{number}]", part, wanted)


def _of_part(where: str, part: object, wanted: type) -> Iterator[str]:
    """Say what a part of a Soc is or lacks. Engines and cost models may be of any class that has the members."""
    if isinstance(part, type):
        yield f"{where}: found the class {part.__name__}, wanted an object, such as {part.__name__}(..)"
        return
    if wanted in (Memory, Dma):
        if not isinstance(part, wanted):
            yield f"{where}: found {_kind(part)}, wanted a soc.{wanted.__name__}"
            return
        wrong = list(_of_fields(f"{where}.", part))
        yield from wrong
        if isinstance(part, Dma) and not wrong:
            for number, route in enumerate(part.routes):
                yield from _of_route(f"{where}.routes[{number}].", route)
        return
    protocols = [wanted]
    if wanted is Engine and any(hasattr(part, name) for name in _members(Accelerator)):
        wanted = Accelerator
        protocols += [Accelerator]
        protocols += [KeepsSums] if keeps_sums(part) else []
        protocols += [Launched] if has_launcher(part) else []
    needed = {name for protocol in protocols for name in _members(protocol)}
    if missing := sorted(name for name in needed if not hasattr(part, name)):
        yield f"{where}: found {_kind(part)} without {', '.join(missing)}, wanted all members of soc.{wanted.__name__}"
        return
    for name, method in {name: each for protocol in protocols for name, each in _methods(protocol)}.items():
        yield from _of_method(f"{where}.{name}", getattr(part, name), method)
    facts = dict(ACCELERATOR_FACTS if wanted is Accelerator else FACTS)
    if wanted is Accelerator and keeps_sums(part):
        facts["input_step"] = int
    if hasattr(part, "queue_depth") and wanted is Accelerator:
        facts["queue_depth"] = int
    if fuses(part):
        facts["patterns"] = tuple[tuple[str, ...], ...]
    if has_launcher(part):
        yield from _of_launcher(f"{where}.launcher", part.launcher)
    for name, hint in facts.items():
        yield from _of_value(f"{where}.{name}", getattr(part, name), hint)
    if wanted is Accelerator:
        for role, operand in cast("dict[str, object]", operands(cast("Accelerator", part))).items():
            if not isinstance(operand, Operand):
                yield f"{where}.{role}: found {_kind(operand)}, wanted a soc.Operand"
            elif not operand.elements or not operand.layouts:
                yield f"{where}.{role}: found no element type or no layout, wanted one of each at least"
            elif wrong := list(_of_fields(f"{where}.{role}.", operand)):
                yield from wrong
            else:
                for each in operand.elements:
                    if not ELEMENTS.fullmatch(each):
                        yield f"{where}.{role}.elements: found '{each}', wanted one that MLIR prints, such as i8, ui8"


def _of_method(where: str, method: object, wanted: FunctionType) -> Iterator[str]:
    """Say whether a member can be called as the method of a protocol is."""
    names = list(inspect.signature(wanted).parameters)[1:]
    if not callable(method):
        yield f"{where}: found {_kind(method)}, wanted a method ({', '.join(names)})"
        return
    signature = inspect.signature(method)
    try:
        signature.bind(*names)
    except TypeError:
        yield f"{where}: found a method ({', '.join(signature.parameters)}), wanted one of ({', '.join(names)})"


def _of_launcher(where: str, launcher: Launcher) -> Iterator[str]:
    if not isinstance(cast("object", launcher), Launcher):
        yield f"{where}: found {_kind(launcher)}, wanted a soc.Launcher"
        return
    wrong = list(_of_fields(f"{where}.", launcher))
    yield from wrong
    if wrong:
        return
    if not (path := Path(launcher.folder) / launcher.header).is_file():
        yield f"{where}.header: found no file '{path}', wanted one with the function '{launcher.function}'"
    if launcher.start not in range(4, SIZE_BYTES, 4):
        yield f"{where}.start: found {launcher.start:#x}, wanted a multiple of 4 from 4 to {SIZE_BYTES - 4:#x}"


def _of_route(where: str, route: Route) -> Iterator[str]:
    yield from _of_fields(where, route)
    if isinstance(price := cast("object", route.price), Price):
        wrong = list(_of_fields(f"{where}price.", price))
        yield from wrong
        if not wrong and price.bytes_per_cycle <= 0:
            yield f"{where}price.bytes_per_cycle: found {price.bytes_per_cycle}, wanted more than 0"


def _of_fields(
    where: str, part: Soc | Host | Memory | Dma | Route | Price | Operand | Launcher, leave_out: Collection[str] = ()
) -> Iterator[str]:
    """Say which fields of a part are of other types than its class says, or numbers that are too small."""
    hints = get_type_hints(type(part))
    for field in fields(part):
        if field.name not in leave_out:
            yield from _of_value(f"{where}{field.name}", getattr(part, field.name), hints[field.name])


def _of_value(where: str, value: object, hint: Any) -> Iterator[str]:
    if not _is(value, hint):
        found = reprlib.repr(cast("object", value)) if isinstance(value, tuple) else _kind(value)
        yield f"{where}: found {found}, wanted {_named(hint)}"
    elif hint is int and cast("int", value) < (least := LEAST.get(where.rpartition(".")[2], 0)):
        yield f"{where}: found {value}, wanted {least} at least"


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else re.sub(r"\w+\.", "", str(hint))


def _is(value: object, hint: Any) -> bool:
    """Say whether a value has a type that is annotated."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is(value, each) for each in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_is(each, inner[0]) for each in cast("tuple[object, ...]", value))
    if origin is Mapping:
        held = cast("Mapping[object, object]", value)
        return isinstance(value, Mapping) and all(_is(k, inner[0]) and _is(v, inner[1]) for k, v in held.items())
    if hint in (int, float):  # numbers of NumPy as well
        return hasattr(value, f"__{'index' if hint is int else 'float'}__") and not isinstance(value, bool)
    return isinstance(value, hint)


def _of_names(soc: Soc) -> Iterator[str]:
    """Say which names are there twice, which name nothing, and which the C cannot have."""
    for field in PARTS:
        counts = Counter(part.name for part in getattr(soc, field))
        for name, count in counts.items():
            if count > 1:
                yield f"{field}: found '{name}' {count} times, wanted each name once"
            if field != "cost_models" and not C_NAME.fullmatch(name):
                yield f"{field}: found the name '{name}', wanted letters, digits and _, as names of C"
    named = {"program_memory": soc.program_memory, "arena_memory": soc.arena_memory}
    if soc.constant_memory is not None:
        named["constant_memory"] = soc.constant_memory
    for engine in soc.accelerators:
        for role, operand in operands(engine).items():
            named[f"{role} of engine '{engine.name}', memory"] = operand.memory
    for dma in soc.dmas:
        for route in dma.routes:
            named[f"route {route.name} of '{dma.name}', source"] = route.source
            named[f"route {route.name} of '{dma.name}', target"] = route.target
    known = {memory.name for memory in soc.memories}
    for what, name in named.items():
        if name not in known:
            yield f"{what}: found '{name}', wanted one of {', '.join(sorted(known))}"
    for engine in soc.accelerators:
        if len(engine.job_fields) > MOST_OWN and not has_launcher(engine):
            yield f"job_fields of engine '{engine.name}': found {len(engine.job_fields)}, wanted at most {MOST_OWN}"
        for pattern in engine.patterns if fuses(engine) else ():
            if "pool2d" in pattern[1:] and not has_launcher(engine):
                wanted = "a launcher too, since descriptors of htvm's have no pool"
                yield f"patterns of engine '{engine.name}': found {' + '.join(pattern)}, wanted {wanted}"
        for name, count in Counter(engine.job_fields).items():
            if count > 1:
                yield f"job_fields of engine '{engine.name}': found '{name}' {count} times, wanted each name once"
    for route, count in Counter(route for dma in soc.dmas for route in dma.routes).items():
        if count > 1:
            yield f"dmas: found the route {route.name} {count} times, wanted each route once"
        if route.source == route.target:
            yield f"dmas: found the route {route.name}, wanted one from a memory to another one"
    if soc.accelerators and not soc.cost_models:
        yield "cost_models: found none, wanted one, since there are accelerators"


def _of_reach(soc: Soc) -> Iterator[str]:
    """Say which memories the host does not address, though it works there."""
    if soc.runtime is not None and not Path(soc.runtime).is_dir():
        yield f"runtime: found no folder '{soc.runtime}', wanted one with start.S, link.ld or htvm_soc.h"
    reached = ", ".join(memory.name for memory in soc.memories if memory.host_visible) or "none"
    for field in ("program_memory", "arena_memory", "constant_memory"):
        name: str | None = getattr(soc, field)
        if name is not None and not soc.memory(name).host_visible:
            yield f"{field}: found '{name}', which has host_visible=False, wanted one of the host's: {reached}"


def _of_routes(soc: Soc) -> Iterator[str]:
    """Say which routes are missing that data must take between the host's memories and an accelerator's."""
    for engine in soc.accelerators:
        needed = {
            "input": Route(soc.arena_memory, engine.input.memory),
            "weights": Route(soc.constants_in, engine.weights.memory),
            "output": Route(engine.output.memory, soc.arena_memory),
        }
        for role, route in needed.items():
            if not soc.leads(route.source, route.target):
                names = ", ".join(sorted(each.name for each in soc.routes)) or "none"
                yield f"dmas: found routes {names}, wanted {route.name} too, for the {role} of engine '{engine.name}'"


def _of_addresses(soc: Soc) -> Iterator[str]:
    """Say which memories and registers lie over each other, or where no address is."""
    for memory in soc.memories:
        if memory.end > ADDRESSES:
            yield f"memories: found '{memory.name}' up to {memory.end:#x}, wanted addresses of 32 bits"
    for lower, upper in pairwise(sorted(soc.memories, key=lambda memory: memory.base)):
        if lower.end > upper.base:
            yield (
                f"memories: found '{lower.name}' up to {lower.end:#x} and '{upper.name}' from {upper.base:#x}, "
                "wanted memories apart"
            )
    units = {f"engine '{engine.name}'": engine.base for engine in soc.accelerators if not is_driven(engine)}
    units |= {f"transfer engine '{dma.name}'": dma.base for dma in soc.dmas}
    taken = {f"memory '{memory.name}'": (memory.base, memory.end) for memory in soc.memories}
    for unit, base in units.items():
        where = f"base of {unit}"
        if base % SIZE_BYTES or base + SIZE_BYTES > ADDRESSES:
            yield f"{where}: found {base:#x}, wanted a multiple of {SIZE_BYTES:#x} of 32 bits"
        for other, (first, end) in taken.items():
            if first < base + SIZE_BYTES and base < end:
                yield f"{where}: found {base:#x}, where {other} is, wanted {SIZE_BYTES:,} bytes of its own"
        taken[unit] = (base, base + SIZE_BYTES)


def _members(protocol: type) -> list[str]:
    """Return the names that a protocol itself asks for."""
    return [name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")]


def _methods(protocol: type) -> list[tuple[str, FunctionType]]:
    """Return the methods that a protocol itself asks for."""
    members = cast("Mapping[str, object]", vars(protocol))
    return [(name, each) for name, each in members.items() if name[0] != "_" and isinstance(each, FunctionType)]


def _kind(value: object) -> str:
    return type(value).__name__
