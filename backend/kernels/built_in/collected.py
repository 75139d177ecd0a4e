"""Kernel "collected": windows of two pixels are copied together first; takes any layer but a depthwise one."""

from __future__ import annotations

from collections.abc import Iterator

from ..scalar import CODE_BYTES, STACK_BYTES, conv2d_call, scalar_instructions, scalar_steps
from ..spec import KernelSpec, Linear, Plan, is_depthwise
from ..trails import Trail, Walk, in_steps, pixels


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield the plan: collecting takes 10 instructions for a tap of two pixels, 20 for one of one, 24 for a row of a
    channel's window, 130 for two pixels; an output takes 23, and the layer 240."""
    if is_depthwise(linear):
        return
    pairs, singles = scalar_steps(linear)
    lines = linear.taps // linear.weights.shape[3]
    collecting = (10 * pairs + 20 * singles) * linear.taps + 24 * lines * (pairs + singles)
    element_bytes = 2 if linear.in_type == "i16" else 1
    yield Plan(
        "collected",
        scalar_instructions(linear, row=0, step=130, output=23) + collecting + 240,
        linear.weights.nbytes,
        scratch_bytes=2 * linear.taps * element_bytes,
    )


def trail(walk: Walk) -> Trail | None:
    return in_steps(walk, pixels(walk), is_held=False) if walk.groups == 1 else None


KERNEL = KernelSpec(
    name="collected",
    least_pixels=1,
    header="htvm_conv2d.h",
    is_general=True,
    orders_weights=True,
    plans=plans,
    call=lambda site: conv2d_call(site, is_collected=True),
    trail=trail,
    code_bytes=CODE_BYTES,
    stack_bytes=STACK_BYTES,
)
