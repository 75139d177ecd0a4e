// RUN: htvm-opt %s -p legalize-conv --target=gap9 | FileCheck %s

// NE16 has no padding with another value than 0 at the bottom and right: what no window reaches goes.
// CHECK-LABEL: @half_as_many_pixels
func.func @half_as_many_pixels(%x: tensor<1x3x8x8xui8>) -> tensor<1x16x4x4xui8> {
  // CHECK-NOT: accel.pad
  // CHECK: accel.conv2d {{.*}}pads = array<i64: 1, 1, 0, 0>
  %w = arith.constant dense<1> : tensor<16x3x3x3xi8>
  %y = accel.conv2d %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>, pad_value = 128 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0], shift = [40], pre_shift = 2, min = 0, max = 255, narrow = true>} : (tensor<1x3x8x8xui8>, tensor<16x3x3x3xi8>) -> tensor<1x16x4x4xui8>
  return %y : tensor<1x16x4x4xui8>
}
