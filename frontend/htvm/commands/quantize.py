"""htvm quantize: a float model becomes an int8 one that htvm compiles."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from htvm.commands.arguments import add_output, add_shapes, add_target, write_json
from htvm.commands.failures import model_warnings

if TYPE_CHECKING:
    import onnx

    from htvm.backend.targets.soc import Soc

EXAMPLES = """\
examples:
  htvm quantize net.onnx --calibration x.npz                          int8, in net_int8.onnx
  htvm quantize net.onnx --calibration x.npz --per-channel            a weight scale for each output channel
  htvm quantize net.onnx --calibration x.npz --scales pow2 --target diana
                                                                      for engines that only shift; which take what

The .npz file has one array per input, called as in ONNX, with samples on axis 0; with labels in an array 'label', the
accuracy before and after is printed, else how far the outputs move. It needs onnxruntime: pip install 'htvm[quantize]'.
"""


MOST_DECIBELS = 999.0
"""What is written for a layer without any noise."""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL", help="a float32 ONNX file")
    to.add_argument("--calibration", required=True, metavar="X.npz", help="inputs as the network will see them")
    to.add_argument("-o", dest="output", metavar="Q.onnx", help="file to write (default: MODEL_int8.onnx, beside it)")
    to.add_argument("--per-channel", action="store_true", help="a weight scale for each output channel")
    to.add_argument("--scales", choices=("any", "pow2"), default="any", help="pow2: all scales are powers of two")
    to.add_argument("--report", action="store_true", help="print the signal to noise of each layer, the worst first")
    to.add_argument(
        "--mixed",
        type=float,
        metavar="DB",
        help="give the worst layers activations of 16 bits until outputs have DB decibels of signal to noise",
    )
    add_shapes(to)
    add_target(to, help="say which engine of this machine takes how many layers")
    add_output(to, "what changed")


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import Arrays
    from htvm.backend.files import write_file
    from htvm.commands import tables
    from htvm.quantization import quality
    from htvm.quantization import quantize as quantising
    from htvm.quantization.samples import split

    calibration = Arrays(arguments.calibration)
    with model_warnings():
        made = quantising.quantise(
            arguments.model,
            calibration,
            per_channel=arguments.per_channel,
            powers_of_two=arguments.scales == "pow2",
            shapes=arguments.shape,
            least_db=arguments.mixed,
        )
    source = Path(arguments.model)
    target = Path(arguments.output) if arguments.output else source.with_name(f"{source.stem}_int8.onnx")
    changes = quality.changes(arguments.model, made, calibration, arguments.shape)
    engines = _engines(made, arguments.target) if arguments.target else {}
    floats = quantising.float_model(arguments.model, arguments.shape)
    layers, lost = quality.judged(floats, made, split(floats, calibration))
    write_file(target, made.SerializeToString())  # last: nothing stays of what fails
    noise = [{**asdict(each), "decibels": min(each.decibels, MOST_DECIBELS)} for each in layers]
    facts = {"model": str(target), "outputs": changes, "engines": engines, "lost": lost, "layers": noise}
    write_json(arguments.json, facts)
    said = {"written": str(target)}
    for name, found in changes.items():
        said[f"output '{name}'"] = (
            f"moves by {found['mean_change']:.3g} on average, at most {found['largest_change']:.3g}, "
            f"of a range of {found['range']:.3g} ({found['samples']:,} samples)"
        )
        if "same_class" in found:
            said["class"] = f"the same for {100 * found['same_class']:.2f} % of the samples"
        if "accuracy" in found:
            said["accuracy"] = (
                f"{100 * found['accuracy']:.2f} %, of the float model {100 * found['float_accuracy']:.2f} %"
            )
    if engines:
        said["engines"] = ", ".join(f"{name} {count}" for name, count in engines.items()) + " layers"
    if not arguments.quiet:
        tables.totals(said)
        if arguments.report:
            for each in layers:
                print(f"{each.decibels:8.1f} dB  {each.node} ({each.operator})")
    for message in lost:
        print(f"warning: {Path(arguments.model).name}: {message}", file=sys.stderr)
    return 0


def _engines(model: onnx.ModelProto, soc: Soc) -> dict[str, int]:
    """Return how many layers each engine of a target runs."""
    from htvm import driver
    from htvm.dialects import accel

    module, _ = driver.lower(model, soc, "dispatched")
    with module.context:
        return dict(Counter(accel.engine(layer) for layer in accel.layers(module)))
