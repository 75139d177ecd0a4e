"""htvm test-kernel: is a kernel of the host what its description says, and is it faster than htvm's own?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from htvm.commands.arguments import add_cc, add_output, add_seed, count, kernel_file, say, write_json
from htvm.commands.failures import usage_error

if TYPE_CHECKING:
    from htvm.backend.kernels import KernelSpec
    from htvm.verification.kernel_layers import Sample
    from htvm.verification.kernels import KernelCheck

EXAMPLES = """\
examples:
  htvm test-kernel my_kernels.py                                   random layers that the kernels compute
  htvm test-kernel my_kernels.py --shapes 16x8x8:32x3x3+1          a layer CxHxW:KxRxS[/stride][+pad][@groups]
  htvm test-kernel my_kernels.py --shapes 640:128 4x64:10          dense layers [rows x] inputs:outputs
  htvm test-kernel my_adds.py --shapes 1x16x32x32                  of another operation: the shape of its first input

Each layer is computed with random inputs and with inputs at their limits, in unaligned buffers, over its own input
where the description has a trail, with poison in scratch memory; on the simulator, and natively under sanitizers where
all sources are C. Results are compared with what the layer means. The exit status is 1 if something is wrong, or if
the kernel computes no layer.
"""

LAYERS = 16
OWN_KERNEL = "htvm's own"
PROBLEMS = 5
"""How many are printed; --json has all."""


def add_arguments(to: argparse.ArgumentParser) -> None:
    add_layers(to, "test with", LAYERS)
    add_output(to, "what was found")


def add_layers(to: argparse.ArgumentParser, purpose: str, layers: int) -> None:
    """Add the file of kernels, and which of them are tested with which layers. purpose: what the layers are for."""
    to.add_argument("file", type=kernel_file, metavar="FILE", help="a Python file that describes kernels")
    to.add_argument("--kernel", metavar="NAME", help="only this one of its kernels")
    help = f"layers to {purpose}, in place of random ones"
    to.add_argument("--shapes", nargs="+", default=[], metavar="S", help=help)
    to.add_argument("--layers", type=count, default=layers, metavar="N", help=f"random layers (default: {layers})")
    add_seed(to)
    add_cc(to)


def run(arguments: argparse.Namespace) -> int:
    checks = list(checked(arguments, "htvm test-kernel"))
    write_json(arguments.json, {"kernels": [asdict(check) | {"sound": check.is_sound} for check in checks]})
    for check in checks:
        say(arguments, text(check))
    return 0 if all(check.is_sound for check in checks) else 1


def checked(arguments: argparse.Namespace, command: str) -> Iterator[KernelCheck]:
    """Yield what is found about each kernel that the arguments name."""
    from htvm.backend import kernels
    from htvm.verification.kernels import check_kernel

    for name in chosen(arguments, command):
        spec = kernels.found(name)
        named = shapes(arguments, spec, command)
        yield check_kernel(spec, arguments.layers, arguments.seed, named, arguments.cc)


def shapes(arguments: argparse.Namespace, spec: KernelSpec, command: str) -> list[Sample]:
    """Return the layers that --shapes names."""
    from htvm.verification.kernel_layers import named

    try:
        return [named(text, spec) for text in arguments.shapes]
    except ValueError as error:
        usage_error(command, f"--shapes: {error}")


def chosen(arguments: argparse.Namespace, command: str) -> list[str]:
    """Return the names of the file's kernels, or the one that --kernel names."""
    from htvm.backend import kernels

    names = kernels.load(arguments.file)
    if arguments.kernel is None:
        return list(names)
    if arguments.kernel not in names:
        usage_error(command, f"{arguments.file} has no kernel '{arguments.kernel}', expected one of {', '.join(names)}")
    return [arguments.kernel]


def text(check: KernelCheck) -> str:
    """Return what was found about a kernel, for people."""
    verdict = "NOT as it says" if check.problems else "as it says" if check.layers else "not tried"
    lines = [f"{check.kernel}: {verdict}"]
    if check.layers:
        lines.append(f"  {check.layers} layers, {check.compared:,} values compared on the simulator; {check.native}")
    elif not check.problems:
        lines.append("  no layer was accepted; --shapes names some. Others were refused because:")
        lines += [f"    {reason}" for reason in check.refused[:PROBLEMS]]
    lines += [f"  {problem}" for problem in check.problems[:PROBLEMS]]
    if len(check.problems) > PROBLEMS:
        lines.append(f"  and {len(check.problems) - PROBLEMS} more")
    return "\n".join([*lines, *table(check)])


def table(check: KernelCheck) -> list[str]:
    """Return the lines of a table: what each layer takes per multiplication, beside htvm's own kernel."""
    if not check.measured:
        return []
    width = max(len(each.layer) for each in check.measured)
    per = check.measured[0].unit
    head = (f"instr./{per}", f"cycles/{per}", OWN_KERNEL, f"instr./{per}", f"cycles/{per}", "speed", "predicted")
    name = max(len(each.own_kernel) for each in check.measured)
    widths = [max(name, 10) if text == OWN_KERNEL else 10 for text in head]
    lines = [f"  {'layer':{width}}  " + "  ".join(f"{each:>{of}}" for each, of in zip(head, widths))]
    for each in check.measured:
        numbers = (
            f"{each.instructions / each.macs:.2f}",
            f"{each.cycles / each.macs:.2f}",
            each.own_kernel,
            f"{each.own_instructions / each.macs:.2f}",
            f"{each.own_cycles / each.macs:.2f}",
            f"{each.own_cycles / each.cycles:.2f}x",
            f"{100 * (each.predicted / each.instructions - 1):+.0f} %",
        )
        lines.append(f"  {each.layer:{width}}  " + "  ".join(f"{each:>{of}}" for each, of in zip(numbers, widths)))
    cycles, own = (sum(getattr(each, name) for each in check.measured) for name in ("cycles", "own_cycles"))
    return [*lines, f"  all of them: {own / cycles:.2f} times as fast as htvm's own; predicted: of instructions"]
