"""RequantShift in both meanings: quantlib's rounds down, Deeploy's networks add half of div first."""

import numpy as np
import onnx
import pytest
from judging import check_exact
from onnx import TensorProto, helper, numpy_helper

import htvm
from htvm.import_onnx import ModelWarning, with_shapes

RANDOM = np.random.default_rng(0)


def requant(x: str, y: str, channels: int, levels: float, signed: float, **more: object) -> onnx.NodeProto:
    """Return a node as Deeploy's networks have it: numbers as lists of floats, factors and terms per channel."""
    facts = {"div": [1024.0], "n_levels_out": [levels], "signed": [signed], **more}
    return helper.make_node("RequantShift", [x, f"mul{channels}", f"add{channels}"], [y], f"rqs_{y}", **facts)


def network(nodes: list[onnx.NodeProto], shape: list[int], out: list[int], **constants: np.ndarray) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", out)))
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], held), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )


def like_deeploy() -> onnx.ModelProto:
    """Return convolutions, a residual sum and a classifier on float tensors that hold integers."""

    def integers(*shape: int) -> np.ndarray:
        return RANDOM.integers(-40, 40, shape).astype(np.float32)

    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4),
        requant("c1", "r1", 4, 256.0, 0.0),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        requant("c2", "r2", 4, 256.0, 0.0),
        helper.make_node("Add", ["r1", "r2"], ["s"], "add"),
        requant("s", "r3", 1, 256.0, 1.0),
        helper.make_node("MaxPool", ["r3"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["l"], "gemm", transB=1),
        requant("l", "y", 1, 256.0, 1.0),
    ]
    factors = {f"mul{n}": RANDOM.integers(5, 60, (n, 1, 1) if n > 1 else (1,)).astype(np.float32) for n in (1, 4)}
    terms = {f"add{n}": RANDOM.integers(-900, 900, (n, 1, 1) if n > 1 else (1,)).astype(np.float32) for n in (1, 4)}
    weights = {"w1": integers(4, 3, 3, 3), "w2": integers(4, 4, 3, 3), "w3": integers(10, 16), "b3": integers(10)}
    return network(nodes, [1, 3, 4, 4], [1, 10], **factors, **terms, **weights)


@pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")
@pytest.mark.parametrize("rounding", ["floor", "half"])
def test_network_in_either_meaning(rounding: str) -> None:
    check_exact(with_shapes(like_deeploy(), {}, "g", rounding), count=3)


def code_of(option: str, **attributes: int) -> np.ndarray:
    """Return what the code of 3 x / 16 computes for x = -3 .. 4."""
    node = helper.make_node(
        "RequantShift", ["x"], ["y"], "r", mul=3, add=0, div=16, n_levels=256, signed=1, **attributes
    )
    model = network([node], [1, 8], [1, 8])
    compiled = htvm.compile(model, input_types={"x": "i8"}, requant_shift=option)
    x = np.arange(-3, 5, dtype=np.float32).reshape(1, 8)
    assert htvm.verify(compiled, inputs={"x": x}).exact
    return compiled.run({"x": x}).outputs["y"].reshape(-1)


@pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")
def test_half_is_added_before_rounding_down() -> None:
    numbers = 3 * np.arange(-3, 5)
    np.testing.assert_array_equal(code_of("floor"), numbers >> 4)
    np.testing.assert_array_equal(code_of("half"), (numbers + 8) >> 4)


def test_note_says_which_is_taken_and_which_else_there_is() -> None:
    model = like_deeploy()
    with pytest.warns(ModelWarning) as found:
        htvm.compile(model, input_types={"x": "u8"})
    assert [str(each.message) for each in found] == [
        "g: node 'rqs_r1' and 3 more: RequantShift is taken to round down, as quantlib means it; networks of Deeploy "
        "add half of div first: --requant-shift half"
    ]


def test_node_that_says_how_it_rounds_needs_no_note(recwarn: pytest.WarningsRecorder) -> None:
    np.testing.assert_array_equal(code_of("floor", rounding=1), (3 * np.arange(-3, 5) + 8) >> 4)
    assert not recwarn.list
