"""What kernels for one row of bytes share: inputs that a relu has made the smallest are skipped."""

from __future__ import annotations

from htvm.dialects import row_weights

from .spec import Linear

SKIPPED_SHARE = 0.5
"""What part of a layer's inputs is assumed to be `skip`, where a relu made them. In the dense layers of MLPerf Tiny's
toyadmos it is 0.40 to 0.68 on the two goldens, 0.54 on average; but 0 in the one after the bottleneck of 8."""


def skipping(taps: int, tap: int) -> tuple[int, int]:
    """Return the instructions for taps some of which are skipped, each for 2: as many as assumed, and none."""
    return int(taps * (SKIPPED_SHARE * 2 + (1 - SKIPPED_SHARE) * tap)), taps * tap


def takes_bytes_in_fours(linear: Linear) -> bool:
    """Say whether a layer is one row of bytes, of a multiple of 4 that is not too long."""
    is_row = linear.groups == 1 and linear.windows_are_rows and linear.is_row
    return is_row and linear.has_bytes and not linear.taps % row_weights.UNIT and linear.taps < row_weights.MOST_TAPS
