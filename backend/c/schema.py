"""Frozen dataclasses as JSON, and back: what a file must hold is said once, by the types of the fields.

`Annotated` adds what a type cannot say: bounds, or a pattern. A field whose default is None is left out where it is
None. Its metadata may be INLINE, or {"key": its name in JSON}.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Annotated, Literal, Protocol, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
JsonObject: TypeAlias = "dict[str, Json]"

Instance = TypeVar("Instance")

SHOWN = 40
"""The most characters of what was found that a message shows."""
LISTED = 10
"""The most problems that a message lists."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a key. found: as the file has it; None if the key is missing."""

    key: str
    found: str | None
    wanted: str

    def __str__(self) -> str:
        state = "is missing" if self.found is None else f"is {self.found}"
        return f"{self.key} {state}, expected {self.wanted}"


class SchemaError(ValueError):
    """JSON that is not what a dataclass asks for. problems: all of them, in the order of the fields."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Check(Protocol):
    """What a value must be beside its type. wanted: in words."""

    @property
    def wanted(self) -> str: ...

    def holds(self, value: object) -> bool: ...


@dataclass(frozen=True)
class Within:
    """A number from `low` to `high`, both included."""

    low: float
    high: float
    kind: str = "an integer"

    @property
    def wanted(self) -> str:
        return f"{self.kind} from {self.low:,} to {self.high:,}"

    def holds(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Matching:
    """A text that a regular expression matches as a whole."""

    pattern: str
    wanted: str

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


INLINE = MappingProxyType({"inline": True})
"""Metadata of a field: its keys stand among those of the object that it is in; None if none of them is there."""


def as_json(value: object) -> Json:
    """Return a dataclass, with all that is in it, as what `json` writes."""
    if is_dataclass(value) and not isinstance(value, type):
        return dict(_written(value))
    if isinstance(value, Enum):
        return cast(Json, value.value)
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in cast("Mapping[object, object]", value).items()}
    if isinstance(value, tuple | list):
        return [as_json(each) for each in cast("Sequence[object]", value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


def as_object(value: object) -> JsonObject:
    """Return a dataclass as a JSON object."""
    return dict(_written(value))


def _written(value: object) -> Iterator[tuple[str, Json]]:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is no dataclass")
    for each in fields(value):
        found: object = getattr(value, each.name)
        if found is None and each.default is None:
            continue
        if "inline" in each.metadata:
            yield from _written(found)
        else:
            yield _key(each), as_json(found)


def read(cls: type[Instance], value: Json) -> Instance:
    """Return the instance of a dataclass that JSON holds; keys that the class does not have are not looked at.

    Raises SchemaError with all problems.
    """
    reader = _Reader([])
    found = reader.value(cls, value, "")
    if reader.problems:
        raise SchemaError(reader.problems)
    return cast(Instance, found)


@dataclass
class _Reader:
    """Collects the problems of what it reads; what has one is read as None."""

    problems: list[Problem]

    def value(self, kind: object, found: Json, key: str) -> object:
        """Read a value of type `kind`."""
        origin = cast("object", get_origin(kind))
        arguments = get_args(kind)
        if origin is Annotated:
            return self.checked(arguments[0], arguments[1:], found, key)
        if origin is Union or origin is types.UnionType:
            return self.one_of(arguments, found, key)
        if origin is Literal:
            return self.literal(arguments, found, key)
        if origin is tuple:
            return self.items(arguments, found, key)
        if origin is abc.Mapping:
            return self.mapping(arguments[1], found, key)
        if isinstance(kind, type) and is_dataclass(kind):
            return self.instance(cast(type, kind), found, key)
        return self.scalar(cast("object", kind), found, key)

    def wrong(self, key: str, found: Json, wanted: str) -> None:
        self.problems.append(Problem(key, shown(found), wanted))

    def checked(self, kind: object, checks: Sequence[Check], found: Json, key: str) -> object:
        inner = _Reader([])
        value = inner.value(kind, found, key)
        broken = checks[:1] if inner.problems else [check for check in checks if not check.holds(value)]
        if broken:
            self.wrong(key, found, broken[0].wanted)
        return value

    def one_of(self, kinds: Sequence[object], found: Json, key: str) -> object:
        attempts: list[_Reader] = []
        for kind in kinds:
            attempt = _Reader([])
            value = attempt.value(kind, found, key)
            if not attempt.problems:
                return value
            attempts.append(attempt)
        told = [one for kind, one in zip(kinds, attempts) if kind is not types.NoneType]
        if len(told) == 1:
            self.problems += told[0].problems
        else:
            self.wrong(key, found, " or ".join(one.problems[0].wanted for one in told))
        return None

    def literal(self, choices: Sequence[object], found: Json, key: str) -> object:
        if not any(type(found) is type(choice) and found == choice for choice in choices):
            self.wrong(key, found, _choices(choices))
        return found

    def items(self, kinds: Sequence[object], found: Json, key: str) -> object:
        is_open = len(kinds) == 2 and kinds[1] is Ellipsis
        if not isinstance(found, list) or (not is_open and len(found) != len(kinds)):
            self.wrong(key, found, "a list" if is_open else f"a list of {len(kinds)}")
            return None
        each_kind = [kinds[0]] * len(found) if is_open else kinds
        return tuple(self.value(kind, each, f"{key}[{n}]") for n, (kind, each) in enumerate(zip(each_kind, found)))

    def mapping(self, kind: object, found: Json, key: str) -> object:
        if not isinstance(found, dict):
            self.wrong(key, found, "an object")
            return None
        for name in found:
            self.scalar(str, name, f"a name in {key}")
        return {name: self.value(kind, each, f"{key}.{name}") for name, each in found.items()}

    def instance(self, cls: type, found: Json, key: str) -> object:
        if not isinstance(found, dict):
            self.wrong(key or "the file", found, "an object")
            return None
        hints, values = _hints(cls), dict[str, object]()
        for each in fields(cls):
            kind, name = hints[each.name], _key(each)
            place = f"{key}.{name}" if key else name
            if "inline" in each.metadata:
                inner = next(cast(type, one) for one in (kind, *get_args(kind)) if is_dataclass(one))
                names = set(map(_key, fields(inner)))
                values[each.name] = self.instance(inner, found, key) if names & set(found) else None
            elif name in found:
                values[each.name] = self.value(kind, found[name], place)
            elif each.default is MISSING:
                self.problems.append(Problem(place, None, wanted(kind)))
        return None if self.problems else cls(**values)

    def scalar(self, kind: object, found: Json, key: str) -> object:
        if kind is types.NoneType and found is None:
            return None
        if kind is float and type(found) in (int, float) and math.isfinite(number := _float(cast(float, found))):
            return number
        if kind is str and isinstance(found, str) and _is_text(found):
            return found
        if kind in (int, bool) and type(found) is kind:
            return found
        if isinstance(kind, type) and issubclass(kind, Enum):
            for choice in kind:
                if found == choice.value:
                    return choice
        self.wrong(key, found, wanted(cast(object, kind)))
        return None


def wanted(kind: object) -> str:
    """Say what a type asks for."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return cast(Check, arguments[1]).wanted
    if origin in (Union, types.UnionType):
        return " or ".join(wanted(each) for each in arguments)
    if origin is Literal:
        return _choices(arguments)
    if origin is tuple:
        return "a list"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(f"'{each.value}'" for each in kind)
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false", types.NoneType: "null"}
    return next((name for known, name in names.items() if kind is known), "an object")


def shown(found: Json) -> str:
    """Return what was found so that a line can hold it."""
    if isinstance(found, dict | list):
        kind = "object" if isinstance(found, dict) else "list"
        return f"{'an' if kind == 'object' else 'a'} {kind} of {len(found)}" if found else f"an empty {kind}"
    if isinstance(found, int) and abs(found) >= 10**SHOWN:
        return "an integer of more than 40 digits"
    text = json.dumps(found)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 2]}.."


def _choices(choices: Sequence[object]) -> str:
    return " or ".join("true" if choice is True else f"'{choice}'" for choice in choices)


def _key(field: Field[object]) -> str:
    """Return the name of a field in JSON."""
    return str(field.metadata.get("key", field.name))


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _is_text(found: str) -> bool:
    """Say whether a text can be written: JSON can have halves of characters."""
    try:
        found.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _hints(cls: type) -> dict[str, object]:
    """Return the types of a dataclass's fields, with what `Annotated` adds."""
    return get_type_hints(cls, include_extras=True)
