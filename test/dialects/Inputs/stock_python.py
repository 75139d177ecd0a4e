"""The accel dialect in a context that stock MLIR made: its operations, classes and upstream's passes."""

from mlir import ir
from mlir.passmanager import PassManager

from htvm import dialects

TEXT = """
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = accel.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = accel.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %2 = accel.add %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}
"""

with ir.Context() as context:
    try:
        ir.Module.parse(TEXT)
    except ir.MLIRError as error:
        print("unknown before:", error.error_diagnostics[0].message)
    dialects.load(context)
    module = ir.Module.parse(TEXT)
    relu = module.body.operations[0].body.blocks[0].operations[0]
    print(f"{type(relu).__name__} of {relu.input.type}")
    PassManager.parse("builtin.module(cse)").run(module.operation)
    print({1: "once", 2: "twice"}[str(module).count("accel.relu")], "after CSE")
