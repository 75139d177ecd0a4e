"""The layers of a Relax function that htvm could take, each as a function of its own.

    dequantize -> convolution -> bias -> relu -> quantize          one layer, with the dequantizes of its constants
    reshape of int8                                                one layer

A value that two layers read in real numbers is computed in both, so that each reads and gives integers alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from tvm import ir, relax

from htvm.integrations.relax.graph import NotConvertible, dtype_of
from htvm.integrations.relax.operators import CONVERTERS

MOVES = {
    "reshape", "squeeze", "expand_dims", "flatten", "permute_dims", "concat", "strided_slice", "nn.max_pool2d", "clip"
}  # fmt: skip
"""What htvm takes of integers without a dequantize before it."""

STORED = {"int8", "uint8", "int16", "uint16"}
"""Types of integers that a layer may give."""

WORKSPACE = "WorkspaceSize"
"""TVM's attribute for the bytes that a function works in: AllocateWorkspace reads it."""


@dataclass(frozen=True)
class Region:
    """A layer: bindings in their order, of which the last one is the result, and what they read from outside."""

    bindings: tuple[relax.VarBinding, ...]
    inputs: tuple[relax.Var, ...]

    @property
    def kind(self) -> str:
        """The operator that names it."""
        kinds = [operator_of(binding.value) for binding in self.bindings]
        layers = [kind for kind in kinds if kind not in ("quantize", "dequantize", "reshape", "permute_dims", "")]
        return (layers or [kinds[-1]])[0]

    def function(self, name: str) -> relax.Function:
        """Return it as a function with parameters of its own."""
        parameters = [relax.Var(f"input{number}", var.ty) for number, var in enumerate(self.inputs)]
        builder = relax.BlockBuilder()
        values: dict[relax.Var, ir.Expr] = dict(zip(self.inputs, parameters))
        with builder.function(name, parameters, private=True):
            with builder.dataflow():
                for binding in self.bindings[:-1]:
                    values[binding.var] = builder.emit(rebuilt(binding.value, values), binding.var.name)
                last = self.bindings[-1]
                result = builder.emit_output(rebuilt(last.value, values), last.var.name)
            builder.emit_func_output(result)
        ((_, function),) = builder.get().functions_items()
        for attribute, value in (("Composite", f"htvm.{self.kind}"), ("Primitive", True), (WORKSPACE, 1)):
            function = function.with_attr(attribute, value)
        return function


def rebuilt(value: ir.Expr, values: Mapping[relax.Var, ir.Expr]) -> ir.Expr:
    """Return an expression with variables replaced."""
    if isinstance(value, relax.Var):
        return values[value]
    if isinstance(value, relax.Tuple):
        return relax.Tuple([rebuilt(each, values) for each in value.fields])
    if isinstance(value, relax.TupleGetItem):
        return relax.TupleGetItem(rebuilt(value.tuple_value, values), value.index)
    if isinstance(value, relax.Call):
        return relax.Call(value.op, [rebuilt(each, values) for each in value.args], value.attrs, value.ty_args)
    return value


def operator_of(value: ir.Expr) -> str:
    """Return the name of the operator that a value is a call of, without `relax.`; empty if it is none."""
    if isinstance(value, relax.Call) and isinstance(value.op, ir.Op):
        return value.op.name.removeprefix("relax.")
    return ""


def reads(value: ir.Expr) -> Iterator[relax.Var]:
    """Yield the variables that an expression reads."""
    if isinstance(value, relax.Var):
        yield value
    elif isinstance(value, relax.Tuple):
        for each in value.fields:
            yield from reads(each)
    elif isinstance(value, relax.TupleGetItem):
        yield from reads(value.tuple_value)
    elif isinstance(value, relax.Call):
        for each in value.args:
            yield from reads(each)


