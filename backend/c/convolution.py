"""How a conv2d or dense layer is computed: its geometry, and which kernel suits it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

from htvm.backend import kernels
from htvm.backend.kernels.convolution import Convolution
from htvm.backend.kernels.elements import Array
from htvm.backend.kernels.requant import NARROW, NARROW_EACH, Requant
from htvm.dialects import accel

from . import values

Linear: TypeAlias = accel.Weighted
"""A layer that convolves: a dense one is a convolution with a 1x1 kernel."""


def convolution_of(layer: Linear) -> Convolution:
    """Return the geometry of a layer."""
    return (_of_conv2d(layer) if isinstance(layer, accel.Conv2dOp) else _of_dense(layer)).flat()


def kernel_of(layer: Linear) -> str:
    """Return the kernel that computes a layer. Raises ValueError if the module does not name one."""
    if layer.kernel is None:
        raise ValueError(f"node '{accel.node(layer)}' has no kernel, expected choose-kernels to have named one")
    return layer.kernel.value


def forms(layers: Iterable[Linear]) -> dict[Linear, Requant]:
    """Return the requantisation of each layer, such that as few functions as is worth it do them all.

    Layers with one shift take the form with a shift per channel if others of the same types need that, and the
    shifts are less data than one more function is code.
    """
    alike: dict[tuple[str, int | None, bool, tuple[str, ...]], dict[Linear, Requant]] = {}
    for layer in layers:
        types = tuple(values.element_type(v).short for v in (layer.input, layer.weights, accel.output(layer)))
        run = layer.run.value if layer.run is not None else None
        kind = (kernel_of(layer), run, layer.skip is not None, types)
        requant = Requant.of(layer) if layer.requant is not None else None
        if requant is not None:
            alike.setdefault(kind, {})[layer] = requant
    chosen: dict[Linear, Requant] = {}
    for (kernel, *_), found in alike.items():
        shared = {layer: requant for layer, requant in found.items() if requant.form == NARROW}
        shift_bytes = 4 * sum(values.shape(layer.weights)[0] for layer in shared)
        if (
            any(requant.form == NARROW_EACH for requant in found.values())
            and shift_bytes < kernels.found(kernel).code_bytes
        ):
            found |= {layer: replace(requant, form=NARROW_EACH) for layer, requant in shared.items()}
        chosen |= found
    return chosen


def _of_conv2d(layer: accel.Conv2dOp) -> Convolution:
    batch, channels, height, width = values.shape(layer.input)
    _, out_channels, out_height, out_width = values.shape(accel.output(layer))
    _, _, rows, columns = values.shape(layer.weights)
    groups = layer.groups.value
    pad_top, pad_left, _, _ = layer.pads
    return Convolution(
        batch=batch,
        groups=groups,
        channels=channels // groups,
        out_channels=out_channels // groups,
        height=height,
        width=width,
        out_height=out_height,
        out_width=out_width,
        kernel=(rows, columns),
        strides=(layer.strides[0], layer.strides[1]),
        dilations=(layer.dilations[0], layer.dilations[1]),
        pad_top=pad_top,
        pad_left=pad_left,
        pad_value=layer.pad_value.value if layer.pad_value is not None else 0,
        x=values.strides(layer.input),
        y=values.strides(accel.output(layer)),
    )


def _of_dense(layer: Linear) -> Convolution:
    """All axes but the last are rows: they become N, H and W."""
    x, y = layer.input, accel.output(layer)
    *rows, channels = values.shape(x)
    *x_rows, x_c = values.strides(x)
    *y_rows, y_c = values.strides(y)
    (batch, height, width), x_steps, y_steps = values.loop_axes(rows, x_rows, y_rows, rank=3)
    return Convolution(
        batch=batch,
        groups=1,
        channels=channels,
        out_channels=values.shape(y)[-1],
        height=height,
        width=width,
        out_height=height,
        out_width=width,
        kernel=(1, 1),
        strides=(1, 1),
        dilations=(1, 1),
        pad_top=0,
        pad_left=0,
        pad_value=0,
        x=(x_steps[0], x_c, *x_steps[1:]),
        y=(y_steps[0], y_c, *y_steps[1:]),
    )


def weights_4d(weights: Array) -> Array:
    """Return weights [K, C, R, S], of a dense layer's [K, C] with a kernel of 1x1."""
    return weights if weights.ndim == 4 else weights[:, :, None, None]
