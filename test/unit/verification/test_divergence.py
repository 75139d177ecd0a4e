"""The first wrong value: node, element, both values, and the accumulator behind them."""

import planted
import pytest

import htvm
from htvm.accumulators import Accumulator
from htvm.divergence import Divergence


def diverging(small: tuple) -> Divergence:
    model, inputs = small
    found = htvm.verify(model, inputs=inputs)
    assert not found.exact
    return found.diverging


def test_nothing_diverges_without_a_bug(small: tuple) -> None:
    model, inputs = small
    found = htvm.verify(model, inputs=inputs)
    assert found.exact and found.diverging is None


def test_wrong_shift_of_the_generated_code(small: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.wrong_shift(monkeypatch)
    found = diverging(small)
    assert (found.node, found.tensor, found.step, found.engine) == ("add0", "add0_q", 1, "host")
    assert len(found.index) == 4 and found.found != found.wanted
    assert found.behind.result == found.wanted and len(found.behind.operands) == 2
    assert str(found).endswith(f"stage 'integer' makes {found.wanted} of it, as expected: the generated code is wrong")


def test_off_by_one_has_the_sum_and_the_sums_that_would_give_what_was_found(
    small: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted.off_by_one(monkeypatch)
    found = diverging(small)
    assert (found.node, found.behind.result) == ("conv3", found.wanted)
    first, last = found.behind.giving_found
    assert first <= last and not first <= found.behind.value <= last
    assert f"the accumulator is {found.behind.value:,}; " in str(found)
    assert f"{found.found} is what accumulators {first:,} to {last:,} give" in str(found)


def test_wrong_constants_are_told_from_wrong_code(small: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.wrong_constants(monkeypatch)
    found = diverging(small)
    assert found.node == "add0" and found.behind.result == found.found != found.wanted
    assert "its constants or passes before are wrong" in str(found)


def test_what_is_neither_is_said() -> None:
    assert Accumulator(3, 17).said(4, 5) == "the accumulator is 17; stage 'integer' makes 3 of it, which is neither"
