// RUN: htvm-opt %s -p legalize-conv --target=diana --split-input-file | FileCheck %s

// A kernel with even sides gets zeros behind it, and the map as much more padding.
// CHECK-LABEL: @even_kernel
func.func @even_kernel(%x: tensor<1x1x8x8xi8>) -> tensor<1x1x7x7xi8> {
  // CHECK{LITERAL}: arith.constant dense<[[[[1, 2, 0], [3, 4, 0], [0, 0, 0]]]]> : tensor<1x1x3x3xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: pads = array<i64: 0, 0, 1, 1>
  %w = arith.constant dense<[[[[1, 2], [3, 4]]]]> : tensor<1x1x2x2xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = -128, max = 127, narrow = true>} : (tensor<1x1x8x8xi8>, tensor<1x1x2x2xi8>) -> tensor<1x1x7x7xi8>
  return %y : tensor<1x1x7x7xi8>
}

// -----

// Strides of 2 go into channels: half of a kernel of 10 is one of 5.
// CHECK-LABEL: @wide_kernel
func.func @wide_kernel(%x: tensor<1x1x49x10xi8>) -> tensor<1x64x25x5xi8> {
  // CHECK: %[[PADDED:.*]] = accel.pad %{{.*}} {accel.inserted = #accel.inserted<purpose = legalize_conv>, high = array<i64: 0, 0, 5, 3>, low = array<i64: 0, 0, 4, 1>
  // CHECK-SAME: -> tensor<1x1x58x14xi8>
  // CHECK: %[[SQUARES:.*]] = accel.reshape %[[PADDED]]
  // CHECK: %[[MOVED:.*]] = accel.transpose %[[SQUARES]] {accel.inserted = {{.*}}, permutation = array<i64: 1, 3, 0, 2>}
  // CHECK: %[[FOLDED:.*]] = accel.reshape %[[MOVED]]
  // CHECK-SAME: -> tensor<1x4x29x7xi8>
  // CHECK: accel.conv2d %[[FOLDED]]
  // CHECK-SAME: strides = array<i64: 1, 1>
  // CHECK-SAME: tensor<64x4x5x3xi8>
  %w = arith.constant dense<1> : tensor<64x1x10x4xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 4, 1, 5, 1>, strides = array<i64: 2, 2>, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = -128, max = 127, narrow = true>} : (tensor<1x1x49x10xi8>, tensor<64x1x10x4xi8>) -> tensor<1x64x25x5xi8>
  return %y : tensor<1x64x25x5xi8>
}

// -----

// What the array takes as it is, or not for its kernel alone, stays.
// CHECK-LABEL: @others
func.func @others(%x: tensor<1x16x8x8xi8>) -> (tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>) {
  // CHECK-NOT: accel.pad
  // CHECK: strides = array<i64: 2, 2>
  // CHECK: dilations = array<i64: 2, 2>
  %w = arith.constant dense<1> : tensor<16x16x3x3xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = -128, max = 127, narrow = true>} : (tensor<1x16x8x8xi8>, tensor<16x16x3x3xi8>) -> tensor<1x16x4x4xi8>
  %z = accel.conv2d %x, %w {dilations = array<i64: 2, 2>, groups = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = -128, max = 127, narrow = true>} : (tensor<1x16x8x8xi8>, tensor<16x16x3x3xi8>) -> tensor<1x16x4x4xi8>
  return %y, %z : tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>
}
