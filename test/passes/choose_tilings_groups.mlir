// RUN: htvm-opt %s -p order-layers,choose-tilings --target=%S/targets/in_flight.py | FileCheck %s
// RUN: htvm-opt %s -p order-layers,choose-tilings,bufferize-layers,tile-layers --target=%S/targets/in_flight.py | FileCheck %s --check-prefix=TILED

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// The second array begins with the first rows of a map while the first array makes those behind them.
// CHECK-LABEL: @two_arrays
// TILED-LABEL: @two_arrays
func.func @two_arrays(%x: tensor<1x4x16x8xi8>) -> tensor<1x8x16x8xi8> {
  %w = arith.constant dense<1> : tensor<8x4x3x3xi8>
  %v = arith.constant dense<1> : tensor<8x8x3x3xi8>
  // CHECK: accel.conv2d %arg0
  // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 8, rows = 4, columns = 8, buffers = 2, group = 1, loads = true, outputs_first = true>
  // TILED: accel.step "npu"
  // TILED: accel.launch "npu"
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x4x16x8xi8>, tensor<8x4x3x3xi8>) -> tensor<1x8x16x8xi8, #nhwc>
  // CHECK: accel.conv2d
  // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 8, rows = 4, columns = 8, buffers = 2, group = 1, stores = true, outputs_first = true>
  // TILED: accel.step "second"
  // TILED: accel.launch "second"
  // TILED: accel.launch "npu"
  // TILED: accel.launch "second"
  %z = accel.conv2d %y, %v {engine = "second", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x16x8xi8, #nhwc>, tensor<8x8x3x3xi8>) -> tensor<1x8x16x8xi8>
  return %z : tensor<1x8x16x8xi8>
}

// One array has nothing to do beside itself.
// CHECK-LABEL: @one_array
func.func @one_array(%x: tensor<1x4x16x8xi8>) -> tensor<1x8x16x8xi8> {
  %w = arith.constant dense<1> : tensor<8x4x3x3xi8>
  %v = arith.constant dense<1> : tensor<8x8x3x3xi8>
  // CHECK-NOT: group =
  // CHECK: return
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x4x16x8xi8>, tensor<8x4x3x3xi8>) -> tensor<1x8x16x8xi8>
  %z = accel.conv2d %y, %v {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x16x8xi8>, tensor<8x8x3x3xi8>) -> tensor<1x8x16x8xi8>
  return %z : tensor<1x8x16x8xi8>
}
