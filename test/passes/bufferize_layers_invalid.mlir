// RUN: not htvm-opt %s -p bufferize-layers --target=%S/targets/choosy.py --split-input-file 2>&1 | FileCheck %s

// CHECK: bufferize_layers_invalid.mlir:[[#@LINE+2]]:8: error: 'arith.addi' has no form on buffers; expected layers of the accel dialect and constants
func.func @no_layer(%x: tensor<4xi8> {accel.name = "x"}) -> tensor<4xi8> attributes {accel.order = #accel.optimality<optimal>} {
  %y = arith.addi %x, %x : tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

// CHECK: bufferize_layers_invalid.mlir:[[#@LINE+4]]:3: error: a result must be copied, and no engine of target 'choosy' runs 'accel.reshape'
// CHECK-NEXT: adder: op: found accel.reshape, wanted accel.add
// CHECK-NEXT: tables: op: found accel.reshape, wanted accel.lookup
func.func @nobody_copies(%x: tensor<4xi8> {accel.name = "x"}) -> tensor<4xi8> attributes {accel.order = #accel.optimality<optimal>} {
  return %x : tensor<4xi8>
}
