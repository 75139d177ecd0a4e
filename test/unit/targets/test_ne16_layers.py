"""Layers and tiles of them as NE16's jobs: what the jobs compute together is the layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from htvm.backend.targets.engines.ne16 import cycles, layers, rules
from htvm.backend.targets.engines.ne16.execute import execute
from htvm.backend.targets.engines.ne16.job import Job, Mode, Requantisation, Sides, Width
from htvm.backend.targets.engines.ne16.layers import Constants, Layer, Map, Span, Tile
from htvm.backend.targets.engines.ne16.state import State
from htvm.backend.targets.violations import Interval, MultipleOf, OneOf, Subject, Violation

CONV = Layer(inputs=20, outputs=40, size=(9, 8), kernel=(3, 3), weights=(-100, 100), pads=Sides(1, 1, 1, 1))
LAYERS = {
    "3x3": CONV,
    "3x3 without padding": replace(CONV, pads=Sides()),
    "3x3 with 2 rows of padding": replace(CONV, size=(9, 9), pads=Sides(2, 2, 2, 2)),
    "3x3, padding 7 above": replace(CONV, pads=Sides(1, 0, 0, 1), pad_value=7),
    "3x3, padding 7 around 9x9": replace(CONV, size=(9, 9), pad_value=7),
    "3x3, stride 2": replace(CONV, strides=(2, 2)),
    "3x3, stride 2, odd size, padding behind": replace(CONV, size=(9, 9), strides=(2, 2), pads=Sides(0, 1, 1, 0)),
    "3x3, 3-bit weights": replace(CONV, weights=(0, 7)),
    "depthwise": replace(CONV, inputs=40, groups=40),
    "depthwise, stride 2": replace(CONV, inputs=24, outputs=24, groups=24, strides=(2, 2)),
    "depthwise, padding 5": replace(CONV, inputs=17, outputs=17, groups=17, size=(6, 6), pad_value=5),
    "1x1": replace(CONV, kernel=(1, 1), pads=Sides()),
    "1x1, stride 2": replace(CONV, kernel=(1, 1), pads=Sides(), strides=(2, 2)),
    "1x1, strides 1 and 3": replace(CONV, kernel=(1, 1), pads=Sides(), strides=(1, 3)),
    "dense": replace(CONV, inputs=80, kernel=(1, 1), pads=Sides(), size=(1, 1)),
    "dense, more than 256": replace(CONV, inputs=528, kernel=(1, 1), pads=Sides(), size=(1, 1)),
    "dense, 30 without offset": replace(CONV, inputs=30, kernel=(1, 1), pads=Sides(), size=(1, 1), weights=(0, 5)),
}
INPUT, WEIGHTS, SCALE, SHIFT, BIAS, OUTPUT, END = 0x2000, 0x8000, 0x20000, 0x21000, 0x22000, 0x24000, 0x40000


class Problem:
    """A layer with random numbers, in a memory; and what it is."""

    def __init__(self, layer: Layer, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.layer, self.memory = layer, np.zeros(END, np.uint8)
        self.groups = 1 if layer.is_depthwise else layer.inputs
        self.weights = rng.integers(*layer.weights, (layer.outputs, self.groups, *layer.kernel), endpoint=True)
        self.x = rng.integers(0, 256, (*layer.size, layer.inputs))
        self.rng = rng

    def sums(self) -> np.ndarray:
        """Return what the layer is, computed product by product: int64[rows, columns, outputs]."""
        layer, pads = self.layer, self.layer.pads
        widths = ((pads.top, pads.bottom), (pads.left, pads.right), (0, 0))
        x = np.pad(self.x, widths, constant_values=layer.pad_value)
        (rows, columns), (down, right) = layer.out_size, layer.strides
        found = np.zeros((rows, columns, layer.outputs), np.int64)
        for r in range(layer.kernel[0]):
            for s in range(layer.kernel[1]):
                part = x[r : r + (rows - 1) * down + 1 : down, s : s + (columns - 1) * right + 1 : right]
                taps = self.weights[:, :, r, s]
                found += part * taps[:, 0] if layer.is_depthwise else part @ taps.T
        return found

    def fill(self, mode: Mode) -> None:
        """Put the operands in the memory."""
        layer = self.layer
        x = self.x.astype(np.uint8).reshape(-1)
        self.memory[INPUT : INPUT + x.size] = x
        packed = layer.layout(mode).pack(self.weights - layer.stored[1])
        self.memory[WEIGHTS : WEIGHTS + packed.size] = packed

    def maps(self, size_bytes: int, padding: int = 0) -> tuple[Map, Map]:
        """Return the input and the output; `padding`: bytes behind each pixel of the output."""
        layer = self.layer
        pixel = layer.outputs * size_bytes + padding
        source = Map(INPUT, layer.inputs, layer.inputs * layer.size[1])
        return source, Map(OUTPUT, pixel, pixel * layer.out_size[1])

    def run(self, jobs: tuple[Job, ...]) -> None:
        """Execute jobs one after the other, with SOFT_CLEAR only where one needs it."""
        state = State()
        for job, clears in zip(jobs, layers.needs_soft_clear(jobs), strict=True):
            assert rules.violations(job) == ()
            state = (state.soft_cleared() if clears else state).given(job.words())
            assert not state.is_exposed(job)
            outcome = execute(job, self.memory, state)
            outcome.store(self.memory)
            state = outcome.state

    def result(self, target: Map, size_bytes: int) -> np.ndarray:
        """Return the output, [rows, columns, outputs]."""
        rows, columns = self.layer.out_size
        at = target.at(0, 0) + np.arange(rows)[:, None, None] * target.row_bytes
        at = at + np.arange(columns)[:, None] * target.pixel_bytes + np.arange(self.layer.outputs * size_bytes)
        found = np.ascontiguousarray(self.memory[at])
        return found.view("<i4").astype(np.int64) if size_bytes == 4 else found.astype(np.int64)


@pytest.mark.parametrize("name", LAYERS)
def test_jobs_compute_the_sums_of_a_layer(name: str) -> None:
    layer = LAYERS[name]
    assert layers.violations(layer) == ()
    for mode in layer.modes:
        problem = Problem(layer)
        problem.fill(mode)
        source, target = problem.maps(4, 8)
        assert layers.tile_violations(layer, mode, Tile.whole(layer), target) == ()
        problem.run(layers.jobs(layer, mode, Tile.whole(layer), source, target, Constants(WEIGHTS)))
        np.testing.assert_array_equal(problem.result(target, 4), problem.sums(), str(mode))


@pytest.mark.parametrize("name", LAYERS)
def test_tiles_together_are_the_layer(name: str) -> None:
    """Cut at random along outputs, rows and columns, each tile requantised with its part of the constants."""
    layer = LAYERS[name]
    mode = layer.modes[-1]
    problem = Problem(layer, 1)
    problem.fill(mode)
    rng, outputs = problem.rng, layer.outputs
    scales, biases = rng.integers(0, 1 << 16, outputs), rng.integers(-(1 << 20), 1 << 20, outputs)
    shifts = rng.integers(10, 20, outputs)
    for address, values in ((SCALE, scales.astype("<u2")), (BIAS, biases.astype("<i4")), (SHIFT, shifts.astype("u1"))):
        problem.memory[address : address + values.nbytes] = values.view(np.uint8)
    requant = Requantisation(Width.BITS_16, 0, has_bias=True, has_shift_array=True)
    constants = Constants(WEIGHTS, SCALE, SHIFT, BIAS, requant)
    source, target = problem.maps(1, outputs % 2)
    products = (problem.sums() * scales).astype(np.int32).astype(np.int64)
    wanted = np.clip((products + biases).astype(np.int32) >> shifts, 0, 255)
    whole, jobs = Tile.whole(layer), list[Job]()
    steps = (16, int(rng.integers(1, 4)) * 3, int(rng.integers(1, 4)) * 3)
    for channels in whole.outputs.cut(steps[0]):
        for rows in whole.rows.cut(steps[1]):
            for columns in whole.columns.cut(steps[2]):
                tile = Tile(channels, rows, columns, whole.inputs)
                assert layers.tile_violations(layer, mode, tile, target) == ()
                jobs.extend(layers.jobs(layer, mode, tile, source, target, constants))
    problem.run(tuple(jobs))
    np.testing.assert_array_equal(problem.result(target, 1), wanted)


@pytest.mark.parametrize("name", ["3x3", "3x3, stride 2", "1x1"])
def test_inputs_may_be_cut(name: str) -> None:
    """Sums of the first 16 input channels, and the others added: each block of 32 outputs is a job of its own."""
    layer = LAYERS[name]
    problem = Problem(layer, 2)
    problem.fill(layer.modes[0])
    source, target = problem.maps(4)
    whole = Tile.whole(layer)
    for adds, inputs in ((False, Span(0, 16)), (True, Span(16, layer.inputs))):
        tile = replace(whole, inputs=inputs)
        jobs = layers.jobs(layer, layer.modes[0], tile, source, target, Constants(WEIGHTS), adds=adds)
        assert max(job.output_channels for job in jobs) == 32
        problem.run(jobs)
    np.testing.assert_array_equal(problem.result(target, 4), problem.sums())


def test_a_tile_needs_only_its_part_of_the_maps() -> None:
    """The input window and the output of rows 3 to 6 lie elsewhere, as dense maps of their own."""
    layer = LAYERS["3x3"]
    problem = Problem(layer, 3)
    problem.fill(Mode.CONV3X3)
    part = problem.x[2:7].astype(np.uint8).reshape(-1)
    problem.memory[INPUT:WEIGHTS] = 0xEE
    problem.memory[INPUT : INPUT + part.size] = part
    row_bytes = layer.inputs * layer.size[1]
    source = Map(INPUT, layer.inputs, row_bytes, row=2)
    target = Map(OUTPUT, 160, 160 * 8, row=3)
    tile = replace(Tile.whole(layer), rows=Span(3, 6))
    problem.run(layers.jobs(layer, Mode.CONV3X3, tile, source, target, Constants(WEIGHTS)))
    found = problem.memory[OUTPUT : OUTPUT + 3 * 8 * 160].view("<i4").reshape(3, 8, 40)
    np.testing.assert_array_equal(found, problem.sums()[3:6])


def test_stride_2_is_a_job_for_each_4_outputs() -> None:
    layer = LAYERS["3x3, stride 2"]
    source, target = Problem(layer).maps(4)
    jobs = layers.jobs(layer, Mode.CONV3X3, Tile.whole(layer), source, target, Constants(WEIGHTS))
    assert layer.out_size == (5, 4) and len(jobs) == 3 * 2


def test_linear_mode_is_the_faster_one_for_many_inputs() -> None:
    dense = LAYERS["dense, more than 256"]
    assert layers.best_mode(dense) is Mode.LINEAR
    assert layers.best_mode(replace(dense, inputs=16)) is Mode.CONV1X1
    assert layers.best_mode(LAYERS["3x3"]) is Mode.CONV3X3


def test_only_jobs_that_can_start_on_leftovers_need_a_soft_clear() -> None:
    partial, full = (replace(CONV, size=size) for size in ((4, 4), (6, 6)))

    def job(layer: Layer) -> Job:
        source, target = Problem(layer).maps(4)
        return layers.jobs(layer, Mode.CONV3X3, Tile.whole(layer), source, target, Constants(WEIGHTS))[0]

    sequence = [job(partial), job(full), job(partial), job(replace(CONV, size=(3, 3))), job(partial)]
    assert layers.needs_soft_clear(sequence) == (True, False, True, False, False)


# Layers that it does not compute

UNSUPPORTED = {
    "kernel": (dict(kernel=(5, 5)), Violation(Subject.KERNEL, (5, 5), OneOf(((1, 1), (3, 3))))),
    "strides": (dict(strides=(1, 2)), Violation(Subject.STRIDES, (1, 2), OneOf(((1, 1), (2, 2))))),
    "dilations": (dict(dilations=(2, 2)), Violation(Subject.DILATIONS, (2, 2), OneOf(((1, 1),)))),
    "padding value": (dict(pad_value=-1), Violation(Subject.PADDING, -1, Interval(0, 255))),
    "signed inputs": (dict(values=(-128, 127)), Violation(Subject.INPUT_VALUES, Interval(-128, 127), Interval(0, 255))),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_computed_is_a_violation(name: str) -> None:
    changes, wanted = UNSUPPORTED[name]
    assert layers.violations(replace(CONV, **changes)) == (wanted,)


def test_groups_pads_and_weights_are_violations() -> None:
    def texts(**changes: object) -> list[str]:
        return [str(each) for each in layers.violations(replace(CONV, **changes))]

    assert texts(groups=4) == [
        "groups: found 4, of 20 to 40 channels, wanted 1, or as many as input and output channels"
    ]
    assert texts(pads=Sides(3, 0, 0, 0)) == ["pads: found (3, 0, 0, 0), wanted 0 to 2 on each side"]
    assert texts(kernel=(1, 1)) == ["pads: found (1, 1, 1, 1), wanted 0 to 0 on each side"]
    assert texts(weights=(-200, 127)) == [
        "weight values: found -200..127, wanted 8 bits above an offset of -256 to 255"
    ]


def test_tiles_that_are_not_computed_are_violations() -> None:
    target = Map(OUTPUT, 41, 41 * 8)
    whole = Tile.whole(CONV)

    def found(layer: Layer, mode: Mode = Mode.CONV3X3, **changes: Span) -> tuple[Violation, ...]:
        return layers.tile_violations(layer, mode, replace(whole, **changes), target)

    assert found(CONV) == ()
    assert found(CONV, inputs=Span(8, 20)) == (Violation("first input channel", 8, MultipleOf(16)),)
    depthwise = replace(CONV, inputs=40, groups=40)
    assert found(depthwise, Mode.DEPTHWISE3X3, outputs=Span(8, 40), inputs=Span(0, 40)) == (
        Violation("first output channel", 8, MultipleOf(16)),
    )
    strided = replace(CONV, strides=(2, 2))
    tile = Tile.whole(strided)
    (violation,) = layers.tile_violations(strided, Mode.CONV3X3, tile, target)
    assert violation == Violation("bytes of an output's pixel and row", (41, 328), MultipleOf(2))
    assert [str(each) for each in found(replace(CONV, pad_value=3), columns=Span(0, 6))] == []
    padded = replace(CONV, size=(8, 9), pad_value=3)
    assert [str(each) for each in layers.tile_violations(padded, Mode.CONV3X3, Tile.whole(padded), target)] == [
        "padding: found 3, wanted 0, or a last tile of 3 lines"
    ]
    wide = replace(CONV, size=(8, 7), pads=Sides(2, 0, 2, 0))
    assert wide.out_size == (10, 5)
    assert [str(each) for each in layers.tile_violations(wide, Mode.CONV3X3, Tile.whole(wide), target)] == [
        "pads: found 2, wanted at most 1 (lines of the last tile)"
    ]
    with pytest.raises(ValueError, match="lines of the last tile"):
        layers.jobs(wide, Mode.CONV3X3, Tile.whole(wide), target, target, Constants(WEIGHTS))


def test_sums_that_are_not_complete_are_not_requantised() -> None:
    tile = replace(Tile.whole(CONV), inputs=Span(0, 16))
    target = Map(OUTPUT, 40, 320)
    with pytest.raises(ValueError, match="sums that are not complete"):
        layers.jobs(CONV, Mode.CONV3X3, tile, target, target, Constants(0, requantisation=Requantisation()))


def test_a_linear_layer_whose_last_inputs_are_not_16_has_no_offset() -> None:
    layer = replace(LAYERS["dense, 30 without offset"], weights=(-3, 3))
    assert layer.modes == (Mode.CONV1X1,)
    assert layers.linear_violations(layer) == (Violation(Subject.INPUT_CHANNELS, 30, MultipleOf(16)),)


def test_cycles_of_a_layer_are_those_of_its_jobs() -> None:
    """3x3, 16x16x64 to 64 with 8 bits and biases: 89,715 cycles on the RTL."""
    layer = Layer(64, 64, (16, 16), (3, 3), (-128, 127), pads=Sides(1, 1, 1, 1))
    constants = Constants(WEIGHTS, requantisation=Requantisation(has_bias=True))
    target = Map(OUTPUT, 64, 64 * 16)
    (job,) = layers.jobs(layer, Mode.CONV3X3, Tile.whole(layer), target, target, constants)
    assert cycles.cycles(job) == 89_715
