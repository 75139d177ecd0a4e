"""Which part of a Relax module htvm takes, cut out into functions that `relax.ext.htvm` compiles.

A layer that htvm could take begins at dequantizes and ends in a quantize, or moves integers. Each is asked of htvm:
whether its importer and the target accept it. Those that are accepted become composite functions, which TVM's
MergeCompositeFunctions joins into as few subgraphs as it can; htvm compiles each of these as one network.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import onnx
from tvm import ir, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.driver import CompiledModel, compile, lower
from htvm.integrations.relax.graph import NotConvertible
from htvm.integrations.relax.layers import WORKSPACE, Layers, Region, operator_of, operators
from htvm.integrations.relax.operators import onnx_of
from htvm.options import DEFAULTS, CompileOptions

TARGET, OPTIONS = "htvm.target", "htvm.options"
"""Attributes of a subgraph: the target's name, and the options as JSON. `relax.ext.htvm` reads them."""


@dataclass(frozen=True)
class Staying:
    """A value that TVM computes. operator: of Relax, such as "nn.softmax". reason: why htvm does not."""

    name: str
    operator: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.operator}): {self.reason}"


@dataclass(frozen=True)
class Subgraph:
    """A part that htvm computes.

    symbol: of the function. operators: of Relax in it. compiled: the network, whose model says what it means.
    """

    symbol: str
    operators: tuple[str, ...]
    compiled: CompiledModel

    def __str__(self) -> str:
        arena = self.compiled.project.report.memories
        memories = ", ".join(f"{plan.planned_peak_bytes:,} bytes of {name}" for name, plan in arena.items())
        return f"{self.symbol}: {len(self.operators)} operators, {len(self.compiled.project.steps)} steps, {memories}"


@dataclass(frozen=True)
class Partition:
    """A module between TVM and htvm. module: with the subgraphs as functions, to run RunCodegen on."""

    module: ir.IRModule
    target: str
    subgraphs: tuple[Subgraph, ...]
    staying: tuple[Staying, ...]

    @property
    def is_whole(self) -> bool:
        """Whether htvm computes everything, in one network."""
        return len(self.subgraphs) == 1 and not self.staying

    def __str__(self) -> str:
        taken = [f"  {subgraph}" for subgraph in self.subgraphs] or ["  nothing"]
        stays = [f"  {value}" for value in self.staying] or ["  nothing"]
        return "\n".join([f"htvm computes, on target '{self.target}':", *taken, "TVM computes:", *stays])


def partition_for_htvm(
    module: ir.IRModule,
    target: str = "rv32",
    options: CompileOptions = DEFAULTS,
    leave: Collection[str] = (),
) -> ir.IRModule:
    """Return a quantised Relax module with what htvm takes in functions that `relax.ext.htvm` compiles.

    leave: names of Relax operators ("nn.softmax") or values ("lv7") that TVM is to keep.

    Raises CompileError for a subgraph that cannot be compiled as a whole, and ValueError for an unknown target.
    """
    return partition(module, target, options, leave).module


def partition(
    module: ir.IRModule,
    target: str = "rv32",
    options: CompileOptions = DEFAULTS,
    leave: Collection[str] = (),
) -> Partition:
    """Do as partition_for_htvm does, and tell what htvm takes, what stays with TVM and why; print it to read that."""
    soc = options.refined(targets.load(target))
    try:
        return attempt(module, target, options, Outlining(module, leave))
    except CompileError:  # a layer that htvm does not take: find out which
        return attempt(module, target, options, Outlining(module, leave, Question(soc, replace(options, plan=()))))


def attempt(module: ir.IRModule, target: str, options: CompileOptions, outlining: Outlining) -> Partition:
    """Cut out the layers and compile what they are joined to. Raises CompileError."""
    composed = relax.transform.DeadCodeElimination()(outlining.outlined())
    merged = relax.transform.MergeCompositeFunctions()(composed)
    named, subgraphs = Naming(merged, target, options).named()
    return Partition(named, target, subgraphs, tuple(staying(named, outlining)))


