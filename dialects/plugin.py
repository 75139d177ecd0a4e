"""The compiled dialect, `libhtvm_accel.so`, and how Python objects of MLIR cross over to it and back."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib import metadata
from pathlib import Path

import mlir._mlir_libs
from mlir import ir

from . import installed_mlir

PLUGIN = Path(__file__).parent / "libhtvm_accel.so"
"""The compiled dialect; the same file serves `mlir-opt --load-dialect-plugin`."""

_pointer_in = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_in.restype, _pointer_in.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_capsule_of = ctypes.pythonapi.PyCapsule_New
_capsule_of.restype, _capsule_of.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

ATTRIBUTE, CONTEXT, LOCATION, OPERATION, REGISTRY, TYPE_ID = (
    f"mlir.ir.{kind}._CAPIPtr".encode()
    for kind in ("Attribute", "Context", "Location", "Operation", "DialectRegistry", "TypeID")
)


PRINTER = PLUGIN.with_name("libhtvm_emitc.so")
"""MLIR's printer from the emitc dialect to C, which the Python package does not have."""

_taker = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)
"""A function that takes a text: where it begins, and its bytes."""


@cache
def library() -> ctypes.PyDLL:
    """Load the plugin."""
    plugin = loaded(PLUGIN)
    plugin.htvmLoadAccelDialect.argtypes = [ctypes.c_void_p]
    plugin.htvmLoadAccelDialect.restype = None
    plugin.htvmAvailableDialects.argtypes = [ctypes.c_void_p, _taker]
    plugin.htvmAvailableDialects.restype = None
    return plugin


def loaded(path: Path) -> ctypes.PyDLL:
    """Load a library that finds MLIR's symbols in that of the Python package, opened globally before it.

    A PyDLL, since what it reports goes to handlers in Python, which need the interpreter's lock.
    """
    installed_mlir.check()
    capi = Path(mlir._mlir_libs.__file__).parent / "libMLIRPythonCAPI.so"
    ctypes.CDLL(str(capi), mode=os.RTLD_GLOBAL | os.RTLD_NOW)
    return ctypes.PyDLL(str(path), mode=os.RTLD_NOW)


@cache
def _printer() -> ctypes.PyDLL:
    printer = loaded(PRINTER)
    printer.htvmPrintC.argtypes = [ctypes.c_void_p, _taker]
    printer.htvmPrintC.restype = ctypes.c_bool
    return printer


def c_text(operation: ir.Operation) -> str | None:
    """Return the C of an operation of the emitc dialect; None, with a diagnostic, where MLIR prints none."""
    texts: list[bytes] = []

    def take(text: int, length: int) -> None:
        texts.append(ctypes.string_at(text, length))

    is_printed = _printer().htvmPrintC(_pointer_in(operation._CAPIPtr, OPERATION), _taker(take))
    return texts[0].decode() if is_printed else None


class LibraryError(ValueError):
    """A library that is no plug-in of MLIR's, or of another version; the message names it and says why."""


class _PluginInfo(ctypes.Structure):
    """What a plug-in of MLIR's says of itself. Source: DialectPlugin.h and PassPlugin.h of MLIR 22."""

    _fields_ = (
        ("api_version", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("version", ctypes.c_char_p),
        ("register", ctypes.c_void_p),
    )


PLUGIN_API_VERSION = 1


_dialects: dict[Path, int] = {}
"""What registers the dialects of each library that was loaded."""


def load_dialect_plugin(path: str | os.PathLike[str]) -> None:
    """Let every context that htvm makes from now on know the dialects of a library, as --load-dialect-plugin does.

    Raises LibraryError.
    """
    library = Path(path)
    _dialects[library.resolve()] = _registration(library, "mlirGetDialectPluginInfo")


def loaded_dialects() -> tuple[Path, ...]:
    """Return the libraries whose dialects were loaded."""
    return tuple(_dialects)


def add_loaded_dialects(to: ir.Context) -> None:
    """Make the dialects of all libraries that were loaded known in a context."""
    if not _dialects:
        return
    registry = ir.DialectRegistry()
    for register in _dialects.values():
        ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(register)(_pointer_in(registry._CAPIPtr, REGISTRY))
    to.append_dialect_registry(registry)
    to.load_all_available_dialects()


def available_dialects(context: ir.Context) -> list[str]:
    """Return the names of the dialects that a context can read, in alphabetical order."""
    names: set[str] = set()

    def take(name: int, length: int) -> None:
        names.add(ctypes.string_at(name, length).decode())

    library().htvmAvailableDialects(context_pointer(context), _taker(take))
    return sorted(names)


def load_passes(path: Path) -> None:
    """Register the passes of a plug-in, as mlir-opt's --load-pass-plugin. Raises LibraryError."""
    ctypes.PYFUNCTYPE(None)(_registration(path, "mlirGetPassPluginInfo"))()


def _registration(path: Path, entry: str) -> int:
    """Return the address of what registers the contents of a plug-in."""
    try:
        describe = getattr(loaded(path.resolve()), entry)
    except (OSError, AttributeError) as error:
        raise LibraryError(
            f"{path}: is no plug-in for MLIR {metadata.version(installed_mlir.BINDINGS)}: {error}"
        ) from None
    describe.restype = _PluginInfo
    info = describe()
    if info.api_version != PLUGIN_API_VERSION or not info.register:
        raise LibraryError(f"{path}: has version {info.api_version} of the interface, expected {PLUGIN_API_VERSION}")
    return info.register


def context_pointer(context: ir.Context) -> int:
    return _pointer_in(context._CAPIPtr, CONTEXT)


def attribute_pointer(attribute: ir.Attribute) -> int:
    return _pointer_in(attribute._CAPIPtr, ATTRIBUTE)


def location_pointer(location: ir.Location) -> int:
    return _pointer_in(location._CAPIPtr, LOCATION)


def attribute_at(pointer: int) -> ir.Attribute:
    """Return the attribute at an address, as an object of its own class."""
    return ir.Attribute._CAPICreate(_capsule_of(pointer, ATTRIBUTE, None)).maybe_downcast()


def type_id_at(pointer: int) -> ir.TypeID:
    return ir.TypeID._CAPICreate(_capsule_of(pointer, TYPE_ID, None))
