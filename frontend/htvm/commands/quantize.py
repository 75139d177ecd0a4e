"""htvm quantize: a float model becomes an int8 one that htvm compiles."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from htvm.commands.arguments import add_output, add_shapes, add_target, write_json

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


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL", help="a float32 ONNX file")
    to.add_argument("--calibration", required=True, metavar="X.npz", help="inputs as the network will see them")
    to.add_argument("-o", dest="output", metavar="Q.onnx", help="file to write (default: MODEL_int8.onnx, beside it)")
    to.add_argument("--per-channel", action="store_true", help="a weight scale for each output channel")
    to.add_argument("--scales", choices=("any", "pow2"), default="any", help="pow2: all scales are powers of two")
    add_shapes(to)
    add_target(to, help="say which engine of this machine takes how many layers")
    add_output(to, "what changed")


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import Arrays
    from htvm.backend.files import write_file
    from htvm.commands import tables
    from htvm.quantization import quantize as quantising

    calibration = Arrays(arguments.calibration)
    made = quantising.quantise(
        arguments.model,
        calibration,
        per_channel=arguments.per_channel,
        powers_of_two=arguments.scales == "pow2",
        shapes=arguments.shape,
    )
    source = Path(arguments.model)
    target = Path(arguments.output) if arguments.output else source.with_name(f"{source.stem}_int8.onnx")
    write_file(target, made.SerializeToString())
    changes = quantising.changes(arguments.model, made, calibration, arguments.shape)
    engines = _engines(made, arguments.target) if arguments.target else {}
    write_json(arguments.json, {"model": str(target), "outputs": changes, "engines": engines})
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
    return 0


def _engines(model: onnx.ModelProto, soc: Soc) -> dict[str, int]:
    """Return how many layers each engine of a target runs."""
    from htvm import driver
    from htvm.dialects import accel

    module, _ = driver.lower(model, soc, "dispatched")
    with module.context:
        return dict(Counter(layer.engine.value for layer in accel.layers(module)))
