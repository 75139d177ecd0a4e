"""What onnx reads, writes and checks, with types: its own annotations leave open what an `os.PathLike` is of."""

from __future__ import annotations

import os

import onnx
import onnx.checker


def load(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """Return the model in a file, with its tensors in files beside it."""
    return onnx.load(path)  # pyright: ignore[reportUnknownMemberType]


def save(model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a model to a file."""
    onnx.save(model, path)  # pyright: ignore[reportUnknownMemberType]


def check(model: onnx.ModelProto | bytes) -> None:
    """Raise onnx.checker.ValidationError unless a model, or the bytes of one, is well-formed."""
    onnx.checker.check_model(model)  # pyright: ignore[reportUnknownMemberType]
