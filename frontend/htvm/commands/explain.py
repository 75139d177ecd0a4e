"""htvm explain: which engine runs each layer, and why no other one does; or what less memory costs."""

from __future__ import annotations

import argparse

from htvm.commands.arguments import add_compilation, add_output, add_target, options_of, say, write_json
from htvm.commands.failures import model_warnings, usage_error

EXAMPLES = """\
examples:
  htvm explain resnet8.onnx --target diana                   every layer: engines, cycles, violated rules
  htvm explain resnet8.onnx --target diana --node conv0      one layer, by an ONNX node in it
  htvm explain resnet8.onnx --target diana --node 'add*'     those with a node of such a name
  htvm explain mobilenet_v1.onnx --target diana --op depthwise    those of a kind, whatever they are called
  htvm explain resnet8.onnx --target diana --requant pow2    where it would run with other scales
  htvm explain resnet8.onnx --target diana --json -          the same for programs
  htvm explain resnet8.onnx --target diana --what-if         what would make it faster: memories, scales, engines
  htvm explain resnet8.onnx --memory                         how few bytes of activations, and what they cost

Cycles are predictions for the layer alone, transfers left out; the choice counts transfers and conversions too. What
would make an engine take a layer is found by asking its rules again with one to three changes of the model. In
parentheses is what they ask for: the same numbers written otherwise, to requantise, or to retrain.

With --memory alone each line is a program: bytes of activations, multiplications, predicted cycles, constants. What the
line says is what htvm compiles where a smaller --memory NAME=SIZE leaves that room. JSON then has both: layers, front.

With --what-if the network is compiled again for each line, with one thing changed: a memory twice as large, scales that
are powers of two, an engine that --engines leaves out, a layer on another engine or in another form. Predicted cycles
and those that no mapping takes less than are printed, most gain first; it takes some seconds. JSON then has what_if.
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL", help="a quantised ONNX file")
    add_target(to, default="rv32", help="the machine to compile for (default: rv32)", has_memory_front=True)
    to.add_argument("--node", metavar="NAME", help="only the layers of an ONNX node; 'dwconv*' stands for several")
    to.add_argument(
        "--op",
        metavar="KIND",
        help="only the layers of a kind: an operation such as conv2d, an ONNX operator such as Conv, or depthwise",
    )
    to.add_argument("--what-if", action="store_true", help="compile with one thing changed at a time: what would gain?")
    add_compilation(to)
    add_output(to, "the same")


def run(arguments: argparse.Namespace) -> int:
    from htvm.commands import tables
    from htvm.explanation import explanation
    from htvm.explanation.memory_front import memory_front
    from htvm.explanation.what_if import what_ifs

    options, asked = options_of(arguments), None
    if arguments.what_if and (arguments.node or arguments.op):
        usage_error("htvm explain", "--what-if is about the whole network: leave out --node and --op")
    with model_warnings():
        front = memory_front(arguments.model, arguments.target, options) if arguments.memory_front else None
        if front is not None and not arguments.json and not arguments.what_if:
            say(arguments, front.text())
            return 0
        try:
            found = explanation.explain(
                arguments.model, arguments.target, arguments.node, arguments.op, options=options
            )
        except explanation.UnknownNodeError as error:
            known = ", ".join(error.args)
            usage_error("htvm explain", f"--node: no layer has a node '{arguments.node}'; there are {known}")
        except explanation.UnknownKindError as error:
            known = ", ".join(error.args)
            usage_error("htvm explain", f"--op: no layer is a '{arguments.op}'; there are {known}")
        if arguments.what_if:
            with tables.progress("what if") as progress:
                asked = what_ifs(arguments.model, arguments.machine, options, progress)
    decisions = [each.facts() for each in found.decisions]
    more = {name: each.facts() for name, each in (("front", front), ("what_if", asked)) if each is not None}
    write_json(arguments.json, {"layers": decisions, **more} if more else decisions)
    say(arguments, explanation.text(found, arguments.target) if front is None else front.text())
    if asked is not None:
        say(arguments, asked.text())
    return 0
