"""Kernel "row": one row times a matrix, as in_place, without what only feature maps need."""

from __future__ import annotations

from collections.abc import Iterator

from ..scalar import STACK_BYTES, conv2d_weights, scalar_blocks, scalar_tap
from ..spec import ConstantArray, KernelCall, KernelSpec, Linear, Macro, Plan, Site, is_depthwise, linear_fields


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield what in_place takes, without anything that only maps need."""
    if is_depthwise(linear) or not (linear.windows_are_rows and linear.is_row):
        return
    instructions = scalar_blocks(linear) * scalar_tap(linear) * linear.taps + 12 * linear.outputs
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
