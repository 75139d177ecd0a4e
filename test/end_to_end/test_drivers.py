"""Accelerators whose jobs are calls of a user's function: exact in tiles, and wrong drivers are found."""

import re
from dataclasses import replace
from pathlib import Path

import models
import numpy as np
import pytest
from map_networks import SQUARES, chain_of_maps
from mlir import ir

import htvm
from htvm.backend import targets
from htvm.backend.targets.engines.driver_engine import DriverEngine
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.execution.program import Program
from htvm.interface import Samples
from htvm.passes.analysis.trails import LAUNCH_TRAIL
from htvm.reference import evaluate
from htvm.runtime.simulator import SimulationError
from htvm.verification.engines import check_engine

FOLDER = Path(__file__).parents[1] / "inputs" / "drivers"
EDGES = "conv3x3_s1", "conv10x4_s2", "depthwise3x3_s2", "dense_640x128"


def machine(folder: Path = FOLDER) -> Soc:
    return targets.load(str(folder / "any_layer.py"))


def changed(folder: Path, **lines: tuple[str, str]) -> Soc:
    """Return the machine of a copy of the files in which a text of some is another: by suffix, the old and the new."""
    for file in FOLDER.iterdir():
        if file.is_file():
            old, new = lines.get(file.suffix[1:], ("", ""))
            text = file.read_text(encoding="utf-8")
            assert old in text
            (folder / file.name).write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    return machine(folder)


def npu(soc: Soc) -> DriverEngine:
    (engine,) = soc.accelerators
    assert isinstance(engine, DriverEngine)
    return engine


def in_ram(soc: Soc) -> Soc:
    """Return the machine whose driver works in the host's memory: nothing is copied."""
    engine = npu(soc)
    places = {role: replace(getattr(engine, role), memory="ram") for role in ("input", "weights", "output", "sums")}
    return replace(soc, memories=soc.memories[:1], dmas=(), engines=(replace(engine, **places), soc.engines[1]))


def run(layer: str, soc: Soc) -> None:
    """Run a model of one layer, which its driver computes, and require the golden output."""
    program = htvm.compile(models.path(f"layers/{layer}"), target=soc)
    assert [step.engine for step in program.project.report.steps if step.op in ("conv2d", "dense")] == ["npu"]
    file = models.golden_files(f"layers/{layer}")[0]
    given, wanted = models.golden(file, [port.name for port in program.project.outputs])
    found = program.run({port.name: given[port.name] for port in program.project.inputs}).outputs
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize(
    "layer", ["depthwise3x3_s2", "dense_640x128", pytest.param("conv3x3_s1", marks=pytest.mark.slow)]
)
def test_a_layer_is_exact_in_tiles(layer: str) -> None:
    """8 kB of L1 are less than any of these needs."""
    run(layer, machine())


def test_a_layer_is_exact_in_the_hosts_memory() -> None:
    run("conv3x3_s1", in_ram(machine()))


def test_the_c_calls_the_driver_and_the_project_has_its_files() -> None:
    files = htvm.compile(models.path("layers/conv3x3_s1"), target=in_ram(machine())).files
    assert files["any_layer.c"] == (FOLDER / "any_layer.c").read_text(encoding="utf-8") and "any_layer.h" in files
    source = next(text for name, text in files.items() if "htvm_step_0" in text and name != "main.c")
    assert "HTVM_DEFINE_DRIVER(htvm_driver_npu, any_layer, int8_t, int8_t, int8_t, HTVM_NHWC)" in source
    assert "htvm_drive" in source and "htvm_launch" not in source and "driver any_layer of any_layer.py" in source


def test_a_call_takes_the_cycles_of_its_description_and_no_instructions() -> None:
    slow = in_ram(machine())
    program = htvm.compile(models.path("layers/conv3x3_s1"), target=slow)
    execution = program.run().record.execution
    macs = sum(step.macs for step in program.project.report.steps)
    busy = execution.engines["npu"].busy_cycles
    assert (
        execution.engines["npu"].macs == macs
        and macs / 16 <= busy <= macs / 16 + 50 * execution.engines["npu"].launches
    )
    assert execution.wait_cycles >= busy and execution.instructions < macs / 8


def test_a_write_beside_the_output_is_named(tmp_path: Path) -> None:
    wrong = changed(
        tmp_path,
        c=("int32_t *const sums = scratch;", "int32_t *const sums = scratch; ((int8_t *)(uintptr_t)x)[0] ^= 1;"),
    )
    with pytest.raises(
        SimulationError, match=r"the driver of 'dense' of step \d+ \(npu.*has written l1\[\d+:\d+\], expected l1"
    ):
        run("dense_640x128", wrong)


SMALL = [1, 2, 17, 18]
"""Layers of sample_layers, two convolutions and two dense ones, that the driver computes."""


def test_test_engine_calls_the_driver() -> None:
    check = check_engine(machine(), npu(machine()), SMALL)
    assert check.is_sound, check.problems
    assert dict(check.accepted) == {"conv2d": 2, "dense": 2}


def test_test_engine_finds_a_driver_that_is_wrong(tmp_path: Path) -> None:
    soc = changed(tmp_path, c=("int32_t sum = 0", "int32_t sum = 999"))
    check = check_engine(soc, npu(soc), SMALL)
    assert len(check.problems) >= 3 and all("differ, the first at output" in each for each in check.problems)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        ("y[layer->out_channels * layer->groups] = 1;", r"has written y\[(\d+):\d+\], expected y\[0:\1\] only"),
        ("sums[-1] = 1;", r"has written scratch\[-4:0\], expected scratch\[0:\d+\] only"),
        ("((int8_t *)(uintptr_t)x)[0] ^= 1;", r"has written x\[0:1\], which it may only read"),
    ],
)
def test_test_engine_names_what_is_written_beside_the_output(write: str, message: str, tmp_path: Path) -> None:
    soc = changed(tmp_path, c=("int32_t *const sums = scratch;", f"int32_t *const sums = scratch; {write}"))
    check = check_engine(soc, npu(soc), SMALL[1:2])
    assert any(re.search(f"driver 'any_layer' {message}$", each) for each in check.problems), check.problems


