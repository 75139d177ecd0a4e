"""Random networks computed by executed RV32IMC code equal their exact meaning, bit for bit."""

import numpy as np
import pytest
from random_networks import random_network
from selection import first

import htvm
from htvm.reference import evaluate

SEEDS = range(40)
"""More are as good: `python test/end_to_end/test_random_networks.py FIRST LAST` tries others."""


@pytest.mark.parametrize("seed", first(SEEDS, 10))
def test_random_network_is_exact(seed: int) -> None:
    model, inputs = random_network(seed)
    wanted = evaluate(model, inputs)
    found = htvm.compile(model).run(inputs).outputs
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=f"seed {seed}: {name}")


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        test_random_network_is_exact(number)
        print(f"seed {number}: exact", flush=True)
