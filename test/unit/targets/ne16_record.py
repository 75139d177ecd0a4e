"""The jobs that NE16's RTL has run (test/inputs/ne16): what they were given, and what came out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from htvm.backend.targets.engines.ne16.job import Job, Mode
from htvm.backend.targets.engines.ne16.weights import Layout

FOLDER = Path(__file__).parents[2] / "inputs/ne16"
BASE, END = 0x8000, 0xB0000
"""Of the memory that the jobs are given; it is 0 where they have nothing."""

OUTPUT_MARGINS = (64, 2048)
"""Bytes before and behind the output that are recorded with it: a job must leave them alone."""

FILLED = 0xA5
MODES = (Mode.CONV3X3, Mode.DEPTHWISE3X3, Mode.CONV1X1, Mode.LINEAR)
KINDS = ("random", "sweep", "small", "stall", "linear", "trace")


@cache
def columns() -> Mapping[str, np.ndarray]:
    """Return the record: an array of each fact, by job."""
    with np.load(FOLDER / "jobs.npz") as file:
        return dict(file)


@dataclass(frozen=True)
class Recorded:
    """One of the jobs."""

    number: int

    def __getitem__(self, fact: str) -> int:
        return int(columns()[fact][self.number])

    @property
    def kind(self) -> str:
        return KINDS[self["p_kind"]]

    @property
    def words(self) -> tuple[int, ...]:
        return tuple(columns()["words"][self.number].tolist())

    @property
    def phases(self) -> tuple[int, ...]:
        return tuple(columns()["phases"][self.number].tolist())

    @cached_property
    def job(self) -> Job:
        return Job.of_words(self.words)

    @property
    def mode(self) -> Mode:
        return MODES[self["p_mode"]]

    @property
    def layout(self) -> Layout:
        outputs = self["p_cin"] if self.mode is Mode.DEPTHWISE3X3 else self["p_cout"]
        return Layout(self.mode, self["p_bits"], outputs, 1 if self.mode is Mode.DEPTHWISE3X3 else self["p_cin"])

    def _random(self, stream: int, count: int) -> np.ndarray:
        """Return words of splitmix64, uint64[count]: the operands of a job are made of them."""
        with np.errstate(over="ignore"):
            start = np.uint64(self["p_seed"] * 8 + stream) << np.uint64(32)
            z = (np.arange(1, count + 1, dtype=np.uint64) + start) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            return z ^ (z >> np.uint64(31))

    @cached_property
    def weights(self) -> np.ndarray:
        """The stored weights, uint8[K, C, R, S]."""
        layout = self.layout
        top = self["p_wmax"] if self["p_wmax"] >= 0 else 1 << layout.bits
        shape = (layout.outputs, layout.inputs, layout.kernel, layout.kernel)
        return (self._random(1, int(np.prod(shape))) % np.uint64(top)).astype(np.uint8).reshape(shape)

    @property
    def output_bytes(self) -> int:
        return self["p_h"] * self["p_w"] * self._output_stride

    @property
    def _output_stride(self) -> int:
        return self.layout.outputs * (1 << self["p_quant"]) + self["p_opad"]

    @property
    def _input_size(self) -> int:
        if self.mode is Mode.LINEAR:
            return self["p_cin"]
        kernel, sides = self.layout.kernel, [self[f"p_pad_{side}"] for side in ("top", "right", "bottom", "left")]
        height, width = (5, 5) if self["p_strided"] else (self["p_h"] + kernel - 1, self["p_w"] + kernel - 1)
        pixels = (height - sides[0] - sides[2]) * (width - sides[1] - sides[3])
        return pixels * (self["p_cin"] + self["p_inpad"])

    def memory(self) -> np.ndarray:
        """Return the memory before the job, uint8 from BASE on."""
        memory, at, outputs = np.zeros(END - BASE, np.uint8), self.job.addresses, self.layout.outputs

        def put(address: int, values: np.ndarray) -> None:
            found = np.ascontiguousarray(values).view(np.uint8).reshape(-1)
            memory[address - BASE : address - BASE + len(found)] = found

        pads = (self["p_pad_top"], self["p_pad_left"])
        before_map = pads[0] * self.job.input_strides.middle + pads[1] * self.job.input_strides.inner
        put(at.input + before_map, (self._random(0, self._input_size) & np.uint64(self["p_xmask"])).astype(np.uint8))
        put(at.weights, self.layout.pack(self.weights))
        linear = self.mode is Mode.LINEAR
        width = (8, 16, 32)[self["p_norm"]]
        scale_bits = self["p_scale_bits"] if self["p_scale_bits"] > 0 else width
        put(at.scale, (self._random(2, outputs) & np.uint64((1 << scale_bits) - 1)).astype(f"<u{width // 8}"))
        if linear:
            put(at.bias, (self._random(3, outputs) & np.uint64(0xFFFFFF)).astype("<u4"))
        else:
            put(at.bias, self._signed(3, outputs, self["p_bias_bits"]))
            put(at.shift, (self._random(4, outputs) % np.uint64(32)).astype(np.uint8))
        put(at.output - OUTPUT_MARGINS[0], np.full(sum(OUTPUT_MARGINS) + self.output_bytes, FILLED, np.uint8))
        if self.job.stream_in:
            pixels = self["p_h"] * self["p_w"]
            sums = self._signed(5, pixels * outputs, self["p_sin_bits"]).reshape(pixels, -1)
            start = at.output - BASE
            window = memory[start : start + self.output_bytes].reshape(pixels, -1)
            window[:, : 4 * outputs] = sums.view(np.uint8)
        return memory

    def _signed(self, stream: int, count: int, bits: int) -> np.ndarray:
        found = (self._random(stream, count) & np.uint64((1 << bits) - 1)).astype(np.int64) - (1 << bits - 1)
        return (found & 0xFFFFFFFF).astype("<u4")

    def crc(self, memory: np.ndarray) -> int:
        """Return the checksum of the output and what is around it, in a memory after the job."""
        before, behind = OUTPUT_MARGINS
        if self.mode is Mode.LINEAR:  # recorded with the room of 32-bit outputs, and less behind it
            size, behind = 4 * self.layout.outputs, 512
        else:
            size = self.output_bytes
        start = self.job.addresses.output - BASE - before
        return zlib.crc32(memory[start : start + before + size + behind].tobytes())


def jobs(*kinds: str) -> list[Recorded]:
    """Return the recorded jobs of some kinds, or all."""
    every = [Recorded(number) for number in range(len(columns()["words"]))]
    return [each for each in every if not kinds or each.kind in kinds]
