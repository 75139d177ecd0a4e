"""Tensors of rank 0, 1 and 6: compiled exactly, or refused with a reason; never an abort."""

import collections

import pytest
import ranks

import htvm

CASES = dict(ranks.cases())
EXACT = ["Relu 0 stored", "Sigmoid 0 float", "Max 0 stored", "Add 0 stored 0 stored", "Mul 0 stored 6 stored",
         "Add 1 stored 0 stored", "MatMul 1 stored 1 weights", "Relu 6 float", "Transpose 6 stored",
         "Concat 1 stored 1 constant", "Concat 6 constant 6 stored"]  # fmt: skip


@pytest.mark.parametrize("rank", [0, 1, 6])
def test_each_operator_alone_is_compiled_or_refused(rank: int) -> None:
    found = collections.Counter(ranks.ending(CASES[f"{name} {rank} stored"]) for name in ranks.ALONE)
    assert set(found) == {"compiled", "refused"}
    assert found["compiled"] > 10


def test_operators_of_scalars_are_compiled_or_refused() -> None:
    names = [name for name in CASES if name.split()[1:] == ["0", "stored", "0", "weights"]]
    assert len(names) == len(ranks.TOGETHER)
    assert {ranks.ending(CASES[name]) for name in names} == {"compiled", "refused"}


@pytest.mark.parametrize("name", EXACT)
def test_what_is_compiled_is_exact(name: str) -> None:
    assert htvm.verify(CASES[name]()).exact


def test_a_divisor_that_can_be_0_is_refused() -> None:
    assert {ranks.ending(CASES[f"Div {rank} stored {rank} float"]) for rank in (0, 1, 6)} == {"refused"}
