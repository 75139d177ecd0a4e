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


def rows(cc: str | None) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the rows at LEVEL for a compiler, by network and mode; none if its version is another one."""
    found = {(row[0], row[1]): row for row in table(cc) if len(row) == len(measure.HEADS) and row[2] == LEVEL}
    assert set(found) in (set(), set(ROWS))
    return found


ROWS = [(network, mode) for network in measure.NETWORKS for mode in measure.MODES]
QUICK = [
    each
    for each in ROWS
    if each[0] == "toyadmos" or each in {("resnet8", measure.DEFAULT), ("ds_cnn", measure.DEFAULT)}
]
SELECTED = [pytest.param(*row, marks=[] if row in QUICK else pytest.mark.slow) for row in ROWS]


@pytest.mark.parametrize(("network", "mode"), SELECTED)
@pytest.mark.parametrize("cc", [None, measure.GCC], ids=["clang", "gcc"])
def test_figures_are_those_of_today(cc, network, mode):
    if cc and not shutil.which(cc):
        pytest.skip(f"{cc} is not installed")
    written = rows(cc)
    if not written:
        pytest.skip(f"the figures are not of {measure.compiler(cc)}")
    now = measure.measure(measure.MODELS / f"{network}.onnx", cc, LEVEL, mode)
    assert now.cells == written[network, mode], "if this is meant: .venv/bin/python benchmarks/host/measure.py --write"


MOST_CYCLES = {  # millions: clang, -O3
    measure.DEFAULT: {"resnet8": 25.4, "ds_cnn": 7.95, "mobilenet_v1": 17.6, "toyadmos": 0.60},
    "constants 2.4x": {"resnet8": 24.0, "ds_cnn": 7.95, "mobilenet_v1": 17.6, "toyadmos": 0.53},
    "objective memory": {"resnet8": 30.91, "ds_cnn": 7.95, "mobilenet_v1": 17.6, "toyadmos": 0.60},
}
MOST_ACTIVATIONS = {
    measure.DEFAULT: {"resnet8": 42_000, "ds_cnn": 9_200, "mobilenet_v1": 37_000, "toyadmos": 768},
    "objective memory": {"resnet8": 35_100, "ds_cnn": 9_200, "mobilenet_v1": 37_000, "toyadmos": 768},
}


@pytest.mark.parametrize(("network", "mode"), ROWS)
def test_figures_are_as_good_as_promised(network, mode):
    """Cycles with clang -O3; activations and code with every compiler."""
    for section in SECTIONS:
        cells = [line.strip("| ").split("|") for line in section.splitlines() if line.count("|") == 10]
        found = [row for row in ([cell.strip() for cell in each] for each in cells) if row[:2] == [network, mode]]
        assert len(found) == len(measure.LEVELS)
        for _, _, level, _, cycles, _, ram, code, _ in found:
            number = {
                name: int(cell.replace(",", "")) for name, cell in (("cycles", cycles), ("ram", ram), ("code", code))
            }
            assert number["code"] <= 16 << 10
            assert number["ram"] <= MOST_ACTIVATIONS.get(mode, {}).get(network, 1 << 20)
            if section.startswith("clang") and level == LEVEL:
                assert number["cycles"] <= MOST_CYCLES[mode][network] * 1e6


@pytest.mark.parametrize("network", measure.SKIPPING)
@pytest.mark.parametrize("mode", measure.ZEROS_MODES)
def test_figures_without_zeros_are_those_of_today(mode, network):
    rows = (row for row in table(None) if len(row) == len(measure.ZEROS_HEADS))
    written = [row for row in rows if row[:2] == (network, mode)]
    if not written:
        pytest.skip(f"the figures are not of {measure.compiler(None)}")
    assert [measure.zeros_row(network, None, mode)] == written


def is_zeros_row(line: str) -> bool:
    return "toyadmos |" in line and "constants 2.4x" in line and line.count("|") == len(measure.ZEROS_HEADS) + 1


def test_toyadmos_is_as_fast_as_promised():
    """With twice the constants half of the best peer's 960,407 instructions, 0.6 if no input is 0."""
    (gcc,) = (section for section in SECTIONS if section.startswith(measure.GCC))
    (cells,) = (line.split("|") for line in gcc.splitlines() if is_zeros_row(line))
    zeros, no_zeros = (int(cell.replace(",", "")) for cell in (cells[4], cells[6]))
    assert zeros <= 480_000 and no_zeros <= 0.6 * 960_407


@pytest.mark.parametrize("network", ["resnet8", "ds_cnn", "mobilenet_v1"])
def test_figures_are_at_most_six_tenths_of_the_best_peer(network):
    """Instructions of the best of TVM, TFLite Micro and Deeploy on the same networks, once measured."""
    best_peer = {"resnet8": 57_357_925, "ds_cnn": 13_335_200, "mobilenet_v1": 40_528_572}
    for section in SECTIONS:
        row = next(line for line in section.splitlines() if network in line and LEVEL in line)
        assert int(row.split("|")[4].replace(",", "")) <= 0.6 * best_peer[network]
