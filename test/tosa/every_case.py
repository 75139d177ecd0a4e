"""All cases: those of `cases.py`, `typed_cases.py` and `moving_cases.py`."""

from . import moving_cases, typed_cases  # noqa: F401  (which register theirs)
from .cases import CASES

__all__ = ["CASES"]
