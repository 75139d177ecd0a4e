"""Functions of other dialects: what they compute, what they need, how they are refused."""

from pathlib import Path

import numpy as np
import pytest
from mlir import ir
from mlir.dialects import func
from tosa.cases import inputs
from tosa.every_case import CASES
from tosa.networks import NETWORKS, network

from htvm import dialects
from htvm.dialects import accel, calls
from htvm.dialects.calls.lowering import Allocation, at_top, offsets
from htvm.sources import source_of

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
            Allocation(None, int(size), 1, int(first), int(first + length))
            for size, first, length in zip(random.integers(1, 400, count), firsts, random.integers(0, 6, count))
        ]
        found = offsets(made)
        for a, at in zip(made, found):
            for b, other in zip(made, found):
                if a is not b and a.first <= b.last and b.first <= a.last:
                    assert at + a.size_bytes <= other or other + b.size_bytes <= at
        alive = max(sum(each.size_bytes for each in made if each.first <= t <= each.last) for t in range(30))
        assert max(at + each.size_bytes for at, each in zip(found, made)) <= 1.5 * alive


def alive_bytes(lowered: func.FuncOp) -> int:
    """Return the bytes of intermediate results that are needed at once, by the loops that touch each argument."""
    top = {op.operation: place for place, op in enumerate(lowered.body.blocks[0])}
    spans = []
    for argument, facts in zip(lowered.arguments, calls.parameters(lowered)):
        if facts.offset is not None:
            places = [top[at_top(use.owner.operation, top)] for use in argument.uses]
            spans.append((min(places), max(places), facts.size * facts.width // 8))
    return max((sum(size for a, b, size in spans if a <= t <= b) for t in range(len(top))), default=0)


@pytest.mark.parametrize("network_name", ["cases", *NETWORKS])
def test_scratch_memory_is_at_most_half_more_than_what_is_needed_at_once(network_name: str, tmp_path: Path) -> None:
    f = network(network_name) if network_name in NETWORKS else inputs()
    if network_name == "cases":
        for make in CASES.values():
            f.result(make(f))
    (tmp_path / "net.mlir").write_text(f.text())
    module = source_of(tmp_path / "net.mlir")._entry()
    with module.context:
        for function in [op for op in module.body if accel.is_private(op)]:
            lowered = calls.lower(function)
            assert calls.scratch_bytes(lowered) <= 1.5 * alive_bytes(lowered), function.name.value


def test_operations_of_a_function_are_counted_in_its_loops() -> None:
    module, doubled = function(DOUBLED)
    on_tensors = calls.operations(doubled)
    assert on_tensors == 4 * 8 + 4, "the operation on tensors, and the sum of each element"
    lowered = calls.lower(doubled)
    assert calls.operations(lowered) == 1 + 4 * 3, "the loop; load, sum and store of each element"
    del module
