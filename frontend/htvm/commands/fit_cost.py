"""htvm fit-cost: fit the cost of a kernel to what it takes on the simulator."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from htvm.commands.arguments import add_output, say, write_json
from htvm.commands.test_kernel import add_layers, checked, text

EXAMPLES = """\
examples:
  htvm fit-cost my_kernels.py                    a formula for the field `cost` of each kernel
  htvm fit-cost my_kernels.py --layers 40        from more layers
  htvm fit-cost my_kernels.py --shapes 8x48x48:16x1x1 16x24x24:32x1x1      from those that matter
  htvm fit-cost my_kernels.py --shapes 64:10 640:128 4x64:10               dense ones: [rows x] inputs:outputs

The formula is a sum over products, outputs, pixels and images, each times a number of at least 0, such that relative
errors are small: instructions, as the estimates of htvm's own kernels are. The layers are those of test-kernel; the
exit status is 1 if the kernel is wrong.
"""

LAYERS = 24


def add_arguments(to: argparse.ArgumentParser) -> None:
    add_layers(to, "fit to", LAYERS)
    add_output(to, "the numbers")


def run(arguments: argparse.Namespace) -> int:
    from htvm.verification.kernel_cost import fit

    found: dict[str, object] = {}
    is_sound = True
    for check in checked(arguments, "htvm fit-cost"):
        if not check.is_sound:
            is_sound = False
            say(arguments, text(check))
            continue
        cost = fit(check.measured)
        found[check.kernel] = asdict(cost) | {"layers": check.layers}
        say(
            arguments,
            f"{check.kernel}: of {check.layers} layers, at most {100 * cost.largest_error:.0f} % off\n    {cost}",
        )
    write_json(arguments.json, found)
    return 0 if is_sound else 1
