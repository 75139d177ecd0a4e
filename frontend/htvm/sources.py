"""What comes in: a model of any form becomes a module of MLIR, and says what its outputs mean.

A form of model is a `FrontEnd`, and its place is one entry of FRONT_ENDS:

    FrontEnd("TOSA", dialects=("tosa",), passes="convert-tosa-to-accel")          a dialect that is found in a module
    FrontEnd("TFLite", suffixes=(".tflite",), read=read_tflite)                   files that become such a module

A file with one of the suffixes is read as text or bytecode of MLIR; a module in which operations of one of the dialects
are found goes through the passes; what comes out is a module of any stage of htvm's, and continues from there. Files
of no such suffix are ONNX, which has a meaning of its own beside the module (`OnnxSource`).
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
import onnx
from mlir import ir
from mlir.dialects import func

from htvm import dialects
from htvm.backend.c.record import ModelOrigin
from htvm.diagnostics import collected
from htvm.dialects import accel, modules
from htvm.dialects.semantics.real import Real
from htvm.import_onnx import ModelError, import_onnx, onnx_files, with_shapes
from htvm.import_onnx.model import label_of
from htvm.interface import InputError, Port, Samples
from htvm.options import DEFAULTS, CompileOptions
from htvm.origin import name, tensor, with_origin
from htvm.passes.analysis import activations
from htvm.passes.analysis.stages import STAGES, stage_of
from htvm.project import Project
from htvm.run_passes import run_passes

INPUT = "input"
"""What a module is called, among stages, before it is one of htvm's."""

Model: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto | ir.Module | ir.Operation | ir.OpView | Source"
"""What can be compiled: a file, or a model or module in memory. Of a module a copy is compiled, in its own context."""

OnnxModel: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto"

Values: TypeAlias = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class FrontEnd:
    """A form of model that becomes a module.

    name: what messages call it. suffixes: of its files. read: the text or bytecode of MLIR that a file becomes.
    dialects: those by which a module of this form is known; alone: those by which one without layers is. prepare: does
    what options say of such a module, before all else; raises ValueError. passes: the pipeline that makes a module of
    htvm of it. meaning, values: the results of a module that is prepared, and the tensors that layers of the converted
    one compute; None: the interpreter says it.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    read: Callable[[Path], str | bytes] | None = None
    dialects: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    passes: str = ""
    prepare: Callable[[ir.Module, CompileOptions], None] | None = None
    meaning: Callable[[ir.Module, Values], dict[str, np.ndarray]] | None = None
    values: Callable[[ir.Module, Values, ir.Module], dict[str, np.ndarray]] | None = None


def read_mlir(path: Path) -> str | bytes:
    """Return a file as MLIR takes it: bytecode is told by how it begins. Raises ModelError for what is no text."""
    content = path.read_bytes()
    if content.startswith(modules.BYTECODE):
        return content
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {error.start:,} is {content[error.start]:#04x}"
        raise ModelError([f"{label_of(path)}: is neither text nor bytecode of MLIR: {found}"]) from None


def read_tflite(path: Path) -> str | bytes:
    """Return a .tflite file as a module of tosa. Raises ModelError."""
    from htvm.import_tosa import TosaError, tosa_of_tflite

    try:
        return tosa_of_tflite(path)
    except TosaError as problem:
        raise ModelError([f"{label_of(path)}: {problem}"]) from None


def prepare_tosa(module: ir.Module, options: CompileOptions) -> None:
    """Give a module of tosa static shapes and the rounding that is wanted."""
    from htvm.import_tosa import prepare  # slow to load, as all of it: a model of ONNX does without

    prepare(module, options.shapes, options.tflite_rounding)


def tosa_meaning(module: ir.Module, given: Values) -> dict[str, np.ndarray]:
    """Return the results of a module of tosa."""
    from htvm.import_tosa import meaning

    return meaning(module, given)


def tosa_values(module: ir.Module, given: Values, converted: ir.Module) -> dict[str, np.ndarray]:
    """Return the tensors of a module of tosa that layers of the converted one compute."""
    from htvm.import_tosa import values

    return values(module, given, converted)


FRONT_ENDS: tuple[FrontEnd, ...] = (
    FrontEnd("MLIR", suffixes=(".mlir", ".mlirbc"), read=read_mlir),
    FrontEnd("TFLite", suffixes=(".tflite",), read=read_tflite),
    FrontEnd(
        "TOSA",
        dialects=("tosa",),
        alone=("linalg", "tensor"),
        prepare=prepare_tosa,
        passes="convert-tosa-to-accel,canonicalize-layers,verify-stage{stage=integer}",
        meaning=tosa_meaning,
        values=tosa_values,
    ),
)


def front_end_of(found: set[str]) -> FrontEnd | None:
    """Return the form of a module with operations of some dialects; None for htvm's own."""
    known = [(each, {*each.dialects, *(() if "accel" in found else each.alone)}) for each in FRONT_ENDS]
    return next((each for each, dialects in known if found & dialects), None)


