"""Quotients of two computed values: exact where no divisor is 0 and a table of all pairs is small, else refused."""

import onnx
import pytest
from judging import check_exact, refusal

NETWORK = """
    g (float[1,6] x, float[1,6] w) => (float[1,6] y)
    <float s = {0.05}, int8 z = {3}, float t = {0.02}, uint8 above = {%d}, float one = {1.0}, float ten = {10.0}> {
      xq = QuantizeLinear(x, s, z)
      a = DequantizeLinear(xq, s, z)
      wq = QuantizeLinear(w, s, above)
      b = DequantizeLinear(wq, s, above)
      %s
      yq = QuantizeLinear(r, t, z)
      y = DequantizeLinear(yq, t, z)
    }"""


def network(graph, nodes: str, zero_point: int = 100) -> onnx.ModelProto:
    return graph(NETWORK % (zero_point, nodes), 17)


@pytest.mark.parametrize("nodes", ["c = Clip(b, one, ten) r = Div(a, c)", "c = Abs(a) d = Add(c, one) r = Div(a, d)"])
def test_by_what_is_never_0_is_exact(graph, nodes: str) -> None:
    check_exact(network(graph, nodes))


@pytest.mark.parametrize("nodes", ["r = Div(a, b)", "r = Div(a, a)", "c = Neg(b) r = Div(a, c)"])
def test_by_what_can_be_0_is_refused_for_that_reason(graph, nodes: str) -> None:
    said = refusal(network(graph, nodes))
    assert "node 'Div:r': divides by a value that can be 0; Clip, or Max with a positive number, keeps it" in said
