"""Random graphs: exact, judged by ONNX's text, or refused with a remedy.

Quantised ones have quantisers left out; float ones go through `htvm quantize`, and their C is executed too.
`python test_random_graphs.py FIRST LAST quantised|float` tries more and counts.
"""

import sys
from collections import Counter

import numpy as np
import pytest
from judging import check_exact
from random_graphs import float_network, quantised_network
from selection import first

import htvm
from htvm.diagnostics import CompileError
from htvm.quantization.quantize import quantise

REMEDIES = ("QuantizeLinear", "expected", "look at", "set count_include_pad")


def of_quantised(seed: int) -> str:
    """Return "exact" or "refused". Raises AssertionError on a wrong number, or a refusal that names no remedy."""
    model = quantised_network(seed)
    try:
        check_exact(model, count=1, seed=seed)
    except CompileError as error:
        for problem in error.problems:
            assert "node '" in problem and any(word in problem for word in REMEDIES), problem
        return "refused"
    return "exact"


def of_float(seed: int) -> str:
    """Return "exact": of the quantised network. Raises CompileError on one that cannot be compiled."""
    model = float_network(seed)
    calibration = {"x": np.random.default_rng(seed).normal(0, 1, (4, 3, 5, 6)).astype(np.float32)}
    made = quantise(model, calibration, per_channel=bool(seed % 2))
    check_exact(made, count=1, seed=seed)
    assert htvm.verify(made).exact
    return "exact"


@pytest.mark.parametrize("seed", first(range(12), 6))
def test_exact_or_refused(seed: int) -> None:
    of_quantised(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_float_networks_become_exact_ones(seed: int) -> None:
    assert of_float(seed) == "exact"


if __name__ == "__main__":
    outcome = {"quantised": of_quantised, "float": of_float}[sys.argv[3]]
    counts: Counter[str] = Counter()
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        try:
            counts[outcome(number)] += 1
        except Exception as error:
            counts["failed"] += 1
            print(number, type(error).__name__, str(error)[:300].replace("\n", " "), flush=True)
    print(dict(counts))
