// RUN: htvm-opt %s -p legalize-conv --target=gap9 | FileCheck %s
// RUN: htvm-opt %s -p legalize-conv --target=gap9 --memory l2=1k --memory l3=256 | FileCheck %s --check-prefix=SMALL
// RUN: htvm-opt %s -p legalize-conv --target=gap9 --memory l2=1k | FileCheck %s

// NE16 has no padding with another value than 0 at the bottom and right: what no window reaches goes.
// CHECK-LABEL: @half_as_many_pixels
func.func @half_as_many_pixels(%x: tensor<1x3x8x8xui8>) -> tensor<1x16x4x4xui8> {
  // CHECK-NOT: accel.pad
  // CHECK: accel.conv2d {{.*}}pads = array<i64: 1, 1, 0, 0>
  %w = arith.constant dense<1> : tensor<16x3x3x3xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>, pad_value = 128 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = 0, max = 255, narrow = true>} : (tensor<1x3x8x8xui8>, tensor<16x3x3x3xi8>) -> tensor<1x16x4x4xui8>
  return %y : tensor<1x16x4x4xui8>
}

// A kernel that NE16 has not, nor half of it: all pixels of a window are channels of a kernel of 1x1.
// Such a map may have a quarter of the host's memory, or be in a far one.
// SMALL-LABEL: @windows
// SMALL-NOT: accel.windows
// SMALL: tensor<16x2x5x4xi8>) -> tensor<1x16x2x5xui8>
// CHECK-LABEL: @windows
func.func @windows(%x: tensor<1x2x8x8xui8>) -> tensor<1x16x2x5xui8> {
  // CHECK: %[[PADDED:.*]] = accel.pad %{{.*}} {accel.inserted = {{.*}}, high = array<i64: 0, 0, 1, 0>, low = array<i64: 0, 0, 1, 0>, value = 9.000000e+00
  // CHECK-SAME: -> tensor<1x2x10x8xui8>
  // CHECK: %[[WINDOWS:.*]] = accel.windows %[[PADDED]] {accel.inserted = {{.*}}, kernel = array<i64: 5, 4>, strides = array<i64: 5, 1>}
  // CHECK-SAME: -> tensor<1x40x2x5xui8>
  // CHECK: accel.conv2d %[[WINDOWS]], {{.*}}strides = array<i64: 1, 1>} : (tensor<1x40x2x5xui8>, tensor<16x40x1x1xi8>)
  %w = arith.constant dense<1> : tensor<16x2x5x4xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 1, 0, 1, 0>, strides = array<i64: 5, 1>, pad_value = 9 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = 0, max = 255, narrow = true>} : (tensor<1x2x8x8xui8>, tensor<16x2x5x4xi8>) -> tensor<1x16x2x5xui8>
  return %y : tensor<1x16x2x5xui8>
}
