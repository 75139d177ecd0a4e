// RUN: htvm-opt %s -p split-clamp --target=diana --split-input-file | FileCheck %s

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

// -----

// A sum that is cut off at 7 bits: twice as fine it is cut off at 8, and a quarter of two of it is half of it.
// CHECK-LABEL: @seven_bits
func.func @seven_bits(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: %[[SUM:.*]] = accel.add %{{.*}}, %{{.*}} {accel.inner, requant = {max = 127 : i64, min = -128 : i64, multiplier = array<i32: 1, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 0>}}
  // CHECK: %[[Y:.*]] = accel.add %[[SUM]], %[[SUM]] {accel.inserted = "cuts off the sum of the layer before{{.*}}", requant = {max = 63 : i64, min = -64 : i64, multiplier = array<i32: 1, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 2>}}
  // CHECK: return %[[Y]]
  %y = accel.add %a, %b {requant = {max = 63 : i64, min = -64 : i64, multiplier = array<i32: 1, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 1>}} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// The convolution that cuts off at 0 halves as well.
// CHECK-LABEL: @six_bits_and_relu
func.func @six_bits_and_relu(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: %[[SUM:.*]] = accel.add
  // CHECK-SAME: max = 127 : i64, min = -128 : i64
  // CHECK-SAME: shift = array<i32: 1>
  // CHECK: %[[Y:.*]] = accel.conv2d %[[SUM]]
  // CHECK-SAME: max = 63 : i64, min = 0 : i64
  // CHECK-SAME: shift = array<i32: 33>
  // CHECK: return %[[Y]]
  %y = accel.add %a, %b {requant = {max = 63 : i64, min = 0 : i64, multiplier = array<i32: 1, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 2>}} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// Nothing is left to shift by for a finer sum.
// CHECK-LABEL: @no_finer_sum
func.func @no_finer_sum(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: accel.add
  // CHECK-SAME: max = 63 : i64
  // CHECK-NOT: accel.add
  %y = accel.add %a, %b {requant = {max = 63 : i64, min = -64 : i64, multiplier = array<i32: 1, 1>, narrow, offset = array<i64: 0>, shift = array<i32: 0>}} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}
