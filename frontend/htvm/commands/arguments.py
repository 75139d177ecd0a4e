"""What the commands share: how they read arguments, texts and targets, and how they write."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from htvm.commands.failures import usage_error
from htvm.options import CHOICES, DEFAULTS, SPEED, CompileOptions, ConstantBudget, size_of

if TYPE_CHECKING:
    from htvm.backend.targets.soc import Soc


def parser(name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """Return a parser whose help ends with examples."""
    return argparse.ArgumentParser(
        name,
        description=summary,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_target(
    to: argparse.ArgumentParser, help: str, default: str | None = None, *, has_memory_front: bool = False
) -> None:
    """Add --target; the argument's value is a Soc. has_memory_front: --memory alone asks for the front of RAM."""
    help += ": a name that `htvm targets` lists, or the path of a .py file"
    to.add_argument("--target", type=_target, default=default, metavar="T", help=help)
    _add_refinement(to, has_memory_front)


def add_target_file(to: argparse.ArgumentParser) -> None:
    """Add TARGET, for a command that is about one; the argument's value is a Soc."""
    to.add_argument("target", type=_target, metavar="TARGET", help="a name that `htvm targets` lists, or a .py file")
    _add_refinement(to)


def _add_refinement(to: argparse.ArgumentParser, has_memory_front: bool = False) -> None:
    to.add_argument("--engines", metavar="E,..", help="use only these engines of the target, such as host,digital")
    to.add_argument("--cost-model", metavar="C", help="the published figures that predictions and the simulation use")
    help = "give a memory of the target another size, in bytes, k or m, such as l1=64k; may be repeated"
    if has_memory_front:
        to.set_defaults(memory_front=False)
        help += "; alone, behind MODEL: print how few bytes of activations there can be, and what they cost"
    to.add_argument(
        "--memory",
        action=_MemoryOrFront if has_memory_front else _OfNames,
        nargs="?" if has_memory_front else None,
        type=_memory_behind_model if has_memory_front else _memory,
        default={},
        metavar="NAME=SIZE",
        help=help,
    )


def settle(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return parsed arguments with the target as the other arguments want it; `machine` is it as it was."""
    if getattr(arguments, "target", None) is not None:
        arguments.machine = arguments.target
        arguments.target = refined(arguments.target, arguments)
    return arguments


def refined(soc: Soc, arguments: argparse.Namespace) -> Soc:
    """Return the target with the engines, the cost model and the memories that the arguments name."""
    try:
        return refinement_of(arguments).refined(soc)
    except ValueError as error:
        usage_error("htvm", str(error))


def refinement_of(arguments: argparse.Namespace) -> CompileOptions:
    """Return what `add_target` has read but the target itself."""
    return CompileOptions(
        engines=tuple(arguments.engines.split(",")) if arguments.engines else (),
        cost_model=arguments.cost_model,
        memory=arguments.memory,
    )


def _target(name: str) -> Soc:
    from htvm.backend import targets

    try:
        return targets.load(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_cc(to: argparse.ArgumentParser) -> None:
    """Add --cc, the C compiler."""
    help = "a RISC-V gcc or clang to compile with (default: the clang of ziglang)"
    to.add_argument("--cc", type=_command, metavar="CC", help=help)


def add_seed(to: argparse.ArgumentParser) -> None:
    """Add --seed, of random inputs."""
    help = "where random inputs start from (default: 0)"
    to.add_argument("--seed", type=_seed, default=0, metavar="N", help=help)


def add_max_cycles(to: argparse.ArgumentParser) -> None:
    """Add --max-cycles, an integer of 1 or more, or None."""
    to.add_argument(
        "--max-cycles",
        type=count,
        metavar="N",
        help="stop a sample that takes more (default: far more than such a network takes)",
    )


def count(text: str) -> int:
    """Return an argument that is a whole number of 1 or more."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")
    return int(text)


def add_inputs(to: argparse.ArgumentParser) -> None:
    """Add what a model's file leaves open of its inputs: --input-type and --shape, both dictionaries."""
    to.add_argument(
        "--input-type",
        action=_OfNames,
        type=_input_type,
        default={},
        metavar="NAME=TYPE",
        help="what an input without QuantizeLinear holds (float32 or integers): u8, i16, 0..127, ..; may be repeated",
    )
    add_shapes(to)


def add_shapes(to: argparse.ArgumentParser) -> None:
    """Add --shape; the argument's value is a dictionary."""
    to.add_argument(
        "--shape",
        action=_OfNames,
        type=_shape,
        default={},
        metavar="NAME=SIZES",
        help="the shape of an input with axes of no fixed size, such as input=1x3x32x32; may be repeated",
    )


