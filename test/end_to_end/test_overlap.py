"""Outputs over inputs in whole networks: how little memory that takes, and that nothing is read after it is lost."""

from pathlib import Path

import numpy as np
import pytest
from selection import slow

import htvm
from htvm.execution.program import Program
from htvm.interface import Samples

MODELS = Path(__file__).parents[1] / "inputs" / "models" / "mlperf_tiny"
MOST_BYTES = {
    ("resnet8", "latency"): 41_760,
    ("resnet8", "memory"): 35_056,
    ("ds_cnn", "latency"): 9_024,
    ("ds_cnn", "memory"): 9_024,
    ("mobilenet_v1", "latency"): 36_960,
    ("mobilenet_v1", "memory"): 36_960,
    ("toyadmos", "latency"): 768,
    ("toyadmos", "memory"): 768,
}
"""Activations, scratch, inputs and outputs, by network and objective."""


QUICK = (("resnet8", "memory"), ("ds_cnn", "latency"), ("toyadmos", "latency"))


@pytest.mark.parametrize(("network", "objective"), [each if each in QUICK else slow(each) for each in MOST_BYTES])
def test_networks_in_poisoned_memory_are_exact(network, objective):
    """All of the arena but the inputs holds what no layer made: who reads what is lost or not yet written differs."""
    compiled = htvm.compile(MODELS / f"{network}.onnx", objective=objective)
    program = Program(compiled.project, compiled.soc)
    size = compiled.project.report.memories["ram"].planned_peak_bytes
    assert size <= MOST_BYTES[network, objective]
    golden = np.load(min((MODELS / "golden").glob(f"{network}_?.npz")))
    samples = Samples.of(compiled.project.inputs, {port.name: golden[port.name] for port in compiled.project.inputs})
    for poison in (0x5A, 0x80):
        program.host.write(program.arena, bytes([poison]) * size)
        for name, values in program.run(samples).outputs.items():
            exact = f"{name}.exact" if f"{name}.exact" in golden else name
            np.testing.assert_array_equal(values, golden[exact])
