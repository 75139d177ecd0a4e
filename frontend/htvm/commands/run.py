"""htvm run: execute a model or a C project on the simulated target."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from htvm.commands.arguments import (
    add_cc,
    add_compilation,
    add_max_cycles,
    add_output,
    add_seed,
    add_target,
    write_json,
)
from htvm.commands.failures import about
from htvm.commands.subject import subject

if TYPE_CHECKING:
    import numpy as np

    from htvm.driver import CompiledModel
    from htvm.execution.metrics import Metrics
    from htvm.execution.program import RunResult
    from htvm.verification.verification import Comparison

EXAMPLES = """\
examples:
  htvm run resnet8.onnx                                         one sample of random inputs
  htvm run resnet8_c --inputs photo.npz --outputs result.npz    a project that `htvm compile` wrote
  htvm run ds_cnn.onnx --inputs ds_cnn_accuracy.npz             1000 labelled samples: the accuracy
  htvm run resnet8.onnx --trace resnet8.json                    a timeline for ui.perfetto.dev or chrome://tracing

An .npz file has one array per input, called as in ONNX, of its ONNX type; several samples lie on axis 0. With the
labels of the samples in an array 'label', the accuracy is printed. The class of one sample is printed for classifiers:
networks with one output [1, K], of fewer numbers than their inputs.
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL|DIR", help="an ONNX file, a module of MLIR (.mlir), or a project")
    add_target(to, help="the machine (default: rv32, or the one that the project was made for)")
    add_compilation(to)
    to.add_argument("--inputs", metavar="X.npz", help="the inputs; without it, random ones")
    add_seed(to)
    to.add_argument("--outputs", metavar="Y.npz", help="file to write the outputs to")
    to.add_argument("--trace", metavar="T.json", help="file to write a timeline to, for Perfetto and Chrome's tracing")
    to.add_argument(
        "--values",
        metavar="V.npz",
        help="file to write what each step has left in memory to, by ONNX name, of the first sample; wants a MODEL",
    )
    add_cc(to)
    add_max_cycles(to)
    add_output(to, "the metrics")


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import Arrays, write_arrays
    from htvm.commands import tables
    from htvm.execution.metrics import metrics
    from htvm.execution.program import Program
    from htvm.execution.step_values import step_values
    from htvm.execution.trace import trace
    from htvm.explanation.bound import bound, flows, predicted
    from htvm.interface import InputError, Samples
    from htvm.verification.verification import changed

    given = Arrays(arguments.inputs) if arguments.inputs else None
    compiled, project, soc = subject(arguments, [given] if given else [])
    if arguments.values and compiled is None:
        raise InputError(f"--values wants the ONNX file: the project '{arguments.model}' has no names of its tensors")
    inputs = project.random_inputs(arguments.seed) if given is None else given
    with about(arguments.inputs or "random inputs"):
        samples = Samples.of(project.inputs, inputs)
    program = Program(project, soc, arguments.cc, max_cycles=arguments.max_cycles)
    with tables.progress("samples") as progress:
        result = program.run(samples, progress)
    if arguments.outputs:
        write_arrays(arguments.outputs, result.outputs)
    if arguments.values and compiled is not None:
        write_arrays(arguments.values, step_values(compiled, program, samples[0]))
    changes = changed(compiled, result) if compiled else []
    said = _changes(compiled.options.requant, changes) if compiled and changes else None
    asks = compiled is not None and (arguments.json or not arguments.quiet)
    report = project.report
    limit = (
        bound(compiled.source, soc, compiled.options, predicted(report), flows(report)) if compiled and asks else None
    )
    write_json(arguments.json, result.metrics | {"changed": said, "mapping": limit.facts() if limit else None})
    write_json(arguments.trace, trace(result.record) if arguments.trace else None)
    if not arguments.quiet:
        tables.layers(metrics(result.record).layers)
        mapping = {"mapping": str(limit)} if limit else {}
        tables.totals(_answers(result, compiled, inputs, changes) | _costs(result) | mapping)
    return 0