def add_compilation(to: argparse.ArgumentParser) -> None:
    """Add all that decides how a model is compiled for its target: `options_of` reads it."""
    add_inputs(to)
    for name, help in CHOICES_HELP.items():
        words = get_args(CHOICES[name])
        to.add_argument(f"--{name.replace('_', '-')}", choices=words, help=help)
    to.add_argument(
        "--constants",
        type=_budget,
        metavar="B",
        help="let the host's kernels have more or fewer constants: a factor of the weights, such as 2.4x, or bytes in "
        "all, such as 300k (default: 1.6x where that gains much; little more than the weights beside accelerators)",
    )
    to.add_argument(
        "--effort",
        type=_effort,
        metavar="N",
        help="let the searches for engines, forms, the order of layers, tiles in flight together, and memory do N "
        "times as much work (default: 1)",
    )
    to.add_argument(
        "--tflite-rounding",
        action="store_true",
        help="of TOSA and TFLite: fully connected layers round once, as TFLite's reference kernels do",
    )
    to.add_argument("--optimize", choices=("memory", "speed"), help=f"deprecated; speed: --constants {SPEED}")
    add_plugins(to)
    to.add_argument(
        "--passes",
        action=_OfNames,
        type=_passes,
        default={},
        metavar="STAGE=P,..",
        help="more passes behind a stage, such as integer=my-pass,cse; 'input' is a module as it came; may be repeated",
    )
    add_kernels(to)
    to.add_argument("--function", metavar="F", help="of a module with several functions, the one to compile")
    to.add_argument("--plan", metavar="P.json", help="pin layers to the engines and tiles of a plan; see --save-plan")


def _effort(text: str) -> int:
    """Return the effort that a text says. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no effort, expected an integer of at least 1")
    return int(text)


def add_plugins(to: argparse.ArgumentParser) -> None:
    """Add --load-pass-plugin and --load-dialect-plugin, which load passes and dialects when they are read."""
    help = "a Python file with passes of your own, or a library with passes for MLIR; may be repeated"
    to.add_argument("--load-pass-plugin", action="append", type=_pass_plugin, default=[], metavar="F.py", help=help)
    help = "a library with dialects for MLIR, as for mlir-opt; may be repeated"
    to.add_argument("--load-dialect-plugin", action="append", type=_dialects, default=[], metavar="LIB.so", help=help)


def add_kernels(to: argparse.ArgumentParser) -> None:
    """Add --kernels, a list of files whose kernels are known once they are read."""
    help = "a Python file that describes kernels of your own for the host (docs/tutorials/kernels.md); may be repeated"
    to.add_argument("--kernels", action="append", type=kernel_file, default=[], metavar="F.py", help=help)


def kernel_file(path: str) -> str:
    """Return the path of a file whose kernels have been loaded."""
    from htvm.backend import kernels

    try:
        kernels.load(path)
    except kernels.KernelError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def _pass_plugin(path: str) -> str:
    from htvm.dialects.plugin import LibraryError, load_passes
    from htvm.passes import registry

    try:
        if Path(path).suffix in (".so", ".dylib"):
            load_passes(Path(path))
        else:
            registry.load_passes(path)
    except (registry.PluginError, LibraryError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def _dialects(path: str) -> str:
    from htvm.dialects.plugin import LibraryError, load_dialect_plugin

    try:
        load_dialect_plugin(path)
    except LibraryError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def _passes(text: str) -> tuple[str, str]:
    stage, equals, passes = text.partition("=")
    if not (stage and equals and passes):
        raise argparse.ArgumentTypeError(f"'{text}' is not STAGE=PASSES, such as integer=my-pass,cse")
    return stage, passes


CHOICES_HELP = {
    "requant": "exact: the model's numbers (default); pow2: scales become powers of two, for engines that can only "
    "shift, and results change: `htvm run` says how many",
    "mapping": "how layers are mapped on accelerators: the fastest way found (default), or HTVM's, to compare with",
    "requant_shift": "what RequantShift means: floor rounds down, as quantlib has it (default); half adds half of div "
    "first, as networks of Deeploy have it",
    "objective": "what tiles of layers on accelerators are chosen for (default: latency)",
}


def options_of(arguments: argparse.Namespace) -> CompileOptions:
    """Return what `add_compilation` or `add_inputs`, and `add_target`, have read; a plan's options hold beside them."""
    given = vars(arguments)
    refinement = refinement_of(arguments)
    chosen = {name: getattr(refinement, name) or None for name in ("engines", "cost_model", "memory")}
    chosen |= {"input_types": arguments.input_type or None, "shapes": arguments.shape or None}
    if "plan" not in given:
        return DEFAULTS.having(**chosen)
    from htvm import plan
    from htvm.diagnostics import CompileError

    if arguments.optimize:
        print("warning: --optimize is deprecated: give --constants", file=sys.stderr)
    former = SPEED if arguments.optimize == "speed" else None
    chosen |= {"passes": given["passes"] or None, "function": given["function"]}
    chosen["kernels"] = given["kernels"] or None
    chosen |= {name: given[name] for name in CHOICES} | {"constants": arguments.constants or former}
    chosen |= {"tflite_rounding": arguments.tflite_rounding or None, "effort": arguments.effort}
    planned = plan.read(arguments.plan) if arguments.plan else DEFAULTS
    options = planned.having(**{name: value for name, value in chosen.items() if value is not None})
    if arguments.plan and arguments.target:
        try:
            options.refined(arguments.target)
        except ValueError as error:  # the command line alone has been asked before
            raise CompileError([f"{arguments.plan}: options: {error}"]) from None
    return options


