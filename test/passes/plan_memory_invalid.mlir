// RUN: not htvm-opt %s -p plan-memory --target=%S/targets/choosy.py --split-input-file 2>&1 | FileCheck %s

// CHECK: error: does not fit target 'choosy': ram needs 5,004 bytes at node 'conv7', has 4,096
// CHECK-NEXT: 2,500 bytes: 'x'
// CHECK-NEXT: 1,901 bytes: 'conv7'
// CHECK-NEXT: 600 bytes: constants
// CHECK-NEXT: the constants leave 3,496 bytes for activations: smaller maps or fewer channels at this node help
memref.global "private" constant @w : memref<1x1x1x600xi8, "ram"> = dense<1>
func.func @too_large(%x: memref<1x1x1x2500xi8, "ram"> {accel.name = "x"}, %y: memref<1x1x1x1901xi8, "ram"> {accel.result, accel.name = "y"}) {
  %a = accel.buffer "conv7" : memref<1x1x1x1901xi8, "ram">
  %w = memref.get_global @w : memref<1x1x1x600xi8, "ram">
  accel.conv2d %x, %w into %a {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (memref<1x1x1x2500xi8, "ram">, memref<1x1x1x600xi8, "ram">, memref<1x1x1x1901xi8, "ram">) -> () loc("conv7")
  accel.transpose %a into %y {permutation = array<i64: 0, 1, 2, 3>} : (memref<1x1x1x1901xi8, "ram">, memref<1x1x1x1901xi8, "ram">) -> () loc("end")
  return
}

// -----

// CHECK: error: does not fit target 'choosy': ram needs 9,008 bytes at node 'end', has 4,096
// CHECK-NEXT: 9,000 bytes: constants
// CHECK: the constants alone do not fit: fewer weights help, or a larger ram
memref.global "private" constant @w : memref<9000xi8, "ram"> = dense<1>
func.func @too_many_weights(%x: memref<4xi8, "ram"> {accel.name = "x"}, %y: memref<4xi8, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<9000xi8, "ram">
  accel.transpose %x into %y {permutation = array<i64: 0>} : (memref<4xi8, "ram">, memref<4xi8, "ram">) -> () loc("end")
  return
}

// -----

// CHECK: error: 'x' is in memory 'l1', which target 'choosy' does not have; its memories are 'ram'
func.func @unknown_memory(%x: memref<4xi8, "l1"> {accel.name = "x"}) {
  return
}

// -----

// CHECK: error: 'x' is in no memory; its memories are 'ram'
func.func @no_memory(%x: memref<4xi8> {accel.name = "x"}) {
  return
}

// -----

// Weights take what they have in the order of their kernel.
// CHECK: error: does not fit target 'choosy': ram needs 4,504 bytes at node 'conv7', has 4,096
// CHECK-NEXT: 2,500 bytes: 'x'
// CHECK-NEXT: 1,901 bytes: 'conv7'
// CHECK-NEXT: 100 bytes: constants
// CHECK-NEXT: the constants leave 3,996 bytes for activations: smaller maps or fewer channels at this node help
memref.global "private" constant @w : memref<1x1x1x600xi8, "ram"> = dense<1>
func.func @fewer_bytes_in_the_order_of_the_kernel(%x: memref<1x1x1x2500xi8, "ram"> {accel.name = "x"}, %y: memref<1x1x1x1901xi8, "ram"> {accel.result, accel.name = "y"}) {
  %a = accel.buffer "conv7" : memref<1x1x1x1901xi8, "ram">
  %w = memref.get_global @w : memref<1x1x1x600xi8, "ram">
  accel.conv2d %x, %w into %a {accel.data_bytes = 98 : i64, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (memref<1x1x1x2500xi8, "ram">, memref<1x1x1x600xi8, "ram">, memref<1x1x1x1901xi8, "ram">) -> () loc("conv7")
  accel.transpose %a into %y {permutation = array<i64: 0, 1, 2, 3>} : (memref<1x1x1x1901xi8, "ram">, memref<1x1x1x1901xi8, "ram">) -> () loc("end")
  return
}
