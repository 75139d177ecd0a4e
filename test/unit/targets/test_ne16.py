"""NE16's model does what the RTL did: the same bytes, cycles, accesses and leftovers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ne16_record import BASE, Recorded, columns, jobs

from htvm.backend.targets.engines.ne16 import cycles as timing
from htvm.backend.targets.engines.ne16 import operands, rules
from htvm.backend.targets.engines.ne16.cycles import Phase
from htvm.backend.targets.engines.ne16.execute import execute
from htvm.backend.targets.engines.ne16.job import Addresses, Blocks, Job, Mode, Requantisation, Sides, Strides, Width
from htvm.backend.targets.engines.ne16.rules import Field, UndefinedJob
from htvm.backend.targets.engines.ne16.state import State
from htvm.backend.targets.engines.ne16.weights import Layout, bits_and_offset
from htvm.backend.targets.violations import AtMost, Interval, Violation

PHASES = (
    *(Phase.LOAD, Phase.WEIGHT_OFFSET, Phase.STREAM_IN, Phase.MATRIX_VECTOR, Phase.NEXT_INDEX, Phase.WAIT_FOR_INDEX),
    *(Phase.SHIFT, Phase.SCALE, Phase.BIAS, Phase.STREAM_OUT, Phase.NEXT_BLOCK),
)
"""In the order of the record's columns."""


@pytest.mark.parametrize("kind, count", [("random", 420), ("sweep", 301), ("small", 24), ("stall", 36), ("linear", 12)])
def test_computes_the_bytes_of_the_rtl(kind: str, count: int) -> None:
    recorded = jobs(kind)
    assert len(recorded) == count
    for each in recorded:
        memory = each.memory()
        outcome = execute(each.job, memory, State().given(each.words), BASE)
        outcome.store(memory, BASE)
        assert each.crc(memory) == each["crc"], each.number
        assert len(outcome.written) == each["written"], each.number


def test_takes_the_cycles_of_the_rtl_in_each_state() -> None:
    recorded = [each for each in jobs() if each.kind not in ("stall", "trace")]
    assert len(recorded) == 757
    for each in jobs():
        found = timing.phases(each.job)
        if not each["stalls"]:
            assert tuple(found[phase] for phase in PHASES) == each.phases, each.number
            assert timing.cycles(each.job) == each["cycles"], each.number


def test_a_refused_access_costs_about_a_cycle() -> None:
    """Where a refused access is hidden, or costs two, depends on the cycle: the record says how much that can be."""
    recorded = jobs("stall")
    assert min(each["stalls"] for each in recorded) == 11
    for each in recorded:
        more = each["cycles"] - timing.cycles(each.job)
        assert 0.89 * each["stalls"] <= more <= 1.04 * each["stalls"], each.number


def test_accesses_are_those_of_the_rtl() -> None:
    for each in jobs("random", "sweep", "small", "stall", "linear"):
        assert timing.accesses(each.job) == (each["reads"], each["writes"]), each.number


def test_words_and_jobs_say_the_same() -> None:
    for each in jobs():
        assert each.job.words() == each.words, each.number


def test_a_mode_that_was_never_measured_is_no_job() -> None:
    words = list(jobs("linear")[0].words)
    words[23] |= 1 << 5
    with pytest.raises(ValueError, match="filter mode 1, linear: was never measured"):
        Job.of_words(words)


def test_a_number_that_does_not_fit_its_field_is_no_word() -> None:
    job = replace(jobs("random")[0].job, pads=Sides(16, 0, 0, 0))
    with pytest.raises(ValueError, match="a register's field of 4 bits is given 16"):
        job.words()


# Weights


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_are_found_again(mode: Mode, bits: int) -> None:
    outputs, inputs = (37, 1) if mode is Mode.DEPTHWISE3X3 else (5, 300)
    layout = Layout(mode, bits, outputs, inputs)
    rng = np.random.default_rng(bits)
    stored = rng.integers(0, 1 << bits, (outputs, inputs, layout.kernel, layout.kernel), np.uint8)
    packed = layout.pack(stored)
    assert packed.dtype == np.uint8 and packed.size == layout.size_bytes
    np.testing.assert_array_equal(layout.unpack(packed), stored)


def test_a_job_reads_the_weights_that_were_packed() -> None:
    """By its strides and its own steps from block to block, whatever they are."""
    for each in jobs("random", "linear"):
        memory, job = each.memory(), each.job
        layout = each.layout
        packed = memory[job.addresses.weights - BASE :][: layout.size_bytes]
        np.testing.assert_array_equal(layout.unpack(packed), each.weights)
        reader = operands.Reader(memory, BASE)
        blocks = [operands.weights(job, reader, n, size) for n, size in enumerate(job.outputs.sizes(job.output_step))]
        found = np.concatenate(blocks)[:, : layout.inputs].reshape(each.weights.shape)
        np.testing.assert_array_equal(found, each.weights, str(each.number))


