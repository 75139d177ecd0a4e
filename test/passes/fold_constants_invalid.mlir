// RUN: not htvm-opt %s -p fold-constants 2>&1 | FileCheck %s

!q = !quant.uniform<i8:f32, 0.5>

// CHECK: fold_constants_invalid.mlir:[[#@LINE+5]]:8: error: makes an output of constants alone, expected one that depends on an input
func.func @constant_output(%x: tensor<2x!q>) -> tensor<2x!q> {
  %i = arith.constant dense<2> : tensor<2xi8>
  %c = quant.scast %i : tensor<2xi8> to tensor<2x!q>

  %0 = accel.relu %c : (tensor<2x!q>) -> tensor<2x!q>
  return %0 : tensor<2x!q>
}