def add_output(to: argparse.ArgumentParser, facts: str = "") -> None:
    """Add --quiet, and --json if there is something to write: `facts` says what."""
    to.add_argument("--quiet", action="store_true", help="print nothing but errors; the exit status tells")
    if facts:
        help = f"file to write {facts} to; '-': standard output, where nothing else is printed then"
        to.add_argument("--json", action=_Json, metavar="M.json", help=help)


class _Json(argparse.Action):
    """Remember the file; if that is standard output, nothing else may be printed there."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.json = values
        namespace.quiet = namespace.quiet or values == "-"


def add_force(to: argparse.ArgumentParser) -> None:
    """Add --force, of commands that write a project."""
    help = "replace files in the folder that were edited, or that htvm did not write, if the project has them as well"
    to.add_argument("--force", action="store_true", help=help)


def say(arguments: argparse.Namespace, text: str) -> None:
    """Print a result, unless --quiet was given."""
    if not arguments.quiet:
        print(text)


def write_json(path: str | None, value: Any) -> None:
    """Write an object to the file that --json names, if it was given."""
    if path:
        write_text(path, json.dumps(value, indent=1) + "\n")


class _OfNames(argparse.Action):
    """Collect pairs of a name and what is said of it in a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        assert values is not None, "the argument has a type, which makes a pair"
        name, said = values
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), name: said})


class _MemoryOrFront(_OfNames):
    """As _OfNames; without a value it asks for the front of memory."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values is None:
            namespace.memory_front = True
        else:
            super().__call__(parser, namespace, values, option_string)


def _memory(text: str) -> tuple[str, int]:
    name, equals, size = text.partition("=")
    try:
        if not (name and equals):
            raise ValueError(f"'{text}' is not NAME=SIZE, such as l1=64k")
        return name, size_of(size)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _memory_behind_model(text: str) -> tuple[str, int]:
    """As _memory, where the option may have no value and take the model for one."""
    if "=" not in text:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not NAME=SIZE, such as l1=64k; write --memory alone behind MODEL"
        )
    return _memory(text)


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no command: {error}") from None
    if not words:
        raise argparse.ArgumentTypeError("is empty, expected a command, such as riscv32-unknown-elf-gcc")
    return text


def _seed(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no seed, expected an integer from 0")
    return int(text)


def _budget(text: str) -> ConstantBudget:
    try:
        return ConstantBudget.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _input_type(text: str) -> tuple[str, str]:
    name, equals, kind = text.rpartition("=")
    if not (name and equals and kind):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=TYPE, such as input=u8")
    return name, kind


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    if not name or not re.fullmatch(r"[0-9]{1,9}(x[0-9]{1,9})*", sizes):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=SIZES, such as input=1x3x32x32")
    return name, tuple(map(int, sizes.split("x")))


def read_text(path: str) -> tuple[str, str]:
    """Return a file's text and the name to call it by; '-' is standard input. Raises InputError if it is no text."""
    content, name = _read(path)
    return _decoded(content, name), name


def read_module(path: str) -> tuple[str | bytes, str]:
    """Return text or bytecode of MLIR and the name to call it by. Raises InputError if it is neither."""
    from htvm.dialects.modules import BYTECODE

    content, name = _read(path)
    return content if content.startswith(BYTECODE) else _decoded(content, name), name


def _read(path: str) -> tuple[bytes, str]:
    return (sys.stdin.buffer.read(), "<stdin>") if path == "-" else (Path(path).read_bytes(), path)


def _decoded(content: bytes, name: str) -> str:
    from htvm.interface import InputError

    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: is no text: byte {error.start:,} is {content[error.start]:#04x}") from None


def write_text(path: str, text: str) -> None:
    """Write a text to a file, whole or not at all; '-' is standard output."""
    from htvm.backend.files import write_file

    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_file(path, text)