def test_strides_of_a_layout_are_those_of_the_record() -> None:
    for each in jobs("random", "sweep", "small", "linear"):
        wanted = each.layout.strides
        assert each.job.weight_strides[1:] == wanted[1:], each.number
        if each.mode is not Mode.CONV1X1 or each.layout.inputs <= 16:
            assert each.job.weight_strides == wanted, each.number


def test_weights_that_their_bits_do_not_hold_are_not_packed() -> None:
    with pytest.raises(ValueError, match=r"weights of 4\.\.4, expected 0\.\.3"):
        Layout(Mode.CONV1X1, 2, 1, 1).pack(np.full((1, 1, 1, 1), 4))
    with pytest.raises(ValueError, match="expected"):
        Layout(Mode.CONV1X1, 2, 1, 2).pack(np.zeros((1, 1, 1, 1)))


def test_bits_and_offset_hold_all_weights() -> None:
    assert bits_and_offset(-128, 127) == (8, -128)
    assert bits_and_offset(-7, 7) == (4, -7)
    assert bits_and_offset(0, 1) == (2, 0)
    assert bits_and_offset(200, 300) == (7, 200)
    assert bits_and_offset(300, 301) == (6, 255)
    assert bits_and_offset(-300, 0) is None
    assert bits_and_offset(-128, 128) is None


# What hangs or is undefined


def small_job() -> Job:
    """Return a 3x3 job with one tile: 16 to 32 channels."""
    return Job(
        mode=Mode.CONV3X3,
        weight_bits=8,
        outputs=Blocks(1, 32),
        inputs=Blocks(1, 16),
        rows=Blocks(1, 3),
        columns=Blocks(1, 3),
        addresses=Addresses(weights=0x1000, input=0, output=0x4000, scale=0x6000, shift=0x6100, bias=0x6200),
        input_strides=Strides(16, 80, 0),
        output_strides=Strides(32, 32, 96),
        weight_strides=Strides(18, 144, 0),
        requantisation=Requantisation(has_bias=True),
    )


HANGS = {
    "16-bit results": (dict(output=Width.BITS_16), Field.OUTPUT_WIDTH),
    "stream-in with 8-bit results": (dict(stream_in=True), Field.STREAM_IN),
}
UNDEFINED = {
    "16-bit inputs": (dict(wide_inputs=True), Field.INPUT_WIDTH),
    "1-bit weights": (dict(weight_bits=1), Field.WEIGHT_BITS),
    "scale mode 3": (dict(requantisation=Requantisation(scale=Width.UNDEFINED)), Field.SCALE_WIDTH),
    "5 rows of padding": (dict(pads=Sides(5, 0, 0, 0)), Field.PADS),
    "a padding value of 9 bits": (dict(pad_value=256), Field.PAD_VALUE),
    "2 rows of the kernel masked": (dict(filter_mask=Sides(2, 0, 0, 0)), Field.FILTER_MASK),
    "no tiles": (dict(rows=Blocks(0, 0)), Field.BLOCKS),
    "more blocks than a counter has": (dict(columns=Blocks(4096, 0)), Field.BLOCKS),
    "a remainder above a block": (dict(outputs=Blocks(1, 33)), Field.REMAINDERS),
    "more rows of a window than it has": (dict(input_rows=6), Field.REMAINDERS),
    "depthwise from 8 to 16": (dict(mode=Mode.DEPTHWISE3X3, outputs=Blocks(1, 16), inputs=Blocks(1, 8)),
                               Field.DEPTHWISE_CHANNELS),
    "linear with 3 rows": (dict(mode=Mode.LINEAR), Field.LINEAR_PIXELS),
    "linear with stream-in": (dict(mode=Mode.LINEAR, rows=Blocks(1, 1), columns=Blocks(1, 1), stream_in=True,
                                   output=Width.BITS_32), Field.LINEAR_FLAGS),
}  # fmt: skip


def test_a_plain_job_has_no_violation() -> None:
    assert rules.violations(small_job()) == ()


@pytest.mark.parametrize("name", HANGS)
def test_what_hangs_is_a_violation(name: str) -> None:
    changes, field = HANGS[name]
    job = replace(small_job(), **changes)
    assert [each.subject for each in rules.hangs(job)] == [field]
    with pytest.raises(UndefinedJob):
        execute(job, np.zeros(0x8000, np.uint8), State())


@pytest.mark.parametrize("name", UNDEFINED)
def test_what_has_no_meaning_is_a_violation(name: str) -> None:
    changes, field = UNDEFINED[name]
    job = replace(small_job(), **changes)
    assert [each.subject for each in rules.undefined(job)] == [field]
    assert rules.hangs(job) == ()


def test_a_violation_says_what_was_found_and_expected() -> None:
    (violation,) = rules.undefined(replace(small_job(), weight_bits=1))
    assert violation == Violation(Field.WEIGHT_BITS, 1, Interval(2, 8))
    (violation,) = rules.hangs(replace(small_job(), stream_in=True))
    assert violation == Violation(Field.STREAM_IN, 32, AtMost(8, "output channels with 8-bit results"))


