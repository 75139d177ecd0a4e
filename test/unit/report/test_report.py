"""The page of `htvm report`: what is in it, and that a browser draws it without a complaint."""

import hashlib
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from machine import machine

import htvm
from htvm.backend.c.schema import as_object
from htvm.driver import CompiledModel
from htvm.execution.program import RunResult
from htvm.explanation.offload import Offload, offload, offload_of
from htvm.reporting.facts import PageFacts, facts
from htvm.reporting.page import LIBRARIES, embedded, page

MODELS = Path(__file__).parents[2] / "inputs" / "models"
MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def shown(compiled: CompiledModel, result: RunResult) -> PageFacts:
    return facts(compiled.project, compiled.soc, result, ["htvm", "report", "resnet8.onnx"])


@pytest.fixture(scope="module")
def found(shown: PageFacts) -> dict:
    """The facts as the page has them."""
    return json.loads(json.dumps(as_object(shown)))


@pytest.fixture(scope="module")
def written(shown: PageFacts) -> str:
    return page(shown)


class Structure(HTMLParser):
    """Collects the elements of a page; scripts are text, as in a browser."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.references: list[str] = []
        self.links: set[str] = set()
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.ids |= {given["id"]} if "id" in given else set()
        self.references += [given[key] for key in ("src", "data", "srcset") if key in given]
        self.links |= {given["href"]} if "href" in given else set()
        self.scripts += tag == "script"


def test_the_page_is_one_file_with_every_section(written: str) -> None:
    structure = Structure(written)
    assert {"network", "timeline", "memory", "layers", "decisions", "reproduce", "facts"} <= structure.ids
    assert not structure.references
    assert structure.links and all(link[1:] in structure.ids for link in structure.links)
    assert structure.scripts == 1 + 2 + 7
    assert "default-src 'none'" in written and len(written.encode()) < MOST_BYTES


def test_facts_are_in_the_page_whatever_names_are(written: str, found: dict) -> None:
    text = re.search(r'<script type="application/json" id="facts">(.*?)</script>', written, re.DOTALL)[1]
    assert json.loads(text) == found
    hostile = {"name": "</script><!-- \u2028"}
    assert "<" not in embedded(hostile) and json.loads(embedded(hostile)) == hostile


def test_edges_are_tensors_and_skip_connections_join_at_the_add(found: dict) -> None:
    nodes, edges = found["graph"]["nodes"], found["graph"]["edges"]
    named = {(nodes[edge[0]]["name"], nodes[edge[1]]["name"]): edge for edge in edges}
    assert named["conv0", "add0"][2:] == ["conv0_q", [1, 16, 32, 32], 16384]
    assert {("input", "conv0"), ("conv2", "add0"), ("softmax0", "output")} <= set(named)
    columns = {node["name"]: (node["column"], node["lane"]) for node in nodes}
    assert columns["add0"][0] == columns["conv2"][0] + 1
    assert len(set(columns.values())) == len(nodes)
    assert all(nodes[edge[0]]["column"] < nodes[edge[1]]["column"] for edge in edges)


def test_buffers_are_named_by_onnx_tensor_and_live_in_cycles(found: dict, result: RunResult) -> None:
    (ram,) = found["memories"]
    assert ram["planned_peak_bytes"] == ram["lower_bound_bytes"] == 41_760 and ram["capacity_bytes"] == 512 * 1024
    buffers = {buffer["name"]: buffer for buffer in ram["buffers"]}
    kept = buffers["conv0_q"]  # until add0, step 3, has read it
    assert (kept["start"], kept["end"]) == (found["spans"][0][0], found["spans"][3][1])
    assert buffers["input"]["start"] == 0 and buffers["output"]["end"] == result.metrics["cycles"]
    assert max(buffer["offset"] + buffer["bytes"] for buffer in ram["buffers"]) == ram["planned_peak_bytes"]


def test_layers_have_measured_cycles_and_the_run_can_be_repeated(found: dict, result: RunResult) -> None:
    conv0 = found["layers"][0]
    assert conv0["cycles"] == result.execution.steps[0].cycles and conv0["macs"] == 442_368
    assert (conv0["read_bytes"], conv0["written_bytes"], conv0["weight_bytes"]) == (3072, 16384, 432)
    origin = found["origin"]
    assert origin["command"] == "htvm report resnet8.onnx" and "mlir" in origin["versions"]
    assert len(origin["model"]["sha256"]) == 64 and set(origin["outputs"]) == {"output"}
    assert {"resnet8.c", "link.ld", "report.json"} <= set(origin["files"])


def test_engines_transfers_and_weights_of_an_accelerator_are_shown() -> None:
    compiled = htvm.compile(MODELS / "htvm" / "resnet8_digital.onnx", "diana")
    found = json.loads(json.dumps(as_object(facts(compiled.project, compiled.soc, compiled.run(), ["htvm"]))))
    assert {"digital", "host", "load"} <= set(found["slices"]["unit"])
    nodes = {node["name"]: node for node in found["graph"]["nodes"]}
    assert nodes["conv1"]["engine"] == nodes["pool"]["engine"] == "digital"
    names = [node["name"] for node in found["graph"]["nodes"]]
    edges = {(names[source], names[target]): tensor for source, target, tensor, *_ in found["graph"]["edges"]}
    assert edges["conv1", "add_1"] == "conv1_min" and ("conv8", "add_3") in edges and ("dense", "output") in edges
    memories = {memory["name"]: memory for memory in found["memories"]}
    assert {buffer["kind"] for buffer in memories["digital_weights"]["buffers"]} == {"weights"}
    assert any(buffer["name"] == "conv1_min" for buffer in memories["l1"]["buffers"])
    conv1, conv2 = found["layers"][:2]
    assert conv1["transferred_bytes"] > 0  # conv2's weights come meanwhile
    assert conv2["bound_cycles"] <= conv2["predicted_cycles"]
    assert conv2["read_bytes"] == conv2["written_bytes"] == 16 * 32 * 32
    assert conv2["weight_bytes"] == 16 * 16 * 9 + 16 * 4  # a bias of 32 bits for each channel


def test_the_share_of_accelerators_and_what_would_bring_more_there() -> None:
    compiled = htvm.compile(MODELS / "mlperf_tiny" / "ds_cnn.onnx", "diana")
    share = offload(compiled)
    assert share == Offload(layers=1, all_layers=12, macs=8_000, all_macs=2_664_768, pow2=(11, 12))
    assert str(share) == "1 of 12 layers, 0.3 % of the MACs, run on accelerators; with --requant pow2 11 of 12 layers"
    digital = htvm.compile(MODELS / "htvm" / "resnet8_digital.onnx", "diana")
    found = offload_of(digital.project.report, digital.soc)
    assert found and found.pow2 is None and 0 < found.layers <= found.all_layers and 0.9 < found.macs / found.all_macs
    assert offload(htvm.compile(MODELS / "mlperf_tiny" / "ds_cnn.onnx")) is None


def test_layers_that_run_twice_are_all_on_accelerators() -> None:
    compiled = htvm.compile(MODELS / "htvm" / "resnet8_mixed.onnx", "diana")
    assert str(offload(compiled)) == "14 of 14 layers, 100.0 % of the MACs, run on accelerators"


def test_libraries_are_the_published_files() -> None:
    folder = files("htvm.reporting") / "report_page" / "vendor"
    table = (folder / "README.md").read_text()
    for name in LIBRARIES:
        assert f"`{hashlib.sha256((folder / name).read_bytes()).hexdigest()}`" in table


CHROMIUM = machine().chromium

PROBE = """<script>
const press = (where, key) =>
    document.querySelector(where).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const zoomed = () => charts.find((each) => each.place.id === "timeline-chart").chart.getOption().dataZoom[0];