def _answers(
    result: RunResult, compiled: CompiledModel | None, given: Mapping[str, np.ndarray], changes: Sequence[Comparison]
) -> dict[str, str]:
    """Say what was computed: the class, the accuracy, whether it is exact, what --requant changed."""
    import numpy as np

    from htvm.interface import Samples, described

    said: dict[str, str] = {}
    scores = {name: values for name, values in result.outputs.items() if values.ndim == 2 and values.shape[1] > 1}
    classes = {name: values.argmax(axis=1) for name, values in scores.items()}
    count = result.record.samples
    for name, found in classes.items():
        if count == 1 and is_classifier(result):
            said["class"] = f"{found[0]} (output '{name}': {scores[name][0, found[0]]})"
    labels = described(given, "label")
    if labels is not None and labels.shape == (count,) and len(classes) == 1:
        labels, (found,) = given["label"], classes.values()
        right = int(np.count_nonzero(found == labels))
        said["accuracy"] = f"{100 * right / count:.2f} % ({right:,} of {count:,} labels)"
    if compiled:
        samples = Samples.of(compiled.project.inputs, result.inputs)
        wanted = compiled.meant(samples)
        differing = _differing(result.outputs, wanted)
        values = sum(found.size for found in result.outputs.values())
        what = (
            f"the exact meaning of the {compiled.source.kind}" if compiled.refitted is None else "the refitted network"
        )
        said["exact"] = (
            f"yes: all {values:,} output values equal {what}"
            if not differing
            else f"NO: {differing:,} of {values:,} output values differ from {what}; `htvm verify` tells where"
        )
        if changes:
            each = "; ".join(map(_changed, changes))
            said["changed"] = f"by --requant, from the exact meaning of the {compiled.source.kind}: {each}"
            wanted = {one.output: one.wanted for one in changes}
        if "accuracy" in said:
            (name,) = classes
            right = int(np.count_nonzero(wanted[name].argmax(axis=1) == labels))
            said["accuracy"] += f"; of the exact meaning {100 * right / count:.2f} %"
    return said


def is_classifier(result: RunResult) -> bool:
    """Say whether the largest output is a class: of one output [N, K], with fewer numbers than the inputs have.

    An autoencoder has as many as its input, and a detector has several outputs, or others than [N, K].
    """
    shapes = [values.shape for values in result.outputs.values()]
    numbers = sum(values.size for values in result.inputs.values())
    return len(shapes) == 1 and len(shapes[0]) == 2 and 1 < shapes[0][1] and shapes[0][0] * shapes[0][1] < numbers


def _differing(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> int:
    """Return how many output values differ."""
    return sum(int((values != wanted[name]).sum()) for name, values in found.items())


def _changed(one: Comparison) -> str:
    """Say how many values of an output are others than they were meant, and how far off."""
    furthest = f", by at most {one.largest_difference:g}" if one.differing else ""
    return f"{one.differing:,} of {one.values:,} values of '{one.output}'{furthest}"


def _changes(requant: str, changes: Sequence[Comparison]) -> dict[str, Any]:
    """Return the same for programs."""
    keys = ("values", "differing", "largest_difference")
    outputs = {one.output: {key: getattr(one, key) for key in keys} for one in changes}
    return {"requant": requant, "outputs": outputs}


def _stack(cost: Metrics) -> str:
    """Say what a run takes of the stack: what was used, and what other inputs could use."""
    if cost.worst_stack_bytes is None:
        return f"{cost.stack_bytes:,} of stack"
    return f"at most {cost.worst_stack_bytes:,} of stack ({cost.stack_bytes:,} used)"


def _costs(result: RunResult) -> dict[str, str]:
    """Say what one sample cost."""
    from htvm.execution.metrics import metrics

    cost = metrics(result.record)
    macs, instructions = cost.macs, cost.host.instructions
    per_mac = f", {instructions / macs:.2f} per MAC" if macs else ""
    skipping = sum(layer.skips is not None for layer in cost.layers)
    data = f"; {skipping} layers skip inputs that are 0, so both depend on the data" if skipping else ""
    return {
        "cycles": f"{cost.cycles:,} ({cost.latency_ms:.2f} ms at {cost.clock_hz / 1e6:g} MHz)",
        "instructions": f"{instructions:,}{per_mac}{data}",
        "RAM": f"{cost.ram_bytes:,} bytes of activations and variables, {_stack(cost)}",
        "code": f"{cost.code_bytes:,} bytes, and {cost.rodata_bytes:,} of constants",
    }
