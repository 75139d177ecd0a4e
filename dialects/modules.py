"""Modules of MLIR, read from text or bytecode: the one place where htvm does so.

What version 0.1 wrote is read as well (docs/versions.md): a word in quotes where a choice has an attribute of its own
now, a dictionary for a job or for an entry of a plan, four attributes of the module for its options; commands that are
in no step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlir import ir

from . import accel

BYTECODE = b"ML\xefR"
"""The first bytes of MLIR's bytecode. Source: MLIR's Bytecode Format, "Magic Number"."""

Attributes = ir.OpAttributeMap

CHOICES: Mapping[str, type[accel.RoundingAttr | accel.PoolKindAttr | accel.FunctionAttr]] = {
    "rounding": accel.RoundingAttr,
    "kind": accel.PoolKindAttr,
    "function": accel.FunctionAttr,
}
"""Attributes of layers that were words."""

OPTIONS = ("objective", "requant", "mapping", "constants")
"""Parts of `accel.options` that were attributes of the module."""


def parse(content: str | bytes, context: ir.Context) -> ir.Module:
    """Return the module of a text or of bytecode. Raises MLIRError, or reports what is wrong where it stands."""
    module = ir.Module.parse(content, context)
    with context:
        for op in _operations(module.operation):
            try:
                upgrade(op)
            except (ValueError, TypeError, KeyError) as error:
                op.location.emit_error(f"'{op.name}' has attributes of an earlier htvm that none wrote: {error}")
                raise ir.MLIRError("cannot read the module", []) from None
        for function in accel.functions(module):
            _upgrade_steps(function.body.blocks[0])
    return module


def _operations(op: ir.Operation) -> Iterator[ir.Operation]:
    """Yield an operation and all within it."""
    yield op
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield from _operations(inner.operation)


def upgrade(op: ir.Operation) -> None:
    """Give an operation today's attributes in place of those that an earlier htvm wrote.

    Raises ValueError, TypeError or KeyError where an attribute is neither.
    """
    attributes = op.attributes
    if op.name.startswith("accel."):
        for name, current in CHOICES.items():
            if name in attributes and isinstance(word := attributes[name], ir.StringAttr):
                attributes[name] = current.get(word.value)
        if "kernel" in attributes and isinstance(word := attributes["kernel"], ir.StringAttr):
            attributes["kernel"] = accel.KernelAttr.get(value=word.value)
        if op.name == "accel.launch" and isinstance(former := attributes["job"], ir.DictAttr):
            attributes["job"] = _job(former)
        _upgrade_inserted(attributes)
    elif op.name == "func.func":
        for name in ("accel.order", "accel.placement"):
            if name in attributes and isinstance(word := attributes[name], ir.StringAttr):
                attributes[name] = accel.OptimalityAttr.get(word.value)
        for name in ("arg_attrs", "res_attrs"):
            if name in attributes:
                values = ir.ArrayAttr(attributes[name])
                attributes[name] = ir.ArrayAttr.get([_of_value(ir.DictAttr(each)) for each in values])
    elif op.name == "builtin.module":
        _upgrade_options(attributes)


def _upgrade_steps(block: ir.Block) -> None:
    """Put the layers and commands of a function into steps, if commands are in none.

    A step began with a layer of the host, or with a launch that said what its layer was.
    """
    if not any(isinstance(op, accel.LaunchOp) and "accel.shape" in op.operation.attributes for op in block):
        return
    groups: list[list[ir.OpView]] = [[]]
    begun = False
    for op in block:
        if not accel.is_layer(op) and not accel.is_command(op):
            continue
        if accel.is_layer(op) or "accel.shape" in op.operation.attributes:
            groups += [[]] if begun else []
            begun = True
        groups[-1].append(op)
    with ir.InsertionPoint(block.operations[-1]):
        for group in groups:
            _make_step(group)


def _make_step(ops: Sequence[ir.OpView]) -> None:
    """Put layers and commands that follow each other into a step, at the insertion point."""
    own = {op.operation for op in ops}
    tokens = [op.token for op in ops if isinstance(op, accel.CopyOp | accel.LaunchOp)]
    given = [token for token in tokens if any(use.owner.operation not in own for use in token.uses)]
    first = next(op for op in ops if accel.is_layer(op) or "accel.shape" in op.operation.attributes)
    step = accel.StepOp([token.type for token in given], loc=first.location)
    if isinstance(first, accel.LaunchOp):
        step.engine = first.engine
        for name in [name for name in first.operation.attributes if name.startswith("accel.")]:
            step.operation.attributes[name] = first.operation.attributes[name]
            del first.operation.attributes[name]
    for token, result in zip(given, step.tokens, strict=True):
        for use in list(token.uses):
            if use.owner.operation not in own:
                use.owner.operation.operands[use.operand_number] = result
    with ir.InsertionPoint(step.body.blocks.append()) as point:
        for op in ops:
            point.insert(op.operation.detach_from_parent())
        accel.YieldOp(given, loc=first.location)


def _upgrade_inserted(attributes: Attributes) -> None:
    """Join the word and the two types that said what a layer was inserted for."""
    if "accel.inserted" in attributes and isinstance(word := attributes["accel.inserted"], ir.StringAttr):
        before = after = None
        if "accel.refitted_scales" in attributes:
            before, after = (ir.TypeAttr(each) for each in ir.ArrayAttr(attributes["accel.refitted_scales"]))
            del attributes["accel.refitted_scales"]
        purpose = accel.Purpose(word.value)
        attributes["accel.inserted"] = accel.InsertedAttr.get(purpose=purpose, before=before, after=after)


def _upgrade_options(attributes: Attributes) -> None:
    """Join the attributes of a module that were its options; entries of a plan become pins."""
    former = {name: attributes[f"accel.{name}"] for name in OPTIONS if f"accel.{name}" in attributes}
    if former:
        budget = former.pop("constants", None)
        words = {name: ir.StringAttr(each).value for name, each in former.items()}
        attributes["accel.options"] = accel.OptionsAttr.get(
            objective=accel.Objective(words.get("objective", accel.Objective.LATENCY)),
            requant=accel.Numbers(words.get("requant", accel.Numbers.EXACT)),
            mapping=accel.Mapping(words.get("mapping", accel.Mapping.DEFAULT)),
            constants=budget,
        )
        for name in (*former, *(["constants"] if budget else [])):
            del attributes[f"accel.{name}"]
    if "accel.plan" in attributes:
        pins = [
            _pin(each) if isinstance(each, ir.DictAttr) else each for each in ir.ArrayAttr(attributes["accel.plan"])
        ]
        attributes["accel.plan"] = ir.ArrayAttr.get(pins)


def _of_value(facts: ir.DictAttr) -> ir.DictAttr:
    """Return the attributes of an argument or a result, with an attribute for how it is rounded."""
    named = {each.name: each.attr for each in facts}
    if isinstance(word := named.get("accel.rounding"), ir.StringAttr):
        named["accel.rounding"] = accel.RoundingAttr.get(word.value)
    return ir.DictAttr.get(named)


def _pin(entry: ir.DictAttr) -> accel.PinAttr:
    """Return the pin that an entry of a plan was."""
    facts = {each.name: each.attr for each in entry}
    engine = facts.get("engine")
    return accel.PinAttr.get(
        node=ir.StringAttr(facts["node"]).value,
        op=ir.StringAttr(facts["op"]).value,
        number=ir.IntegerAttr(facts["number"]).value if "number" in facts else 1,
        engine="" if engine is None else ir.StringAttr(engine).value,
        tiling=_tiling(ir.DictAttr(facts["tiling"])) if "tiling" in facts else None,
    )


def _tiling(stated: ir.DictAttr) -> accel.TilingAttr:
    """Return a tiling from its sizes and the flags that were set."""
    flags = {each.name for each in stated if isinstance(each.attr, ir.UnitAttr)}
    sizes = {each.name: ir.IntegerAttr(each.attr).value for each in stated if each.name not in flags}
    return accel.TilingAttr.get(
        outputs=sizes["outputs"],
        rows=sizes["rows"],
        columns=sizes["columns"],
        buffers=sizes.get("buffers", 1),
        launch_outputs=sizes.get("launch_outputs", 0),
        loads="loads" in flags,
        stores="stores" in flags,
        outputs_first="outputs_first" in flags,
        blocking="blocking" in flags,
    )


GEOMETRY = ("channels", "outputs", "size", "out_size", "kernel", "strides", "pads", "groups")
FORMER_FIELDS = {"shift": 0, "low": -128, "high": 127}
"""Fields of all jobs that version 0.1 left out where they had these values; a "matvec" had three others."""
CONVERTER_FIELDS = {"code_low": 0, "code_high": 0, "rescale_shift": 0}


def _job(former: ir.DictAttr) -> accel.JobAttr:
    """Return the job of a dictionary, which left out what it had by default."""
    stated = {each.name: each.attr for each in former}
    kind = accel.JobKind(ir.StringAttr(stated.pop("kind")).value)
    layout = ir.StringAttr(stated.pop("layout")).value if "layout" in stated else accel.Layout.NCHW
    defaults: dict[str, int] = {**FORMER_FIELDS, **(CONVERTER_FIELDS if kind == accel.JobKind.MATVEC else {})}
    own = {name: _number(stated.pop(name)) if name in stated else default for name, default in defaults.items()}
    if unknown := sorted(set(stated) - set(GEOMETRY)):
        raise ValueError(f"job has '{unknown[0]}', expected none but {', '.join((*GEOMETRY, *own))}")
    return accel.JobAttr.get(
        kind=kind,
        channels=_number(stated["channels"]),
        outputs=_number(stated["outputs"]),
        size=_numbers(stated["size"]),
        out_size=_numbers(stated["out_size"]),
        kernel=_numbers(stated["kernel"]) if "kernel" in stated else (1, 1),
        strides=_numbers(stated["strides"]) if "strides" in stated else (1, 1),
        pads=_numbers(stated["pads"]) if "pads" in stated else (0, 0, 0, 0),
        groups=_number(stated["groups"]) if "groups" in stated else 1,
        layout=accel.Layout(layout),
        own=ir.DictAttr.get({name: accel.integer(value) for name, value in own.items()}),
    )


def _number(attribute: ir.Attribute) -> int:
    return ir.IntegerAttr(attribute).value


def _numbers(attribute: ir.Attribute) -> tuple[int, ...]:
    return tuple(ir.DenseI64ArrayAttr(attribute))
