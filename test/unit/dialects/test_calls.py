"""Functions of other dialects: what they compute, what they need, how they are refused."""

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.dialects import calls
from htvm.dialects.calls.lowering import Allocation, offsets

DOUBLED = """
#same = affine_map<(d0) -> (d0)>
func.func private @doubled(%x: tensor<4xi16>) -> tensor<4xi16> {
  %empty = tensor.empty() : tensor<4xi16>
  %y = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]}
      ins(%x : tensor<4xi16>) outs(%empty : tensor<4xi16>) {
  ^bb0(%a: i16, %b: i16):
    %sum = arith.addi %a, %a : i16
    linalg.yield %sum : i16
  } -> tensor<4xi16>
  return %y : tensor<4xi16>
}
"""


def function(text: str):
    module = ir.Module.parse(text, dialects.context())
    return module, module.body.operations[0]


def test_a_function_of_linalg_means_the_same_before_and_after_it_is_lowered() -> None:
    module, doubled = function(DOUBLED)
    numbers = np.array([1, -2, 16384, -16385])
    wanted = [2, -4, -32768, 32766]
    assert calls.execute(doubled, [numbers]).tolist() == wanted
    lowered = calls.lower(doubled)
    assert calls.is_lowered(lowered) and calls.scratch_bytes(lowered) == 0
    assert calls.execute(lowered, [numbers]).tolist() == wanted
    assert calls.c_source(lowered, "twice").startswith("static void twice(int16_t v1[4], int16_t v2[4]) {")
    del module


@pytest.mark.parametrize("number, wanted", [(0, 32), (1, 31), (-1, 0), ((1 << 31) - 1, 1), (1 << 30, 1), (255, 24)])
def test_leading_zeros(number: int, wanted: int) -> None:
    text = "func.func private @f(%x: tensor<1xi32>) -> tensor<1xi32> {\n"
    text += "%y = tosa.clz %x : (tensor<1xi32>) -> tensor<1xi32>\n return %y : tensor<1xi32>\n}"
    module, clz = function(text)
    assert calls.execute(clz, [np.array([number])]).tolist() == [wanted]
    del module


def test_what_is_not_lowered_is_refused() -> None:
    text = "func.func private @f(%x: tensor<4xi32>) -> tensor<4xi32> {\n"
    text += '%y = tosa.custom %x {operator_name = "own", domain_name = "d", implementation_attrs = ""} : '
    text += "(tensor<4xi32>) -> tensor<4xi32>\n return %y : tensor<4xi32>\n}"
    module, custom = function(text)
    with pytest.raises(calls.NotLowered, match="leave tosa.custom|refuse it"):
        calls.lower(custom)
    del module


def test_intermediate_results_share_memory_as_their_lifetimes_allow() -> None:
    """At most half more than the bytes that are alive at once, for random lifetimes."""
    random = np.random.default_rng(0)
    for _ in range(200):
        count = int(random.integers(1, 20))
        firsts = random.integers(0, 20, count)
        made = [
            Allocation(None, int(size), int(first), int(first + length))
            for size, first, length in zip(random.integers(1, 400, count), firsts, random.integers(0, 6, count))
        ]
        found = offsets(made)
        for a, at in zip(made, found):
            for b, other in zip(made, found):
                if a is not b and a.first <= b.last and b.first <= a.last:
                    assert at + a.size_bytes <= other or other + b.size_bytes <= at
        alive = max(sum(each.size_bytes + 7 for each in made if each.first <= t <= each.last) for t in range(30))
        assert max(at + each.size_bytes for at, each in zip(found, made)) <= 1.5 * alive


def test_operations_of_a_function_are_counted_in_its_loops() -> None:
    module, doubled = function(DOUBLED)
    on_tensors = calls.operations(doubled)
    assert on_tensors == 4 * 8 + 4, "the operation on tensors, and the sum of each element"
    lowered = calls.lower(doubled)
    assert calls.operations(lowered) == 1 + 4 * 3, "the loop; load, sum and store of each element"
    del module