class Source(Protocol):
    """A model that was given, in whatever form. kind: what messages call one of this form."""

    kind: ClassVar[str]

    @property
    def label(self) -> str:
        """What messages call it."""
        ...

    @property
    def context(self) -> ir.Context:
        """The context to compile in: a new one, or that of a module that was given."""
        ...

    def module(self, context: ir.Context, options: CompileOptions) -> ir.Module:
        """Return the model as a new module of one of htvm's stages. Raises ModelError, or MLIRError."""
        ...

    def meaning(self, samples: Samples, project: Project, options: CompileOptions) -> dict[str, np.ndarray]:
        """Return what the outputs of a project of the model must be. Raises InputError where the model does not say."""
        ...

    def values(self, sample: Values, ports: Sequence[Port], keep: Iterable[str], options: CompileOptions) -> Meaning:
        """Return what tensors of the model are that steps compute, by name."""
        ...

    def tensor(self, nodes: Sequence[str], options: CompileOptions) -> str | None:
        """Return the name of the tensor that some nodes compute together; None if the model has none."""
        ...

    def operators(self, options: CompileOptions) -> dict[str, str]:
        """Return the kind of each node, as the model's own format calls it, by the node's name."""
        ...

    def with_origin(self, project: Project, options: CompileOptions) -> Project:
        """Return a project whose report says what it was made of."""
        ...


Meaning: TypeAlias = "dict[str, np.ndarray | Real]"


@dataclass(frozen=True)
class OnnxSource:
    """A file or a protobuf of ONNX."""

    model: OnnxModel
    kind: ClassVar[str] = "ONNX file"

    @property
    def label(self) -> str:
        return (self.model.graph.name or "model") if isinstance(self.model, onnx.ModelProto) else label_of(self.model)

    @cached_property
    def proto(self) -> onnx.ModelProto:
        return self.model if isinstance(self.model, onnx.ModelProto) else onnx_files.load(self.model)

    @property
    def context(self) -> ir.Context:
        return dialects.context()

    def module(self, context: ir.Context, options: CompileOptions) -> ir.Module:
        return import_onnx(
            self.model,
            input_types=options.input_types,
            shapes=options.shapes,
            requant_shift=options.requant_shift,
            context=context,
        )

    def shaped(self, options: CompileOptions) -> onnx.ModelProto:
        """Return the protobuf with the shapes that were given."""
        return with_shapes(self.proto, options.shapes, self.label, options.requant_shift)

    def meaning(self, samples: Samples, project: Project, options: CompileOptions) -> dict[str, np.ndarray]:
        from htvm.reference import evaluate  # slow to load, and compiling does without

        rounded = {port.name: port for port in project.outputs if port.nearest}
        meant = evaluate(self.shaped(options), samples.inputs, exact=rounded)
        return {name: rounded[name].rounded(n) if isinstance(n, Real) else n for name, n in meant.items()}

    def values(self, sample: Values, ports: Sequence[Port], keep: Iterable[str], options: CompileOptions) -> Meaning:
        from htvm.reference import evaluate

        return dict(evaluate(self.shaped(options), sample, keep=list(keep)))

    def tensor(self, nodes: Sequence[str], options: CompileOptions) -> str | None:
        return tensor(nodes, self.proto)

    def operators(self, options: CompileOptions) -> dict[str, str]:
        return {name(each): each.op_type for each in self.proto.graph.node}

    def with_origin(self, project: Project, options: CompileOptions) -> Project:
        return with_origin(project, self.proto, options)


