// RUN: htvm-opt %s -p canonicalize-layers | FileCheck %s

// A constant that nothing uses goes.
// CHECK-LABEL: @layers
func.func @layers(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NOT: arith.constant
  %c = arith.constant dense<1.0> : tensor<4xf32>
  %y = accel.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A function without layers is somebody else's.
// CHECK-LABEL: @others
func.func @others(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: arith.constant
  %c = arith.constant dense<1.0> : tensor<4xf32>
  return %x : tensor<4xf32>
}
