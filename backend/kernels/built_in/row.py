"""Kernel "row": one row times a matrix, as in_place, without what only feature maps need."""

from __future__ import annotations

from collections.abc import Iterator

from ..scalar import STACK_BYTES, conv2d_weights, scalar_instructions
from ..spec import ConstantArray, KernelCall, KernelSpec, Linear, Macro, Plan, Site, is_depthwise, linear_fields


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield the plan: 40 instructions for 8 outputs, and 17 for each of them."""
    if is_depthwise(linear) or not (linear.windows_are_rows and linear.is_row):
        return
    instructions = scalar_instructions(linear, row=40, step=100, output=17)
    yield Plan("row", instructions, linear.weights.nbytes)


def call(site: Site) -> KernelCall:
    return KernelCall(
        fields=linear_fields(site.conv, site.requant),
        arrays=(ConstantArray("weights", site.w.c, conv2d_weights(site.weights, groups=1, collected=False)),),
        requant=site.requant,
        macro=Macro("ROW", (site.x, site.w, site.y, site.requant.form)),
    )


KERNEL = KernelSpec(
    name="row", header="htvm_conv2d.h", plans=plans, call=call, code_bytes=1500, stack_bytes=STACK_BYTES
)