@dataclass(frozen=True)
class ModuleSource:
    """A module of MLIR: as text or bytecode of when it was given, so that nothing later changes it.

    own_context: that of a module in memory, whose dialects, loaded or registered there, stay known.
    """

    content: str | bytes
    label: str
    own_context: ir.Context | None = None
    kind: ClassVar[str] = "module"

    @property
    def context(self) -> ir.Context:
        if self.own_context is None:
            made = dialects.context()
            made.allow_unregistered_dialects = True  # other functions' operations stay; passes at the input take theirs
            return made
        dialects.load(self.own_context)
        return self.own_context

    def module(self, context: ir.Context, options: CompileOptions) -> ir.Module:
        module = self.prepared(context, options)
        found = dialects_of(module.operation)
        if (front_end := front_end_of(found)) is not None:
            run_passes(front_end.passes, module, None, self.label)
        if stage_of(module) is None:
            raise ModelError([f"{self.label}: {_nothing_to_compile(found)}"])
        with context:
            _choose(module, options.function, self.label)
            for function in accel.functions(module):
                _name_interface(function, self.label)
                _name_layers(function)
        return module

    def prepared(self, context: ir.Context, options: CompileOptions) -> ir.Module:
        """Return the module as it was given, with what options say of it. Raises ModelError."""
        module = modules.parse(self.content, context)
        if INPUT in options.passes:
            run_passes(options.passes[INPUT], module, None, self.label)
        front_end = front_end_of(dialects_of(module.operation))
        if front_end is not None and options.function is not None:
            _leave(module, options.function)
        if front_end is not None and front_end.prepare is not None:
            try:
                with context:
                    front_end.prepare(module, options)
            except ValueError as problem:
                raise ModelError([f"{self.label}: {problem}"]) from None
        return module

    @cached_property
    def _made(self) -> dict[Hashable, ir.Module]:
        return {}

    def _once(self, options: CompileOptions, make: Callable[[ir.Context, CompileOptions], ir.Module]) -> ir.Module:
        """Return what `module` or `prepared` makes. It is made once for the options it reads: nothing changes it."""
        shapes = tuple((name, tuple(each)) for name, each in options.shapes.items())
        key = (make.__name__, options.passes.get(INPUT), options.function, shapes, options.tflite_rounding)
        if key not in self._made:
            context = self.context
            with context, ir.Location.name(self.label):
                self._made[key] = make(context, options)
        return self._made[key]

    def _entry(self, options: CompileOptions = DEFAULTS) -> ir.Module:
        """Return the module as htvm first has it."""
        return self._once(options, self.module)

    def meaning(self, samples: Samples, project: Project, options: CompileOptions) -> dict[str, np.ndarray]:
        of_front_end = self._of_front_end(options)
        if of_front_end is None or of_front_end[1].meaning is None:
            return interpreted(self._interpretable(options), samples, project.inputs, project.outputs)
        prepared, meaning = of_front_end[0], of_front_end[1].meaning
        parts = [
            meaning(prepared, {port.name: port.integers(sample[port.name]) for port in project.inputs})
            for sample in samples
        ]
        made = {port.name: [port.values(each[port.name].tobytes()) for each in parts] for port in project.outputs}
        return {name: np.concatenate(each) if len(each) > 1 else each[0] for name, each in made.items()}

    def _of_front_end(self, options: CompileOptions) -> tuple[ir.Module, FrontEnd] | None:
        """Return the module that a front end has prepared, and which one; None for a module of htvm's own."""
        prepared = self._once(options, self.prepared)
        front_end = front_end_of(dialects_of(prepared.operation))
        return None if front_end is None else (prepared, front_end)

    def _interpretable(self, options: CompileOptions) -> ir.Module:
        """Return the module, for the interpreter. Raises InputError if it has come to memory."""
        module = self._entry(options)
        stage = stage_of(module)
        if stage in STAGES[STAGES.index("tiled") :]:
            raise InputError(
                f"{self.label}: is in stage '{stage}', of which nothing but its C can be executed: what it must "
                "compute is said by the same network in stage 'scheduled' or before"
            )
        return module

    def values(self, sample: Values, ports: Sequence[Port], keep: Iterable[str], options: CompileOptions) -> Meaning:
        from htvm.dialects.semantics.interpreter import interpret  # slow to load, and compiling does without

        wanted = set(keep)
        found: dict[str, np.ndarray | Real] = {}
        if (of_front_end := self._of_front_end(options)) is not None and of_front_end[1].values is not None:
            given = {port.name: port.integers(sample[port.name]) for port in ports}
            made = of_front_end[1].values(of_front_end[0], given, self._entry(options))
            return {name: each for name, each in made.items() if name in wanted}

        def observe(layer: ir.OpView, result: np.ndarray | Real) -> None:
            if (node := accel.node(layer)) in wanted:
                found[node] = result

        module = self._interpretable(options)
        with module.context:
            interpret(module, {port.name: port.integers(sample[port.name]) for port in ports}, observe)
        return found

    def tensor(self, nodes: Sequence[str], options: CompileOptions) -> str | None:
        known = self.operators(options)
        return next((node for node in reversed(known) if node in nodes), None)

    def operators(self, options: CompileOptions) -> dict[str, str]:
        return {accel.node(layer): accel.op_name(layer) for layer in accel.layers(self._entry(options))}

    def with_origin(self, project: Project, options: CompileOptions) -> Project:
        content = self.content.encode("utf-8") if isinstance(self.content, str) else self.content
        origin = ModelOrigin(hashlib.sha256(content).hexdigest(), {}, {})
        return replace(project, report=replace(project.report, origin=origin))


