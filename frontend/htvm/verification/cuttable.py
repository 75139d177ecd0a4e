"""What a model must say of itself to be cut smaller: parts between tensors, fewer channels, fewer rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from htvm.options import CompileOptions
from htvm.sources import Model

Inputs: TypeAlias = Mapping[str, np.ndarray]


class Cuttable(Protocol):
    """A model, of ONNX or of tosa, and smaller ones that are made of it."""

    @property
    def model(self) -> Model:
        """What `compile` takes."""
        ...

    @property
    def suffix(self) -> str:
        """Of a file that it is written to."""
        ...

    @property
    def size(self) -> int:
        """How many nodes it has."""
        ...

    def options(self, options: CompileOptions, inputs: Inputs | None) -> CompileOptions:
        """Return options to compile it with: what they say of the whole model is in it already.

        inputs: a sample of its own; None: the model is whole.
        """
        ...

    def values(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return the tensors where it may be cut, in order, with their exact values for one sample."""
        ...

    def part(self, known: Inputs, output: str, inputs: Inputs) -> Cut:
        """Return the part between tensors whose values are known and an output."""
        ...

    def fewer_channels(self, inputs: Inputs) -> Iterator[Cut]:
        """Yield the model with halves of its output channels, if one layer has them all."""
        ...

    def smaller_inputs(self, inputs: Inputs) -> Iterator[Cut]:
        """Yield the model with halves of its input channels, rows and columns."""
        ...

    def any_inputs(self) -> Inputs:
        """Return inputs that fit."""
        ...

    def write(self, path: Path) -> None:
        """Write the model as a file. Raises OutputError."""
        ...


Cut: TypeAlias = tuple[Cuttable | None, Inputs]
"""A smaller model, or None where it is none by itself, and its inputs."""


def halves(size: int) -> Iterator[slice]:
    """Yield the first and the second half of an axis that can be halved."""
    if size > 1:
        yield from (slice(0, size // 2), slice(size // 2, size))
