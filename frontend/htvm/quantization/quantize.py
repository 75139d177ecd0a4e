"""Float models become quantised ones that compile: onnxruntime's quantiser, and quantisers where it leaves float.

Weights are symmetric int8, activations int8 or, where asked for, int16, biases int32, as pairs of QuantizeLinear and
DequantizeLinear. What is returned has been compiled up to integers: it is exact, or it is not returned.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import onnx

from htvm.diagnostics import CompileError
from htvm.import_onnx import ModelWarning, onnx_files
from htvm.interface import InputError
from htvm.quantization.completion import Bits, complete, guard_divisors, ranges
from htvm.quantization.fusion import fuse_activations
from htvm.quantization.powers import break_ties, powers, widened
from htvm.quantization.preparation import in_float32, without_batch_normalisation
from htvm.quantization.quality import Noise, noise
from htvm.quantization.samples import Sample, split
from htvm.runtime.interrupts import scratch_folder

if TYPE_CHECKING:
    from htvm.sources import OnnxModel

OPSET = 13
"""The oldest whose QuantizeLinear takes a scale per channel."""

MOST_WIDE = 64
"""Layers that get activations of 16 bits, one after the other."""

MARGIN_DB = 20.0
"""A layer with so much less noise than an output may have adds nothing to it that matters."""


def quantise(
    model: OnnxModel,
    calibration: Mapping[str, np.ndarray],
    *,
    per_channel: bool = False,
    powers_of_two: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    least_db: float | None = None,
) -> onnx.ModelProto:
    """Return a float model in int8, after the ranges of some inputs; it compiles.

    calibration: by input name, samples on axis 0. per_channel: a weight scale for each output channel.
    powers_of_two: of all scales; an engine that only shifts can then run the layers. least_db: of signal to noise at
    each output; until that is reached, the layers with the most noise get activations of 16 bits. A ModelWarning says
    what was reached if that is less.

    Raises InputError if the calibration does not fit or onnxruntime is missing, CompileError on a model that cannot be
    quantised.
    """
    quantiser = _onnxruntime()
    from htvm.driver import label

    name = label(model)
    proto = float_model(model, shapes)
    if any("Quantize" in node.op_type or "QLinear" in node.op_type for node in proto.graph.node):
        raise CompileError([f"{name}: is quantised already, expected a float model"])
    samples = split(proto, calibration)
    with _quiet(), scratch_folder() as folder, mock.patch("tempfile.tempdir", str(folder)):  # onnxruntime makes more
        try:
            ready = _prepared(proto, folder)
            known = ranges(onnx_files.load(ready), samples)
            wide: list[str] = []
            while True:
                bits = Bits(frozenset(wide))
                found = _in_integers(ready, samples, quantiser, folder, per_channel, powers_of_two, bits, known)
                found.graph.name = name
                if least_db is None:
                    break
                measured = noise(onnx_files.load(ready), found, samples)
                outputs = _noisy_outputs(measured, proto, least_db)
                noisiest = _noisiest(measured, least_db, wide)
                if not outputs:
                    break
                if noisiest is None or len(wide) >= MOST_WIDE:
                    for output in outputs:
                        text = _out_of_reach(output, least_db, len(wide), noisiest, per_channel)
                        warnings.warn(ModelWarning(f"{name}: {text}"), stacklevel=2)
                    break
                wide.append(noisiest)
        except CompileError:
            raise
        except Exception as error:  # onnxruntime raises exceptions of several unrelated types
            raise CompileError([f"{name}: cannot be quantised: {' '.join(str(error).split())[:400]}"]) from error
    check(found, name)
    return found


def float_model(model: OnnxModel, shapes: Mapping[str, Sequence[int]] | None) -> onnx.ModelProto:
    """Return a model's protobuf in float32, with the sizes of inputs that `shapes` gives."""
    from htvm.driver import label, loaded
    from htvm.import_onnx import with_shapes

    return in_float32(with_shapes(loaded(model), shapes or {}, label(model)))


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a float model as it is quantised: batch normalisations are gone, constants are folded."""
    with _quiet(), scratch_folder() as folder:
        return onnx_files.load(_prepared(model, folder))


def check(made: onnx.ModelProto, name: str) -> None:
    """Compile a quantised model up to integers. Raises CompileError, saying that quantising is what failed."""
    from htvm import driver
    from htvm.backend import targets

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            driver.lower(made, targets.load("rv32"), "integer")
    except CompileError as error:
        raise CompileError(
            [*error.problems, f"{name}: is not written: quantised, it cannot be compiled, as said above"]
        ) from None


def _in_integers(
    ready: Path,
    samples: Sequence[Sample],
    quantiser: Any,
    folder: Path,
    per_channel: bool,
    powers_of_two: bool,
    bits: Bits,
    known: Mapping[str, tuple[float, float]],
) -> onnx.ModelProto:
    """Return the prepared model with quantisers everywhere."""
    wide = {name: [{"quant_type": quantiser.QuantType.QInt16}] for name in sorted(bits.wide)}
    options = {"per_channel": per_channel, "symmetric": powers_of_two}
    found = _quantised(ready, samples, quantiser, folder, **options, overrides={} if powers_of_two else wide)
    if powers_of_two:
        overrides = widened(powers(ready, found, samples), bits.wide)
        found = _quantised(ready, samples, quantiser, folder, **options, overrides=overrides)
    fuse_activations(found.graph)
    if powers_of_two:
        break_ties(found.graph)
    complete(found, known, powers_of_two, bits)
    guard_divisors(found, known)
    return found


def _noisy_outputs(measured: Sequence[Noise], model: onnx.ModelProto, least_db: float) -> list[Noise]:
    """Return the outputs of a model that have too much noise."""
    names = {value.name for value in model.graph.output}
    return [each for each in measured if each.name in names and each.decibels < least_db]


def _noisiest(measured: Sequence[Noise], least_db: float, wide: Sequence[str]) -> str | None:
    """Return the tensor with the most noise that has 8 bits yet; None if all that matter have 16."""
    left = (each.name for each in measured if each.name not in wide and each.decibels < least_db + MARGIN_DB)
    return next(left, None)


def _out_of_reach(output: Noise, least_db: float, wide: int, noisiest: str | None, per_channel: bool) -> str:
    """Say how far the noise of an output is from what was asked for, and why no more is done."""
    reached = f"output '{output.name}' reaches {output.decibels:.1f} dB of signal to noise, not {least_db:g}: "
    if noisiest is not None:
        return f"{reached}{wide} layers have activations of 16 bits, and no more are tried ('{noisiest}' is the next)"
    weights = "" if per_channel else "; --per-channel makes less of it"
    return f"{reached}all {wide} layers that matter have activations of 16 bits; the rest is of weights{weights}"


def _onnxruntime() -> Any:
    """Return onnxruntime's quantiser. Raises InputError if it is not installed."""
    try:
        # Its telemetry leaves a file among the temporary ones as it is imported.
        with scratch_folder() as folder, mock.patch.dict(os.environ, {"TMPDIR": str(folder)}):
            from onnxruntime import quantization
    except ImportError:
        raise InputError("quantising needs onnxruntime, which is not installed: pip install 'htvm[quantize]'") from None
    return quantization


