"""htvm as a backend of TVM: what it takes of a quantised Relax module becomes C inside the library that TVM builds.

    module = partition_for_htvm(from_onnx(model, keep_params_in_input=False), target="rv32")
    executable = tvm.relax.build(tvm.relax.transform.RunCodegen()(module), target="llvm")
    executable.export_library("network.so")

Importing this registers `relax.ext.htvm`, which RunCodegen calls. Needs the extra `tvm`.
"""

from htvm.integrations.relax.codegen import CodegenError  # registers relax.ext.htvm
from htvm.integrations.relax.partition import Partition, Staying, Subgraph, partition, partition_for_htvm
from htvm.integrations.relax.project import write_c

__all__ = ["CodegenError", "Partition", "Staying", "Subgraph", "partition", "partition_for_htvm", "write_c"]
