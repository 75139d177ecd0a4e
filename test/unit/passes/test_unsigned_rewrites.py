"""unsign-integers and split-rounding change how numbers are stored and rounded, and no result."""

import numpy as np
import pytest
from tosa.cases import inputs
from tosa.every_case import CASES
from tosa.networks import NETWORKS, network
from tosa.samples import samples

from htvm.backend.targets import load
from htvm.dialects.semantics.interpreter import interpret
from htvm.run_passes import run_passes
from htvm.sources import source_of

GAP9 = load("gap9")


def of_cases():
    f = inputs()
    for name, make in CASES.items():
        if name.startswith(("conv2d", "depthwise", "matmul", "add", "mul", "avg", "concat: of layers")):
            f.result(make(f))
    return f


@pytest.mark.parametrize("name", [*NETWORKS, "cases"])
def test_results_are_the_same(name, tmp_path):
    f = of_cases() if name == "cases" else network(name, seed=5)
    (tmp_path / "net.mlir").write_text(f.text())
    source = source_of(tmp_path / "net.mlir")
    before = source._entry()
    with before.context:
        after = before.operation.clone().opview
        run_passes("unsign-integers,split-rounding,verify-stage{stage=integer}", after, GAP9, "net")
        assert ("ui8" in str(after)) == (name != "attention"), "which has no linear layer"
        for arrays in samples(f, 4):
            given = {f"arg{number}": each for number, each in enumerate(arrays)}
            wanted, found = interpret(before, given), interpret(after, given)
            for key, numbers in wanted.items():
                assert np.array_equal(found[key], numbers), key
