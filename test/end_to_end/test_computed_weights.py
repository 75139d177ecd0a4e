"""Convolutions whose weights are an input of the network: the host puts them in its order when it runs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import htvm


def model(outputs: int) -> onnx.ModelProto:
    """Return a convolution of integers in float32 tensors with 3 channels and `outputs` output channels."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["sum"], name="conv", pads=[1, 0, 1, 2], strides=[1, 2]),
        helper.make_node("Div", ["sum", "divisor"], ["scaled"]),
        helper.make_node("Floor", ["scaled"], ["whole"]),
        helper.make_node("Clip", ["whole", "low", "high"], ["y"]),
    ]
    constants = {"divisor": [128.0], "low": -128.0, "high": 127.0}
    graph = helper.make_graph(
        nodes,
        "computed_weights",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
         for name, shape in (("x", [1, 3, 6, 7]), ("w", [outputs, 3, 3, 2]))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, outputs, 6, 4])],
        [onnx.numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("outputs", (1, 4, 7))
@pytest.mark.parametrize("weights", ("i8", "i16"))
def test_weights_of_any_number_of_outputs_are_exact(outputs: int, weights: str) -> None:
    compiled = htvm.compile(model(outputs), input_types={"x": "i8", "w": weights})
    generator = np.random.default_rng(outputs)
    limit = 128 if weights == "i8" else 300
    given = {
        "x": generator.integers(-128, 128, (1, 3, 6, 7)).astype(np.float32),
        "w": generator.integers(-limit, limit, (outputs, 3, 3, 2)).astype(np.float32),
    }
    assert htvm.verify(compiled, inputs=given).exact
