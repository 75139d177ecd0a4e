"""A convolution in two tiles on the digital array of target diana: exact, and the next tile comes meanwhile."""

from pathlib import Path

import numpy as np
import pytest
from small_soc import build_host

from htvm.backend import targets
from htvm.backend.targets.engines import array_weights
from htvm.backend.targets.jobs import Job, JobKind

CHANNELS, OUTPUTS, SIZE = 8, 32, (12, 20)
LAYER = Job(JobKind.CONV2D, CHANNELS, OUTPUTS, SIZE, SIZE, kernel=(3, 3), pads=(1, 1, 1, 1)).having(
    shift=7, low=-100, high=90
)

PROGRAM = """
#include "htvm_soc.h"
#define LOAD {load:#x}u
#define STORE {store:#x}u
#define DIGITAL {digital:#x}u
#define AT(offset) ((uintptr_t)(htvm_arena + (offset)))

unsigned char htvm_arena[{arena}] __attribute__((section(".arena"), aligned(16)));
static const uint32_t first[] = {{{first}}}, second[] = {{{second}}};

__attribute__((noinline)) void htvm_step_0(void)
{{
    htvm_copy(LOAD, {l1:#x}u, AT(0), {maps});
    htvm_copy(LOAD, {weights:#x}u, AT({maps}), {block});
    htvm_wait(LOAD, 2);
    htvm_launch(DIGITAL, first);
    htvm_copy(LOAD, {weights:#x}u + {block}, AT({maps} + {block}), {block});
    htvm_wait(LOAD, 3);
    htvm_wait(DIGITAL, 1);
    htvm_launch(DIGITAL, second);
    htvm_copy(STORE, AT({results}), {l1:#x}u + {maps}, {half});
    htvm_wait(DIGITAL, 2);
    htvm_copy(STORE, AT({results} + {half}), {l1:#x}u + {maps} + {half}, {half});
    htvm_wait(STORE, 2);
}}
int main(void) {{ htvm_step_0(); return 0; }}
"""


@pytest.mark.parametrize("cost_model", ["match", "odimo"])
def test_two_tiles_of_a_convolution(tmp_path: Path, cost_model: str) -> None:
    soc = targets.load("diana").with_cost_model(cost_model)
    digital, load, store = soc.engine("digital"), soc.dmas[0], soc.dmas[1]
    tiles = [LAYER.tile(part, (0, SIZE[0]), (0, SIZE[1]))[0] for part in ((0, 16), (16, 32))]
    l1, weight_memory = soc.memory("l1").base, soc.memory("digital_weights").base
    block, half = digital.weight_bytes(tiles[0]), tiles[0].output_bytes
    places = [
        {"input": l1, "weights": weight_memory + n * block, "output": l1 + LAYER.input_bytes + n * half}
        for n in range(2)
    ]
    results = LAYER.input_bytes + 2 * block
    text = PROGRAM.format(
        load=load.base, store=store.base, digital=digital.base, l1=l1, weights=weight_memory, maps=LAYER.input_bytes,
        block=block, half=half, results=results, arena=results + 2 * half,
        **{
            name: ", ".join(f"{word}u" for word in digital.lowered(tile).words(place, digital.job_fields))
            for name, tile, place in zip(("first", "second"), tiles, places, strict=True)
        },
    )  # fmt: skip
    generator = np.random.default_rng(5)
    x = generator.integers(-128, 128, (CHANNELS, *SIZE), np.int8)
    weights = generator.integers(-128, 128, (OUTPUTS, CHANNELS, 3, 3), np.int8)
    biases = generator.integers(-5000, 5000, OUTPUTS, np.int32)
    packed = array_weights.pack(LAYER, weights, biases)

    host = build_host(tmp_path, soc, text, planned={"l1": LAYER.input_bytes + 2 * half, "digital_weights": 2 * block})
    arena = host.symbol("htvm_arena")
    host.write(arena, x.tobytes() + packed.tobytes())
    execution = host.run()

    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2))
    sums = np.einsum("chwrs,kcrs->khw", windows.astype(np.int64), weights.astype(np.int64)) + biases[:, None, None]
    expected = np.clip(sums >> LAYER["shift"], LAYER["low"], LAYER["high"]).astype(np.int8)
    assert host.read(arena + results, 2 * half) == expected.tobytes()
    jobs = [one for one in execution.timeline if one.unit == "digital"]
    assert [one.cycles for one in jobs] == [soc.cost_model.job_cycles("digital", digital.lowered(t)) for t in tiles]
    assert execution.engines["digital"].macs == LAYER.macs
    prefetch, fetched = execution.timeline[3], execution.timeline[5]
    assert jobs[0].start_cycle <= prefetch.start_cycle < prefetch.end_cycle < jobs[0].end_cycle
    assert jobs[1].start_cycle <= fetched.start_cycle < fetched.end_cycle < jobs[1].end_cycle
    assert {name: one.bytes for name, one in execution.routes.items() if one.count} == {
        "l2_to_l1": LAYER.input_bytes, "l2_to_digital_weights": 2 * block, "l1_to_l2": 2 * half,
    }  # fmt: skip
