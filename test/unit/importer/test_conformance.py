"""ONNX's own tests of single operators (onnx.backend.test): the reference, and what the passes make of the node.

Each test of an operator that is imported has data. The reference must give the outputs that the test expects, within
float32's precision. Then the node stands between quantisers, with the test's numbers as int8 and what must be known as
constants; executed in stage 'integer', it must equal the reference exactly. REFUSED lists the tests whose form is
refused, each with a part of the message: a refusal that goes away, or is another, fails.
"""

import re
import warnings
from functools import cache
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from agreement import check_agreement
from mlir import ir
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

from htvm.dialects.semantics.real import Real
from htvm.import_onnx import ModelError
from htvm.import_onnx.model import ONNX_DOMAINS
from htvm.import_onnx.operators import OPERATORS
from htvm.reference import evaluate

TYPES = frozenset(getattr(TensorProto, name) for name in "FLOAT INT8 UINT8 INT16 UINT16 INT32 INT64 BOOL".split())
"""Of inputs and outputs: tests on other types concern no quantised network."""

NOT_OF_NETWORKS = frozenset(("Cast", "Constant", "Identity"))
"""Operators whose tests are about other types only, or need no test."""

ALL_COMPUTED = frozenset(("Add", "Concat", "MatMul", "Max", "Min", "Mul", "Sub"))
"""Operators all of whose inputs are computed; of the others it is the first, and the rest is constant."""

WEIGHTS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1}
"""Which input has weights: a constant of int8."""

AS_THEY_ARE = re.compile("Linear|Integer")
"""Operators on stored integers, around which there are no quantisers."""


class Case(NamedTuple):
    """A test: the model of one node, and its inputs and outputs in order."""

    name: str
    model: onnx.ModelProto
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]

    @property
    def node(self) -> onnx.NodeProto:
        return self.model.graph.node[0]


@cache
def cases() -> dict[str, Case]:
    """Return the tests of operators that are imported, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tests' own arithmetic has infinities
        loaded = load_model_tests(kind="node")
    found = {}
    for test in loaded:
        if test.model is None or test.name.endswith("_expanded") or len(test.model.graph.node) != 1:
            continue
        graph = test.model.graph
        node = graph.node[0]
        values = (*graph.input, *graph.output)
        is_known = node.domain in ONNX_DOMAINS and node.op_type in OPERATORS.keys() - NOT_OF_NETWORKS
        if is_known and all(value.type.tensor_type.elem_type in TYPES for value in values):
            ((inputs, outputs),) = test.data_sets
            arrays = ([_array(value) for value in values] for values in (inputs, outputs))
            found[test.name.removeprefix("test_")] = Case(test.name, test.model, *arrays)
    return found


def _array(value: np.ndarray | onnx.TensorProto) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


REFUSED = {
    r"(add|mul|sub)_u?int\d+": "which wrap around; Cast to int32 before it",
    r"div_int(8|16)": "that may be negative, which rounds towards zero; expected Clip or Relu to 0 or more behind it",
    r"div_int32_trunc": "holds -2, expected positive float32 numbers",
    r"div_uint(8|16)": "has a constant that varies along the axes [0, 1, 2], expected one axis",
    r"(max|min)_u?int\d+": "expected float32",
    r"(averagepool|convtranspose|maxpool)_3d.*": "has rank 5, expected 4 (N, C, H, W) or 3 (N, C, W)",
    r"clip_min_greater_than_max": "min is 2, expected at most max, which is 1",
    r"div|prelu_example": "has a constant that varies along the axes",
    r"training_dropout.*": "training_mode is true, expected false",
    r"dropout.*_mask.*": "output 1 ('z') is not supported",
    r"batchnorm_.*training_mode": "training_mode is 1, expected 0",
    r"layer_normalization_.*": "output 1 ('Mean') is not supported",
    r"maxpool_with_argmax_.*": "output 1 ('z') is not supported",
    r"pow(_example|_bcast_array|_types_.*)?": "numbers, expected 1",
    r"(de)?quantizelinear_axis": "scale has 3 numbers, expected 1: the tensor is not constant",
    r"(de)?quantizelinear_blocked.*": "block_size is 2, expected 0",
    r"reduce_(max|min)_bool_inputs": "is bool, expected float32",
    r"reduce_.*_empty_set.*|split_zero_size_.*|reshape_allowzero_.*": "expected at least 1 along each axis",
    r"resize_.*cubic.*antialias|resize_.*_antialias": "antialias is 1, expected 0",
    r"resize_.*cubic.*": "mode is 'cubic', expected 'nearest' or 'linear'",
    r"resize_downsample_scales_linear": "bits to add these scales exactly, expected at most 61",
    r"resize_.*_not_(larger|smaller)": "keep_aspect_ratio_policy is",
    r"resize_tf_crop_and_resize.*": "coordinate_transformation_mode is 'tf_crop_and_resize'",
    r"shrink_soft": "bias is 1.5, expected 0.0",
    r"slice_start_out_of_bounds": "nothing is left",
}
"""Patterns of tests' names, the first that matches counts, and what the message says."""