@dataclass
class Layers:
    """The layers of one function, and for each value that is in none the reason, by its name."""

    function: relax.Function
    leave: Collection[str]
    bindings: dict[relax.Var, relax.VarBinding] = field(default_factory=dict[relax.Var, relax.VarBinding])
    reasons: dict[str, str] = field(default_factory=dict[str, str])

    def find(self) -> Iterator[Region]:
        """Yield what could be a layer of htvm: what ends in a quantize, and what moves integers."""
        for block in self.function.body.blocks:
            if not isinstance(block, relax.DataflowBlock):
                continue
            for binding in block.bindings:
                if not isinstance(binding, relax.VarBinding):
                    continue
                self.bindings[binding.var] = binding
                kind = operator_of(binding.value)
                try:
                    if kind == "quantize":
                        yield self.region(binding)
                    elif kind in MOVES and dtype_of(binding.value) in STORED:
                        self.check(binding)
                        if not self.is_constant(binding.var):
                            yield Region((binding,), tuple(dict.fromkeys(reads(binding.value))))
                except NotConvertible as error:
                    self.reasons[binding.var.name] = str(error)

    def region(self, end: relax.VarBinding) -> Region:
        """Return all that a quantize needs down to the dequantizes. Raises NotConvertible if that is no layer."""
        bindings: dict[relax.Var, relax.VarBinding] = {}
        inputs: dict[relax.Var, None] = {}

        def collect(binding: relax.VarBinding) -> None:
            if binding.var in bindings:
                return
            self.check(binding)
            for var in reads(binding.value):
                if self.is_constant(var):
                    collect(self.bindings[var])
                elif operator_of(binding.value) == "dequantize" or (
                    operator_of(binding.value) != "quantize" and dtype_of_any(var) in STORED
                ):
                    inputs[var] = None
                elif var in self.bindings:
                    collect(self.bindings[var])
                else:
                    raise NotConvertible(f"it reads '{var.name}' of {dtype_of_any(var)}, which no dequantize gives")
            bindings[binding.var] = binding

        try:
            collect(end)
        except NotConvertible as error:
            self.refuse(tuple(self.chain(end)), str(error))
            raise
        if not inputs:
            raise NotConvertible("it is a constant")
        return Region(tuple(bindings.values()), tuple(inputs))

    def is_constant(self, var: relax.Var) -> bool:
        """Return whether a variable is made of constants alone."""
        return var in self.bindings and all(map(self.is_constant, reads(self.bindings[var].value)))

    def chain(self, end: relax.VarBinding) -> Iterator[relax.VarBinding]:
        """Yield what a binding needs down to the next quantizes."""
        pending, seen = [end], {end.var}
        while pending:
            binding = pending.pop()
            yield binding
            for var in reads(binding.value):
                if var in self.bindings and var not in seen and operator_of(self.bindings[var].value) != "quantize":
                    seen.add(var)
                    pending.append(self.bindings[var])

    def check(self, binding: relax.VarBinding) -> None:
        """Raise NotConvertible for what is left to TVM, and for an operator that htvm does not know."""
        kind, name = operator_of(binding.value), binding.var.name
        if kind in self.leave or name in self.leave:
            raise NotConvertible(f"'{name}' ({kind}) is left to TVM, as asked")
        if isinstance(binding.value, relax.Call) and kind not in CONVERTERS:
            raise NotConvertible(f"'{name}' ({kind or binding.value.op}) is no operator that htvm takes")

    def refuse(self, bindings: tuple[relax.VarBinding, ...], reason: str) -> None:
        """Note why some values are in no layer."""
        for binding in bindings:
            self.reasons.setdefault(binding.var.name, reason)


def dtype_of_any(var: relax.Var) -> str:
    """Return the type of a variable's elements; that of a tuple as Relax writes it."""
    return dtype_of(var) if isinstance(var.ty, relax.TensorType) else str(var.ty)


def operators(function: relax.Function) -> Iterator[str]:
    """Yield the operators in a function and in those inside it."""
    for block in function.body.blocks:
        for binding in block.bindings:
            if isinstance(binding.value, relax.Function):
                yield from operators(binding.value)
            elif kind := operator_of(binding.value):
                yield kind
