"""The description of DIANA, and its two cost models against the totals derived from their publications."""

import pytest
from target_models import integer_layers

from htvm.backend import targets
from htvm.backend.targets.jobs import Job, JobKind
from htvm.backend.targets.soc import Route
from htvm.dialects import accel

SOC = targets.load("diana")
MATCH, ODIMO = SOC.cost_models

TOTALS = {
    "resnet8": (81_500, 110_700, 0),
    "ds_cnn": (51_800, 128_900, 92_200),
    "mobilenet_v1": (208_600, 582_600, 366_400),
    "dae": (17_000, 1_040, 0),
}
"""Cycles of HTVM's four networks: ODiMO's digital array with its transfers, MATCH's without, its depthwise jobs."""


def test_no_two_places_are_the_same() -> None:
    places = [(memory.base, memory.end) for memory in SOC.memories]
    units = [*SOC.accelerators, *SOC.dmas]
    places += [(unit.base, unit.base + 4096) for unit in units]
    places.sort()
    assert all(end <= base for (_, end), (base, _) in zip(places, places[1:]))


def test_an_engine_knows_the_size_of_its_weight_memory() -> None:
    for soc in (SOC, SOC.with_memory("digital_weights", 4096).with_memory("analog_array", 10_000)):
        for engine in soc.accelerators:
            assert engine.weights.limit_bytes == soc.memory(engine.weights.memory).size_bytes


def test_every_memory_of_an_engine_can_be_filled_and_read() -> None:
    for engine in SOC.accelerators:
        for operand in (engine.input, engine.weights):
            assert SOC.dma(Route("l2", operand.memory)).name == "load"
        assert SOC.dma(Route(engine.output.memory, "l2")).name == "store"


@pytest.mark.parametrize("network", TOTALS)
def test_cost_models_give_the_published_totals(network: str) -> None:
    """HTVM's mapping: whole layers, one job for each depthwise channel, maps as they are. ODiMO has no sums."""
    engine = SOC.engine("digital")
    odimo = match = depthwise = 0.0
    for layer in integer_layers(f"{network}_digital"):
        if engine.violations(layer) or isinstance(layer, accel.Pool2dOp):  # which HTVM leaves to the host
            continue
        job = engine.job(layer)
        step = 1 if job.groups > 1 else job.outputs
        ranges = [(first, first + step) for first in range(0, job.outputs, step)]
        whole = (0, job.out_size[0]), (0, job.out_size[1])
        tiles = [engine.lowered(job.tile(outputs, *whole)[0], plain=True) for outputs in ranges]
        if job.kind != JobKind.ADD:
            pixels = job.out_size[0] * job.out_size[1]
            odimo += sum(ODIMO.job_cycles("digital", tile) for tile in tiles)
            odimo += pixels * (job.channels + job.outputs) / 8
            match += sum(MATCH.job_cycles("digital", tile) for tile in tiles)
        if job.groups > 1:
            depthwise += sum(MATCH.job_cycles("digital", tile) for tile in tiles)
    assert (odimo, match, depthwise) == pytest.approx(TOTALS[network], rel=0.01)


def test_match_charges_a_small_row_as_sixteen_columns() -> None:
    """An 8x8 map, 64 to 64 channels, 3x3: 6 rows with all of the kernel, 2 with two rows of it; 4 groups of outputs."""
    job = Job(JobKind.CONV2D, 64, 64, (8, 8), (8, 8), kernel=(3, 3), pads=(1, 1, 1, 1))
    assert MATCH.job_cycles("digital", job) == 24 * (576 + 384 + 23) + 8 * (384 + 256 + 23)
    assert ODIMO.job_cycles("digital", job) == 4 * 64 * 8 * 9


def test_transfers() -> None:
    to_l1, to_array = Route("l2", "l1"), Route("l2", "analog_array")
    assert [MATCH.copy_cycles(route, 147_456) for route in (to_l1, to_array)] == [9286, 9286]
    assert [ODIMO.copy_cycles(route, 147_456) for route in (to_l1, to_array)] == [18_432, 9_216]


def test_analog_steps() -> None:
    """64 channels, 3x3: two pixels beside each other have 64 * 3 * 4 rows, four would have 1,152."""
    job = Job(JobKind.MATVEC, 64, 64, (8, 8), (8, 8), kernel=(3, 3), pads=(1, 1, 1, 1))
    assert MATCH.job_cycles("analog", job) == ODIMO.job_cycles("analog", job) == -(-16 * 182 // 10)


def test_a_depthwise_layer_is_cheaper_in_sixteens() -> None:
    engine = SOC.engine("digital")
    (layer,) = integer_layers("layers/depthwise_3x3_s1")
    one = engine.lowered(engine.job(layer).tile((0, 1), (0, 32), (0, 32))[0])
    assert engine.cycles(layer, MATCH) < 32 * MATCH.job_cycles("digital", one) / 2
