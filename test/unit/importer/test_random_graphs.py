"""Random quantised graphs with quantisers left out: exact, judged by ONNX's text, or refused with a remedy.

`python test_random_graphs.py FIRST LAST` tries more and counts.
"""

import sys
from collections import Counter

import pytest
from judging import check_exact
from random_graphs import quantised_network

from htvm.diagnostics import CompileError

REMEDIES = ("QuantizeLinear", "expected", "look at", "set count_include_pad")


def outcome(seed: int) -> str:
    """Return "exact" or "refused". Raises AssertionError on a wrong number, or a refusal that names no remedy."""
    model = quantised_network(seed)
    try:
        check_exact(model, count=1, seed=seed)
    except CompileError as error:
        for problem in error.problems:
            assert "node '" in problem and any(word in problem for word in REMEDIES), problem
        return "refused"
    return "exact"


@pytest.mark.parametrize("seed", range(12))
def test_exact_or_refused(seed: int) -> None:
    outcome(seed)


if __name__ == "__main__":
    counts: Counter[str] = Counter()
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        try:
            counts[outcome(number)] += 1
        except Exception as error:
            counts["failed"] += 1
            print(number, type(error).__name__, str(error)[:300].replace("\n", " "), flush=True)
    print(dict(counts))
