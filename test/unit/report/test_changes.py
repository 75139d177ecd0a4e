"""What htvm explain proposes is true: a file is changed as it says, and the engine takes the layer."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from selection import first

from htvm.backend import targets
from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.rules import Proof, Rule
from htvm.backend.targets.violations import MultipleOf, Subject
from htvm.dialects import accel
from htvm.driver import lower
from htvm.explanation import explanation
from htvm.explanation.model_edits.layer_spec import LayerSpec
from htvm.explanation.model_edits.search import Counterfactual, NoEdit, layer_of
from htvm.options import CompileOptions
from htvm.passes.analysis.acceptance import violations

MODELS = Path(__file__).parents[2] / "inputs" / "models"
Edit = Callable[[onnx.GraphProto], None]


def candidates(model: Path | onnx.ModelProto, node: str, engine: str, **choices: str) -> list[explanation.Candidate]:
    """Return what an engine says of the layers that a node is in."""
    found = explanation.explain(model, targets.load("diana"), **choices).decisions
    asked = [each for each in found if node in each.nodes and each.op in ("conv2d", "dense", "add")]
    return [one for each in asked for one in each.candidates if one.engine == engine]


# What the changes say, done to a file


def numbers(**made: Callable[[np.ndarray], np.ndarray]) -> Edit:
    """Change constants."""

    def edit(graph: onnx.GraphProto) -> None:
        held = {each.name: each for each in graph.initializer}
        for name, change in made.items():
            new = np.asarray(change(numpy_helper.to_array(held[name])))
            held[name].CopyFrom(numpy_helper.from_array(new.astype(np.float32) if new.dtype != np.int8 else new, name))

    return edit


def attributes(**values: object) -> Edit:
    """Change attributes of the convolution."""

    def edit(graph: onnx.GraphProto) -> None:
        conv = next(node for node in graph.node if node.op_type == "Conv")
        kept = [each for each in conv.attribute if each.name not in values]
        del conv.attribute[:]
        conv.attribute.extend([*kept, *(onnx.helper.make_attribute(*item) for item in values.items())])

    return edit


def both(*edits: Edit) -> Edit:
    def edit(graph: onnx.GraphProto) -> None:
        for each in edits:
            each(graph)

    return edit


def one_group(groups: int) -> Edit:
    def dense(weights: np.ndarray) -> np.ndarray:
        outputs, own, *kernel = weights.shape
        whole = np.zeros((outputs, own * groups, *kernel))
        for output in range(outputs):
            first = output // (outputs // groups) * own
            whole[output, first : first + own] = weights[output]
        return whole

    return both(attributes(group=1), numbers(conv_weight=dense))


def spread(weights: np.ndarray) -> np.ndarray:
    """Put a zero between neighbouring taps."""
    made = np.zeros((*weights.shape[:2], 5, 5), weights.dtype)
    made[:, :, ::2, ::2] = weights
    return made


def constant_weights(graph: onnx.GraphProto) -> None:
    values = np.random.default_rng(0).integers(-128, 128, (8, 8, 3, 3)).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(values, "weight"))
    del graph.input[1]


def repeated_operand(graph: onnx.GraphProto) -> None:
    graph.input[1].type.CopyFrom(graph.input[0].type)


def no_dilation(weights: str) -> Edit:
    return both(attributes(dilations=[1, 1], kernel_shape=[5, 5]), numbers(**{weights: spread}))


def few_outputs(graph: onnx.GraphProto) -> None:
    """Leave one output: what is under the windows of a convolution costs the host more to move than to sum up."""
    numbers(conv_weight=lambda weights: weights[:1], conv_bias=lambda biases: biases[:1])(graph)
    del graph.value_info[:]
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1


FEW_OUTPUTS = ("stride_3", "stride_1_2", "kernel_9x9")
"""With more the host would make channels of the windows, and digital take the layer as it is."""

SEVEN = {"kernel_shape": [7, 7], "pads": [3, 3, 3, 3]}

CASES: dict[tuple[str, str], tuple[str, str, Edit]] = {
    ("stride_3", "digital"): ("strides (3, 3) -> (2, 2)", "retrain", attributes(strides=[2, 2])),
    ("stride_1_2", "digital"): ("strides (1, 2) -> (1, 1)", "retrain", attributes(strides=[1, 1])),
    ("dilation_2", "digital"): (
        "dilations (2, 2) -> (1, 1), kernel (3, 3) -> (5, 5) with zeros between",
        "same numbers",
        no_dilation("conv_weight"),
    ),
    ("aconv_dilation_2", "analog"): (
        "dilations (2, 2) -> (1, 1), kernel (3, 3) -> (5, 5) with zeros between",
        "same numbers",
        no_dilation("conv_weight_int8"),
    ),
    ("groups_2", "digital"): ("groups 2 -> 1, zeros between", "same numbers", one_group(2)),
    ("channel_multiplier_2", "digital"): ("groups 8 -> 1, zeros between", "same numbers", one_group(8)),
    ("kernel_9x9", "digital"): (
        "kernel (9, 9) -> (7, 7)",
        "retrain",
        both(attributes(**SEVEN), numbers(conv_weight=lambda weights: weights[:, :, :7, :7])),
    ),
    ("clip_m64_63", "digital"): (
        "a result cut off at -128..127, not at -64..63",
        "requantise",
        numbers(c_m64=lambda _: [-128], c_63=lambda _: [127]),
    ),
    ("clip_0_100", "digital"): (
        "a result cut off at 0..127, not at 0..100",
        "requantise",
        numbers(c_100=lambda _: [127]),
    ),
    ("clip_0_255", "digital"): (
        "its result as int8, integers and zero point 128 less",
        "same numbers",
        numbers(conv_bias=lambda bias: bias - 128 * 256, c_0=lambda _: [-128], c_255=lambda _: [127]),
    ),
    ("weight_200", "digital"): (
        "weights -57..200 -> -128..127",
        "requantise",
        numbers(conv_weight=lambda weights: weights.clip(-128, 127)),
    ),
    ("divisor_384", "digital"): (
        "scale 0.00260417 -> 2^-9, a shift that rounds down",
        "requantise",
        numbers(conv_div_by=lambda _: [512]),
    ),
    ("dense_divisor_1000", "digital"): (
        "scale 0.001 -> 2^-10, a shift that rounds down",
        "requantise",
        numbers(dense_div_by=lambda _: [1024]),
    ),
    ("divisor_per_channel", "digital"): (
        "one scale for the whole tensor of weights, in place of 3",
        "requantise",
        numbers(conv_div_by=lambda found: [found.min()]),
    ),
    ("add_broadcast", "digital"): (
        "an operand of 1x8x1x1 repeated to 1x8x8x8 (a constant, or Expand)",
        "same numbers",
        repeated_operand,
    ),
    ("add_scaled", "digital"): (
        "operands with one scale, the result's a power of two times that",
        "requantise",
        numbers(add_mul_by=lambda _: [1]),
    ),
    ("weight_not_constant", "digital"): ("weights that are constants", "retrain", constant_weights),
    ("aconv_weight_2", "analog"): (
        "weights of -1, 0 and 1",
        "retrain",
        numbers(conv_weight_int8=lambda weights: weights.clip(-1, 1)),
    ),
    ("aconv_input_8bit", "analog"): (
        "inputs -128..127 -> -64..63",
        "requantise",
        numbers(c_m128=lambda _: [-64], c_127=lambda _: [63]),
    ),
}


@pytest.mark.parametrize(("case", "engine"), CASES)
def test_with_the_change_the_engine_takes_the_layer(case: str, engine: str) -> None:
    says, effort, edit = CASES[case, engine]
    node = case.split("_")[0] if case.startswith(("add", "dense")) else "conv"
    model = onnx.load(MODELS / "htvm" / "refused" / f"{case}.onnx")
    if case in FEW_OUTPUTS:
        assert () in [each.violations for each in candidates(model, node, engine)]
        few_outputs(model.graph)
    before = candidates(model, node, engine)[0]
    assert isinstance(before.remedy, Counterfactual), before
    assert (before.remedy.description, before.remedy.effort) == (says, effort)
    assert (before.remedy.then.engine, before.remedy.then.cycles < before.remedy.now.cycles) == (engine, True)
    edit(model.graph)
    del model.graph.value_info[:]
    for axis in model.graph.output[0].type.tensor_type.shape.dim:
        axis.Clear()  # another stride, another size
    after = candidates(model, node, engine)
    assert () in [each.violations for each in after]  # a conversion before it is not the layer


@pytest.mark.parametrize(("name", "nodes", "count"), first([("ds_cnn", "conv[01]", 2), ("resnet8", "*[0-9]", 14)], 1))
def test_what_an_option_is_said_to_do_it_does(name: str, nodes: str, count: int) -> None:
    """Padding that is not 0, scales per channel, sums, an average, a kernel of even sides that a pass rewrites."""
    model, soc = MODELS / "mlperf_tiny" / f"{name}.onnx", targets.load("diana")
    promised = [
        each.node
        for each in explanation.explain(model, soc, nodes).decisions
        for one in each.candidates
        if isinstance(one.remedy, Counterfactual) and one.remedy.option == "--requant pow2" and one.engine == "digital"
    ]
    refitted, _ = lower(model, soc, "scheduled", CompileOptions(requant="pow2"))
    with refitted.context:
        layers = [each for each in accel.layers(refitted) if not violations(soc, soc.engine("digital"), each)]
        taken = {accel.node(each) for each in layers}
    assert len(promised) == count and set(promised) <= taken


def test_a_rule_that_no_change_mends_says_so() -> None:
    add = candidates(MODELS / "htvm" / "layers" / "add_16x32x32_shift1.onnx", "add", "analog")
    assert [each.remedy.reason for each in add] == [NoEdit.OP]
    assert str(add[0].remedy) == "no model edit helps: the engine does not know this op"


@pytest.mark.parametrize("name", ["mlperf_tiny/resnet8", "htvm/resnet8_mixed"])
def test_a_layer_as_plain_data_breaks_the_rules_that_the_layer_breaks(name: str) -> None:
    soc = targets.load("diana")
    module, _ = lower(MODELS / f"{name}.onnx", soc, "scheduled")
    with module.context:
        specs = [(layer, LayerSpec.of(layer)) for layer in accel.layers(module)]
        pairs = [(layer, spec.as_module()) for layer, spec in specs if spec is not None]
        assert len(pairs) >= 10
        for layer, alone in pairs:
            for engine in soc.engines:
                assert violations(soc, engine, layer_of(alone)) == violations(soc, engine, layer)


@dataclass(frozen=True)
class WholeLanes(ArrayEngine):
    """An array whose rows are all used: DORY's kernel reads 16 input channels, however many there are."""

    @cached_property
    def rules(self) -> dict[str, tuple[Rule | Proof, ...]]:
        def odd_channels(op: accel.Conv2dOp) -> int | None:
            count = linear_ops.shape(op.input)[1]
            return count if count % 16 else None

        conv = accel.Conv2dOp.OPERATION_NAME
        return super().rules | {
            conv: (*super().rules[conv], Rule(Subject.INPUT_CHANNELS, MultipleOf(16), "a test", odd_channels))
        }


