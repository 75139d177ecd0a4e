"""in_flight: tiny_npu, and a second array in the same L1, which reads pixel by pixel."""

from dataclasses import replace
from pathlib import Path

from htvm.backend import targets
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.jobs import Layout
from htvm.backend.targets.soc import Operand

TINY = targets.load(str(Path(__file__).with_name("tiny_npu.py")))

SOC = replace(
    TINY,
    name="in_flight",
    description="for tests: two arrays with one L1",
    engines=(
        TINY.engine("npu"),
        ArrayEngine(
            "second",
            input=Operand("l1", layouts=(Layout.NHWC,)),
            weights=Operand("weights", limit_bytes=4096),
            output=Operand("l1", layouts=(Layout.NCHW, Layout.NHWC)),
            base=0x50003000,
            source="made up, for tests",
        ),
        TINY.engine("host"),
    ),
)
