"""htvm example: a small model with inputs, for a first run of every other command."""

from __future__ import annotations

import argparse
from pathlib import Path

from htvm.commands.arguments import add_output, say

EXAMPLES = """\
examples:
  htvm example                       writes example.onnx and example.npz here
  htvm run example.onnx --inputs example.npz
  htvm compile example.onnx --target diana -o example_c
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    help = "the folder to write example.onnx and example.npz to (default: this one)"
    to.add_argument("-o", dest="output", default=".", metavar="DIR", help=help)
    add_output(to)


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import write_arrays
    from htvm.backend.files import write_file
    from htvm.example import inputs, model

    folder = Path(arguments.output)
    write_file(folder / "example.onnx", model().SerializeToString())
    write_arrays(folder / "example.npz", inputs())
    say(
        arguments, f"{folder / 'example.onnx'}: convolutions, an addition and a classifier, int8; inputs in example.npz"
    )
    say(arguments, "next: htvm run example.onnx --inputs example.npz")
    return 0
