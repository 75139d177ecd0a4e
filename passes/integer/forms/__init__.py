"""The integer form of each operation: a function that builds it from the operation and its integer operands."""

from . import arithmetic, linear, movement, normalisation, tables
from .builders import FORMS, NotExact

__all__ = ["FORMS", "NotExact"]

OF_FORMS = (arithmetic, linear, movement, normalisation, tables)
"""The files whose functions build integer forms; `form_of` registers them when these are imported."""
