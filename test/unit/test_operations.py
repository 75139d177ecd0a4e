"""What an operation needs from each place: a missing piece is named here, not by a network that stumbles over it."""

import pytest

from htvm.backend.c import steps  # noqa: F401  (registers the writers)
from htvm.backend.c.writers import WRITERS
from htvm.dialects import accel
from htvm.dialects.semantics import integer_layers, real_layers
from htvm.passes.integer.forms import FORMS

LAYERS = [each for each in vars(accel).values() if hasattr(each, "OPERATION_NAME") and issubclass(each, accel.Layer)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_a_layer_has_all_that_its_stages_need(layer: type) -> None:
    """A meaning; from a real one an integer form; from an integer one C, but for what only other units do."""
    name = layer.OPERATION_NAME
    is_real, is_integer = name in real_layers.MEANINGS, name in integer_layers.MEANINGS
    assert is_real or is_integer, "semantics/: no meaning"
    assert is_integer != issubclass(layer, accel.RealOnly), "AccelOps.td: RealOnly is what has no integer meaning"
    if is_real:
        assert layer in FORMS, "passes/integer/forms/: no `form_of`"
    if is_integer and layer not in (accel.TransferOp, accel.FusedOp):
        assert layer in WRITERS, "backend/c/: no `writes`"
