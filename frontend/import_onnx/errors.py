"""What is said when a model cannot be imported."""

from collections.abc import Iterable


class ModelError(Exception):
    """A model cannot be imported. `problems` has one message for each reason, all that were found."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class ModelWarning(UserWarning):
    """Something that the file leaves open was decided; the message says what, and how to decide otherwise."""


class Problem(Exception):
    """One reason, without the place: whoever knows the place catches it and names file and node."""


def shape_text(shape: Iterable[int]) -> str:
    """Return a shape as MLIR's types print it: "1x3x32x32", or "scalar"."""
    return "x".join(str(size) for size in shape) or "scalar"


def choices_text(choices: Iterable[str]) -> str:
    """Return "a", "a or b", "a, b or c"."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
