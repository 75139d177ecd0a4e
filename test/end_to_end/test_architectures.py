"""Networks of every family, quantised by onnxruntime in every form, are computed exactly on the simulated host."""

from itertools import cycle

import pytest
from architectures import ARCHITECTURES
from quantised import FORMS, Form, quantised
from selection import slow

import htvm

HALF = [form for form in FORMS if (form.format == "QDQ") ^ (form.activations == "QInt8") ^ form.per_channel]
"""Of the forms, such that any two of their properties meet. `python test_architectures.py [NAME ..]` tries all."""

QDQ_ONLY = {
    "unet": "transposed convolutions and linear interpolation stay in float",
    "mobilenet_v3": "the mean of a HardSwish stays in float",
    "transformer": "LayerNormalization stays in float",
}
"""What onnxruntime leaves in float in QOperator form."""


def forms(name: str, among: list[Form] = FORMS) -> list[Form]:
    return [form for form in among if form.format == "QDQ" or name not in QDQ_ONLY]


TURNS = cycle(HALF)
QUICK = {name: next(form for form in TURNS if form in forms(name, HALF)) for name in ARCHITECTURES}
"""A form for each architecture, in turn, so that each form has several architectures."""

CASES = [(name, form) for name in ARCHITECTURES for form in forms(name, HALF)]


@pytest.mark.parametrize(("name", "form"), [each if each in QUICK.items() else slow(each) for each in CASES], ids=str)
def test_architecture_is_exact(name: str, form: Form) -> None:
    check(name, form)


def check(name: str, form: Form) -> None:
    found = htvm.verify(quantised(ARCHITECTURES[name](), form))
    assert found.exact, found.diverging
    assert len(set(found.comparisons[0].found.reshape(-1).tolist())) > 1


if __name__ == "__main__":
    import sys

    for chosen in sys.argv[1:] or ARCHITECTURES:
        for each in forms(chosen):
            check(chosen, each)
            print(f"{chosen} {each}: exact", flush=True)
