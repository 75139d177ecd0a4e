"""Kernel "collected": windows of two pixels are copied together first; takes any layer but a depthwise one."""

from __future__ import annotations

from collections.abc import Iterator

from ..scalar import CODE_BYTES, STACK_BYTES, conv2d_call, scalar_blocks, scalar_tap
from ..spec import KernelSpec, Linear, Plan, is_depthwise
from ..trails import Trail, Walk, in_steps, pixels


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield what in_place takes, after windows were copied: 6 instructions for a tap, 10 for a row."""
    if is_depthwise(linear):
        return
    windows = linear.batch * linear.groups * linear.pixels
    rows = linear.taps // linear.weights.shape[3]
    collecting = windows * (6 * linear.taps + 10 * rows)
    element_bytes = 2 if linear.in_type == "i16" else 1
    yield Plan(
        "collected",
        scalar_blocks(linear) * scalar_tap(linear) * linear.taps + 12 * linear.outputs + collecting,
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
