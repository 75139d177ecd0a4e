"""htvm fit-cost: fit the cost of a kernel to what it takes on the simulator."""

from __future__ import annotations

import argparse

from htvm.commands.arguments import add_cc, add_output, add_seed, count, kernel_file, say, write_json
from htvm.commands.test_kernel import chosen

EXAMPLES = """\
examples:
  htvm fit-cost my_kernels.py                    a formula for the field `cost` of each kernel
  htvm fit-cost my_kernels.py --layers 40        from more layers

The formula gives instructions: a sum over products, outputs, pixels and images, each times a number of at least 0, such
that relative errors are small. The layers are those of test-kernel; the exit status is 1 if the kernel is wrong.
"""

LAYERS = 24


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("file", type=kernel_file, metavar="FILE", help="a Python file that describes kernels")
    to.add_argument("--kernel", metavar="NAME", help="only this one of its kernels")
    to.add_argument("--layers", type=count, default=LAYERS, metavar="N", help=f"random layers (default: {LAYERS})")
    add_seed(to)
    add_cc(to)
    add_output(to, "the numbers")


def run(arguments: argparse.Namespace) -> int:
    from htvm.backend import kernels
    from htvm.commands.test_kernel import text
    from htvm.verification.kernel_cost import fit
    from htvm.verification.kernels import check_kernel

    found: dict[str, object] = {}
    is_sound = True
    for name in chosen(arguments, "htvm fit-cost"):
        check = check_kernel(kernels.found(name), arguments.layers, arguments.seed, cc=arguments.cc)
        if not check.is_sound:
            is_sound = False
            say(arguments, text(check))
            continue
        cost = fit(check.measured)
        found[name] = {"factors": cost.factors, "largest_error": cost.largest_error, "layers": check.layers}
        say(arguments, f"{name}: of {check.layers} layers, at most {100 * cost.largest_error:.0f} % off\n    {cost}")
    write_json(arguments.json, found)
    return 0 if is_sound else 1