def test_stream_in_with_few_channels_and_8_bit_results_ends() -> None:
    job = replace(small_job(), stream_in=True, outputs=Blocks(1, 8))
    assert rules.violations(job) == ()


def test_an_output_over_an_operand_is_undefined() -> None:
    memory = np.zeros(0x8000, np.uint8)
    job = small_job()
    with pytest.raises(UndefinedJob, match="an output apart from the inputs"):
        execute(replace(job, addresses=replace(job.addresses, output=0)), memory, State())
    with pytest.raises(UndefinedJob, match="an output whose bytes are distinct"):
        execute(replace(job, output_strides=Strides(32, 16, 96)), memory, State())


def test_an_operand_outside_of_the_memory_is_an_error() -> None:
    memory, job = np.zeros(0x8000, np.uint8), small_job()
    with pytest.raises(IndexError, match="reads 0x9000"):
        execute(replace(job, addresses=replace(job.addresses, weights=0x9000)), memory, State())
    outcome = execute(replace(job, addresses=replace(job.addresses, output=0x7F00)), memory, State())
    with pytest.raises(IndexError, match=r"writes 0x7f00\.\.0x801f"):
        outcome.store(memory)


def test_pixels_that_are_masked_may_lie_outside_of_the_memory() -> None:
    """The hardware reads them, and does not use them: the pointer of a padded map lies before the map."""
    job = replace(small_job(), pads=Sides(1, 0, 0, 1), addresses=replace(small_job().addresses, input=-96))
    execute(Job.of_words(job.words()), np.zeros(0x8000, np.uint8), State())


# What is left


def leaving_job(rows: int = 4, columns: int = 4) -> Job:
    """Return a job with raw sums whose last tile is partial."""
    return replace(
        small_job(),
        rows=Blocks.of(rows, 3),
        columns=Blocks.of(columns, 3),
        input_strides=Strides(16, 16 * (columns + 2), 0),
        output_strides=Strides(32, 128, 128 * columns),
        output=Width.BITS_32,
        requantisation=Requantisation(enabled=False),
    )


def filled_memory() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, 0x8000, np.uint8)


def outputs_of_jobs(count: int, is_cured: bool) -> list[bytes]:
    """Return what each of some equal jobs writes, one after the other."""
    job, memory, state = leaving_job(), filled_memory(), State()
    written: list[bytes] = []
    for _ in range(count):
        state = (state.soft_cleared() if is_cured else state).given(job.words())
        outcome = execute(job, memory, state)
        written.append(outcome.written.tobytes())
        state = outcome.state
    return written


def test_the_third_of_equal_jobs_is_wrong_without_a_cure() -> None:
    """On the RTL too: both contexts are 0 at first, and clear all pixels for the first two jobs."""
    first, *others = outputs_of_jobs(4, is_cured=False)
    assert [each == first for each in others] == [True, False, False]


def test_soft_clear_makes_equal_jobs_equal() -> None:
    first, *others = outputs_of_jobs(4, is_cured=True)
    assert all(each == first for each in others)


def test_traces_enter_states_when_the_model_does() -> None:
    """Six jobs were recorded cycle by cycle: the first one of each state is after all before it, in one block."""
    entered = columns()["entered"]
    assert len(set(entered[:, 0].tolist())) == 6
    for number in set(entered[:, 0].tolist()):
        recorded = Recorded(number)
        starts = entered[entered[:, 0] == number]
        spent = dict.fromkeys(range(len(PHASES)), 0)
        ends = [*starts[1:, 1].tolist(), recorded["cycles"]]
        for (_, start, phase), end in zip(starts.tolist(), ends, strict=True):
            spent[phase] += end - start
        found = timing.phases(recorded.job)
        assert spent == {n: found[phase] for n, phase in enumerate(PHASES)}
        assert starts[0, 1] == timing.START_CYCLES


def test_an_input_is_read_again_for_each_block_of_channels() -> None:
    """Why no output may lie over its input: all tiles of 32 of a job's 40 channels come before those of the other 8."""
    accesses = columns()["accesses"]
    (number,) = (each for each in set(accesses[:, 0].tolist()) if Recorded(each).job.outputs.count > 1)
    recorded = Recorded(number)
    _, x, y, *_ = recorded.words
    of_job = accesses[accesses[:, 0] == number]
    order = [(bool(is_write), address - (y if is_write else x)) for _, _, is_write, address in of_job.tolist()]
    first_reads = [place for place, each in enumerate(order) if each == (False, 0)]
    writes = {offset: place for place, (is_write, offset) in enumerate(order) if is_write}
    assert len(writes) == 2 * 2 * 9 and len(first_reads) == 2  # tiles of 9 pixels, in two blocks
    assert first_reads[0] < writes[0] < writes[9 * 40] < first_reads[1] < writes[32]
