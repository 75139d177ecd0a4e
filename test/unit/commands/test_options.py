"""CompileOptions: one record for the API, the command line, plans and messages."""

import argparse
import warnings

import pytest

from htvm.backend import targets
from htvm.commands.arguments import add_compilation, add_target, options_of
from htvm.options import CHOICES, DEFAULTS, SPEED, CompileOptions, ConstantBudget, of_target, size_of

ALL = CompileOptions(
    objective="energy",
    requant="pow2",
    mapping="htvm",
    requant_shift="half",
    tflite_rounding=True,
    effort=3,
    constants=ConstantBudget(factor=2.5),
    engines=("host", "digital"),
    cost_model="odimo",
    memory={"l1": 65536, "l2": 131072},
    input_types={"x": "u8"},
    shapes={"x": (1, 3, 32, 32)},
    passes={"integer": "cse,canonicalize"},
    function="main",
)


def of_command_line(words: list[str]) -> CompileOptions:
    """Return the options that a command reads."""
    parser = argparse.ArgumentParser()
    add_target(parser, help="", default="diana")
    add_compilation(parser)
    return options_of(parser.parse_args(words))


def test_a_command_line_gives_the_same_options_again() -> None:
    assert of_command_line([]) == DEFAULTS
    assert of_command_line(ALL.arguments()) == ALL


def test_facts_give_the_same_options_again() -> None:
    assert DEFAULTS.facts() == {}
    again = CompileOptions.of_facts(ALL.facts())
    assert again.having(shapes={"x": (1, 3, 32, 32)}) == ALL  # JSON has lists


def test_every_field_is_written_to_a_command_line_and_to_facts() -> None:
    """Fails for a new field that `arguments`, `facts` or ALL forgets."""
    names = {name for name in vars(ALL) if name not in ("plan", "kernels")}  # which are files
    assert all(getattr(ALL, name) != getattr(DEFAULTS, name) for name in names)
    assert set(ALL.facts()) == names
    words = " ".join(ALL.arguments())
    options = {"input_types": "input-type", "shapes": "shape"}
    assert all(f"--{options.get(name, name.replace('_', '-'))}" in words for name in names)


def test_choices_of_the_command_line_are_those_of_the_record() -> None:
    assert set(CHOICES) <= set(vars(DEFAULTS))
    with pytest.raises(ValueError, match="requant is 'pow3', expected one of exact, pow2"):
        CompileOptions(requant="pow3")


def test_an_unknown_choice_is_named_with_those_there_are() -> None:
    with pytest.raises(TypeError, match="there is no option 'tiling'; options are constants, cost_model"):
        DEFAULTS.having(tiling=3)


def test_optimize_is_a_former_name_of_a_budget() -> None:
    with pytest.warns(DeprecationWarning, match="optimize='speed' is deprecated: give constants='2.4x'"):
        assert DEFAULTS.having(optimize="speed").constants == SPEED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert of_command_line(["--optimize", "speed"]).constants == SPEED


@pytest.mark.parametrize(
    ("text", "size"),
    [("65536", 65536), ("64k", 65536), ("64K", 65536), ("64KiB", 65536), ("0x10000", 65536), ("64m", 64 << 20),
     ("64M", 64 << 20), ("64MiB", 64 << 20), ("1g", 1 << 30), ("7b", 7)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5k", "64z", "0x", "0x10k", "9" * 100, "64 k k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size, expected bytes, such as 65536, 0x10000 or 64k"):
        size_of(text)


@pytest.mark.parametrize(("text", "wanted"), [("2.4x", "2.4x"), ("120k", "122880"), ("0", "0")])
def test_budgets_of_constants(text: str, wanted: str) -> None:
    assert str(ConstantBudget.parse(text)) == wanted


@pytest.mark.parametrize("text", ["x", "0.5x", "-2x", "1e3x", "12q", ""])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="budget for constants"):
        ConstantBudget.parse(text)


def test_the_options_of_a_target_make_it_again() -> None:
    whole = targets.load("diana")
    changed = whole.with_engines(["host", "digital"]).with_cost_model("odimo").with_memory("l1", 65536)
    options = of_target(whole, changed)
    assert options.refined(whole) == changed
    assert of_target(whole, whole) == DEFAULTS
