"""From a program to what is known of it: report.json, and whatever shows a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from mlir import ir

from htvm.backend.targets.jobs import Form
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, inserted

from . import values
from .buffers import Place, places
from .commands import root_of
from .program import Port, Program
from .record import (
    BufferPlan,
    MemoryPlan,
    OnnxType,
    OrderPlan,
    PortPlan,
    Report,
    Rounding,
    StepPlan,
    TiledPlan,
    TilingPlan,
)
from .step import Step


def report(program: Program, soc: Soc, versions: Mapping[str, str]) -> Report:
    """Return what is known of a program. versions: of what its C depends on."""
    buffers = places(program)
    numbers = {value: number for number, buffer in enumerate(buffers) for value in buffer.values}
    return Report(
        versions=versions,
        name=program.name,
        model=program.model,
        target=soc.name,
        cost_model=soc.cost_model.name if soc.cost_model else None,
        inputs=tuple(map(port_plan, program.inputs)),
        outputs=tuple(map(port_plan, program.outputs)),
        memories={
            each.name: MemoryPlan(each.peak_bytes, each.lower_bound_bytes, soc.memory(each.name).size_bytes)
            for each in program.memories
        },
        constant_bytes=program.shared.constants.size_bytes,
        scratch_bytes=max((step.scratch_bytes for step in program.steps), default=0),
        stack_bytes=program.shared.stack_bytes,
        buffers=tuple(map(buffer_plan, buffers)),
        steps=tuple(step_plan(step, numbers) for step in program.steps),
        source_flags=program.shared.source_flags or None,
        order=OrderPlan(program.order.is_optimal, program.order.lower_bound_bytes) if program.order else None,
    )


def buffer_plan(buffer: Place) -> BufferPlan:
    """Describe a buffer."""
    value = buffer.values[0]
    shape, strides = values.axes(value)
    return BufferPlan(
        name=buffer.name,
        kind=buffer.kind,
        memory=values.memory_of(value),
        offset=buffer.offset,
        bytes=values.size_bytes(value),
        dtype=values.element_type(value).numpy,
        shape=shape,
        strides=strides,
        first=buffer.first,
        last=buffer.last,
    )


def step_plan(step: Step, numbers: Mapping[ir.Value, int]) -> StepPlan:
    """Describe a step. numbers: of the buffers, by what is in them."""
    named = (values.global_name(value) for value in step.layer.operation.operands)
    constants = {name for name in named if name is not None} | step.packed
    own = [root_of(step.output)[0], *step.scratch_buffers]
    written = [step.output, *own]
    predicted = accel.attribute(step.within or step.layer, "accel.predicted_cycles", ir.IntegerAttr)
    return StepPlan(
        name=step.node,
        nodes=tuple(accel.nodes(step.layer)),
        op=step.op,
        summary=step.summary,
        engine=step.engine,
        macs=step.macs,
        skips=step.skips,
        inserted=inserted.text(step.layer),
        kernel=step.foreign_kernel,
        shape=step.shape,
        scratch_bytes=step.scratch_bytes,
        weight_bytes=sum(step.shared.data[name].nbytes for name in constants),
        reads=tuple(dict.fromkeys(numbers[values.whole(value)] for value in step.parameters if value not in written)),
        writes=tuple(numbers[value] for value in own),
        predicted_cycles=predicted.value if predicted is not None else None,
        tiled=tiled_plan(step.layer),
    )


def tiled_plan(layer: ir.OpView) -> TiledPlan | None:
    """Return what choose-tilings has chosen for a layer on an accelerator; None for one of the host."""
    predicted = accel.attribute(layer, "accel.predicted", accel.PredictedAttr)
    tiling = accel.attribute(layer, "accel.tiling", accel.TilingAttr)
    if predicted is None or tiling is None:
        return None
    plan = TilingPlan(
        blocking=tiling.blocking or None,
        buffers=tiling.buffers,
        channels=tiling.channels or None,
        columns=tiling.columns,
        group=tiling.group or None,
        launch_outputs=tiling.launch_outputs or None,
        loads=tiling.loads or None,
        outputs=tiling.outputs,
        outputs_first=tiling.outputs_first or None,
        rows=tiling.rows,
        stores=tiling.stores or None,
        weight_buffers=tiling.weight_buffers or None,
    )
    form = Form.of(layer)
    return TiledPlan(plan, predicted.cycles, predicted.bound, None if form is None else form.kind)


def port_plan(port: Port) -> PortPlan:
    """Describe an input or output."""
    return PortPlan(
        name=port.onnx_name,
        c_name=port.name,
        onnx_type=onnx_type(port),
        dtype=port.type.numpy,
        shape=port.shape,
        offset=port.offset,
        bytes=port.size_bytes,
        scale=port.scale,
        zero_point=port.zero_point,
        range=port.range,
        rounding=Rounding(port.rounding),
        channels=port.channels,
        nearest=port.nearest or None,
    )


def onnx_type(port: Port) -> OnnxType:
    """Return the type that the ONNX file gives a port. Raises ValueError for one that no network here has."""
    known: tuple[OnnxType, ...] = get_args(OnnxType)
    for each in known:
        if each == port.onnx_type:
            return each
    raise ValueError(f"'{port.onnx_name}' is {port.onnx_type} in ONNX, expected one of {', '.join(known)}")
