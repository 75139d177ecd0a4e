"""Kernels from outside: their descriptions, where they are chosen, and what test-kernel finds."""

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import htvm
from htvm.backend import kernels
from htvm.backend.c.steps import WRITERS
from htvm.backend.kernels import KernelError, KernelSpec
from htvm.commands.htvm import main
from htvm.commands.test_kernel import text
from htvm.passes.mapping.choose_kernels import allowed_plans, modest_of
from htvm.verification.kernel_cost import fit
from htvm.verification.kernel_layers import named, parse_shape
from htvm.verification.kernels import KernelCheck, Measured, check_kernel

MODELS = Path(__file__).parents[2] / "inputs" / "models" / "mlperf_tiny"
SHAPES = [parse_shape(shape, ("i8", "i8", "i8")) for shape in ("8x5x5:4x1x1", "4x3x3:8x1x1")]

DOT = """\
#ifndef DOT_H
#define DOT_H
#include "htvm_conv2d.h"
HTVM_KERNEL void dot(const htvm_conv2d_layer *layer, const int8_t *x, const int8_t *weights, const void *scales,
                     void *scratch, int8_t *y, htvm_output output)
{
    (void)scratch;
    for (int32_t p = 0; p < layer->out_width; p++) {
        for (int32_t k = 0; k < layer->out_channels; k++) {
            int32_t sum = 0;
            for (int32_t c = 0; c < layer->in_channels; c++) {
                sum += x[p * layer->x_w + c] * weights[k * layer->in_channels + c];
            }
            y[p * layer->y_w + k * layer->y_c] = (int8_t)htvm_requantize(sum, scales, k, output, layer->requant);
        }
    }
}
#endif
"""
DESCRIPTION = """\
from htvm.kernels import KernelSpec, in_steps, pixels


def violations(layer):
    if not (layer.is_pointwise or layer.op == "dense"):
        yield "no 1x1 convolution"


DOT = KernelSpec(name="dot", header="dot.h", function="dot", violations=violations, cost=lambda layer: layer.macs)
"""


def described(folder: Path, c: str = DOT, description: str = DESCRIPTION) -> KernelSpec:
    (folder / "dot.h").write_text(c)
    (folder / "dot.py").write_text(description)
    (name,) = kernels.load(folder / "dot.py")
    return kernels.found(name)


def test_a_kernel_that_is_right_is_compared_and_measured(tmp_path: Path) -> None:
    check = check_kernel(described(tmp_path), 0, 0, SHAPES)
    assert check.is_sound and check.compared > 1000
    assert [each.layer for each in check.measured] == [str(each) for each in SHAPES]
    assert all(each.instructions > each.macs for each in check.measured)
    assert "as it says" in text(check) and "speed" in text(check)


def test_dense_layers_are_named_by_inputs_and_outputs() -> None:
    layers = [parse_shape(shape, ("i8", "i8", "i8")) for shape in ("64:24", "3x33:4")]
    assert [str(layer) for layer in layers] == ["dense 64:24", "dense 3x33:4"]
    assert [layer.input_shapes for layer in layers] == [((1, 64),), ((3, 33),)]
    assert [layer.facts().batch * layer.facts().pixels for layer in layers] == [1, 3]


def test_weights_of_a_named_row_are_such_that_htvm_takes_what_it_takes_in_networks() -> None:
    for shape, kernel in {"64:24": "quad_row", "640:128": "quad_row", "3x33:4": "in_place"}.items():
        facts = parse_shape(shape, ("i8", "i8", "i8")).facts()
        plans = allowed_plans(facts, list(kernels.own().values()))
        assert modest_of(plans, facts.weights.nbytes).kernel == kernel


@pytest.mark.parametrize("shape", ["0:4", "x3:4", "3x3:", "1x2x3:4", "33x1x1:24"])
def test_what_is_no_layer_is_refused_with_both_forms(shape: str) -> None:
    with pytest.raises(ValueError, match=f"'{shape}' is no layer"):
        parse_shape(shape, ("i8", "i8", "i8"))


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("c < layer->in_channels; c++", "c < layer->in_channels - 1; c++", "accumulator"),
        pytest.param(
            "k < layer->out_channels", "k <= layer->out_channels", "behind its output", marks=pytest.mark.slow
        ),
        ("(void)scratch;", "((int8_t *)(uintptr_t)x)[3] ^= 1; (void)scratch;", "to its input"),
        pytest.param("p < layer->out_width", "p <= layer->out_width", "behind its output", marks=pytest.mark.slow),
    ],
)
def test_errors_that_were_planted_are_named(right: str, wrong: str, found: str, tmp_path: Path) -> None:
    check = check_kernel(described(tmp_path, DOT.replace(right, wrong)), 0, 0, SHAPES[:1])
    assert not check.is_sound
    assert any(found in problem and "8x5x5:4x1x1" in problem for problem in check.problems), check.problems


