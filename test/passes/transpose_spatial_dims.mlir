// RUN: htvm-opt %s -p transpose-spatial-dims --target=diana --split-input-file | FileCheck %s

// The array has 16 lanes for columns, and these maps have 5: turned, they fill its lanes. What is turned: sizes, kernels,
// paddings and strides; the map that comes in and the one that goes out are transposed.
// CHECK-LABEL: @narrow
func.func @narrow(%x: tensor<1x16x50x5xi8>) -> tensor<1x16x25x3xi8> {
  // CHECK: %[[X:.*]] = accel.transpose %arg0 {accel.inserted = #accel.inserted<purpose = transpose_spatial_dims>, permutation = array<i64: 0, 1, 3, 2>} : (tensor<1x16x50x5xi8>) -> tensor<1x16x5x50xi8>
  // CHECK: %[[A:.*]] = accel.conv2d %[[X]], {{.*}}accel.inner{{.*}}pads = array<i64: 1, 3, 3, 3>{{.*}} : (tensor<1x16x5x50xi8>, tensor<16x16x5x7xi8>) -> tensor<1x16x5x50xi8>
  // CHECK: %[[B:.*]] = accel.conv2d %[[A]]
  // CHECK-SAME: -> tensor<1x16x3x25xi8>
  // CHECK: %[[Y:.*]] = accel.transpose %[[B]]
  // CHECK: return %[[Y]]
  %w = arith.constant dense<1> : tensor<16x16x7x5xi8>
  %v = arith.constant dense<1> : tensor<16x16x7x7xi8>
  %0 = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 3, 1, 3, 3>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [9], min = -128, max = 127>} : (tensor<1x16x50x5xi8>, tensor<16x16x7x5xi8>) -> tensor<1x16x50x5xi8>
  %1 = accel.conv2d %0, %v {strides = array<i64: 2, 2>, pads = array<i64: 3, 3, 3, 3>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [9], min = -128, max = 127>} : (tensor<1x16x50x5xi8>, tensor<16x16x7x7xi8>) -> tensor<1x16x25x3xi8>
  return %1 : tensor<1x16x25x3xi8>
}

// -----

// One pixel is the same, turned: nothing is transposed behind the average of a map.
// CHECK-LABEL: @one_pixel
func.func @one_pixel(%x: tensor<1x16x40x2xi8>) -> tensor<1x16x1x1xi8> {
  // CHECK: accel.transpose %arg0
  // CHECK: %[[Y:.*]] = accel.pool2d
  // CHECK-SAME: kernel = array<i64: 2, 40>
  // CHECK-NOT: accel.transpose
  // CHECK: return %[[Y]]
  %v = arith.constant dense<1> : tensor<16x16x7x7xi8>
  %1 = accel.conv2d %x, %v {strides = array<i64: 1, 1>, pads = array<i64: 3, 3, 3, 3>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [9], min = -128, max = 127>} : (tensor<1x16x40x2xi8>, tensor<16x16x7x7xi8>) -> tensor<1x16x40x2xi8>
  %2 = accel.pool2d %1 {kind = #accel.pool_kind<average>, kernel = array<i64: 40, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, counts = array<i64: 80>, requant = #accel.requant<multiplier = [1], offset = [0], shift = [6], min = -128, max = 127>} : (tensor<1x16x40x2xi8>) -> tensor<1x16x1x1xi8>
  return %2 : tensor<1x16x1x1xi8>
}

// -----

// A map that is as high as it is wide stays.
// CHECK-LABEL: @square
func.func @square(%x: tensor<1x16x16x16xi8>) -> tensor<1x16x16x16xi8> {
  // CHECK-NOT: accel.transpose
  // CHECK: arith.constant
  // CHECK-NOT: arith.constant
  %w = arith.constant dense<1> : tensor<16x16x1x3xi8>
  %0 = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 1, 0, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [6], min = -128, max = 127>} : (tensor<1x16x16x16xi8>, tensor<16x16x1x3xi8>) -> tensor<1x16x16x16xi8>
  return %0 : tensor<1x16x16x16xi8>
}
