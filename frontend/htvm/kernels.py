"""What a file that describes kernels of one's own imports; docs/tutorials/kernels.md is its tutorial."""

from htvm.backend.kernels import KernelError, KernelSpec, Layer, Linear, Tensor, Trail, Walk, in_steps, load, pixels

__all__ = ["KernelError", "KernelSpec", "Layer", "Linear", "Tensor", "Trail", "Walk", "in_steps", "load", "pixels"]
