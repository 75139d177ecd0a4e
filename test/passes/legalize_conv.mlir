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

// Strides of 2 go into channels: half of a kernel of 10 is one of 5, which pads the squares itself; the kernel's 4
// columns get one of zeros in front, since padding of 1 begins in the middle of a square.
// CHECK-LABEL: @wide_kernel
func.func @wide_kernel(%x: tensor<1x1x49x10xi8>) -> tensor<1x64x25x5xi8> {
  // CHECK: %[[PADDED:.*]] = accel.pad %{{.*}} {accel.inserted = #accel.inserted<purpose = legalize_conv>, high = array<i64: 0, 0, 1, 0>, low = array<i64: 0, 0, 0, 0>
  // CHECK-SAME: -> tensor<1x1x50x10xi8>
  // CHECK: %[[SQUARES:.*]] = accel.reshape %[[PADDED]]
  // CHECK: %[[MOVED:.*]] = accel.transpose %[[SQUARES]] {accel.inserted = {{.*}}, permutation = array<i64: 1, 3, 0, 2>}
  // CHECK: %[[FOLDED:.*]] = accel.reshape %[[MOVED]]
  // CHECK-SAME: -> tensor<1x4x25x5xi8>
  // CHECK: accel.conv2d %[[FOLDED]]
  // CHECK-SAME: pads = array<i64: 2, 1, 2, 1>
  // CHECK-SAME: strides = array<i64: 1, 1>
  // CHECK-SAME: tensor<64x4x5x3xi8>
  %w = arith.constant dense<1> : tensor<64x1x10x4xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 4, 1, 5, 1>, strides = array<i64: 2, 2>, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = -128, max = 127, narrow = true>} : (tensor<1x1x49x10xi8>, tensor<64x1x10x4xi8>) -> tensor<1x64x25x5xi8>
  return %y : tensor<1x64x25x5xi8>
}

// -----

// A map that was turned, and looked up, is taken as it was before: pixels move only once.
// CHECK-LABEL: @turned
func.func @turned(%x: tensor<1x1x50x10xi8>) -> tensor<1x64x5x25xi8> {
  // CHECK-NOT: permutation = array<i64: 0, 1, 3, 2>
  // CHECK: %[[LOOKED_UP:.*]] = accel.lookup %{{.*}} : (tensor<1x1x50x10xi8>, tensor<256xi8>) -> tensor<1x1x50x10xi8>
  // CHECK: %[[SQUARES:.*]] = accel.reshape %[[LOOKED_UP]]
  // CHECK-SAME: -> tensor<25x2x5x2xi8>
  // CHECK: accel.transpose %[[SQUARES]] {accel.inserted = {{.*}}, permutation = array<i64: 3, 1, 2, 0>}
  // CHECK-SAME: -> tensor<2x2x5x25xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: pads = array<i64: 1, 2, 1, 2>
  %table = arith.constant dense<3> : tensor<256xi8>
  %w = arith.constant dense<1> : tensor<64x1x4x10xi8>
  %0 = accel.transpose %x {permutation = array<i64: 0, 1, 3, 2>} : (tensor<1x1x50x10xi8>) -> tensor<1x1x10x50xi8>
  %1 = accel.lookup %0, %table {lowest = -128 : i64} : (tensor<1x1x10x50xi8>, tensor<256xi8>) -> tensor<1x1x10x50xi8>
  %y = accel.conv2d %1, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 1, 4, 1, 4>, strides = array<i64: 2, 2>, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = -128, max = 127, narrow = true>} : (tensor<1x1x10x50xi8>, tensor<64x1x4x10xi8>) -> tensor<1x64x5x25xi8>
  return %y : tensor<1x64x5x25xi8>
}

// -----

// An array that pads with 0 gets a map with other padding around it.
// CHECK-LABEL: @padding_of_5
func.func @padding_of_5(%x: tensor<1x1x49x10xi8>) -> tensor<1x64x25x5xi8> {
  // CHECK: accel.pad
  // CHECK-SAME: value = 5.000000e+00
  // CHECK-SAME: -> tensor<1x1x58x14xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: pads = array<i64: 0, 0, 0, 0>
  %w = arith.constant dense<1> : tensor<64x1x10x4xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 4, 1, 5, 1>, strides = array<i64: 2, 2>, pad_value = 5 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = -128, max = 127, narrow = true>} : (tensor<1x1x49x10xi8>, tensor<64x1x10x4xi8>) -> tensor<1x64x25x5xi8>
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
