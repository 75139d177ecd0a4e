// RUN: htvm-opt %s -p order-layers,choose-tilings --target=%S/targets/far_memory.py --memory ram=8k --split-input-file | FileCheck %s --check-prefix=SHORT
// RUN: htvm-opt %s -p order-layers,choose-tilings --target=%S/targets/far_memory.py --split-input-file | FileCheck %s --check-prefix=AMPLE

// A map of 6,144 bytes that only accelerators see is in the far RAM, where 8 kB are too small for it and its neighbours;
// their few weights stay. Its tiles come and go.
// SHORT: module attributes {accel.arena_room = {ram = {{[0-9]+}} : i64}}
// SHORT: accel.conv2d %arg0
// SHORT-SAME: accel.memory = "l3"
// SHORT-SAME: loads = true, stores = true
// SHORT-NOT: accel.memory
// SHORT: accel.conv2d
// SHORT-SAME: loads = true, stores = true
// SHORT-NOT: accel.weights_memory
// SHORT: return

// With room for all nothing is far.
// AMPLE-NOT: accel.arena_room
// AMPLE-NOT: "l3"
// AMPLE-NOT: accel.weights_memory
func.func @map(%x: tensor<1x8x16x16xi8>) -> tensor<1x8x16x16xi8> {
  %w = arith.constant dense<1> : tensor<24x8x1x1xi8>
  %v = arith.constant dense<1> : tensor<8x24x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x16x16xi8>, tensor<24x8x1x1xi8>) -> tensor<1x24x16x16xi8>
  %z = accel.conv2d %y, %v {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x24x16x16xi8>, tensor<8x24x1x1xi8>) -> tensor<1x8x16x16xi8>
  return %z : tensor<1x8x16x16xi8>
}

// -----

// Four layers with 2,304 bytes of weights each: those of one stay, the others are in flash, where no map could be.
// SHORT-COUNT-3: accel.weights_memory = "flash"
// SHORT-NOT: accel.weights_memory
// SHORT-NOT: "l3"
func.func @weights(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w0 = arith.constant dense<1> : tensor<16x16x3x3xi8>
  %w1 = arith.constant dense<2> : tensor<16x16x3x3xi8>
  %w2 = arith.constant dense<3> : tensor<16x16x3x3xi8>
  %w3 = arith.constant dense<4> : tensor<16x16x3x3xi8>
  %a = accel.conv2d %x, %w0 {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x3x3xi8>) -> tensor<1x16x8x8xi8>
  %b = accel.conv2d %a, %w1 {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x3x3xi8>) -> tensor<1x16x8x8xi8>
  %c = accel.conv2d %b, %w2 {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x3x3xi8>) -> tensor<1x16x8x8xi8>
  %d = accel.conv2d %c, %w3 {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x3x3xi8>) -> tensor<1x16x8x8xi8>
  return %d : tensor<1x16x8x8xi8>
}
