"""The table of layers: lines and colours on a terminal only, and names as they are."""

import io
from dataclasses import replace

import pytest

from htvm.commands import tables
from htvm.execution.metrics import LayerMetrics


def layer(name: str, op: str, instructions: int, cycles: int, macs: int) -> LayerMetrics:
    return LayerMetrics(
        name=name,
        op=op,
        engine="host",
        cycles=cycles,
        predicted_cycles=None,
        instructions=instructions,
        macs=macs,
        busy_cycles=None,
        bound_cycles=None,
        share_of_bound=None,
        transferred_bytes=None,
        energy_uj=None,
        skips=None,
        inserted=None,
    )


LAYERS = [layer("[red]conv", "conv2d", 2000, 3000, 1000), layer("add", "add", 10, 20, 0)]


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_file_gets_plain_columns(capsys: pytest.CaptureFixture) -> None:
    tables.layers(LAYERS)
    assert capsys.readouterr().out == (
        "layer      op      engine  instructions  cycles   MACs  instr./MAC\n"
        "[red]conv  conv2d  host           2,000   3,000  1,000        2.00\n"
        "add        add     host              10      20\n\n"
    )


def test_predictions_are_beside_what_was_counted(capsys: pytest.CaptureFixture) -> None:
    predicted = [replace(each, predicted_cycles=each.cycles + 100) for each in LAYERS]
    tables.layers(predicted)
    heads, conv, _ = capsys.readouterr().out.split("\n", 2)
    assert heads.split()[3:6] == ["instructions", "cycles", "predicted"]
    assert conv.split()[3:6] == ["2,000", "3,000", "3,100"]


def test_a_terminal_gets_a_table_with_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    tables.layers(LAYERS)
    written = terminal.getvalue()
    assert "\x1b[1m" in written and "─" in written and "[red]conv" in written and "2,000" in written
