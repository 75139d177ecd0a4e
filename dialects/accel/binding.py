"""What the generated attribute classes are made of: C functions of the plugin, called by ctypes."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mlir import ir

from .. import plugin
from ..text_enum import TextEnum

T = TypeVar("T")
A = TypeVar("A", bound=ir.Attribute)
C = TypeVar("C", bound="Choice")
Reader = Callable[[ir.Attribute], T]


class Choice(TextEnum):
    """A choice of the dialect; its text is that of the assembly."""


class TypedAttribute(ir.Attribute):
    """An attribute of the accel dialect: `Attribute.parse`, dictionaries and operations give it in its own class."""

    @classmethod
    def isinstance(cls, other: ir.Attribute) -> bool:
        """Say whether an attribute is of this class, as MLIR's own classes do."""
        return isinstance(other, cls)


def registered(cpp_class: str) -> Callable[[type[T]], type[T]]:
    """Have MLIR make objects of a class for the attributes of a C++ class."""

    def register(python_class: type[T]) -> type[T]:
        type_id = bound(f"{cpp_class}TypeID", ctypes.c_void_p)()
        ir.register_type_caster(plugin.type_id_at(type_id), replace=True)(python_class)
        return python_class

    return register


def bound(name: str, result: type, *arguments: type) -> Callable[..., Any]:
    """Return a C function of the plugin; what it returns is what ctypes makes of `result`."""
    function = getattr(plugin.library(), f"htvmAccel{name}")
    function.restype, function.argtypes = result, list(arguments)
    return function


class _Integers(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64)]


class reader:  # noqa: N801  (a namespace)
    """For each kind of parameter, what reads it: name of the C++ class, name of the parameter -> function."""

    @staticmethod
    def integer(cpp_class: str, name: str) -> Reader[int]:
        function = bound(f"{cpp_class}_{name}", ctypes.c_int64, ctypes.c_void_p)
        return lambda attribute: function(plugin.attribute_pointer(attribute))

    @staticmethod
    def flag(cpp_class: str, name: str) -> Reader[bool]:
        function = bound(f"{cpp_class}_{name}", ctypes.c_int64, ctypes.c_void_p)
        return lambda attribute: function(plugin.attribute_pointer(attribute)) != 0

    @staticmethod
    def integers(cpp_class: str, name: str) -> Reader[tuple[int, ...]]:
        return _always(reader.optional_integers(cpp_class, name), f"{cpp_class}: {name}")

    @staticmethod
    def optional_integers(cpp_class: str, name: str) -> Reader[tuple[int, ...] | None]:
        function = bound(f"{cpp_class}_{name}", _Integers, ctypes.c_void_p)

        def read(attribute: ir.Attribute) -> tuple[int, ...] | None:
            array = function(plugin.attribute_pointer(attribute))
            if array.size <= 0:
                return () if array.size == 0 else None
            return struct.unpack(f"{array.size}q", ctypes.string_at(array.data, 8 * array.size))

        return read

    @staticmethod
    def attribute(kind: type[A]) -> Callable[[str, str], Reader[A]]:
        def of(cpp_class: str, name: str) -> Reader[A]:
            return _always(reader.optional_attribute(kind)(cpp_class, name), f"{cpp_class}: {name}")

        return of

    @staticmethod
    def optional_attribute(kind: type[A]) -> Callable[[str, str], Reader[A | None]]:
        def of(cpp_class: str, name: str) -> Reader[A | None]:
            function = bound(f"{cpp_class}_{name}", ctypes.c_void_p, ctypes.c_void_p)

            def read(attribute: ir.Attribute) -> A | None:
                pointer = function(plugin.attribute_pointer(attribute))
                found = None if pointer is None else plugin.attribute_at(pointer)
                assert found is None or isinstance(found, kind), f"{cpp_class}: {name} is {found}"
                return found

            return read

        return of

    @staticmethod
    def text(cpp_class: str, name: str) -> Reader[str]:
        attribute_of = reader.attribute(ir.StringAttr)(cpp_class, name)

        def read(attribute: ir.Attribute) -> str:
            return attribute_of(attribute).value

        return read

    @staticmethod
    def case(choice: type[C]) -> Callable[[str, str], Reader[C]]:
        cases: tuple[C, ...] = tuple(choice)

        def of(cpp_class: str, name: str) -> Reader[C]:
            function = bound(f"{cpp_class}_{name}", ctypes.c_int64, ctypes.c_void_p)

            def read(attribute: ir.Attribute) -> C:
                index: int = function(plugin.attribute_pointer(attribute))
                return cases[index]

            return read

        return of


def _always(read: Reader[T | None], what: str) -> Reader[T]:
    """Return a reader of a parameter that every attribute of the class has."""

    def value(attribute: ir.Attribute) -> T:
        found = read(attribute)
        assert found is not None, what
        return found

    return value


class writer:  # noqa: N801  (a namespace)
    """For each kind of parameter, what makes the argument of the C function that makes an attribute."""

    @staticmethod
    def integer(value: int, context: ir.Context) -> int:
        return value

    @staticmethod
    def case(value: Choice, context: ir.Context) -> int:
        return tuple(type(value)).index(value)

    @staticmethod
    def integers(value: Sequence[int] | None, context: ir.Context) -> int | None:
        return None if value is None else plugin.attribute_pointer(ir.DenseI64ArrayAttr.get(value, context=context))

    @staticmethod
    def text(value: str, context: ir.Context) -> int:
        return plugin.attribute_pointer(ir.StringAttr.get(value, context=context))

    @staticmethod
    def attribute(value: ir.Attribute | None, context: ir.Context) -> int | None:
        return None if value is None else plugin.attribute_pointer(value)


Writer = Callable[[Any, ir.Context], "int | None"]
INTEGERS_IN_C: tuple[Writer, ...] = (writer.integer, writer.case)


def builder(cpp_class: str, *writers: Writer) -> Callable[..., ir.Attribute]:
    """Return what makes attributes of a class from a context, None for the current one, and parameters."""
    arguments = [ctypes.c_int64 if each in INTEGERS_IN_C else ctypes.c_void_p for each in writers]
    function = bound(f"{cpp_class}Get", ctypes.c_void_p, ctypes.c_void_p, *arguments)

    def build(context: ir.Context | None, *values: object) -> ir.Attribute:
        where = ir.Location.unknown(context)
        messages: list[str] = []

        def keep(diagnostic: ir.Diagnostic) -> bool:
            messages.append(diagnostic.message)
            return True

        with where.context.attach_diagnostic_handler(keep):
            made = (write(value, where.context) for write, value in zip(writers, values, strict=True))
            pointer = function(plugin.location_pointer(where), *made)
        if pointer is None:
            raise ValueError(f"{cpp_class}: {'; '.join(messages)}")
        return plugin.attribute_at(pointer)

    return build