@dataclass(frozen=True)
class Question:
    """Whether htvm takes a layer, asked of its importer and the passes up to the choice of an engine."""

    soc: Soc
    options: CompileOptions

    def problems(self, model: onnx.ModelProto) -> tuple[str, ...]:
        """Return why a layer is not taken, nothing if it is."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # said once, of the whole subgraph
                lower(model, self.soc, "dispatched", self.options)
        except CompileError as error:
            return error.problems
        return ()


@mutator
class Outlining(PyExprMutator):
    """Make a composite function of each layer that htvm takes, and call it.

    question: asked of each layer; None takes all that have an ONNX form. reasons: why values are in no layer.
    """

    def __init__(self, module: ir.IRModule, leave: Collection[str], question: Question | None = None) -> None:
        super().__init__(module)
        self.module, self.leave, self.question = module, leave, question
        self.reasons: dict[str, str] = {}
        self.accepted: dict[ir.Expr, Region] = {}

    def outlined(self) -> ir.IRModule:
        """Return the module with the layers as composite functions."""
        for var, function in self.module.functions_items():
            if isinstance(function, relax.Function) and "Codegen" not in attributes(function):
                layers = Layers(function, self.leave)
                self.accepted = {region.bindings[-1].value: region for region in self.taken(layers)}
                self.builder_.update_func(var, self.visit_expr(function))
                self.reasons |= layers.reasons
        return self.builder_.get()

    def taken(self, layers: Layers) -> Iterator[Region]:
        """Yield the layers that htvm accepts."""
        for region in layers.find():
            name = region.bindings[-1].var.name
            try:
                model = onnx_of(region.function(name), name)
            except NotConvertible as error:
                layers.refuse(region.bindings, str(error))
                continue
            if problems := self.question.problems(model) if self.question else ():
                layers.refuse(region.bindings, "; ".join(problems))
            else:
                yield region

    def visit_call_(self, op: relax.Call) -> ir.Expr:
        if op not in self.accepted:
            return super().visit_call_(op)
        region = self.accepted[op]
        function = region.function(f"{region.kind.replace('.', '_')}_layer")
        outlined = self.builder_.add_func(function, f"{region.kind.replace('.', '_')}_layer")
        return relax.Call(outlined, [self.visit_expr(var) for var in region.inputs])


@mutator
class Naming(PyExprMutator):
    """Give each subgraph a short symbol, compile it, and note target, options and bytes of its arena on it."""

    def __init__(self, module: ir.IRModule, target: str, options: CompileOptions) -> None:
        super().__init__(module)
        self.module, self.target, self.options = module, target, options
        self.short: dict[ir.GlobalVar, ir.GlobalVar] = {}

    def named(self) -> tuple[ir.IRModule, tuple[Subgraph, ...]]:
        """Return the module, and the subgraphs in the order of their names."""
        subgraphs: list[Subgraph] = []
        for var, function in self.module.functions_items():
            if isinstance(function, relax.Function) and str(attributes(function).get("Codegen", "")) == "htvm":
                if TARGET in function.attrs:  # of an earlier partition
                    continue
                symbol = f"htvm_{len(subgraphs)}"
                compiled = compiled_subgraph(function, symbol, self.target, self.options)
                for name, value in (
                    ("global_symbol", symbol),
                    (TARGET, self.target),
                    (OPTIONS, json.dumps(self.options.facts())),
                    (WORKSPACE, compiled.project.report.planned_bytes(compiled.soc.arena_memory)),
                ):
                    function = function.with_attr(name, value)
                self.short[var] = self.builder_.add_func(function, symbol)
                subgraphs.append(Subgraph(symbol, tuple(operators(function)), compiled))
        for var, function in self.module.functions_items():
            if isinstance(function, relax.Function) and var not in self.short:
                self.builder_.update_func(var, self.visit_expr(function))
        module = self.builder_.get()
        kept = {var: function for var, function in module.functions_items() if var not in self.short}
        return ir.IRModule(kept, attrs=module.attrs, global_infos=module.global_infos), tuple(subgraphs)

    def visit_call_(self, op: relax.Call) -> ir.Expr:
        if isinstance(op.op, ir.GlobalVar) and op.op in self.short:
            return relax.Call(self.short[op.op], [self.visit_expr(each) for each in op.args])
        return super().visit_call_(op)


def compiled_subgraph(function: relax.Function, symbol: str, target: str, options: CompileOptions) -> CompiledModel:
    """Compile a subgraph. Raises CompileError."""
    try:
        model = onnx_of(function, f"graph_{symbol}")
    except NotConvertible as error:
        raise CompileError([f"{symbol}: {error}"]) from None
    return compile(model, target, options=options)


def staying(module: ir.IRModule, outlining: Outlining) -> Iterator[Staying]:
    """Yield what TVM computes, with the reason."""
    for _, function in module.functions_items():
        if not isinstance(function, relax.Function) or "Codegen" in attributes(function):
            continue
        for block in function.body.blocks:
            for binding in block.bindings:
                if kind := operator_of(binding.value):
                    name = binding.var.name
                    yield Staying(name, kind, outlining.reasons.get(name, default_reason(kind)))


def attributes(function: relax.Function) -> Mapping[str, object]:
    """Return the attributes of a function by name."""
    return function.attrs or {}


def default_reason(kind: str) -> str:
    """Return why a value that leads to no quantize stays."""
    return "its result is float32" if kind == "dequantize" else "no quantize follows it"
