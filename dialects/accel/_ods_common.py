"""What the generated `_accel_ops_gen.py` imports relatively: MLIR's own helpers for operation classes."""

from mlir.dialects._ods_common import (  # noqa: F401
    _cext,
    equally_sized_accessor,
    get_default_loc_context,
    get_op_results_or_values,
    segmented_accessor,
)
