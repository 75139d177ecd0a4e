"""What the generated `_accel_ops_gen.py` imports relatively: MLIR's own helpers for operation classes."""

from mlir.dialects._ods_common import (
    _cext as _cext,  # pyright: ignore[reportPrivateUsage]  (so do the operation classes of MLIR's own dialects)
)
from mlir.dialects._ods_common import equally_sized_accessor as equally_sized_accessor
from mlir.dialects._ods_common import get_default_loc_context as get_default_loc_context
from mlir.dialects._ods_common import get_op_results_or_values as get_op_results_or_values
from mlir.dialects._ods_common import segmented_accessor as segmented_accessor