def source_of(model: Model) -> Source:
    """Return what a model is, by its type or its file's suffix.

    Raises ModelError for a file that cannot be read or a module that is not valid, and TypeError for what is no model.
    """
    if isinstance(model, ir.Module | ir.Operation | ir.OpView):
        if model.operation.name not in ("builtin.module", "func.func"):
            raise TypeError(f"a model in MLIR is a module or a function; found an operation '{model.operation.name}'")
        label = _label_of(model.operation)
        _verify(model.operation, label)
        return ModuleSource(bytecode(model.operation), label, model.operation.context)
    if isinstance(model, onnx.ModelProto):
        return OnnxSource(model)
    if isinstance(model, OnnxSource | ModuleSource):
        return model
    if not isinstance(model, str | os.PathLike):
        found = type(model).__name__
        raise TypeError(f"a model is a path, an onnx.ModelProto, or a module of MLIR; found {found}")
    path = Path(model)
    reads = {suffix: each.read for each in FRONT_ENDS if each.read for suffix in each.suffixes}
    if path.suffix.lower() not in reads:
        return OnnxSource(model)
    try:
        return ModuleSource(reads[path.suffix.lower()](path), label_of(path))
    except FileNotFoundError:
        raise ModelError([f"{path}: no such file"]) from None
    except OSError as error:
        raise ModelError([f"{path}: cannot be read: {error.strerror or error}"]) from None


def interpreted(
    module: ir.Module, samples: Samples, inputs: Sequence[Port], outputs: Sequence[Port]
) -> dict[str, np.ndarray]:
    """Return the outputs that the interpreter gives for samples; several are joined on axis 0."""
    from htvm.dialects.semantics.interpreter import interpret  # slow to load, and compiling does without

    found: dict[str, list[np.ndarray]] = {port.name: [] for port in outputs}
    for sample in samples:
        with module.context:
            results = interpret(module, {port.name: port.integers(sample[port.name]) for port in inputs})
        for port in outputs:
            result = results[port.name]
            if isinstance(result, Real):
                found[port.name].append(port.rounded(result) if port.nearest else result.to_float32())
            else:
                found[port.name].append(port.values(np.ascontiguousarray(result).tobytes()))
    return {name: np.concatenate(each) if len(each) > 1 else each[0] for name, each in found.items()}


def dialects_of(op: ir.Operation) -> set[str]:
    """Return the dialects of all operations within one."""
    found: set[str] = set()

    def visit(inner: ir.Operation) -> ir.WalkResult:
        found.add(inner.name.partition(".")[0])
        return ir.WalkResult.ADVANCE

    op.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def _nothing_to_compile(found: set[str]) -> str:
    """Say that no function of a module is htvm's, and what would be."""
    if "accel" in found:
        return "operations of accel are in no function at the top of the module"
    wanted = ", ".join(["accel", *(dialect for each in FRONT_ENDS for dialect in (*each.dialects, *each.alone))])
    return f"no function has operations of {wanted}; found those of {', '.join(sorted(found - {'builtin'})) or 'none'}"