def test_rules_of_another_engine_are_asked_and_channels_are_padded() -> None:
    diana = targets.load("diana")
    given = {each.name: getattr(diana.engine("digital"), each.name) for each in fields(ArrayEngine)}
    engines = tuple(WholeLanes(**given) if each.name == "digital" else each for each in diana.engines)
    soc = replace(diana, engines=engines)

    def digital(model: onnx.ModelProto) -> explanation.Candidate:
        (conv,) = [each for each in explanation.explain(model, soc).decisions if each.op == "conv2d"]
        return conv.candidates[0]

    model = onnx.load(MODELS / "htvm" / "refused" / "cin_3.onnx")
    remedy = digital(model).remedy
    assert (remedy.description, remedy.effort) == ("pad input channels 3 -> 16", "same numbers")
    numbers(conv_weight=lambda weights: np.pad(weights, [(0, 0), (0, 13), (0, 0), (0, 0)]))(model.graph)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 16
    del model.graph.value_info[:]
    assert digital(model).violations == ()


def test_what_a_memory_is_too_small_for_becomes_as_much_smaller_as_the_rule_says() -> None:
    soc = targets.load("diana").with_memory("digital_weights", 4096)
    (conv,) = explanation.explain(MODELS / "htvm" / "layers" / "conv2d_1x1_256x256.onnx", soc).decisions
    broken = conv.candidates[0].violations
    assert "weight bytes: found 4,160 bytes (16 outputs), wanted at most 4,096 bytes" in map(str, broken)
    assert conv.candidates[0].remedy.description == "input channels 256 -> 252"
