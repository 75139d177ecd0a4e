"""Integers that index a constant table: embeddings."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from judging import check_exact, refusal

import htvm
from htvm.interface import InputError

TABLE = """int8[5,3] t = {1, -2, 3, 4, 5, -6, 7, 8, 9, -10, 11, 12, 127, -128, 0}, float s = {0.05}, int8 z = {3},
  float u = {0.4}, int8 v = {-3}"""

Graph = Callable[..., onnx.ModelProto]


def network(graph: Graph, x: str, nodes: str, out: str, table: str = TABLE) -> onnx.ModelProto:
    return graph(f"g ({x} x) => (float[{out}] y) <{table}> {{ {nodes} }}", 17)


@pytest.mark.parametrize(
    ("x", "nodes", "out"),
    [
        ("int64[1,4]", "d = DequantizeLinear(t, s, z) y = Gather(d, x)", "1,4,3"),
        ("int32[2]", "c = Cast<to = 7>(x) d = DequantizeLinear(t, s, z) g = Gather(d, c) y = Relu(g)", "2,3"),
        ("int64[2]", "d = DequantizeLinear(t, s, z) y = Gather<axis = 1>(d, x)", "5,2"),
        ("int64", "d = DequantizeLinear(t, s, z) y = Gather(d, x)", "3"),
        ("uint8[2]", "c = Cast<to = 6>(x) b = Clip(c, o, f) d = DequantizeLinear(t, s, z) y = Gather(d, b)", "2,3"),
    ],
    ids=["first-axis", "cast", "other-axis", "scalar", "computed"],
)  # fmt: skip
def test_entries_of_a_quantised_table(graph: Graph, x: str, nodes: str, out: str) -> None:
    check_exact(network(graph, x, nodes, out, f"{TABLE}, int32 o = {{0}}, int32 f = {{4}}"), count=3)


def test_code_takes_tokens_of_int64(graph: Graph) -> None:
    nodes = """d = Gather(t, x) g = DequantizeLinear(d, s, z) r = Neg(g)
      q = QuantizeLinear(r, u, v) y = DequantizeLinear(q, u, v)"""
    compiled = htvm.compile(network(graph, "int64[1,4]", nodes, "1,4,3"))
    (port,) = compiled.project.inputs
    assert (port.dtype, port.storage, port.range) == (np.int64, np.uint8, (0, 4))
    assert htvm.verify(compiled, inputs={"x": np.array([[4, 0, 3, 1]])}).exact
    with pytest.raises(InputError, match="input 'x' holds 5, expected 0 to 4"):
        compiled.run({"x": np.array([[4, 0, 5, 1]])})


@pytest.mark.parametrize(
    ("x", "nodes", "message"),
    [
        (
            "uint8[2]",
            "c = Cast<to = 7>(x) d = DequantizeLinear(t, s, z) y = Gather(d, c)",
            "indices ('c') reach from 0 to 255, axis 0 of the table has 5; Clip them to 0..4 before it",
        ),
        (
            "int64[2]",
            "y = Gather(f, x)",
            "table ('f') holds real numbers, expected integers, or DequantizeLinear of integers: the model is",
        ),
        (
            "int64[2]",
            "d = DequantizeLinear<axis = 0>(t, w, p) y = Gather(d, x)",
            "table ('t') has 5 scales, expected one: quantise it per tensor",
        ),
    ],
)
def test_what_is_no_table_is_refused(graph: Graph, x: str, nodes: str, message: str) -> None:
    more = "float[5,3] f = {0.5,1,1,1,1,1,1,1,1,1,1,1,1,1,1}, float[5] w = {1,2,3,4,5}, int8[5] p = {0,0,0,0,0}"
    assert f"node 'Gather:y' (Gather-13): {message}" in refusal(network(graph, x, nodes, "2,3", f"{TABLE}, {more}"))
