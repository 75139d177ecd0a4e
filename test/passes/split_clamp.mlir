// RUN: htvm-opt %s -p split-clamp --target=diana --split-input-file | FileCheck %s

// The array adds, but has no relu there: a convolution with ones does it.
// CHECK-LABEL: @relu_of_a_sum
func.func @relu_of_a_sum(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: %[[SUM:.*]] = accel.add
  // CHECK-SAME: min = -128, max = 127
  // CHECK: %[[ONES:.*]] = arith.constant dense<1> : tensor<16x1x1x1xi8>
  // CHECK: %[[Y:.*]] = accel.conv2d %[[SUM]], %[[ONES]]
  // CHECK-SAME: groups = 16
  // CHECK-SAME: min = 0, max = 127
  // CHECK: return %[[Y]]
  %y = accel.add %a, %b {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = 0, max = 127, narrow = true>} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// What the array adds as it is stays one layer.
// CHECK-LABEL: @sum
func.func @sum(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: accel.add
  // CHECK-NOT: accel.conv2d
  %y = accel.add %a, %b {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127, narrow = true>} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// Operands of unequal scales are for the host, and it does the relu as well.
// CHECK-LABEL: @unequal_scales
func.func @unequal_scales(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: accel.add
  // CHECK-SAME: min = 0,
  // CHECK-NOT: accel.conv2d
  %y = accel.add %a, %b {requant = #accel.requant<multiplier = [3, 1], offset = [0], shift = [1], min = 0, max = 127, narrow = true>} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// A sum that is cut off at 7 bits: twice as fine it is cut off at 8, and a quarter of two of it is half of it.
// CHECK-LABEL: @seven_bits
func.func @seven_bits(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: %[[SUM:.*]] = accel.add %{{.*}}, %{{.*}} {accel.inner, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [0], min = -128, max = 127, narrow = true>}
  // CHECK: %[[Y:.*]] = accel.add %[[SUM]], %[[SUM]] {accel.inserted = #accel.inserted<purpose = split_clamp>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [2], min = -64, max = 63, narrow = true>}
  // CHECK: return %[[Y]]
  %y = accel.add %a, %b {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -64, max = 63, narrow = true>} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// The convolution that cuts off at 0 halves as well.
// CHECK-LABEL: @six_bits_and_relu
func.func @six_bits_and_relu(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: %[[SUM:.*]] = accel.add
  // CHECK-SAME: shift = [1]
  // CHECK-SAME: min = -128, max = 127
  // CHECK: %[[Y:.*]] = accel.conv2d %[[SUM]]
  // CHECK-SAME: shift = [33]
  // CHECK-SAME: min = 0, max = 63
  // CHECK: return %[[Y]]
  %y = accel.add %a, %b {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [2], min = 0, max = 63, narrow = true>} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}

// -----

// Nothing is left to shift by for a finer sum.
// CHECK-LABEL: @no_finer_sum
func.func @no_finer_sum(%a: tensor<1x16x16x16xi8>, %b: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK: accel.add
  // CHECK-SAME: max = 63
  // CHECK-NOT: accel.add
  %y = accel.add %a, %b {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [0], min = -64, max = 63, narrow = true>} : (tensor<1x16x16x16xi8>, tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8>
  return %y : tensor<1x16x16x16xi8>
}