def _choose(module: ir.Module, name: str | None, label: str) -> None:
    """Leave one function in a module, if one is named; what is no function stays. Raises ModelError.

    Nobody may call the functions that are compiled: their results become arguments.
    """
    networks = [function.name.value for function in accel.functions(module)]
    if name is not None:
        if name not in networks:
            raise ModelError([f"{label}: function is '{name}', expected one with layers: {', '.join(networks)}"])
        (chosen,) = (each for each in accel.functions(module) if each.name.value == name)
        called = {each.callee.value for each in accel.operations(chosen) if isinstance(each, accel.CallOp)}
        for op in list(module.body.operations):
            if isinstance(op, func.FuncOp) and op.name.value not in (name, *called):
                op.erase()
        return
    problems = [
        f"{label}: function '{caller}' calls '{called}', whose results become arguments: name it with function="
        f"'{called}' (--function {called}), and it is compiled alone"
        for caller, called in _calls(module)
        if called in networks
    ]
    if problems:
        raise ModelError(problems)


def _leave(module: ir.Module, name: str) -> None:
    """Leave one function and those that are private in a module of a front end, if it has one of that name."""
    functions = [op for op in module.body.operations if isinstance(op, func.FuncOp)]
    if any(each.name.value == name for each in functions):
        for each in functions:
            if each.name.value != name and not accel.is_private(each):
                each.operation.erase()


def _calls(module: ir.Module) -> list[tuple[str, str]]:
    """Return which function calls which."""
    found: list[tuple[str, str]] = []
    for function in module.body.operations:
        if isinstance(function, func.FuncOp):
            caller = function.name.value

            def visit(op: ir.Operation, caller: str = caller) -> ir.WalkResult:
                if op.name in ("func.call", "func.constant"):
                    callee = op.attributes["callee" if op.name == "func.call" else "value"]
                    found.append((caller, ir.FlatSymbolRefAttr(callee).value))
                return ir.WalkResult.ADVANCE

            function.operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def _verify(op: ir.Operation, label: str) -> None:
    """Raise ModelError for a module that is not valid: writing one as bytecode may end the process."""
    with collected(op.context) as found:
        try:
            op.verify()
        except ir.MLIRError:
            raise ModelError([each.about(label) for each in found if each.severity == "error"]) from None


def bytecode(op: ir.Operation) -> bytes:
    """Return an operation as MLIR's bytecode."""
    file = io.BytesIO()
    op.write_bytecode(file)
    return file.getvalue()


def _label_of(module: ir.Operation) -> str:
    """Return what messages call a module: its name, or `module`."""
    named = module.attributes["sym_name"] if "sym_name" in module.attributes else None
    return named.value if isinstance(named, ir.StringAttr) else "module"


def _name_interface(function: func.FuncOp, label: str) -> None:
    """Name the inputs and outputs that have no name, arg0, .., result0, ..; those of real numbers are float32.

    Raises ModelError for two inputs, or two outputs, of one name.
    """
    kind = function.type
    placed = any(isinstance(each, ir.MemRefType) for each in kind.inputs)  # then results are arguments as well
    for attribute, prefix, types in (
        ("arg_attrs", "arg", kind.inputs),
        *((("res_attrs", "result", kind.results),) if not placed else ()),
    ):
        facts = activations.attributes_of(function, attribute, len(types))
        for place, (entry, each) in enumerate(zip(facts, types)):
            entry.setdefault("accel.name", ir.StringAttr.get(f"{prefix}{place}"))
            if isinstance(each, ir.ShapedType) and isinstance(each.element_type, ir.F32Type):
                entry.setdefault("accel.interface", ir.StringAttr.get("float32"))
        names = [ir.StringAttr(entry["accel.name"]).value for entry in facts]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            what = "inputs" if attribute == "arg_attrs" else "outputs"
            of = f"{label}: {what} of '{function.name.value}'"
            raise ModelError([f'{of}: several have accel.name "{name}", expected one each' for name in twice])
        function.attributes[attribute] = ir.ArrayAttr.get([ir.DictAttr.get(entry) for entry in facts])


def _name_layers(function: func.FuncOp) -> None:
    """Name the layers that have no name, such as `conv2d_3`; messages, plans and comparisons name layers."""
    for number, op in enumerate(op for op in function.body.blocks[0] if accel.is_layer(op)):
        if not accel.is_named(op):
            op.operation.location = ir.Location.name(f"{accel.op_name(op)}_{number}", op.location)
