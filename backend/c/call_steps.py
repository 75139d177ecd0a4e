"""Steps of layers that call functions of other dialects."""

from __future__ import annotations

from htvm.dialects import accel

from .headers import REQUANT
from .names import identifier
from .step import Step
from .syntax import Argument, Pointer
from .writers import writes


@writes(accel.CallOp)
def call(step: Step, layer: accel.CallOp) -> None:
    """Define the function, and give it inputs, output, scratch memory and constants."""
    from htvm.dialects import calls  # slow to load, and few models have calls

    function = calls.callee(layer)
    name = f"htvm_called_{identifier(layer.callee.value)}"
    if name not in step.shared.functions:
        step.shared.headers.add(REQUANT)
        step.shared.functions[name] = calls.c_source(function, name)
    given = [*(step.reads(value, f"x{number}") for number, value in enumerate(layer.inputs)), step.writes(step.output)]
    scratch = step.scratch() if step.scratch_buffers else None
    arguments: list[Argument] = []
    for number, parameter in enumerate(calls.parameters(function)):
        if parameter.constant is not None:
            source = step.array(f"constant_{number}", parameter.type, parameter.constant)
        elif parameter.offset is not None:
            source = Pointer(f"({accel.present(scratch, 'scratch')} + {parameter.offset})")
        else:
            source = given[number]
        arguments.append(Pointer(source.name).cast_to(parameter.type))
    step.call(name, *arguments)
