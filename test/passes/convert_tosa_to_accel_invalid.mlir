// RUN: not htvm-opt %s -p convert-tosa-to-accel --split-input-file 2>&1 | FileCheck %s

// All operations that are no integer arithmetic are named, each with what would help.
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+3]]:8: error: 'tosa.exp' is of tensor<4xf32>, expected integers; quantise the model first, as full integer quantisation does for TFLite (all operators in int8)
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+3]]:8: error: 'tosa.tanh' is of tensor<4xf32>, expected integers
func.func @floats(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tosa.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tosa.tanh %0 : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// CHECK: error: 'tosa.abs' is of tensor<?x4xi32>, expected a static shape; give the sizes of inputs (--shape NAME=1x32x32x3)
func.func @open_shape(%x: tensor<?x4xi32>) -> tensor<?x4xi32> {
  %0 = tosa.abs %x : (tensor<?x4xi32>) -> tensor<?x4xi32>
  return %0 : tensor<?x4xi32>
}
