"""benchmarks/host/figures.md says what the compilers of the versions named there make of the networks today."""

import shutil
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS / "host"))

import measure  # noqa: E402

SECTIONS = measure.FIGURES.read_text(encoding="utf-8").split("\n## ")[1:]
LEVEL = "-O3"


def table(cc: str | None) -> list[tuple[str, ...]]:
    """Return the cells of all tables for a compiler; none if its version is another one."""
    for section in SECTIONS:
        name, _, text = section.partition("\n")
        if name == measure.compiler(cc):
            return [tuple(cell.strip() for cell in line.strip("| ").split("|")) for line in text.splitlines()]
    return []


def rows(cc: str | None) -> dict[str, tuple[str, ...]]:
    """Return the rows at LEVEL for a compiler, by network; none if its version is another one."""
    found = {row[0]: row for row in table(cc) if len(row) == len(measure.HEADS) and row[1] == LEVEL}
    assert set(found) in (set(), set(measure.NETWORKS))
    return found


@pytest.mark.parametrize("network", measure.NETWORKS)
@pytest.mark.parametrize("cc", [None, measure.GCC], ids=["clang", "gcc"])
def test_figures_are_those_of_today(cc, network):
    if cc and not shutil.which(cc):
        pytest.skip(f"{cc} is not installed")
    written = rows(cc)
    if not written:
        pytest.skip(f"the figures are not of {measure.compiler(cc)}")
    now = measure.measure(measure.MODELS / f"{network}.onnx", cc, LEVEL)
    assert now.cells == written[network], "if this is meant: .venv/bin/python benchmarks/host/measure.py --write"


@pytest.mark.parametrize("network", measure.SKIPPING)
@pytest.mark.parametrize("mode", measure.MODES)
def test_figures_without_zeros_are_those_of_today(mode, network):
    written = [row for row in table(None) if row[:2] == (network, mode)]
    if not written:
        pytest.skip(f"the figures are not of {measure.compiler(None)}")
    assert [measure.zeros_row(network, None, mode)] == written


def test_toyadmos_is_as_fast_as_promised():
    """With twice the constants half of the best peer's 960,407 instructions, 0.6 if no input is 0."""
    (gcc,) = (section for section in SECTIONS if section.startswith(measure.GCC))
    (cells,) = (line.split("|") for line in gcc.splitlines() if "toyadmos |" in line and "speed" in line)
    zeros, no_zeros = (int(cell.replace(",", "")) for cell in (cells[4], cells[6]))
    assert zeros <= 480_000 and no_zeros <= 0.6 * 960_407


@pytest.mark.parametrize("network", ["resnet8", "ds_cnn", "mobilenet_v1"])
def test_figures_are_at_most_six_tenths_of_the_best_peer(network):
    """Instructions of the best of TVM, TFLite Micro and Deeploy on the same networks, once measured."""
    best_peer = {"resnet8": 57_357_925, "ds_cnn": 13_335_200, "mobilenet_v1": 40_528_572}
    for section in SECTIONS:
        row = next(line for line in section.splitlines() if network in line and LEVEL in line)
        assert int(row.split("|")[3].replace(",", "")) <= 0.6 * best_peer[network]
