// RUN: htvm-opt %s -p count-layers | FileCheck %s
// RUN: not htvm-opt %s -p 'count-layers{limit=1}' 2>&1 | FileCheck %s --check-prefix=LIMIT

// The function says how many layers it has.
// CHECK: func.func @two_layers
// CHECK-SAME: my.layers = 2

// The first layer beyond the limit is where the error points.
// LIMIT: count_layers.mlir:[[#@LINE+3]]:8: error: 'two_layers' has 2 layers, expected at most 1
func.func @two_layers(%x: tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4xf32> {
  %0 = accel.relu %x : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4xf32>
  %1 = accel.add %0, %0 : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}
