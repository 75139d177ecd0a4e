"""Outputs that nothing quantises: accumulators with what they mean, or the nearest numbers of a fixed point."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from judging import check_exact, refusal
from machine import machine

import htvm
from htvm.import_onnx import ModelWarning

Graph = Callable[..., onnx.ModelProto]

pytestmark = pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")

WEIGHTS = "int8[3,4] w = {5, -6, 7, 8, 127, -127, 3, 1, 0, 2, -90, 4}, int8 zero = {0}"
PER_CHANNEL = f"{WEIGHTS}, float[3] ws = {{0.013, 0.0171, 0.002}}, int8[3] wz = {{0, 0, 0}}"
PER_TENSOR = f"{WEIGHTS}, float ws = {{0.013}}, int8 wz = {{0}}"
BIAS = "float[3] b = {0.3, -1.7, 12.1}"


def network(graph: Graph, nodes: str, constants: str, shape: str = "1,3", x: str = "1,4") -> onnx.ModelProto:
    """Return a network of a quantised input a and an output y that nothing quantises."""
    return graph(
        f"""g (float[{x}] x) => (float[{shape}] y) <float s = {{0.037}}, int8 z = {{3}}, {constants}> {{
          q = QuantizeLinear(x, s, z)
          a = DequantizeLinear(q, s, z)
          {nodes}
        }}""",
        17,
    )


DENSE = "v = DequantizeLinear<axis = 0>(w, ws, wz)"


@pytest.mark.parametrize(
    ("nodes", "constants", "shape", "channels"),
    [
        (f"{DENSE} y = Gemm<transB = 1>(a, v, b)", f"{PER_CHANNEL}, {BIAS}", "1,3", 3),
        (f"{DENSE} y = Gemm<transB = 1>(a, v, b)", f"{PER_TENSOR}, {BIAS}", "1,3", 3),
        (f"{DENSE} y = Gemm<transB = 1>(a, v)", PER_CHANNEL, "1,3", 3),
        (f"{DENSE} y = Gemm<transB = 1>(a, v)", PER_TENSOR, "1,3", 1),
        (f"{DENSE} t = Transpose(v) m = MatMul(a, t) y = Add(m, b)", f"{PER_CHANNEL}, {BIAS}", "1,3", 3),
        (f"{DENSE} t = Gemm<transB = 1>(a, v, b) y = Reshape(t, to)",
         f"{PER_CHANNEL}, {BIAS}, int64[3] to = {{3, 1, 1}}", "3,1,1", 3),
        (f"{DENSE} t = Gemm<transB = 1>(a, v) y = Concat<axis = 1>(t, t)", PER_CHANNEL, "1,6", 6),
    ],
    ids=["gemm", "one-scale", "no-bias", "one-scale-no-bias", "matmul-add", "reshape", "concat"],
)  # fmt: skip
def test_logits_are_accumulators(graph: Graph, nodes: str, constants: str, shape: str, channels: int) -> None:
    model = network(graph, nodes, constants, shape)
    facts = check_exact(model, count=3)["y"]
    assert "accel.nearest" not in facts
    assert (len(facts["accel.scales"]) if "accel.scales" in facts else 1) == channels


def test_convolution_has_scales_along_its_channels_wherever_they_go(graph: Graph) -> None:
    constants = f"{PER_CHANNEL}, {BIAS}, int64[4] to = {{3, 4, 1, 1}}"
    conv = "v = DequantizeLinear<axis = 0>(w, ws, wz) k = Reshape(v, to) c = Conv(a, k, b)"
    for after, shape, axis, stride in (
        ("y = Identity(c)", "1,3,2,2", 1, 3),
        ("y = Transpose<perm = [0, 2, 3, 1]>(c)", "1,2,2,3", 3, 3),
        ("y = Flatten(c)", "1,12", 1, 12),
    ):
        model = network(graph, f"{conv} {after}", constants, shape, "1,4,2,2")
        facts = check_exact(model)["y"]
        assert (facts["accel.axis"].value, len(facts["accel.scales"])) == (axis, stride)


def test_bias_of_the_accumulators_unit_is_in_them(graph: Graph) -> None:
    constants = f"{WEIGHTS}, float ws = {{0.5}}, int8 wz = {{0}}, float[3] b = {{2.0, -1.5, 0.25}}"
    model = network(graph, f"{DENSE} y = Gemm<transB = 1>(a, v, b)", constants.replace("0.037", "0.5"))
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.float32(0.5), "s"))
    facts = check_exact(model)["y"]
    assert (facts["accel.scale"].value, facts["accel.zero_point"].value) == (0.25, 0)


@pytest.mark.parametrize(
    ("node", "scale"),
    [
        ("Softmax<axis = 1>(a)", 2.0**-15),
        ("Sigmoid(a)", 2.0**-16),
        ("Tanh(a)", 2.0**-15),
        ("LeakyRelu<alpha = 0.1>(a)", 2.0**-12),
        ("GlobalAveragePool(a)", 2.0**-12),
    ],
)
def test_others_are_the_nearest_of_a_fixed_point(graph: Graph, node: str, scale: float) -> None:
    shape = "1,4,7,1"
    model = network(graph, f"y = {node}", "float one = {1}", "1,4,1,1" if "Pool" in node else shape, shape)
    facts = check_exact(model)["y"]
    assert "accel.nearest" in facts
    assert facts["accel.scale"].value == scale


def test_function_of_accumulators_has_as_many_steps_as_it_may(graph: Graph) -> None:
    model = network(graph, f"{DENSE} t = Gemm<transB = 1>(a, v, b) y = Sigmoid(t)", f"{PER_CHANNEL}, {BIAS}")
    assert check_exact(model)["y"]["accel.scale"].value == 2.0**-12


def test_code_gives_the_nearest_and_says_so(graph: Graph) -> None:
    compiled = htvm.compile(network(graph, "y = Softmax<axis = 1>(a)", "float one = {1}", "1,4"))
    (output,) = compiled.project.outputs
    assert (output.nearest, output.storage, output.scale) == (True, np.uint16, 2.0**-15)
    assert "Nothing quantises it in ONNX" in compiled.project.files["g.h"]
    assert htvm.verify(compiled).exact


def test_note_says_what_stands_for_an_output(graph: Graph) -> None:
    model = network(graph, "y = Softmax<axis = 1>(a)", "float one = {1}", "1,4")
    with pytest.warns(ModelWarning, match=r"output 'y': nothing quantises it; .* nearest multiples of 2\^-15"):
        htvm.compile(model)


def test_output_that_is_not_finite_is_refused(graph: Graph) -> None:
    model = network(graph, "y = Log(a)", "float one = {1}", "1,4")
    assert "node 'Log:y': has results that are not finite (of log of 0" in refusal(model)


DRIVER = """\
#include "g.h"
#include "g_float.h"
#include <stdio.h>