TRAIL = "in_steps(walk, pixels(walk), is_held=False) if walk.groups == 1 else None"
"""The driver sums up all of a pixel before it writes it."""


def trailing(folder: Path, trail: str) -> Soc:
    """Return the machine whose driver says that of its calls."""
    folder.mkdir()
    names = "from htvm.kernels import KernelSpec"
    changed(folder, py=(names, f"{names}, Trail, in_steps, pixels"))
    file = folder / "any_layer.py"
    file.write_text(file.read_text().replace("    origin=", f"    trail=lambda walk: {trail},\n    origin=", 1))
    return machine(folder)


def test_an_output_lies_over_its_input_in_l1_where_the_driver_trails(tmp_path: Path) -> None:
    """The simulator calls the driver in place: one that does not trail as far as it says makes other numbers."""
    model, inputs = chain_of_maps(3, SQUARES)
    (wanted,) = evaluate(model, inputs).values()
    peaks, found = [], []
    for soc in (machine(), trailing(tmp_path / "behind", TRAIL), trailing(tmp_path / "wrong", "Trail(0)")):
        program = htvm.compile(model, target=soc)
        peaks.append(program.project.report.memories["l1"].planned_peak_bytes)
        (output,) = program.run(inputs).outputs.values()
        found.append(bool((output == wanted).all()))
    assert peaks == [500, 472, 464] and found == [True, True, False]


def test_test_engine_calls_a_driver_with_its_output_over_its_input(tmp_path: Path) -> None:
    right, wrong = trailing(tmp_path / "right", TRAIL), trailing(tmp_path / "wrong", "Trail(0)")
    assert check_engine(right, npu(right), SMALL).is_sound
    problems = check_engine(wrong, npu(wrong), SMALL[:1]).problems
    assert any("trail is 0, but with the output 0 bytes before the input" in each for each in problems), problems


def test_an_output_over_its_input_that_the_driver_does_not_allow_is_an_error(tmp_path: Path) -> None:
    model, inputs = chain_of_maps(3, SQUARES)
    program = htvm.compile(model, target=trailing(tmp_path / "wrong", "Trail(0)"))
    behind = Program(program.project, trailing(tmp_path / "behind", TRAIL))
    with pytest.raises(SimulationError, match=r"writes l1\[\d+:\d+\], of which it reads l1\[\d+:\d+\]"):
        behind.run(Samples.of(program.project.inputs, inputs))


def test_a_plan_with_an_output_over_its_input_is_verified(tmp_path: Path) -> None:
    """A launch without its trail, or with a longer one, has lost its input."""
    model, _ = chain_of_maps(3, SQUARES)
    for trail in ([4096, 1], None):
        way = htvm.Pipeline(model, trailing(tmp_path / str(trail), TRAIL))
        way.to("planned")
        with way.module.context:
            for function in accel.functions(way.module.operation):
                for op in accel.operations(function):
                    if isinstance(op, accel.LaunchOp) and LAUNCH_TRAIL in op.attributes:
                        del op.attributes[LAUNCH_TRAIL]
                        if trail is not None:
                            op.attributes[LAUNCH_TRAIL] = ir.DenseI64ArrayAttr.get(trail)
        with pytest.raises(CompileError, match="stage 'planned': "):
            way.compiled()


def test_tiles_are_such_as_the_driver_computes(tmp_path: Path) -> None:
    """It has no way to compute less than whole rows of the map, which is 12 wide."""
    rule = "violations=lambda layer: () if layer.size[1] % 12 == 0 else ('rows are no multiple of 12',),\n    cost="
    soc = changed(tmp_path, py=("cost=", rule))
    run("depthwise3x3_s2", soc)
    program = htvm.compile(models.path("layers/depthwise3x3_s2"), target=soc)
    tilings = [step.tiled.tiling for step in program.project.report.steps if step.tiled]
    assert [each.columns for each in tilings] == [12] and tilings[0].rows < 12


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    origin=__file__,", "", "has no origin, expected the path of its Python file"),
        ('sources=("any_layer.c",)', 'sources=("other.c",)', "there is no file '.*other.c'"),
        (
            'name="any_layer",',
            'name="any_layer", types=("ui8", "i8", "i8"),',
            "input is ui8, expected one of the operand's elements: i8",
        ),
        ('name="any_layer",', 'name="any_layer", types=("i8", "i16", "i8"),', "weights are i16, expected i8"),
        ("20 + layer.macs / 16", "layer.no_field", "kernel 'any_layer': cost fails: AttributeError"),
    ],
)
def test_a_wrong_description_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, CompileError), match=message):
        htvm.compile(models.path("layers/conv3x3_s1"), target=changed(tmp_path, py=(old, new)))


def test_a_driver_in_assembly_is_for_the_simulator_only(tmp_path: Path) -> None:
    (tmp_path / "any_layer.S").write_text("/* nothing */\n")
    soc = changed(tmp_path, py=('sources=("any_layer.c",)', 'sources=("any_layer.S",)'))
    check = check_engine(soc, npu(soc), [2])
    assert all("any_layer.S is assembly, expected C" in each for each in check.problems)
