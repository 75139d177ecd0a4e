"""Orders are possible, and their peaks are the smallest of all orders."""

import itertools
import random
from collections.abc import Sequence

import pytest
from selection import first

from htvm.passes.analysis.ordering import Network, Task, best_order


def random_network(seed: int, count: int) -> Network:
    """A connected graph of tasks with one input and up to two outputs; results may lie over operands."""
    rng = random.Random(seed)
    sizes = [rng.randint(1, 20) for _ in range(count + 1)]
    tasks = []
    for number in range(count):
        made = number + 1
        operands = frozenset(rng.sample(range(made), min(made, rng.randint(1, 2))))
        same = [value for value in operands if rng.random() < 0.5]
        for value in same:
            sizes[made] = sizes[value]
        shared = {value: sizes[made] for value in operands if sizes[value] == sizes[made] and value in same}
        partly = {value: rng.randint(1, min(sizes[value], sizes[made])) for value in operands if rng.random() < 0.3}
        tasks.append(Task(operands, made, partly | shared, scratch_bytes=rng.choice((0, 0, 7))))
    read = set().union(*(task.operands for task in tasks))
    outputs = frozenset({count, *(v for v in range(1, count) if v not in read and rng.random() < 0.5)})
    return Network(tasks, sizes, inputs=frozenset({0}), outputs=outputs)


def peak(network: Network, sequence: Sequence[int]) -> int:
    """Add up what is live, straight from the definition."""
    last = {value: time for time, n in enumerate(sequence) for value in network.tasks[n].operands}
    last |= {value: len(sequence) for value in network.outputs}
    live = {value: network.sizes_bytes[value] for value in network.inputs}
    highest = sum(live.values())
    live = {value: size for value, size in live.items() if value in last}
    for time, number in enumerate(sequence):
        task = network.tasks[number]
        dying = {value for value in task.operands if last[value] == time}
        shared = max((task.shared_bytes.get(value, 0) for value in dying), default=0)
        result = network.sizes_bytes[task.result]
        highest = max(highest, sum(live.values()) + result + task.scratch_bytes - shared)
        live = {value: size for value, size in live.items() if value not in dying}
        if task.result in last:
            live[task.result] = result
    return highest


def possible_orders(network: Network) -> list[tuple[int, ...]]:
    maker = {task.result: number for number, task in enumerate(network.tasks)}
    needs = [{maker[v] for v in task.operands if v in maker} for task in network.tasks]
    return [
        order
        for order in itertools.permutations(range(len(needs)))
        if all(needs[number] <= set(order[:time]) for time, number in enumerate(order))
    ]


@pytest.mark.parametrize("seed", first(range(80), 25))
def test_no_order_is_better(seed: int) -> None:
    network = random_network(seed, count=6)
    found = best_order(network)
    orders = possible_orders(network)
    assert found.is_optimal
    assert found.sequence in orders
    assert found.peak_bytes == peak(network, found.sequence) == min(peak(network, order) for order in orders)


@pytest.mark.parametrize("seed", first(range(30), 10))
def test_the_source_order_stays_if_it_is_as_good(seed: int) -> None:
    network = random_network(seed, count=6)
    source = tuple(range(6))
    if peak(network, source) == best_order(network).peak_bytes:
        assert best_order(network).sequence == source


def test_a_long_chain_with_residual_branches_is_solved() -> None:
    tasks, sizes = [], [10]
    for _ in range(200):
        start = len(sizes) - 1
        tasks += [Task(frozenset({start}), start + 1), Task(frozenset({start + 1}), start + 2)]
        tasks += [Task(frozenset({start}), start + 3), Task(frozenset({start + 2, start + 3}), start + 4)]
        sizes += [30, 10, 30, 10]
    network = Network(tasks, sizes, frozenset({0}), frozenset({len(sizes) - 1}))
    assert best_order(network).is_optimal


def test_a_wide_graph_is_given_up_with_an_order_no_worse_than_the_source() -> None:
    """Twenty branches, all opened before one is closed in the source."""
    branches = 20
    opened = [Task(frozenset({0}), 1 + b) for b in range(branches)]
    closed = [Task(frozenset({1 + b}), 1 + branches + b) for b in range(branches)]
    join = Task(frozenset(range(1 + branches, 1 + 2 * branches)), 1 + 2 * branches)
    sizes = [5, *(50 + b for b in range(branches)), *[9] * branches, 1]
    network = Network([*opened, *closed, join], sizes, frozenset({0}), frozenset({1 + 2 * branches}))
    found = best_order(network, limit_sets=20)
    assert not found.is_optimal
    assert sorted(found.sequence) == list(range(2 * branches + 1))
    assert found.peak_bytes == peak(network, found.sequence) < peak(network, range(2 * branches + 1))


def test_an_input_that_nobody_reads_takes_memory_only_at_the_beginning() -> None:
    network = Network([Task(frozenset({0}), 2)], [1, 10, 20], frozenset({0, 1}), frozenset({2}))
    assert best_order(network).peak_bytes == 21


def wide_network(seed: int, branches: int) -> Network:
    """Branches of four layers from one input that are summed at last: 5^branches sets of finished tasks."""
    rng = random.Random(seed)
    sizes, tasks, ends = [8], [], []
    for _ in range(branches):
        value = 0
        for _ in range(4):
            sizes.append(rng.randint(1, 60))
            tasks.append(Task(frozenset({value}), len(sizes) - 1))
            value = len(sizes) - 1
        ends.append(value)
    sizes.append(4)
    tasks.append(Task(frozenset(ends), len(sizes) - 1))
    return Network(tasks, sizes, frozenset({0}), frozenset({len(sizes) - 1}))


@pytest.mark.parametrize("seed", range(2))
def test_a_graph_too_wide_to_be_sure_has_a_bound_and_a_good_order(seed: int) -> None:
    network = wide_network(seed, branches=10)
    found = best_order(network, limit_sets=500)
    sure = best_order(network, limit_sets=10_000)
    assert found.peak_bytes == peak(network, found.sequence)
    assert found.lower_bound_bytes <= sure.lower_bound_bytes <= sure.peak_bytes <= found.peak_bytes
    assert found.peak_bytes <= 1.25 * sure.lower_bound_bytes
