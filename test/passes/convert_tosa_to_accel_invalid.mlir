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

// A loop with several results: no function that is called gives more than one.
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+5]]:10: error: 'scf.for' has 2 results, expected one
func.func @two_results(%x: tensor<4xi32>) -> tensor<4xi32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x1 = tosa.abs %x : (tensor<4xi32>) -> tensor<4xi32>
  %0:2 = scf.for %i = %c0 to %c1 step %c1 iter_args(%a = %x1, %b = %x) -> (tensor<4xi32>, tensor<4xi32>) {
    scf.yield %b, %a : tensor<4xi32>, tensor<4xi32>
  }
  return %0#0 : tensor<4xi32>
}

// -----

// Whatever stands in the way is named at once: the types of the interface, operations that nothing lowers, floats.
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+5]]:1: error: '@several' argument 1 is of tensor<4xi1>, expected integers of 8, 16 or 32 bits: cast it before the network
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+5]]:8: error: 'tosa.custom' is not compiled; only its author knows what it computes: write it with other operations
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+5]]:8: error: 'tosa.scatter' is not compiled; MLIR does not lower it: write it with tosa.concat or tosa.select
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+5]]:8: error: 'tosa.cast' is of tensor<4xf32>, expected integers
// CHECK: convert_tosa_to_accel_invalid.mlir:[[#@LINE+5]]:8: error: 'tosa.logical_not' is result 0, of tensor<4xi1>, expected integers of 8, 16 or 32 bits: rescale or cast it
func.func @several(%x: tensor<4xi32>, %b: tensor<4xi1>, %v: tensor<1x7x3xi8>, %i: tensor<1x2xi32>, %n: tensor<1x2x3xi8>) -> (tensor<4xi1>, tensor<1x7x3xi8>, tensor<4xf32>, tensor<4xi32>) {
  %0 = tosa.custom %x {domain_name = "d", implementation_attrs = "", operator_name = "f"} : (tensor<4xi32>) -> tensor<4xi32>
  %1 = tosa.scatter %v, %i, %n : (tensor<1x7x3xi8>, tensor<1x2xi32>, tensor<1x2x3xi8>) -> tensor<1x7x3xi8>
  %2 = tosa.cast %x : (tensor<4xi32>) -> tensor<4xf32>
  %3 = tosa.logical_not %b : (tensor<4xi1>) -> tensor<4xi1>
  return %3, %1, %2, %0 : tensor<4xi1>, tensor<1x7x3xi8>, tensor<4xf32>, tensor<4xi32>
}