def test_a_trail_that_promises_too_much_is_found(tmp_path: Path) -> None:
    wrong = replace(described(tmp_path), trail=lambda walk: kernels.Trail(0))
    kernels.register([wrong])
    check = check_kernel(wrong, 0, 0, SHAPES[1:])
    assert any("output over the input" in problem for problem in check.problems), check.problems


def test_it_is_chosen_by_cost_only_where_it_is_asked_for(tmp_path: Path) -> None:
    described(tmp_path)
    model = MODELS / "toyadmos.onnx"
    without = htvm.compile(str(model))
    assert "dot.h" not in without.files
    compiled = htvm.compile(str(model), kernels=[str(tmp_path / "dot.py")])
    named = [step.name for step in compiled.project.report.steps if step.kernel == "dot"]
    assert named and "kernel dot of dot.py" in compiled.files["toyadmos.c"] and compiled.files["dot.h"] == DOT
    assert htvm.verify(compiled).exact
    assert htvm.compile(str(model)).files == without.files


def test_a_kernel_that_is_pinned_and_does_not_compute_the_layer_is_refused(tmp_path: Path) -> None:
    described(tmp_path)
    plan = [{"node": "conv0", "op": "conv2d", "kernel": "dot"}]
    with pytest.raises(htvm.CompileError, match="kernel 'dot', which the plan wants, does not compute.*\n.*no 1x1"):
        htvm.compile(str(MODELS / "resnet8.onnx"), kernels=[str(tmp_path / "dot.py")], plan=plan)
    with pytest.raises(htvm.CompileError, match="there is no kernel 'unknown'"):
        htvm.compile(str(MODELS / "resnet8.onnx"), plan=[{**plan[0], "kernel": "unknown"}])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("DOT = KernelSpec(name='Dot', header='dot.h', function='dot')", "name is 'Dot', expected small letters"),
        ("DOT = KernelSpec(name='packed', header='dot.h', function='dot')", "htvm has a kernel of this name"),
        ("DOT = KernelSpec(name='dot', header='other.h', function='dot')", "there is no file '.*other.h'"),
        ("DOT = KernelSpec(name='dot', header='dot.h')", "has no function"),
        ("DOT = KernelSpec(name='dot', header='dot.h', function='dot', sources=('dot.o',))", "source 'dot.o'"),
        ("DOT = KernelSpec(name='dot', header='dot.h', function='dot', ops=('adds',))", "ops has 'adds'"),
        ("1 / 0", "broken.py:2: ZeroDivisionError"),
        ("DOT = 1", "describes no kernel"),
    ],
)
def test_a_wrong_description_is_one_line(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dot.h").write_text(DOT)
    (tmp_path / "broken.py").write_text(f"from htvm.kernels import KernelSpec\n{line}\n")
    with pytest.raises(KernelError, match=message) as caught:
        kernels.load(tmp_path / "broken.py")
    assert "broken.py" in str(caught.value)


def test_a_cost_is_fitted() -> None:
    layers = [(1000, 10, 5, 1), (500, 100, 50, 1), (4000, 64, 64, 2), (800, 8, 1, 1), (100, 100, 10, 1)]
    names = "layer.macs", "layer.outputs", "layer.batch * layer.pixels", "layer.batch"
    measured = [
        Measured("", each[0], 3 * each[0] + 20 * each[1], 0, "", 100, 0, 80, 0, dict(zip(names, each)))
        for each in layers
    ]
    cost = fit(measured)
    assert cost.largest_error < 0.01
    assert tuple(cost.factors.values()) == pytest.approx((3, 20, 0, 0), abs=0.05)
    assert str(cost) == "cost=lambda layer: 3 * layer.macs + 20 * layer.outputs,"


def test_terms_that_are_the_same_for_all_layers_are_one_in_the_cost() -> None:
    names = "layer.macs", "layer.batch * layer.pixels", "layer.batch"
    measured = [
        Measured("", macs, 3 * macs + 20, 0, "", 100, 0, 80, 0, dict(zip(names, (macs, 1, 1))))
        for macs in (10, 90, 400)
    ]
    assert str(fit(measured)) == "cost=lambda layer: 3 * layer.macs + 20 * layer.batch * layer.pixels,"


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("row", ("8:128", "64:10", "16:16", "640:128")),
        *(
            pytest.param(name, shapes, marks=pytest.mark.slow)
            for name, shapes in (
                ("quad_row", ("8:128", "64:10", "640:128")),
                ("wide_row", ("64:10", "32:64", "640:128")),
                ("in_place", ("8x6x6:16x1x1", "4x5x5:8x3x3", "64:10")),
                ("collected", ("8x6x6:16x1x1", "4x5x5:8x3x3", "8x5x5:4x3x3@2")),
                ("packed", ("8x6x6:16x1x1", "4x8x8:8x3x3+1")),
                ("depthwise", ("8x6x6:8x3x3@8", "8x8x8:8x5x5@8")),
                ("depthwise_3x3", ("8x6x6:8x3x3@8", "8x9x9:8x3x3/2@8")),
                ("depthwise_words", ("32x12x12:32x3x3+1@32",)),
                ("winograd", ("8x8x8:8x3x3+1", "16x6x6:16x3x3")),
            )
        ),
    ],
)
def test_estimates_of_htvms_kernels_are_close(name: str, shapes: tuple[str, ...]) -> None:
    """Then the cost of a kernel from outside can be its instructions."""
    spec = kernels.found(name)
    check = check_kernel(spec, len(shapes), 0, [named(shape, spec) for shape in shapes])
    assert check.is_sound and check.layers == len(shapes), check.problems
    errors = {each.layer: each.predicted / each.instructions - 1 for each in check.measured}
    assert all(abs(error) < 0.15 for error in errors.values()), errors


