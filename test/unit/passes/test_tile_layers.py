"""What tile-layers fetches ahead where an accelerator's memory has no room."""

import sys
from pathlib import Path

import pytest

import htvm
from htvm.backend import targets
from htvm.explanation.bound import predicted
from htvm.passes.analysis import packing
from htvm.passes.tiling import tiler
from htvm.passes.tiling.schedule import Ahead

sys.path.append(str(Path(__file__).parents[2] / "end_to_end"))
import models  # noqa: E402


def test_one_full_memory_leaves_the_others_their_weights_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    # diana's weights are in memories of their own: whether feature maps can be packed changes nothing there.
    soc = targets.load("diana")
    model = models.path("htvm/resnet8_digital")
    wanted = str(htvm.Pipeline(model, soc).to("tiled"))
    fits = packing.fits
    l1_bytes = soc.memory("l1").size_bytes
    monkeypatch.setattr(packing, "fits", lambda items, size, quickly: size != l1_bytes and fits(items, size, quickly))
    assert str(htvm.Pipeline(model, soc).to("tiled")) == wanted


def test_less_is_fetched_ahead_into_the_memory_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    soc = targets.load("diana")
    model = models.path("htvm/resnet8_digital")
    wanted = str(htvm.Pipeline(model, soc).to("tiled"))
    monkeypatch.setattr(packing, "fits", lambda items, size, quickly: False)
    assert str(htvm.Pipeline(model, soc).to("tiled")) != wanted


def test_weights_come_while_their_transfer_engine_has_nothing_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    # With ODiMO's figures the weights of depthwise layers take longer to come than the layers.
    def cycles() -> int:
        compiled = htvm.compile(models.path("htvm/ds_cnn_digital"), "diana", cost_model="odimo")
        return predicted(compiled.project.report)

    wanted = cycles()
    monkeypatch.setattr(tiler, "WHILE_IDLE", (Ahead(1.0), Ahead(0.0)))
    assert wanted < 0.99 * cycles()


def test_they_do_not_where_the_host_would_wait_for_its_turn_to_give_them() -> None:
    # The first layers of MLPerf Tiny's network are the host's; the queue of transfers is short.
    def host_cycles(ahead: Ahead) -> int:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(tiler, "WHILE_IDLE", (ahead,))
            patched.setattr(tiler, "AHEAD", (ahead,))
            compiled = htvm.compile(models.path("mlperf_tiny/ds_cnn"), "diana", requant="pow2")
        return sum(step.predicted_cycles or 0 for step in compiled.project.report.steps if step.engine == "host")

    assert host_cycles(Ahead(0.875, 256)) < 1.2 * host_cycles(Ahead(0.875)), "1.8 times, if it waits"
