"""Jobs as descriptors and as attributes, and the tiles they are cut into."""

import pytest

from htvm import dialects
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, Job, JobKind, Layout, Pool
from htvm.dialects.accel import PoolKind

JOBS = (
    Job(JobKind.CONV2D, 16, 32, (9, 7), (5, 4), (3, 5), strides=(2, 2), pads=(1, 2, 1, 2), layout=Layout.NHWC).having(
        shift=7, low=-128, high=127
    ),
    Job(JobKind.CONV2D, 24, 24, (8, 8), (8, 8), (3, 3), pads=(1, 1, 1, 1), groups=24).having(low=0),
    Job(JobKind.MATVEC, 64, 64, (8, 8), (8, 8)).having(
        shift=3, low=-64, high=63, code_low=-32, code_high=31, rescale_shift=2
    ),
    Job(JobKind.ADD, 16, 16, (4, 4), (4, 4)).having(bits=1, signs=-3),
    Job(JobKind.DENSE, 16, 16, (1, 1), (1, 1)),
    Job(JobKind.CONV2D, 16, 32, (9, 7), (7, 5), (3, 3), residual=True),
)
POOLED = Job(
    JobKind.CONV2D, 16, 32, (11, 9), (3, 3), (3, 3), strides=(2, 2), pads=(1, 1, 1, 1), residual=True,
    pool=Pool(PoolKind.MAX, (6, 5), (3, 3), (2, 2), (1, 1, 0, 1)),
)  # fmt: skip


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_a_descriptor_says_all_of_a_job(job: Job) -> None:
    """Negative numbers too, and the addresses; every word has 32 bits."""
    addresses = {"input": 0x10000040, "rhs": 0, "weights": 0xFFFF0000, "sums": 0x10003000, "output": 0x10002000}
    names = [name for name, _ in job.own][::-1]
    words = job.words(addresses, names)
    assert len(words) == DESCRIPTOR_WORDS
    assert all(0 <= word < 1 << 32 for word in words)
    assert Job.of_words(words, names) == (job, addresses)


@pytest.mark.parametrize("job", (*JOBS, POOLED), ids=lambda job: job.kind)
def test_an_attribute_says_all_of_a_job(job: Job) -> None:
    with dialects.context():
        assert Job.of(job.attribute()) == job


def test_a_descriptor_has_the_fields_of_its_engine_alone() -> None:
    with pytest.raises(ValueError, match="the job has the fields bits, signs, expected high, low, shift"):
        JOBS[3].words({}, ("shift", "low", "high"))
    with pytest.raises(ValueError, match="has a field of 32768, expected at most 16 bits, signed"):
        JOBS[4].having(shift=1 << 15).words({}, ("shift",))


def test_a_tile_at_the_border_keeps_its_padding_and_one_inside_reads_more() -> None:
    job = Job(JobKind.CONV2D, 4, 8, (9, 9), (9, 9), kernel=(3, 3), pads=(1, 1, 1, 1))
    tile, rows, columns = job.tile((0, 8), (0, 3), (3, 9))
    assert (tile.pads, rows, columns) == ((1, 0, 0, 1), (0, 4), (2, 9))
    assert (tile.size, tile.out_size) == ((4, 7), (3, 6))
    tile, rows, _ = job.tile((2, 4), (3, 6), (0, 9))
    assert (tile.pads, rows, tile.outputs, tile.channels) == ((0, 1, 0, 1), (2, 7), 2, 4)


def test_a_tile_of_a_depthwise_layer_has_its_own_channels() -> None:
    tile, _, _ = JOBS[1].tile((8, 24), (0, 8), (0, 8))
    assert (tile.channels, tile.outputs, tile.groups) == (16, 16, 16)
    assert tile.macs == 16 * 9 * 64


@pytest.mark.parametrize("row", range(3))
def test_a_tile_of_a_pooled_map_reads_what_its_windows_do(row: int) -> None:
    """Rows of sums under the window, of those that there are, and rows of the map under their kernels."""
    window = [each for each in range(2 * row - 1, 2 * row + 2) if 0 <= each < 6]
    read = [each for sums in window for each in range(2 * sums - 1, 2 * sums + 2) if 0 <= each < 11]
    tile, rows, columns = POOLED.tile((0, 16), (row, row + 1), (0, 3))
    assert rows == (min(read), max(read) + 1) and columns == (0, 9)
    assert POOLED.summed((row, row + 1), (0, 3)) == ((window[0], window[-1] + 1), (0, 5))
    assert tile.pool is not None and tile.sum_size == (len(window), 5) and tile.out_size == (1, 3)
    assert tile.pool.pads == (row == 0, 1, 0, 1)
    assert [tile.bytes_of_input(number) for number in range(3)] == [16 * len(set(read)) * 9, 16 * len(window) * 5, 0]
    with dialects.context():
        assert Job.of(tile.attribute()) == tile, "the verifier counts windows"


def test_a_pool_is_in_no_descriptor_of_htvms() -> None:
    with pytest.raises(ValueError, match="has a pool, expected an engine with a launcher of its own"):
        POOLED.words({}, ())
