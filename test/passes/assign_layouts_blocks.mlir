// RUN: htvm-opt %s -p dispatch-engines,assign-layouts,verify-stage{stage=dispatched} --target=diana | FileCheck %s

// Launches of 16 channels leave blocks, which the analog array reads: nothing is converted, no channel has gaps.
// CHECK: #[[BLOCKS:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1 floordiv 16, d2, d3, d1 mod 16)>
// CHECK-LABEL: @depthwise_and_pointwise
func.func @depthwise_and_pointwise(%x: tensor<1x64x12x12xi8>) -> tensor<1x64x12x12xi8> {
  %v = arith.constant dense<1> : tensor<64x1x3x3xi8>
  %w = arith.constant dense<1> : tensor<64x64x1x1xi8>
  // CHECK: accel.conv2d {{.*}}engine = "digital"{{.*}} -> tensor<1x64x12x12xi8, #[[BLOCKS]]>
  %y = accel.conv2d %x, %v {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [8], min = 0, max = 127>} : (tensor<1x64x12x12xi8>, tensor<64x1x3x3xi8>) -> tensor<1x64x12x12xi8>
  // CHECK: accel.conv2d {{.*}}accel.form = #accel.form<kind = channel_blocks, {{.*}}constants = [16]>{{.*}}engine = "analog"
  %z = accel.conv2d %y, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [3], min = -32, max = 31>} : (tensor<1x64x12x12xi8>, tensor<64x64x1x1xi8>) -> tensor<1x64x12x12xi8>
  return %z : tensor<1x64x12x12xi8>
}