const seen = { before: zoomed().end - zoomed().start };
press("#timeline-chart", "+");
seen.after = zoomed().end - zoomed().start;
press("#network-chart", "ArrowRight");
seen.chosen = document.getElementById("chosen").textContent;
seen.cards = document.getElementById("cards").textContent;
seen.rows = document.querySelectorAll("#layer-table tbody tr").length;
seen.marked = [...document.querySelectorAll("#layer-table tr.selected")].map((row) => row.cells[1].textContent);
document.querySelector("input[value=layers]").click();
document.getElementById("theme").click();
seen.drawn = charts.map((each) => each.chart.getZr().storage.getDisplayList().length);
document.title = "seen " + JSON.stringify(seen);
</script>"""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_a_browser_draws_it_without_a_complaint(shown: PageFacts, tmp_path: Path) -> None:
    """Keys zoom the timeline and walk through the network; a name that is markup stays a name."""
    first, *others = shown.layers
    hostile = replace(first, metrics=replace(first.metrics, name="<img src=x onerror=alert(1)>"))
    body, end, rest = page(
        replace(shown, layers=(hostile, *others), offload=Offload(3, 12, 1, 8, pow2=(10, 12)))
    ).rpartition("</body>")
    file = tmp_path / "page.html"
    file.write_text(body + PROBE + end + rest, encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"]
    command = [CHROMIUM, *options, file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    seen = json.loads(re.search(r"<title>seen (.*?)</title>", done.stdout)[1].replace("&lt;", "<").replace("&gt;", ">"))
    assert seen["after"] < seen["before"]
    assert seen["chosen"].startswith("Step 0 on host, <img src=x onerror=alert(1)>: conv2d 1x3x32x32")
    assert "On accelerators3 of 12 layers12.5 % of the MACs; 10 of 12 with requant=pow2" in seen["cards"]
    assert seen["rows"] == 15 and seen["marked"] == [hostile.metrics.name]
    assert len(seen["drawn"]) == 3 and all(count > 20 for count in seen["drawn"])
    assert "<img" not in done.stdout.partition('id="facts"')[0]
