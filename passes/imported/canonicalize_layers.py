"""canonicalize-layers: MLIR's canonicalize, in htvm's functions and no others.

    %0 = "arith.constant"() : () -> tensor<4xi8>
    %y = "accel.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
    ==>
    %y = "accel.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>

Stage    any
Reads    the functions with layers
Writes   what the patterns of the operations in them say
Needs    nothing
Fails    never
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass, PassManager

from htvm.dialects import accel


@dataclass(frozen=True)
class CanonicalizeLayers:
    """Canonicalise each of htvm's functions; those of others in the module are theirs."""

    name: ClassVar[str] = "canonicalize-layers"
    stages: ClassVar[tuple[str, ...]] = ()

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        manager = PassManager.parse("func.func(canonicalize)", module.context)
        for function in accel.functions(module):
            manager.run(function.operation)
