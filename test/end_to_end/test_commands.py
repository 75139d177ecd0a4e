"""The commands as a user meets them: what they print, what they leave behind, how they fail."""

import json
import subprocess
import sys
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
import warm_commands
from machine import machine

from htvm.backend.targets.socs.rv32 import SOC
from htvm.runtime.simulator.toolchain import toolchain

DENSE = models.path("htvm/layers/dense_16x128")
RESNET8 = models.path("mlperf_tiny/resnet8")
DS_CNN = models.path("mlperf_tiny/ds_cnn")
TOYADMOS = models.path("mlperf_tiny/toyadmos")
GOLDEN = models.golden_files("mlperf_tiny/resnet8")[0]
METRICS = set(
    "target cycles clock_hz latency_ms host engines transfers memories code_bytes rodata_bytes ram_bytes energy_uj "
    "layers outputs versions".split()
)


def htvm(*arguments: object, status: int = 0) -> subprocess.CompletedProcess:
    """Run the command and check its exit status; a traceback is a bug."""
    command = [warm_commands.folder() / "htvm", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_run_prints_layers_and_totals_and_writes_files(tmp_path: Path) -> None:
    outputs, metrics = tmp_path / "y.npz", tmp_path / "m.json"
    done = htvm("run", RESNET8, "--inputs", GOLDEN, "--outputs", outputs, "--json", metrics)
    assert "conv0     conv2d   host" in done.stdout
    assert "class         5 (output 'output': -16)" in done.stdout
    assert "exact         yes: all 10 output values" in done.stdout
    assert not done.stderr
    np.testing.assert_array_equal(np.load(outputs)["output"], np.load(GOLDEN)["output.exact"])
    written = json.loads(metrics.read_text())
    assert METRICS <= set(written)
    assert written["changed"] is None
    assert written["cycles"] == written["host"]["cycles"] > written["host"]["instructions"]
    assert {"name", "op", "engine", "cycles", "predicted_cycles"} <= set(written["layers"][0])


def test_compiled_folder_runs_like_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    htvm("compile", TOYADMOS, "-o", folder, "--emit-ir", "planned")
    assert "accel.buffer" in (folder / "planned.mlir").read_text()
    of_folder, of_model = tmp_path / "folder.json", tmp_path / "model.json"
    htvm("run", folder, "--seed", 7, "--json", of_folder)
    htvm("run", TOYADMOS, "--seed", 7, "--json", of_model)
    assert json.loads(of_folder.read_text()) == json.loads(of_model.read_text())


def test_several_samples_with_labels_give_the_accuracy(tmp_path: Path) -> None:
    inputs = tmp_path / "x.npz"
    with np.load(models.FOLDER / "mlperf_tiny" / "ds_cnn_accuracy.npz") as arrays:
        np.savez(inputs, input=arrays["input"][:20], label=arrays["label"][:20])
    done = htvm("run", models.path("mlperf_tiny/ds_cnn"), "--inputs", inputs)
    assert "accuracy      90.00 % (18 of 20 labels); of the exact meaning 90.00 %" in done.stdout


def test_verify_says_how_many_values_are_equal() -> None:
    done = htvm("verify", DS_CNN, "--inputs", *models.golden_files("mlperf_tiny/ds_cnn"))
    assert done.stdout == "ds_cnn.onnx: exact on target 'rv32': 192 values compared, of 8 sets of inputs\n"


def test_what_other_scales_change_is_said_to_be_their_doing(tmp_path: Path) -> None:
    """With --requant pow2 the program equals the refitted network, and the ONNX file says other values."""
    of_verify, of_run = tmp_path / "verify.json", tmp_path / "run.json"
    options = ("--target", "diana", "--requant", "pow2")
    said = htvm("verify", RESNET8, *options, "--inputs", GOLDEN, "--json", of_verify).stdout.splitlines()
    found = json.loads(of_verify.read_text())
    (changed,) = [each for each in found["sets"][0]["comparisons"] if each["allowed"]]
    count = changed["differing"]
    assert (changed["allowed"], changed["binding"]) == ("changed by --requant", False)
    assert 0 < count == found["changed"] <= found["values"] == 10
    assert f"output 'output' and the ONNX file: {count} of 10 values differ, by at most" in said[0]
    assert said[0].endswith("(changed by --requant)") and ", not " in said[0]
    assert said[1:] == [
        "resnet8.onnx: equal to the refitted network on target 'diana': 10 values compared, of 1 set of inputs; "
        f"--requant pow2 changed {count} of them from what the ONNX file says"
    ]
    assert (
        f"changed       by --requant, from the exact meaning of the ONNX file: {count} of 10 values"
        in htvm("run", RESNET8, *options, "--inputs", GOLDEN, "--json", of_run).stdout
    )
    measured = json.loads(of_run.read_text())["changed"]
    wanted = {key: changed[key] for key in ("values", "differing", "largest_difference")}
    assert measured == {"requant": "pow2", "outputs": {"output": wanted}}


def test_a_word_that_a_command_does_not_know_is_answered_with_the_usage_of_the_command() -> None:
    done = htvm("report", RESNET8, "--json", "x", status=2)
    assert done.stderr.startswith("usage: htvm report ") and "[-o PAGE.html]" in done.stderr
    assert done.stderr.endswith("htvm report: error: unrecognized arguments: --json x\n")


def test_verify_names_the_node_that_a_broken_kernel_spoils(tmp_path: Path) -> None:
    """The compiler breaks accel.add on its way: it adds one too much before the shift."""
    compiler, tools = tmp_path / "cc", toolchain(SOC.host)
    compiler.write_text(f"""#!{sys.executable}
import subprocess, sys
from pathlib import Path
for source in map(Path, sys.argv):
    header = source.parent / "htvm_elementwise.h"
    if source.suffix == ".c" and header.exists():
        text = header.read_text()
        header.write_text(text.replace("+ (int32_t)offset;", "+ (int32_t)offset + (1 << 20);"))
wanted = {tools.compile_command} if "-c" in sys.argv else {tools.link_command}
own = [one for one in sys.argv[1:] if "-c" in sys.argv or not one.startswith(("-march", "-mabi", "-nost"))]
sys.exit(subprocess.call([*wanted, *own]))
""")
    compiler.chmod(0o755)
    done = htvm("verify", RESNET8, "--inputs", GOLDEN, "--cc", compiler, status=1)
    assert "node 'add0' is the first that differs" in done.stdout
    assert "resnet8.onnx: NOT exact on target 'rv32'" in done.stdout


def with_unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[3].op_type = "Frobnicate"


def with_wrong_dtype(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64


@pytest.mark.parametrize(
    "change, message",
    [
        (with_unknown_operator, "Frobnicate"),
        (with_wrong_dtype, "int64"),
    ],
)
def test_refused_model_leaves_nothing(change, message: str, tmp_path: Path) -> None:
    model = onnx.load(RESNET8)
    change(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    done = htvm("compile", path, "-o", tmp_path / "c", status=1)
    assert "changed.onnx" in done.stderr and message in done.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    done = htvm("compile", tmp_path / "none.onnx", "-o", tmp_path / "c", status=1)
    assert done.stderr == f"htvm compile: error: {tmp_path}/none.onnx: no such file\n"
    assert not list(tmp_path.iterdir())


def test_truncated_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(RESNET8.read_bytes()[:3000])
    done = htvm("compile", path, "-o", tmp_path / "c", status=1)
    assert done.stderr.startswith("htvm compile: error: cut.onnx: is no ONNX file, or only the beginning of one")
    assert list(tmp_path.iterdir()) == [path]


def test_project_for_a_target_in_a_file_asks_for_it(tmp_path: Path) -> None:
    target, folder = tmp_path / "mine.py", tmp_path / "c"
    target.write_text(
        "import dataclasses\n"
        "from htvm.backend.targets.socs.rv32 import SOC\n"
        "SOC = dataclasses.replace(SOC, name='mine')\n"
    )
    model = models.path("layers/add")
    htvm("compile", model, "--target", target, "-o", folder)
    done = htvm("run", folder, status=1)
    note, *said = done.stderr.splitlines()
    assert note == f"note: {folder}: compiles the C that is in the folder"
    assert said == [
        "htvm run: error: the project was made for target 'mine', which is not installed: give --target mine.py"
    ]
    assert "cycles" in htvm("run", folder, "--target", target).stdout


def test_too_large_model_names_memory_and_numbers(tmp_path: Path) -> None:
    target = tmp_path / "tiny.py"
    target.write_text(
        "import dataclasses\n"
        "from htvm.backend.targets.socs.rv32 import SOC\n"
        "(ram,) = SOC.memories\n"
        "SOC = dataclasses.replace(SOC, name='tiny', memories=(dataclasses.replace(ram, size_bytes=16_000),))\n"
    )
    done = htvm("compile", models.path("layers/pointwise_wide"), "--target", target, "-o", tmp_path / "c", status=1)
    said = ("does not fit target 'tiny'", "16,000", "pointwise_wide.onnx")
    assert all(each in done.stderr for each in said), done.stderr
    assert not (tmp_path / "c").exists()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "Makefile").write_text("mine")
    done = htvm("compile", DENSE, "-o", tmp_path, status=1)
    assert f"{tmp_path}/Makefile: is there and was not written by htvm" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile", "notes.txt"]
    htvm("compile", DENSE, "-o", tmp_path, "--force")
    assert (tmp_path / "notes.txt").read_text() == "mine" != (tmp_path / "Makefile").read_text()


def test_inputs_that_do_not_fit_are_all_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.zeros((1, 3, 32, 32), np.int8))
    done = htvm("run", RESNET8, "--inputs", tmp_path / "x.npz", status=1)
    assert "input 'input' is missing; given: image" in done.stderr
    np.savez(tmp_path / "x.npz", input=np.zeros((1, 3, 32, 31), np.int8))
    done = htvm("run", RESNET8, "--inputs", tmp_path / "x.npz", status=1)
    assert "input 'input' has shape 1x3x32x31, expected 1x3x32x32" in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["compile", RESNET8], "-o"),
        (["compile", RESNET8, "-o", "c", "--target", "z80"], "unknown target 'z80'"),
        (["compile", RESNET8, "-o", "c", "--emit-ir", "done"], "unknown stage 'done'"),
        (["compile", RESNET8, "-o", "c", "--input-type", "u8"], "is not NAME=TYPE"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_usage_has_status_2(arguments: list, message: str) -> None:
    assert message in htvm(*arguments, status=2).stderr


def test_shapes_that_a_model_leaves_open_are_options(tmp_path: Path) -> None:
    model, folder = tmp_path / "open.onnx", tmp_path / "c"
    proto = onnx.load(models.path("layers/avgpool3x3_s2_pad"))
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, name in zip(value.type.tensor_type.shape.dim, ("batch", "", "rows", "columns"), strict=True):
            if name:
                axis.dim_param = name
    onnx.save(proto, model)
    given = proto.graph.input[0]
    known = f"{given.name}=1x{given.type.tensor_type.shape.dim[1].dim_value}"
    assert f"(--shape {known}x?x?)" in htvm("compile", model, "-o", folder, status=1).stderr
    shape = f"{known}x7x5"
    assert "exact on target" in htvm("verify", model, "--shape", shape).stdout
    assert "exact         yes" in htvm("run", model, "--shape", shape).stdout
    assert "is not NAME=SIZES" in htvm("run", model, "--shape", "x=1by3", status=2).stderr


def test_json_on_standard_output_is_alone_and_quiet_is_silent(tmp_path: Path) -> None:
    golden = models.golden_files("mlperf_tiny/ds_cnn")[0]
    found = json.loads(htvm("verify", DS_CNN, "--inputs", golden, "--json", "-").stdout)
    assert found["exact"] and found["values"] == 24
    assert [each["differing"] for each in found["sets"][0]["comparisons"]] == [0, 0]
    assert json.loads(htvm("targets", "--json", "-").stdout)[0]["name"] == "rv32"
    done = htvm("compile", DS_CNN, "-o", tmp_path / "c", "--quiet", "--json", tmp_path / "r.json")
    assert not done.stdout and not done.stderr
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads((tmp_path / "c" / "report.json").read_text())


def test_version_names_what_results_depend_on() -> None:
    lines = dict(line.split(" ", 1) for line in htvm("--version").stdout.splitlines())
    assert {"htvm", "python", "mlir", "onnx", "numpy", "ortools", "unicorn", "compiler"} <= set(lines)


@pytest.mark.skipif(not machine().bash, reason="no bash")
def test_bash_completes_commands_options_and_targets(tmp_path: Path) -> None:
    script = tmp_path / "complete.bash"
    script.write_text(htvm("completion", "bash").stdout)
    for words, expected in [
        ("com", {"compile", "completion"}),
        ("run --tr", {"--trace"}),
        ("run --target rv", {"rv32"}),
        ("explain --o", {"--op", "--optimize", "--objective"}),
    ]:
        line = ["htvm", *words.split()]
        at = f"COMP_WORDS=({' '.join(line)}); COMP_CWORD={len(line) - 1}"
        ask = f"source {script}; {at}; _shtab_htvm; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, cwd=tmp_path)
        assert set(done.stdout.split()) == expected, done.stderr
