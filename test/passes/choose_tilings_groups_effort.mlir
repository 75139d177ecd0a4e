// RUN: htvm-opt %s -p order-layers,choose-tilings --target=%S/targets/in_flight.py | FileCheck %s

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// With more effort each layer of a group has a number of tiles of its own (choose_tilings_groups.mlir: four rows each).
module attributes {accel.effort = 2} {
  // CHECK-LABEL: @two_arrays
  func.func @two_arrays(%x: tensor<1x4x16x8xi8>) -> tensor<1x8x16x8xi8> {
    %w = arith.constant dense<1> : tensor<8x4x3x3xi8>
    %v = arith.constant dense<1> : tensor<8x8x3x3xi8>
    // CHECK: accel.conv2d %arg0
    // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 8, rows = 6,
    %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x4x16x8xi8>, tensor<8x4x3x3xi8>) -> tensor<1x8x16x8xi8, #nhwc>
    // CHECK: accel.conv2d
    // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 8, rows = 4,
    %z = accel.conv2d %y, %v {engine = "second", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x16x8xi8, #nhwc>, tensor<8x8x3x3xi8>) -> tensor<1x8x16x8xi8>
    return %z : tensor<1x8x16x8xi8>
  }
}
