"""From quantised PyTorch programs to executed C: exact, and equal to what PyTorch itself computes on these networks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from machine import machine

if not machine().has_torch:
    pytest.skip("no torch, torchao or onnxscript", allow_module_level=True)

import torch

import htvm
from htvm.integrations.pytorch import from_torch, to_onnx

EXAMPLE = (torch.zeros(1, 3, 8, 8),)


class Network(torch.nn.Module):
    """Convolutions of all kinds, a residual sum, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.depthwise = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = torch.nn.Conv2d(8, 8, 1)
        self.last = torch.nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.pointwise(torch.relu(self.depthwise(x))) + x)
        return self.last(x.mean((2, 3)))


def images(number: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(number, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def quantized() -> torch.nn.Module:
    """Return the network as convert_pt2e gives it."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

    torch.manual_seed(0)
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(Network().eval(), EXAMPLE).module(), quantizer)
    for image in images(8):
        prepared(torch.tensor(image[None]))
    return convert_pt2e(prepared)


def check(compiled: htvm.CompiledModel, program: torch.nn.Module) -> None:
    """Compare the executed C with the exact meaning of the ONNX, and with PyTorch: both are compared for equality."""
    (given,), (result,) = compiled.project.inputs, compiled.project.outputs
    inputs = {given.name: images(4)}
    assert htvm.verify(compiled, inputs=inputs).exact
    found = compiled.run(inputs).outputs[result.name]
    with torch.no_grad():
        wanted = [program(torch.tensor(image[None])) for image in images(4)]
    np.testing.assert_array_equal(found, np.concatenate([np.asarray(getattr(each, "value", each)) for each in wanted]))


def test_a_cnn_of_pt2e_is_exact(quantized: torch.nn.Module) -> None:
    compiled = htvm.from_torch(quantized, EXAMPLE, name="network")
    assert compiled.project.report.name == "network" and compiled.project.inputs[0].name == "x"
    check(compiled, quantized)


def test_an_exported_program_is_the_same(quantized: torch.nn.Module) -> None:
    exported = torch.export.export(quantized, EXAMPLE)
    assert to_onnx(exported, EXAMPLE).graph.node == to_onnx(quantized, EXAMPLE).graph.node


@pytest.mark.skipif(not machine().has_brevitas, reason="no brevitas")
def test_a_network_of_brevitas_with_4_bits_is_exact() -> None:
    from brevitas import nn as quantised
    from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Int32Bias, Uint8ActPerTensorFloat

    torch.manual_seed(0)
    four_bits = {
        "weight_quant": Int8WeightPerChannelFloat,
        "weight_bit_width": 4,
        "bias": True,
        "bias_quant": Int32Bias,
    }
    layers = torch.nn.Sequential(
        quantised.QuantIdentity(act_quant=Int8ActPerTensorFloat, return_quant_tensor=True),
        quantised.QuantConv2d(3, 8, 3, padding=1, return_quant_tensor=True, **four_bits),
        quantised.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=4, return_quant_tensor=True),
        torch.nn.Flatten(),
        quantised.QuantLinear(8 * 8 * 8, 10, return_quant_tensor=True, **four_bits),
        quantised.QuantIdentity(act_quant=Int8ActPerTensorFloat),
    )
    for image in images(8):
        layers(torch.tensor(image[None]))
    layers.eval()
    check(from_torch(layers, EXAMPLE), layers)


def test_a_program_that_is_not_quantised_is_refused_with_what_to_do() -> None:
    with pytest.raises(htvm.CompileError, match="net: no operator of the program is quantised; quantise it first"):
        from_torch(torch.nn.Sequential(torch.nn.Linear(4, 4)), (torch.zeros(1, 4),), name="net")


def test_what_pytorch_does_not_export_is_refused_with_its_reason() -> None:
    class Branch(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(htvm.CompileError, match="network: PyTorch does not export the program to ONNX: "):
        from_torch(Branch(), (torch.zeros(1, 4),))


def test_triton_is_loaded_before_mlir_or_refused_with_a_message() -> None:
    """PyTorch for CUDA brings Triton; the other order crashes the process."""
    pytest.importorskip("triton")
    late = "from htvm.dialects import context; import htvm.integrations.pytorch"
    done = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "ImportError: MLIR is loaded, and Triton, which PyTorch for CUDA needs, cannot be loaded after it"
        in done.stderr
    )
