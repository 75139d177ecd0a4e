// RUN: htvm-opt %s -p assign-layouts --target=diana --engines=host,analog | FileCheck %s

// No accelerator reads channel by channel: the host converts what the caller gives.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @converted
func.func @converted(%x: tensor<1x16x8x8xi8> {accel.range = array<i64: 0, 127>}) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: %[[C:.*]] = accel.convert_layout %arg0 {accel.inserted = #accel.inserted<purpose = convert_layout>, engine = "host"} : (tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8, #[[NHWC]]>
  // CHECK: accel.conv2d %[[C]]
  %y = accel.conv2d %x, %w {engine = "analog", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}