ACCEPTED = frozenset(("pow_bcast_scalar",))
"""Tests that a pattern of REFUSED does not mean."""

DISPUTED = {"resize_downsample_scales_linear_align_corners": "counts a part of a result; onnxruntime differs as well"}
"""Tests that expect something else than ONNX's text says, which the reference follows."""


def test_all_operators_have_cases() -> None:
    assert {case.node.op_type for case in cases().values()} == OPERATORS.keys() - NOT_OF_NETWORKS


# By operator, not by case: to know the cases takes seconds, which each process would spend before its first test.
@pytest.mark.parametrize("operator", sorted(OPERATORS.keys() - NOT_OF_NETWORKS))
def test_operator(operator: str) -> None:
    wrong: dict[str, str] = {}
    for name, case in cases().items():
        if case.node.op_type == operator:
            try:
                check(name, case)
            except (AssertionError, ModelError, ir.MLIRError, pytest.fail.Exception) as problem:
                wrong[name] = str(problem)
    assert not wrong


def check(name: str, case: Case) -> None:
    """Check one test: it is right, or refused as REFUSED says."""
    message = next((text for pattern, text in REFUSED.items() if re.fullmatch(pattern, name)), None)
    if message is None or name in ACCEPTED:
        if name not in DISPUTED:
            check_reference(case)
        check_agreement(between_quantisers(case))
        return
    with pytest.raises((ModelError, ir.MLIRError)) as caught:
        check_agreement(between_quantisers(case))
    assert message in str(caught.value)


def check_reference(case: Case) -> None:
    """Compare what the reference makes of the test's data with what the test expects."""
    graph = case.model.graph
    found = evaluate(case.model, dict(zip((value.name for value in graph.input), case.inputs, strict=True)))
    for value, wanted in zip(graph.output, case.outputs, strict=True):
        if wanted.dtype == np.float32:
            np.testing.assert_allclose(found[value.name], wanted, rtol=1e-3, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[value.name], wanted)


def between_quantisers(case: Case) -> onnx.ModelProto:
    """Return the node between quantisers: its computed inputs and outputs of float32 are int8."""
    graph, node = case.model.graph, onnx.NodeProto()
    node.CopyFrom(case.node)
    inputs, constants, before, after, outputs = [], [], [], [], []
    for place, (value, array) in enumerate(zip(graph.input, case.inputs, strict=True)):
        is_computed = place == 0 or (node.op_type in ALL_COMPUTED)
        is_weights = WEIGHTS.get(node.op_type) == place
        if AS_THEY_ARE.search(node.op_type) or not array.dtype == np.float32 or not (is_computed or is_weights):
            (inputs.append(value) if is_computed else constants.append(numpy_helper.from_array(array, value.name)))
            continue
        scale = numpy_helper.from_array(scale_of(array), f"{value.name}_scale")
        stored = f"{value.name}_stored"
        constants.append(scale)
        before.append(helper.make_node("DequantizeLinear", [stored, scale.name, "zero"], [value.name]))
        if is_computed:
            inputs.append(helper.make_tensor_value_info(stored, TensorProto.INT8, array.shape))
        else:
            exact = Real.of_floats(array).quantise(numpy_helper.to_array(scale), 0, -128, 127)
            constants.append(numpy_helper.from_array(exact.astype(np.int8), stored))
    for value, array in zip(graph.output, case.outputs, strict=True):
        if array.dtype != np.float32 or AS_THEY_ARE.search(node.op_type):
            outputs.append(value)
            continue
        scale = numpy_helper.from_array(scale_of(array), f"{value.name}_scale")
        constants.append(scale)
        after.append(helper.make_node("QuantizeLinear", [value.name, scale.name, "zero"], [f"{value.name}_stored"]))
        outputs.append(helper.make_tensor_value_info(f"{value.name}_stored", TensorProto.INT8, array.shape))
    constants.append(numpy_helper.from_array(np.int8(0), "zero"))
    made = helper.make_graph([*before, node, *after], case.name, inputs, outputs, constants)
    return helper.make_model(made, opset_imports=case.model.opset_import, ir_version=10)


def scale_of(array: np.ndarray) -> np.ndarray:
    """Return the scale that gives the largest number of an array 7 bits."""
    finite = np.abs(array[np.isfinite(array)]) if array.size else np.zeros(0)
    return np.float32(finite.max(initial=0) / 127 or 1)
