// RUN: not htvm-opt %s -p dispatch-engines --target=%S/targets/choosy.py --split-input-file 2>&1 | FileCheck %s

// CHECK: dispatch_engines_invalid.mlir:[[#@LINE+4]]:8: error: no engine of target 'choosy' runs 'accel.softmax'
// CHECK-NEXT: adder: op: found accel.softmax, wanted accel.add
// CHECK-NEXT: tables: op: found accel.softmax, wanted accel.lookup
func.func @no_engine_supports_softmax(%x: tensor<1x10xi8>) -> tensor<1x10xi8> {
  %y = accel.softmax %x {axis = 1 : i64} : (tensor<1x10xi8>) -> tensor<1x10xi8>
  return %y : tensor<1x10xi8>
}

// -----

// CHECK: error: 'accel.lookup' is pinned to engine 'adder', which does not support it: op: found accel.lookup, wanted accel.add; engines that run it: tables
func.func @pinned_to_one_that_does_not_support_it(%x: tensor<16xi8>, %t: tensor<256xi8>) -> tensor<16xi8> {
  %y = accel.lookup %x, %t {lowest = -128 : i64, engine = "adder"} : (tensor<16xi8>, tensor<256xi8>) -> tensor<16xi8>
  return %y : tensor<16xi8>
}

// -----

// CHECK: error: 'accel.add' is pinned to engine 'npu', which target 'choosy' does not have; engines that run it: adder
func.func @pinned_to_none(%a: tensor<16xi8>) -> tensor<16xi8> {
  %y = accel.add %a, %a {engine = "npu"} : (tensor<16xi8>, tensor<16xi8>) -> tensor<16xi8>
  return %y : tensor<16xi8>
}