@contextmanager
def _quiet() -> Generator[None]:
    """Keep what onnxruntime says to those who call it by hand to itself."""
    import onnxruntime

    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(4)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        onnxruntime.set_default_logger_severity(2)


def _prepared(model: onnx.ModelProto, folder: Path) -> Path:
    """Return a file with the model, its batch normalisations folded into convolutions."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    before, after = folder / "float.onnx", folder / "ready.onnx"
    onnx_files.save(model, before)
    quant_pre_process(before, after, skip_symbolic_shape=True)
    ready = onnx_files.load(after)
    without_batch_normalisation(ready)
    onnx_files.save(ready, after)
    return after


def _quantised(
    ready: Path,
    samples: Sequence[Mapping[str, np.ndarray]],
    quantiser: Any,
    folder: Path,
    *,
    per_channel: bool,
    symmetric: bool,
    overrides: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    class Reader(quantiser.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(samples)

        def get_next(self) -> Mapping[str, np.ndarray] | None:
            return next(self.left, None)

    target, given = folder / "quantised.onnx", overrides or {}
    quantiser.quantize_static(
        ready,
        target,
        Reader(),
        quant_format=quantiser.QuantFormat.QDQ,
        activation_type=quantiser.QuantType.QInt8,
        weight_type=quantiser.QuantType.QInt8,
        per_channel=per_channel,
        extra_options={
            "WeightSymmetric": True,
            "ActivationSymmetric": symmetric,
            # Else it takes away activations that the calibration makes no use of, and their bounds with them.
            "QDQKeepRemovableActivations": True,
            "UseQDQContribOps": any(each[0]["quant_type"] == quantiser.QuantType.QInt16 for each in given.values()),
            **({"TensorQuantOverrides": given} if given else {}),
        },
    )
    return onnx_files.load(target)
