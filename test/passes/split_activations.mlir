// RUN: htvm-opt %s -p split-activations --target=diana --split-input-file | FileCheck %s

// The array adds, but has no relu there: a convolution with ones does it.
// CHECK-LABEL: @relu_of_a_sum
func.func @relu_of_a_sum(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: %[[SUM:.*]] = accel.add
  // CHECK-SAME: max = 127 : i64, min = -128 : i64
  // CHECK: %[[ONES:.*]] = arith.constant dense<1> : tensor<16x1x1x1xi8>
  // CHECK: %[[Y:.*]] = accel.conv2d %[[SUM]], %[[ONES]]
  // CHECK-SAME: groups = 16
  // CHECK-SAME: max = 127 : i64, min = 0 : i64
  // CHECK: return %[[Y]]
  %y = accel.add %a, %b {requant = {max = 127 : i64, min = 0 : i64, multiplier = array<i32: 1, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 1>}} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// What the array adds as it is stays one layer.
// CHECK-LABEL: @sum
func.func @sum(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: accel.add
  // CHECK-NOT: accel.conv2d
  %y = accel.add %a, %b {requant = {max = 127 : i64, min = -128 : i64, multiplier = array<i32: 1, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 1>}} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// Operands of unequal scales are for the host, and it does the relu as well.
// CHECK-LABEL: @unequal_scales
func.func @unequal_scales(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: accel.add
  // CHECK-SAME: min = 0 : i64
  // CHECK-NOT: accel.conv2d
  %y = accel.add %a, %b {requant = {max = 127 : i64, min = 0 : i64, multiplier = array<i32: 3, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 1>}} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}
