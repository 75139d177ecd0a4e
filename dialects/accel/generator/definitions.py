"""The attributes, enums, families and operations of the dialect, as data, from a dump of llvm-tblgen."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import Any

Record = dict[str, Any]

NAMESPACE = "::htvm::accel::"
DO_NOT_EDIT = "Generated from the definitions of the accel dialect (generator/); not to be edited."


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


@dataclass(frozen=True)
class Kind:
    """How a parameter of one C++ type crosses the border.

    python: its type in Python. accepted: what may be given for it. c: the type of the C function that reads it, which
    returns `read` of the value. make: the C++ value from the argument `$`. reader, writer: functions of binding.py.
    """

    python: str
    accepted: str
    c: str
    read: str
    make: str
    reader: str
    writer: str


INTEGER = Kind("int", "int", "int64_t", "$", "$", "integer", "integer")
FLAG = Kind("bool", "bool", "int64_t", "$", "$ != 0", "flag", "integer")
INTEGERS = Kind(
    "tuple[int, ...]", "Sequence[int]", "HtvmIntegers", "htvmIntegers($)",
    "htvmAttribute<::mlir::DenseI64ArrayAttr>($)", "integers", "integers",
)  # fmt: skip
TEXT = Kind(
    "str", "str", "const void *", "::mlir::StringAttr::get(attribute.getContext(), $).getAsOpaquePointer()",
    "htvmAttribute<::mlir::StringAttr>($).getValue()", "text", "text",
)  # fmt: skip


def attribute_kind(python: str, cpp: str) -> Kind:
    """Return the kind of a parameter that is an attribute of MLIR's own, by its class in Python and in C++."""
    return Kind(
        python,
        python,
        "const void *",
        "$.getAsOpaquePointer()",
        f"htvmAttribute<{cpp}>($)",
        f"attribute({python})",
        "attribute",
    )


KINDS = {
    "int64_t": INTEGER,
    "bool": FLAG,
    "::mlir::DenseI64ArrayAttr": INTEGERS,
    "::llvm::StringRef": TEXT,
    "::mlir::DictionaryAttr": attribute_kind("ir.DictAttr", "::mlir::DictionaryAttr"),
    "::mlir::TypedAttr": attribute_kind("ir.Attribute", "::mlir::TypedAttr"),
    "::mlir::TypeAttr": attribute_kind("ir.TypeAttr", "::mlir::TypeAttr"),
}


TYPES = {
    "Accel_Value": "[ir.ShapedType]",
    "Accel_Tensor": "[ir.RankedTensorType]",
    "Accel_MemRef": "[ir.MemRefType]",
}
"""What is known of the type of an operand or result under a constraint."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of an attribute. default: Python's, None for one that must be given."""

    name: str
    what: str
    kind: Kind
    default: str | None

    @property
    def getter(self) -> str:
        return "get" + "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def is_nullable(self) -> bool:
        return self.default == "None"

    @property
    def python(self) -> str:
        return f"{self.kind.python} | None" if self.is_nullable else self.kind.python

    @property
    def accepted(self) -> str:
        return f"{self.kind.accepted} | None" if self.is_nullable else self.kind.accepted

    @property
    def reader(self) -> str:
        """The function of binding.py that reads it: another one if it may be missing."""
        return f"optional_{self.kind.reader}" if self.is_nullable else self.kind.reader


@dataclass(frozen=True)
class Attribute:
    record: str
    cpp: str
    mnemonic: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Choice:
    """An enum. symbols: its cases in C++; words: in the assembly, and in Python."""

    name: str
    record: str
    summary: str
    symbols: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """Its cases in Python."""
        return tuple(word.upper() for word in self.words)


@dataclass(frozen=True)
class Holder:
    """A class of attributes that hold a case of an enum, and the constraint of operations that takes one."""

    record: str
    cpp: str
    choice: Choice
    constraint: str | None


@dataclass(frozen=True)
class Member:
    """An operand, attribute or result of an operation. accepted: what its constructor takes."""

    name: str
    python: str
    accepted: str
    is_optional: bool
    is_operand: bool
    is_flag: bool = False


@dataclass(frozen=True)
class Operation:
    cpp: str
    mnemonic: str
    summary: str
    members: tuple[Member, ...]
    results: tuple[Member, ...]
    is_layer: bool
    families: tuple[str, ...]
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """What several operations share."""

    name: str
    summary: str
    operations: tuple[Operation, ...]

    @property
    def base(self) -> str:
        return "Layer" if all(each.is_layer for each in self.operations) else "ir.OpView"

    @property
    def members(self) -> list[Member]:
        """What all its operations have, in the same form."""
        first, *others = self.operations
        return [each for each in first.members if all(each in one.members for one in others)]


