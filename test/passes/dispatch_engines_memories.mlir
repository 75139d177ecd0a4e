// RUN: htvm-opt %s -p dispatch-engines --target=%S/targets/two_npus.py | FileCheck %s

// The adder is 5 cycles faster than the array, but has another memory: a map between both goes through the host's, which
// takes more. A sum of what was convolved stays where that is; a sum of an input that no other layer reads is the adder's.
// CHECK-LABEL: @each_memory_counts
func.func @each_memory_counts(%x: tensor<1x16x8x8xi8> {accel.range = array<i64: -64, 63>}, %u: tensor<1x16x8x8xi8>) -> (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: accel.conv2d {{.*}} engine = "npu"
  // CHECK: accel.add {{.*}} {engine = "npu"
  // CHECK: accel.add {{.*}} {engine = "adder"
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %z = accel.add %y, %y {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8>
  %s = accel.add %u, %u {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8>
  return %z, %s : tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>
}
