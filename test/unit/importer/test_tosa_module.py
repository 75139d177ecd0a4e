"""A module of tosa made ready: sizes of open inputs, and the rounding of fully connected layers."""

from pathlib import Path

import pytest
from mlir import ir
from tosa.text import Function

from htvm import dialects
from htvm.dialects.accel import present
from htvm.dialects.semantics.tosa.reading import literal
from htvm.import_tosa import TosaError, prepare
from htvm.options import CompileOptions
from htvm.sources import ModuleSource, source_of


def layers(matrix: bool) -> Function:
    """Return a layer on one pixel. matrix: its weights are a constant of two axes under the shape of kernels."""
    f = Function()
    x = f.input((1, 1, 1, 6))
    weights = f.const(f.random.integers(-127, 128, (4, 6) if matrix else (4, 1, 1, 6)))
    if matrix:
        weights = f.op("reshape", [weights, f.sizes([4, 1, 1, 6])], (4, 1, 1, 6), "i8")
    attributes = "acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>"
    operands = [x, weights, f.const([0] * 4, "i32"), *f.zeros("i8", "i8")]
    sums = f.op("conv2d", operands, (1, 1, 1, 4), "i32", attributes)
    f.result(f.rescale(sums, (1 << 30, 38)))
    return f


@pytest.mark.parametrize(
    "matrix, asked, rounding",
    [(True, True, "SINGLE_ROUND"), (True, False, "DOUBLE_ROUND"), (False, True, "DOUBLE_ROUND")],
)
def test_tflite_rounding_is_of_fully_connected_layers_alone(matrix: bool, asked: bool, rounding: str) -> None:
    module = ir.Module.parse(layers(matrix).text(), dialects.context())
    prepare(module, {}, tflite_rounding=asked)
    assert str(module).count(f"rounding_mode = {rounding}") == str(module).count("rounding_mode") == 1


OPEN = """
func.func @net(%x: tensor<?x?x4xi8> {accel.name = "image"}) -> tensor<?x?x4xi8> {
  %0 = tosa.identity %x : (tensor<?x?x4xi8>) -> tensor<?x?x4xi8>
  return %0 : tensor<?x?x4xi8>
}
"""


def test_open_inputs_get_their_sizes_and_results_follow() -> None:
    module = ir.Module.parse(OPEN, dialects.context())
    with module.context:
        prepare(module, {"image": [2, 3, 4]}, tflite_rounding=False)
    (function,) = module.body.operations
    assert str(function.type) == "(tensor<2x3x4xi8>) -> tensor<2x3x4xi8>"


@pytest.mark.parametrize(
    "shapes, message",
    [
        ({}, r"input 'image' has an open axis 1 .*: give --shape image="),
        ({"image": [1, 3, 5]}, r"input 'image' is tensor<\?x\?x4xi8>, which the shape 1x3x5 does not fit"),
        ({"photo": [1, 3, 4]}, r"there is no input 'photo'; inputs are image"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(shapes: dict[str, list[int]], message: str) -> None:
    module = ir.Module.parse(OPEN, dialects.context())
    with pytest.raises(TosaError, match=message):
        prepare(module, shapes, tflite_rounding=False)


def test_sizes_that_a_reshape_leaves_open_are_stated() -> None:
    text = """
      func.func @net(%x: tensor<?x2x2xi8>) -> tensor<?x4xi8> {
        %shape = tosa.const_shape {values = dense<[-1, 4]> : tensor<2xindex>} : () -> !tosa.shape<2>
        %0 = tosa.reshape %x, %shape : (tensor<?x2x2xi8>, !tosa.shape<2>) -> tensor<?x4xi8>
        return %0 : tensor<?x4xi8>
      }"""
    module = ir.Module.parse(text, dialects.context())
    with module.context:
        prepare(module, {"arg0": [3, 2, 2]}, tflite_rounding=False)
    (function,) = module.body.operations
    (reshape,) = (op for op in function.body.blocks[0] if op.operation.name == "tosa.reshape")
    assert literal(reshape.operation.operands[1].owner).tolist() == [3, 4]


def test_one_of_several_functions_is_what_the_module_means(tmp_path: Path) -> None:
    first, second = (f"func.func @{name}{OPEN.partition('@net')[2]}" for name in ("first", "second"))
    (tmp_path / "two.mlir").write_text(first.replace("tosa.identity", "tosa.abs") + second)
    source = source_of(tmp_path / "two.mlir")
    assert isinstance(source, ModuleSource)
    options = CompileOptions(function="second", shapes={"image": (1, 2, 4)})
    prepared, _ = present(source._of_front_end(options), "a module of tosa")
    assert "@first" not in str(prepared) and "tensor<1x2x4xi8>" in str(prepared)
