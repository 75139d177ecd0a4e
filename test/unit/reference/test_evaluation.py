"""The reference against the golden outputs of every model, and what it says of graphs it cannot evaluate."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from htvm.dialects.semantics.real import Real
from htvm.reference import UnsupportedOperators, evaluate, tensor_names

MODELS = Path(__file__).parents[2] / "inputs" / "models"
SHARED_GOLDENS = {"ds_cnn_matmul": "ds_cnn"}
"""Models that are another model written differently."""


def goldens() -> list[tuple[Path, Path]]:
    found = []
    for model in sorted(MODELS.glob("*/*.onnx")):
        stem = SHARED_GOLDENS.get(model.stem, model.stem)
        found += [(model, golden) for golden in sorted(model.parent.glob(f"golden/{stem}_[0-9].npz"))]
    return found


def is_quick(model: Path, golden: Path) -> bool:
    """Say whether a golden is of a model of one layer, or the first of a network."""
    return model.parent.name == "layers" or golden.stem.endswith("_0")


def test_every_model_has_goldens():
    models = {model for model, _ in goldens()}
    assert models == set(MODELS.glob("*/*.onnx"))
    assert {model.parent.name for model in models} >= {"mlperf_tiny", "integer", "layers"}


@pytest.mark.parametrize(
    ("model", "golden"),
    [
        pytest.param(*case, id=f"{case[0].stem}-{case[1].stem}", marks=() if is_quick(*case) else pytest.mark.slow)
        for case in goldens()
    ],
)
def test_outputs_equal_the_golden(model, golden):
    graph, stored = onnx.load(model), np.load(golden)
    results = evaluate(graph, {value.name: stored[value.name] for value in graph.graph.input})
    assert list(results) == [output.name for output in graph.graph.output]
    for name, result in results.items():
        assert result.dtype == stored[name].dtype
        np.testing.assert_array_equal(result, stored[f"{name}.exact" if f"{name}.exact" in stored else name])


def graph_of(
    nodes: list[onnx.NodeProto],
    *,
    opset: int = 13,
    inputs: dict[str, list[int]] | None = None,
    constants: dict[str, object] | None = None,
    rank: int = 2,
) -> onnx.ModelProto:
    """Return a float graph whose output is `y`."""
    stated = {"x": [1, 4]} if inputs is None else inputs
    initializers = [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in (constants or {}).items()]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in stated.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def run(op_type: str, x: np.ndarray, *operands: object, opset: int = 13, **attributes: object) -> np.ndarray:
    """Evaluate one node on x and constant operands."""
    constants = {f"c{place}": operand for place, operand in enumerate(operands)}
    node = helper.make_node(op_type, ["x", *constants], ["y"], name="it", **attributes)
    x = np.asarray(x, np.float32)
    model = graph_of([node], opset=opset, inputs={"x": list(x.shape)}, constants=constants)
    return evaluate(model, {"x": x})["y"]


ROW = np.array([[-1.5, -0.5, 0.5, 2.5]])
ONES = np.ones((1, 4), np.float32)
RAMP = np.arange(5.0).reshape(1, 1, 5)


@pytest.mark.parametrize(
    ("result", "want"),
    [
        (run("Clip", ROW, np.float32(-1), np.float32(2)), [[-1, -0.5, 0.5, 2]]),
        (run("Clip", ROW, opset=10, min=-1.0, max=2.0), [[-1, -0.5, 0.5, 2]]),
        (run("Max", ROW, np.array([0], np.float32)), [[0, 0, 0.5, 2.5]]),
        (run("Min", ROW, np.array([0], np.float32)), [[-1.5, -0.5, 0, 0]]),
        (run("Floor", ROW), [[-2, -1, 0, 2]]),
        (run("Sub", ROW, np.float32(0.5)), [[-2, -1, 0, 2]]),
        (run("Div", ROW, np.float32(-0.5)), [[3, 1, -1, -5]]),
        (run("ReduceSum", ROW, np.array([1])), [[1]]),
        (run("ReduceMean", ROW, axes=[-1], keepdims=1), [[0.25]]),
        (run("ReduceMean", ROW, np.array([1]), opset=18), [[0.25]]),
        (run("Pad", ROW, np.array([0, 1, 0, 0]), np.float32(7)), [[7, -1.5, -0.5, 0.5, 2.5]]),
        (run("Pad", ROW, opset=10, pads=[0, 1, 0, 0], value=7.0), [[7, -1.5, -0.5, 0.5, 2.5]]),
        (run("Slice", ROW, np.array([1]), np.array([4]), np.array([1]), np.array([2])), [[-0.5, 2.5]]),
        (run("Slice", ROW, opset=9, starts=[1], ends=[-1], axes=[1]), [[-0.5, 0.5]]),
        (run("Reshape", ROW, np.array([-1, 2])), [[-1.5, -0.5], [0.5, 2.5]]),
        (run("Reshape", ROW, np.array([0, -1])), ROW),
        (run("Transpose", ROW), ROW.T),
        (run("Unsqueeze", ROW, np.array([-1])), ROW[..., np.newaxis]),
        (run("Squeeze", ROW, np.array([0])), ROW[0]),
        (run("Gemm", ROW, ONES, np.float32(3), transB=1, alpha=2.0, beta=0.5), [[3.5]]),
        (run("Softmax", ROW * 0), [[0.25] * 4]),
        (run("Softmax", np.zeros((1, 2, 4)), opset=11), [[[0.125] * 4] * 2]),
        (run("MaxPool", RAMP, kernel_shape=[2], auto_pad="SAME_UPPER"), [[[1, 2, 3, 4, 4]]]),
        (run("MaxPool", RAMP, kernel_shape=[2], auto_pad="SAME_LOWER"), [[[0, 1, 2, 3, 4]]]),
        (run("GlobalMaxPool", ROW.reshape(1, 1, 2, 2)), [[[[2.5]]]]),
    ],
)  # fmt: skip
def test_operators_follow_their_opset(result, want):
    np.testing.assert_array_equal(result, np.asarray(want, np.float32))


def test_cast_goes_towards_zero():
    nodes = [
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT8),
        helper.make_node("Cast", ["whole"], ["y"], to=TensorProto.FLOAT),
    ]
    results = evaluate(graph_of(nodes), {"x": ROW.astype(np.float32)}, keep=["whole"])
    assert results["whole"].dtype == np.int8
    assert results["y"].tolist() == [[-1, 0, 0, 2]]


def test_weights_computed_from_constants_are_constants():
    nodes = [
        helper.make_node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(np.eye(4, dtype=np.int8))),
        helper.make_node("Cast", ["w"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "f"], ["y"]),
    ]
    assert (evaluate(graph_of(nodes), {"x": ROW.astype(np.float32)})["y"] == ROW).all()


def test_nothing_is_rounded_between_nodes():
    # In float32, (1 + 2^-30) - 1 is 0.
    nodes = [helper.make_node("Add", ["x", "c"], ["sum"]), helper.make_node("Sub", ["sum", "c"], ["y"])]
    x = np.full((1, 4), 2.0**-30, np.float32)
    results = evaluate(graph_of(nodes, constants={"c": np.float32(1)}), {"x": x}, keep=["sum"])
    assert (results["y"] == x).all()
    assert isinstance(results["sum"], Real)


def test_kept_tensors_come_with_the_outputs():
    model = onnx.load(MODELS / "layers" / "conv3x3_s1.onnx")
    golden = np.load(MODELS / "layers" / "golden" / "conv3x3_s1_0.npz")
    results = evaluate(model, {"input": golden["input"]}, keep=tensor_names(model))
    assert set(results) == set(tensor_names(model))
    assert {type(value) for value in results.values()} == {np.ndarray, Real}


def test_samples_on_axis_0_are_evaluated_one_by_one():
    model = onnx.load(MODELS / "mlperf_tiny" / "ds_cnn_matmul.onnx")
    stored = [np.load(MODELS / "mlperf_tiny" / "golden" / f"ds_cnn_{i}.npz") for i in range(3)]
    results = evaluate(model, {"input": np.concatenate([golden["input"] for golden in stored])})
    assert (results["output"] == np.concatenate([golden["output.exact"] for golden in stored])).all()


def test_all_unknown_operators_are_named():
    nodes = [
        helper.make_node("Det", ["x"], ["a"], name="det_1"),
        helper.make_node("Det", ["a"], ["b"], name="det_2"),
        helper.make_node("FusedConv", ["b"], ["y"], name="conv", domain="com.microsoft"),
    ]
    with pytest.raises(UnsupportedOperators) as caught:
        evaluate(graph_of(nodes), {"x": ROW.astype(np.float32)})
    assert str(caught.value) == ("no reference for Det (node 'det_1', 'det_2'); com.microsoft.FusedConv (node 'conv')")


def test_an_unsupported_attribute_is_named_with_its_node():
    with pytest.raises(ValueError, match=r"node 'it' \(Shrink-13\): attribute 'bias' is 1.0, expected 0.0"):
        run("Shrink", np.zeros((1, 1, 5)), bias=1.0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"z": ROW}, "input 'x' is missing; given: z"),
        ({"x": ROW}, "input 'x' has type float64, expected float32"),
        ({"x": np.zeros((1, 5), np.float32)}, r"input 'x' has shape \[1, 5\], expected \[1, 4\]"),
        ({"x": np.zeros(4, np.float32)}, r"input 'x' has shape \[4\], expected \[1, 4\]"),
    ],
)
def test_inputs_must_be_those_of_the_graph(inputs, message):
    with pytest.raises(ValueError, match=message):
        evaluate(graph_of([helper.make_node("Relu", ["x"], ["y"])]), inputs)