class Definitions:
    """The attributes, enums and operations of a dump of llvm-tblgen."""

    def __init__(self, records: Record) -> None:
        self.records = records
        self.choices = [self._choice(name) for name in self._of("EnumInfo")]
        self.holders = [self._holder(name) for name in self._of("EnumAttr")]
        enums = {NAMESPACE + each.name: kind_of_choice(each) for each in self.choices}
        names = [name for name in self._of("AttrDef") if name not in {each.record for each in self.holders}]
        classes = {self.records[name]["cppClassName"]: name for name in names}
        self.kinds = KINDS | enums | {each: kind_of_attribute(each) for each in classes}
        # Attributes that others have as parameters come before these.
        self.attributes = [self._attribute(name) for name in sorted(names, key=self._line)]
        self.operations = [self._operation(name) for name in sorted(self._of("Op"), key=self._line)]
        self.families = [self._family(name) for name in sorted(self._of("Accel_Family"), key=self._line)]

    def _of(self, kind: str) -> list[str]:
        return [name for name in self.records["!instanceof"].get(kind, ()) if name.startswith("Accel_")]

    def _line(self, name: str) -> int:
        return int(self.records[name]["!locs"][0].rsplit(":", 1)[1])

    def _choice(self, name: str) -> Choice:
        enum = self.records[name]
        cases = [self.records[case["def"]] for case in enum["enumerants"]]
        symbols, words = (tuple(case[key] for case in cases) for key in ("symbol", "str"))
        return Choice(enum["className"], name, enum["summary"], symbols, words)

    def _holder(self, name: str) -> Holder:
        record = self.records[name]
        choice = next(each for each in self.choices if each.record == record["enum"]["def"])
        constraints = [each for each in self._of("Accel_Choice") if self.records[each]["current"]["def"] == name]
        return Holder(name, record["cppClassName"], choice, constraints[0] if constraints else None)

    def _attribute(self, name: str) -> Attribute:
        record = self.records[name]
        parameters = tuple(self._parameter(*each) for each in record["parameters"]["args"])
        summary, description = record["summary"], dedent(record["description"]).strip()
        return Attribute(name, record["cppClassName"], record["mnemonic"], summary, description, parameters)

    def _parameter(self, type_: str | Record, name: str) -> Parameter:
        if isinstance(type_, str):
            return Parameter(name, "", self.kinds[type_], None)
        record = self.records[type_["def"]]
        default = record["defaultValue"]
        default = self._default(default) if default else None
        return Parameter(name, record["summary"], self.kinds[record["cppType"]], default)

    def _default(self, cpp: str) -> str:
        """Return the default value of a parameter in Python: that of an optional one is `Type()`, null."""
        if cpp.endswith("()"):
            return "None"
        if cpp.startswith(NAMESPACE):  # a case of an enum
            name, symbol = cpp.removeprefix(NAMESPACE).split("::")
            choice = next(each for each in self.choices if each.name == name)
            return f"{name}.{choice.members[choice.symbols.index(symbol)]}"
        return {"false": "False", "true": "True"}.get(cpp, cpp)

    def _operation(self, name: str) -> Operation:
        record = self.records[name]
        members = tuple(self._member(*each) for each in record["arguments"]["args"])
        results = tuple(self._member(*each, is_result=True) for each in record["results"]["args"])
        is_layer = "Accel_Layer" in record["!superclasses"]
        traits = [self.records[each["def"]] for each in record["traits"]]
        families = tuple(each["trait"] for each in traits if "Accel_Family" in each["!superclasses"])
        cpp, summary = name.removeprefix("Accel_"), record["summary"]
        regions = tuple(region for _, region in record["regions"]["args"])
        return Operation(cpp, record["opName"], summary, members, results, is_layer, families, regions)

    def _family(self, name: str) -> Family:
        record = self.records[name]
        own = tuple(each for each in self.operations if record["trait"] in each.families)
        return Family(record["trait"], record["summary"], own)

    def _member(self, type_: Record, name: str, is_result: bool = False) -> Member:
        record = self.records[type_["def"]]
        kinds = record["!superclasses"]
        if "Attr" in kinds:
            is_optional = bool(record["isOptional"]) or record["defaultValue"] is not None
            python, accepted = self._types(record)
            return Member(name, python, accepted, is_optional, False, python == "bool")
        is_optional, is_variadic = "Optional" in kinds, "Variadic" in kinds
        of_type = TYPES.get(record["baseType"]["def"] if is_optional or is_variadic else type_["def"], "")
        if is_variadic and is_result:
            return Member(name, f"ir.OpResultList{of_type}", "Sequence[ir.Type]", False, False)
        if is_variadic:
            return Member(name, f"ir.OpOperandList{of_type}", "Sequence[_Value]", False, True)
        if is_result:
            return Member(name, f"ir.OpResult{of_type}", "ir.Type", is_optional, False)
        return Member(name, f"ir.Value{of_type}", "_Value", is_optional, True)

    def _types(self, record: Record) -> tuple[str, str]:
        """Return the class of an attribute, and what the constructor of an operation takes for it."""
        while base := record.get("baseAttr"):  # of one that may be missing, or has a default
            record = self.records[base["def"]]
        if "current" in record:  # the former form is read too, but only where modules are read
            record = self.records[record["current"]["def"]]
        storage = record["storageType"].strip()
        of_mlir = storage.removeprefix("::mlir::")
        if storage.startswith(NAMESPACE):
            name = storage.removeprefix(NAMESPACE)
            choice = next((each.choice.name for each in self.holders if each.cpp == name), None)
            return name, f"{choice} | {name}" if choice else name
        name = {"DictionaryAttr": "DictAttr", "Attribute": "Attribute"}.get(of_mlir, of_mlir)
        if name == "UnitAttr":  # mlir-tblgen makes a bool of it
            return "bool", "bool | ir.UnitAttr"
        plain = {"DenseI64ArrayAttr": "Sequence[int]", "StringAttr": "str", "FloatAttr": "float", "BoolAttr": "bool",
                 "IntegerAttr": "int"}  # fmt: skip
        accepted = f"{plain[name]} | ir.{name}" if name in plain else f"ir.{name}"
        return f"ir.{name}", accepted


def kind_of_choice(choice: Choice) -> Kind:
    cpp = NAMESPACE + choice.name
    return Kind(choice.name, choice.name, "int64_t", "static_cast<int64_t>($)", f"static_cast<{cpp}>($)",
                f"case({choice.name})", "case")  # fmt: skip


def kind_of_attribute(cpp: str) -> Kind:
    make = f"htvmAttribute<{NAMESPACE}{cpp}>($)"
    return Kind(cpp, cpp, "const void *", "$.getAsOpaquePointer()", make, f"attribute({cpp})", "attribute")
