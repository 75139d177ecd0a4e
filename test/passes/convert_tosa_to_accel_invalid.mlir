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

// -----

// Control flow with several results: no function that is called gives more than one.
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+2]]:10: error: 'tosa.while_loop' has 2 results, expected one
func.func @two_results(%x: tensor<4xi32>) -> tensor<4xi32> {
  %0:2 = "tosa.while_loop"(%x, %x) ({
  ^bb0(%a: tensor<4xi32>, %b: tensor<4xi32>):
    %c = "tosa.const"() <{values = dense<true> : tensor<i1>}> : () -> tensor<i1>
    tosa.yield %c : tensor<i1>
  }, {
  ^bb0(%a: tensor<4xi32>, %b: tensor<4xi32>):
    tosa.yield %a, %b : tensor<4xi32>, tensor<4xi32>
  }) : (tensor<4xi32>, tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi32>)
  return %0#0 : tensor<4xi32>
}
