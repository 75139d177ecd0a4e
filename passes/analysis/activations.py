"""Which values of a function are activations: made anew in each run, so that they need room in memory."""

from collections.abc import Iterator

from mlir import ir
from mlir.dialects import func, memref

from htvm.dialects import accel


def layers(function: func.FuncOp) -> Iterator[accel.Layer]:
    """Yield the layers of one function, in order."""
    yield from (op for op in accel.operations(function) if accel.is_layer(op))


def read_by(layer: accel.Layer) -> list[ir.Value]:
    """Return the activations that a layer reads, each once."""
    not_read = [accel.output(layer), *scratch_of(layer)]
    operands = dict.fromkeys(layer.operation.operands)
    return [value for value in operands if value not in not_read and not is_constant(value)]


def scratch_of(layer: accel.Layer) -> list[ir.Value]:
    """Return the memory that a layer uses while it runs and nobody else reads: one value or none."""
    scratch = getattr(layer, "scratch", None)
    return [] if scratch is None else [scratch]


def scratch_bytes(layer: accel.Layer) -> int:
    """Return the bytes of memory that a layer uses while it runs, before it has its scratch buffer."""
    size_bytes = accel.attribute(layer, "scratch_bytes", ir.IntegerAttr)
    return 0 if size_bytes is None else size_bytes.value


def attributes_of_arguments(function: func.FuncOp) -> list[dict[str, ir.Attribute]]:
    """Return the attributes of each argument by name."""
    return attributes_of(function, "arg_attrs", len(function.arguments))


def attributes_of(function: func.FuncOp, which: str, count: int) -> list[dict[str, ir.Attribute]]:
    """Return `count` sets of attributes from a function's "arg_attrs" or "res_attrs", which can be missing."""
    if which not in function.attributes:
        return [{} for _ in range(count)]
    entries = map(ir.DictAttr, ir.ArrayAttr(function.attributes[which]))
    return [{entry.name: entry.attr for entry in each} for each in entries]


def named(argument: ir.Value, attributes: dict[str, ir.Attribute]) -> str:
    """Return the name of the ONNX tensor that an argument is, or what the IR calls it."""
    return ir.StringAttr(attributes["accel.name"]).value if "accel.name" in attributes else argument.get_name()


def is_constant(value: ir.Value) -> bool:
    """Say whether a value is known when compiling: on tensors, or as a global on memrefs."""
    source = accel.producer(value)
    return source is not None and source.operation.name in ("arith.constant", "memref.get_global")


def is_returned(value: ir.Value) -> bool:
    """Say whether a value is a result of its function on tensors, for which the caller has memory."""
    return any(isinstance(use.owner.opview, func.ReturnOp) for use in value.uses)


def is_argument(value: ir.Value) -> bool:
    """Say whether a value is an argument of the function."""
    return isinstance(value.owner, ir.Block)


def is_of_caller(value: ir.Value) -> bool:
    """Say whether a value is an argument, or may be read where one is: one with other axes."""
    while isinstance(op := accel.producer(value), accel.TransposeOp | accel.ReshapeOp | memref.ReinterpretCastOp):
        value = op.source if isinstance(op, memref.ReinterpretCastOp) else op.input
    return is_argument(value)
