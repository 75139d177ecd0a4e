// RUN: htvm-opt %s -p split-rounding --target=gap9 | FileCheck %s
// RUN: htvm-opt %s -p split-rounding --target=rv32 | FileCheck %s --check-prefix=HOST

// Results on both sides of 0: one layer for those above, one for those below, and their sum around the zero point.
// CHECK-LABEL: @both_sides
// HOST-LABEL: @both_sides
// HOST: double_round
func.func @both_sides(%x: tensor<1x16x32x32xui8>) -> tensor<1x16x32x32xi8> {
  %w = arith.constant dense<1> : tensor<16x16x3x3xi8>
  // CHECK: %[[ABOVE:.*]] = accel.conv2d %arg0
  // CHECK-SAME: accel.inner
  // CHECK-SAME: min = 0, max = 255
  // CHECK-SAME: -> tensor<1x16x32x32xui8>
  // CHECK: %[[BELOW:.*]] = accel.conv2d %arg0
  // CHECK-SAME: #accel.inserted<purpose = split_rounding>
  // CHECK-SAME: min = -128, max = 127
  // CHECK-SAME: -> tensor<1x16x32x32xi8>
  // CHECK: accel.add %[[ABOVE]], %[[BELOW]]
  // 5 - 127
  // CHECK-SAME: multiplier = [1, 1], offset = [-122], shift = [0], min = -100, max = 100
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>,
      groups = 1 : i64, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1275068417], offset = [-18000],
      shift = [38], zero_point = 5, min = -100, max = 100, double_round = true>}
      : (tensor<1x16x32x32xui8>, tensor<16x16x3x3xi8>) -> tensor<1x16x32x32xi8>
  return %y : tensor<1x16x32x32xi8>
}

// One map on which the host is faster than two jobs and a sum.
// CHECK-LABEL: @what_the_host_does_stays
// CHECK: accel.conv2d
// CHECK-SAME: double_round
// CHECK-NOT: accel.add
func.func @what_the_host_does_stays(%x: tensor<1x1x2x2xi8>) -> tensor<1x1x2x2xi8> {
  %w = arith.constant dense<1> : tensor<1x1x1x1xi8>
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>,
      groups = 1 : i64, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1275068417], offset = [3],
      shift = [33], min = -128, max = 127, double_round = true>}
      : (tensor<1x1x2x2xi8>, tensor<1x1x1x1xi8>) -> tensor<1x1x2x2xi8>
  return %y : tensor<1x1x2x2xi8>
}
