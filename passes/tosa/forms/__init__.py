"""Which layer computes what operations of tosa ask for, by family; each module registers its own."""

from . import elementwise, linear, movement, reductions
from .matching import MATCHERS, Match, match

__all__ = ["MATCHERS", "Match", "elementwise", "linear", "match", "movement", "reductions"]