int main(void)
{
    static int32_t y[G_Y_ELEMENTS];
    float to[G_Y_ELEMENTS];

    while (fread(y, sizeof y, 1, stdin) == 1) {
        g_y_to_float(y, to);
        fwrite(to, sizeof to, 1, stdout);
    }
    return 0;
}
"""


@pytest.mark.parametrize("compiler", machine().native)
@pytest.mark.parametrize("constants", [f"{PER_CHANNEL}, {BIAS}", f"{PER_TENSOR}, float[3] b = {{0, 0, 0}}"])
def test_float_header_gives_the_nearest_floats(graph: Graph, constants: str, compiler: str, tmp_path: Path) -> None:
    compiled = htvm.compile(network(graph, f"{DENSE} y = Gemm<transB = 1>(a, v, b)", constants))
    for name, text in compiled.project.files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "driver.c").write_text(DRIVER)
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-std=c99", *machine().sanitizers(compiler)]
    subprocess.run([compiler, *warnings, "driver.c", "-o", "driver"], cwd=tmp_path, check=True)
    random, (port,) = np.random.default_rng(0), compiled.project.outputs
    sizes = 2.0 ** random.uniform(0, 31, (300, 3))
    integers = (sizes * random.choice([-1, 1], sizes.shape)).astype(np.int64).clip(-(2**31), 2**31 - 1).astype("<i4")
    integers[:2] = [[-(2**31), 2**31 - 1, 0], [0, -1, -(2**31)]]
    done = subprocess.run([tmp_path / "driver"], input=integers.tobytes(), capture_output=True, check=True)
    wanted = np.stack([port.values(row.tobytes()) for row in integers])
    np.testing.assert_array_equal(np.frombuffer(done.stdout, "<f4").reshape(-1, 3), wanted.reshape(-1, 3))