def test_every_kernel_header_has_a_description() -> None:
    """A header that defines functions is a kernel's, or named by the steps that call it."""
    from htvm.backend.c import elementwise_steps, headers, linear_steps, real_steps, reduction_steps

    modules = (elementwise_steps, linear_steps, real_steps, reduction_steps)
    named = {each.name for module in modules for each in vars(module).values() if isinstance(each, headers.Header)}
    named |= {spec.header for spec in kernels.own().values()} | {headers.DRIVER.name}
    folder = Path(__file__).parents[3] / "runtime" / "kernels"
    assert {path.name for path in folder.glob("*.h") if "HTVM_DEFINE_" in path.read_text()} == named


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("cost=lambda layer: layer.mac", "cost fails: AttributeError"),
        ("pack=lambda weights: weights / 2", "pack gives elements of float64, expected one of int8"),
        ("cost=lambda layer: 1, trail=lambda walk: walk.nothing", "trail fails: AttributeError"),
    ],
)
def test_a_description_that_fails_is_named(field: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dot.h").write_text(DOT)
    text = DESCRIPTION.replace("cost=lambda layer: layer.macs", field)
    (tmp_path / "dot.py").write_text(text)
    with pytest.raises(htvm.CompileError, match=f"dot.py: kernel 'dot': {message}"):
        htvm.compile(str(MODELS / "ds_cnn.onnx"), kernels=[str(tmp_path / "dot.py")])


def test_a_description_that_fails_is_an_error_of_the_user_in_all_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    described(tmp_path, description=DESCRIPTION.replace("layer.is_pointwise", "layer.is_narrow"))
    for command in ("test-kernel", "fit-cost"):
        monkeypatch.setattr(sys, "argv", ["htvm", command, str(tmp_path / "dot.py")])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr().err
        assert end.value.code == 1 and "dot.py: kernel 'dot': violations fails: AttributeError" in said
        assert said.startswith(f"htvm {command}: error: ") and len(said.splitlines()) == 1


def test_names_of_kernels_are_whole_and_columns_straight() -> None:
    rows = [
        Measured("conv2d 8x5x5:8x3x3@8", 9, 90, 99, name, 90, 99, 90, 90, {}) for name in ("row", "depthwise_words")
    ]
    head, *lines = text(KernelCheck("mine", 2, measured=rows)).splitlines()[2:5]
    assert "depthwise_words" in lines[1]
    assert len(head) == len(lines[0]) == len(lines[1])


def test_installed_packages_offer_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dot.h").write_text(DOT)
    (tmp_path / "kernels_of_a_package.py").write_text(DESCRIPTION.replace('name="dot"', 'name="offered"'))
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("dot", "kernels_of_a_package:DOT", kernels.ENTRY_POINT_GROUP)
    wrong = EntryPoint("wrong", "kernels_of_a_package:violations", kernels.ENTRY_POINT_GROUP)
    for points, is_known in (([point], True), ([wrong], False)):
        monkeypatch.setattr(kernels, "entry_points", lambda group, points=points: points)
        kernels.installed.cache_clear()
        if is_known:
            assert kernels.found("offered") in kernels.candidates([])
        else:
            with pytest.raises(KernelError, match="entry point 'wrong = .*expected a htvm.kernels.KernelSpec"):
                kernels.known()
    monkeypatch.undo()
    kernels.installed.cache_clear()


SAME = Path(__file__).parents[2] / "inputs" / "kernels" / "same.py"
"""Kernels of other operations that do what htvm's do."""


@pytest.mark.parametrize(
    "name",
    [
        "same_add",
        *(
            pytest.param(f"same_{name}", marks=pytest.mark.slow)
            for name in ("mul", "extreme", "lookup", "copy", "largest", "sum", "argmax", "softmax", "matmul")
        ),
    ],
)
def test_kernels_of_other_operations_are_tested_with_layers_of_their_own(name: str) -> None:
    kernels.load(SAME)
    check = check_kernel(kernels.found(name), 2, 0)
    assert check.is_sound and check.layers == 2, check.problems
    assert all(each.instructions == each.own_instructions for each in check.measured)


def test_each_operation_of_the_host_can_have_a_kernel() -> None:
    writers = {kind.OPERATION_NAME.removeprefix("accel.") for kind in WRITERS}
    assert writers - {"call"} == {*kernels.LINEAR_OPS, *kernels.OTHER_OPS}


def test_a_kernel_of_another_operation_is_chosen_by_cost_or_by_a_plan(tmp_path: Path) -> None:
    model = str(MODELS / "resnet8.onnx")
    (tmp_path / "same.h").write_text(SAME.with_name("same.h").read_text())
    for name, cost in (("cheap", 1), ("dear", 1000)):
        line = f"ADD = KernelSpec(name='{name}', header='same.h', function='same_add', ops=('add',), "
        line += f"in_place=True, cost=lambda layer: {cost} * layer.elements)"
        (tmp_path / f"{name}.py").write_text(f"from htvm.kernels import KernelSpec\n{line}\n")
    plan = [{"node": "add1", "op": "add", "kernel": "dear"}]
    compiled = htvm.compile(model, kernels=[str(tmp_path / "cheap.py"), str(tmp_path / "dear.py")], plan=plan)
    named = {step.name: step.kernel for step in compiled.project.report.steps if step.op == "add"}
    assert named == {"add0": "cheap", "add1": "dear", "add2": "cheap"}
    assert "add 1x16x32x32, 1x16x32x32 -> 1x16x32x32, kernel cheap of cheap.py" in compiled.files["resnet8.c"]
    assert compiled.project.report.memories == htvm.compile(model).project.report.memories, "outputs lie over inputs"
    assert htvm.verify(compiled).exact
    with pytest.raises(
        htvm.CompileError, match="kernel 'dear', which the plan wants, .*\n  op is pool2d, expected add"
    ):
        wrong = [{"node": "avgpool0", "op": "pool2d", "kernel": "dear"}]
        htvm.compile(model, kernels=[str(tmp_path / "dear.py")], plan=wrong)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("ops=('add', 'conv2d')", "ops has add, conv2d, whose functions have other parameters than conv2d's"),
        ("ops=('add',), scratch_bytes=lambda layer: 4", "has scratch_bytes, which only conv2d and dense have"),
        ("ops=('call',)", "ops has 'call', expected some of conv2d, dense, or some of add, "),
    ],
)
def test_a_wrong_description_of_other_operations_is_refused(fields: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text("")
    (tmp_path / "a.py").write_text(
        f"from htvm.kernels import KernelSpec\nA = KernelSpec(name='a', header='a.h', function='a', {fields})\n"
    )
    with pytest.raises(KernelError, match=message):
        kernels.load(tmp_path / "a.py")
