"""The Python classes of the dialect's attributes, which are generated: they say what MLIR says."""

import ast
import inspect
from pathlib import Path

import pytest
from mlir import ir

from htvm import dialects
from htvm.dialects import accel

STUB = Path(accel.__file__).with_name("_accel_ops_gen.pyi")


@pytest.fixture
def requant() -> accel.RequantAttr:
    with dialects.context():
        return accel.RequantAttr.get(multiplier=[3, 4], offset=[-1], shift=[40], min=-128, max=127, narrow=True)


def test_parameters_are_those_that_were_given(requant: accel.RequantAttr) -> None:
    assert (requant.multiplier, requant.offset, requant.shift) == ((3, 4), (-1,), (40,))
    assert (requant.min, requant.max, requant.narrow, requant.tie_below) == (-128, 127, True, 0)
    assert requant.divisor is None


def test_text_is_read_back_as_the_same_class(requant: accel.RequantAttr) -> None:
    again = ir.Attribute.parse(str(requant), requant.context)
    assert isinstance(again, accel.RequantAttr) and again == requant


def test_nested_attributes_have_their_class(requant: accel.RequantAttr) -> None:
    rescale = accel.RescaleAttr.get(requant=requant, weights=[5, -3], context=requant.context)
    assert isinstance(rescale.requant, accel.RequantAttr) and rescale.requant == requant
    assert ir.Attribute.parse(str(rescale), requant.context) == rescale


def test_one_parameter_can_be_another(requant: accel.RequantAttr) -> None:
    other = requant.replace(min=0)
    assert (other.min, other.max, other.multiplier) == (0, 127, (3, 4))
    assert requant.min == -128


def test_what_a_verifier_refuses_is_an_exception_with_its_words(requant: accel.RequantAttr) -> None:
    with pytest.raises(ValueError, match="requant 'min' is 200, above 'max', which is 127"):
        requant.replace(min=200)


def test_stated_types_are_of_the_operation_classes_that_there_are() -> None:
    """Constructors have the same parameters in the same order, and every property is one."""
    classes = [each for each in ast.parse(STUB.read_text()).body if isinstance(each, ast.ClassDef)]
    assert len(classes) > 25
    stubs = {each.name: [one for one in each.body if isinstance(one, ast.FunctionDef)] for each in classes}
    of_layers = {each.name for each in stubs.pop("Layer")}
    for stated in classes:
        real = getattr(accel, stated.name)
        if not hasattr(real, "OPERATION_NAME"):  # a family
            continue
        methods = stubs[stated.name]
        is_layer = issubclass(real, accel.Layer)
        arguments = next(each.args for each in methods if each.name == "__init__")
        names = [each.arg for each in (*arguments.args, *arguments.kwonlyargs)]
        assert names == list(inspect.signature(real.__init__).parameters), stated.name
        properties = {each.name for each in methods} - {"__init__"} | (of_layers if is_layer else set())
        assert all(isinstance(getattr(real, name), property) for name in properties), stated.name


def test_families_are_what_the_definitions_say() -> None:
    """An operation is of a family when the program runs, and for a type checker, which has its common members."""
    stub = ast.parse(STUB.read_text()).body
    bases = {each.name: {ast.unparse(base) for base in each.bases} for each in stub if isinstance(each, ast.ClassDef)}
    families = {name for of in bases.values() for name in of} - {"ir.OpView"}
    assert {"Weighted", "Moves", "ElementWise", "Monotone", "Reduction", "Layer"} <= families
    for name, of in bases.items():
        if hasattr(getattr(accel, name), "OPERATION_NAME"):
            found = {family for family in families if issubclass(getattr(accel, name), getattr(accel, family))}
            assert found - {"Layer"} == of - {"Layer", "ir.OpView"}, name
    assert issubclass(accel.ReshapeOp, accel.Layer) and not issubclass(accel.CopyOp, accel.Layer)
    weighted = next(each for each in stub if isinstance(each, ast.ClassDef) and each.name == "Weighted")
    members = {each.name for each in weighted.body if isinstance(each, ast.FunctionDef)}
    assert {"input", "weights", "bias", "requant", "kernel", "skip"} <= members
