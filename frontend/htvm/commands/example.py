"""htvm example: a small model with inputs, for a first run of every other command; or a project with a pass."""

from __future__ import annotations

import argparse
from pathlib import Path

from htvm.commands.arguments import add_output, say

EXAMPLES = """\
examples:
  htvm example                       writes example.onnx and example.npz here
  htvm run example.onnx --inputs example.npz
  htvm compile example.onnx --target diana -o example_c
  htvm example --passes my_passes    a project with a pass and its FileCheck test; then: cd my_passes && lit -v test
"""

TEMPLATE = Path(__file__).parents[1] / "template"
"""The files of a project with a pass."""


def add_arguments(to: argparse.ArgumentParser) -> None:
    help = "the folder to write example.onnx and example.npz to (default: this one)"
    to.add_argument("-o", dest="output", default=".", metavar="DIR", help=help)
    help = "write a project with a pass of your own and its FileCheck test to this folder, instead of the model"
    to.add_argument("--passes", metavar="DIR", help=help)
    add_output(to)


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import write_arrays
    from htvm.backend.files import write_file
    from htvm.example import inputs, model

    if arguments.passes is not None:
        return _write_template(Path(arguments.passes), arguments)
    folder = Path(arguments.output)
    write_file(folder / "example.onnx", model().SerializeToString())
    write_arrays(folder / "example.npz", inputs())
    say(
        arguments, f"{folder / 'example.onnx'}: convolutions, an addition and a classifier, int8; inputs in example.npz"
    )
    say(arguments, "next: htvm run example.onnx --inputs example.npz")
    return 0


def _write_template(folder: Path, arguments: argparse.Namespace) -> int:
    """Write the project with a pass; a file that is there already is left, and is an error."""
    from htvm.backend.files import OutputError, write_file

    files = [file for file in sorted(TEMPLATE.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
    targets = {folder / file.relative_to(TEMPLATE): file.read_bytes() for file in files}
    if there := [str(target) for target in targets if target.exists()]:
        raise OutputError("\n".join(f"{each}: is there already, expected a folder without it" for each in there))
    for target, content in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, content)
    say(arguments, f"{folder}: a pass in my_passes.py, its test in test/count_layers.mlir")
    say(arguments, f"next: cd {folder} && lit -v test")
    return 0
