"""Networks of every family, quantised by onnxruntime in every form, are computed exactly on the simulated host."""

import pytest
from architectures import ARCHITECTURES
from quantised import FORMS, Form, quantised

import htvm

HALF = [form for form in FORMS if (form.format == "QDQ") ^ (form.activations == "QInt8") ^ form.per_channel]
"""Of the forms, such that any two of their properties meet. `python test_architectures.py [NAME ..]` tries all."""


@pytest.mark.parametrize("form", HALF, ids=str)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_is_exact(name: str, form: Form) -> None:
    check(name, form)


def check(name: str, form: Form) -> None:
    found = htvm.verify(quantised(ARCHITECTURES[name](), form))
    assert found.exact, found.diverging
    assert len(set(found.comparisons[0].found.reshape(-1).tolist())) > 1


if __name__ == "__main__":
    import sys

    for chosen in sys.argv[1:] or ARCHITECTURES:
        for each in FORMS:
            check(chosen, each)
            print(f"{chosen} {each}: exact", flush=True)
