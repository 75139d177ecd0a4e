// RUN: htvm-opt %s -p dispatch-engines --target=%S/targets/tiny_npu.py --split-input-file | FileCheck %s

// Placed by cost: the accelerator takes 266 cycles and three transfers, the host 2.6 cycles for each of 16,384 products.
// CHECK-LABEL: @faster_there
// CHECK-SAME: accel.placement = #accel.optimality<optimal>
func.func @faster_there(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: engine = "npu"
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}

// -----

// 2 sums take the host less than three transfers take, which must be set up.
// CHECK-LABEL: @not_worth_the_transfers
func.func @not_worth_the_transfers(%x: tensor<1x2x1x1xi8>, %z: tensor<1x2x1x1xi8>) -> tensor<1x2x1x1xi8> {
  // CHECK: accel.add
  // CHECK-SAME: engine = "host"
  %y = accel.add %x, %z {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x2x1x1xi8>, tensor<1x2x1x1xi8>) -> tensor<1x2x1x1xi8>
  return %y : tensor<1x2x1x1xi8>
}

// -----

// Few sums as well, but between two layers of the accelerator, whose maps need no transfers.
// CHECK-LABEL: @among_neighbours
func.func @among_neighbours(%x: tensor<1x64x1x1xi8>) -> tensor<1x64x1x1xi8> {
  %v = arith.constant dense<1> : tensor<4x64x1x1xi8>
  %w = arith.constant dense<1> : tensor<64x4x1x1xi8>
  // CHECK-COUNT-3: engine = "npu"
  %a = accel.conv2d %x, %v {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x64x1x1xi8>, tensor<4x64x1x1xi8>) -> tensor<1x4x1x1xi8>
  %s = accel.add %a, %a {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x1x1xi8>, tensor<1x4x1x1xi8>) -> tensor<1x4x1x1xi8>
  %y = accel.conv2d %s, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x4x1x1xi8>, tensor<64x4x1x1xi8>) -> tensor<1x64x1x1xi8>
  return %y : tensor<1x64x1x1xi8>
}

// -----

// A layer that names an engine keeps it, however slow it is.
// CHECK-LABEL: @pinned_to_the_slower
func.func @pinned_to_the_slower(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: engine = "host"
  %y = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}

// -----

// What the accelerator cannot compute exactly, the host does.
// CHECK-LABEL: @no_power_of_two
func.func @no_power_of_two(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: engine = "host"
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [3], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}
