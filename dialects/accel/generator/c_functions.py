"""The C functions of the plugin that make attributes, read their parameters and name their types."""

from __future__ import annotations

from textwrap import dedent

from .definitions import DO_NOT_EDIT, NAMESPACE, Attribute, Choice, Definitions, Holder, Parameter, kind_of_choice

C_HEAD = f"""\
// {DO_NOT_EDIT}

namespace {{
struct HtvmIntegers {{
  const int64_t *data;
  int64_t size; // -1: there are none
}};

HtvmIntegers htvmIntegers(::mlir::DenseI64ArrayAttr array) {{
  return array ? HtvmIntegers{{array.asArrayRef().data(), array.size()}} : HtvmIntegers{{nullptr, -1}};
}}

template <typename Kind>
Kind htvmAttribute(const void *pointer) {{
  return ::llvm::cast_or_null<Kind>(::mlir::Attribute::getFromOpaquePointer(pointer));
}}
}} // namespace
"""


def c_functions(dialect: Definitions) -> str:
    parts = [C_HEAD]
    for one in dialect.attributes:
        parts += [_type_id(one.cpp), *(_read(one.cpp, each) for each in one.parameters), _get(one)]
    for holder in dialect.holders:
        parts += [_type_id(holder.cpp), _read(holder.cpp, _value(holder.choice)), _get_choice(holder)]
    return "\n".join(parts)


def _value(choice: Choice) -> Parameter:
    return Parameter("value", "", kind_of_choice(choice), None)


def _type_id(cpp: str) -> str:
    body = f"return {NAMESPACE}{cpp}::getTypeID().getAsOpaquePointer();"
    return f"HTVM_PYTHON const void *htvmAccel{cpp}TypeID() {{ {body} }}"


def _read(cpp: str, one: Parameter) -> str:
    value = one.kind.read.replace("$", f"attribute.{one.getter}()")
    return dedent(f"""\
        HTVM_PYTHON {one.kind.c} htvmAccel{cpp}_{one.name}(const void *pointer) {{
          auto attribute = htvmAttribute<{NAMESPACE}{cpp}>(pointer);
          return {value};
        }}""")


def _get(one: Attribute) -> str:
    parameters = "".join(f", {_argument_type(each)} {each.name}_" for each in one.parameters)
    values = "".join(f", {each.kind.make.replace('$', each.name + '_')}" for each in one.parameters)
    return dedent(f"""\
        HTVM_PYTHON const void *htvmAccel{one.cpp}Get(const void *at{parameters}) {{
          ::mlir::Location location(htvmAttribute<::mlir::LocationAttr>(at));
          auto report = [&]() {{ return ::mlir::emitError(location); }};
          return {NAMESPACE}{one.cpp}::getChecked(report, location.getContext(){values}).getAsOpaquePointer();
        }}""")


def _get_choice(holder: Holder) -> str:
    value = f"static_cast<{NAMESPACE}{holder.choice.name}>(value)"
    return dedent(f"""\
        HTVM_PYTHON const void *htvmAccel{holder.cpp}Get(const void *at, int64_t value) {{
          ::mlir::Location location(htvmAttribute<::mlir::LocationAttr>(at));
          return {NAMESPACE}{holder.cpp}::get(location.getContext(), {value}).getAsOpaquePointer();
        }}""")


def _argument_type(one: Parameter) -> str:
    return "int64_t" if one.kind.c == "int64_t" else "const void *"
