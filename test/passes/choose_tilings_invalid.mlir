// RUN: not htvm-opt %s -p order-layers,choose-tilings --target=%S/targets/tiny_npu.py --memory=l1=128 --memory=weights=2k --split-input-file 2>&1 | FileCheck %s

// One pixel of 120 channels goes in, and 16 outputs come out at least.
// CHECK: error: 'accel.conv2d' on engine 'npu' of target 'tiny_npu' cannot be tiled: smallest tile: found 136 bytes, wanted at most 128 bytes of l1; more of that memory or another engine would help
func.func @smallest_tile_is_too_large(%x: tensor<1x120x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x120x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x120x8x8xi8>, tensor<16x120x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}

// -----

// CHECK: error: 'accel.conv2d' on engine 'npu' of target 'tiny_npu' cannot be tiled: weight bytes: found 3,264 bytes (16 outputs), wanted at most 2,048 bytes of weights; more of that memory or another engine would help
func.func @weights_are_too_large(%x: tensor<1x200x8x8xi8>) -> tensor<1x64x8x8xi8> {
  %w = arith.constant dense<1> : tensor<64x200x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x200x8x8xi8>, tensor<64x200x1x1xi8>) -> tensor<1x64x8x8xi8>
  return %y : tensor<1x64x8x8xi8>
}

// -----

// CHECK: error: 'accel.add' on engine 'npu' of target 'tiny_npu' cannot have the accel.tiling that it carries: buffers: found 384 bytes, wanted at most 128 bytes of l1; without it the best is chosen
func.func @pinned_and_too_large(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  %y = accel.add %x, %x {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 2, columns = 8, buffers = 2, loads = true, stores = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// CHECK: error: 'accel.add' on engine 'npu' of target 'tiny_npu' cannot have the accel.tiling that it carries: rows: found 9, wanted at most 8; without it the best is chosen
func.func @pinned_beyond_the_map(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  %y = accel.add %x, %x {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 9, columns = 1, loads = true, stores = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// CHECK: error: 'accel.add' on engine 'npu' of target 'tiny_npu' cannot have the accel.tiling that it carries: loads: found false, wanted true: the map is in ram; without it the best is chosen
func.func @pinned_without_loads(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  %y = accel.add %x, %x {engine = "npu", accel.tiling = #accel.tiling<outputs = 1, rows = 2, columns = 8, stores = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// CHECK: error: 'accel.add' on engine 'npu' of target 'tiny_npu' cannot have the accel.tiling that it carries: stores: found false, wanted true: the map is in ram; without it the best is chosen
func.func @pinned_without_stores(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  %y = accel.add %x, %x {engine = "npu", accel.tiling = #accel.tiling<outputs = 1, rows = 2, columns = 8, loads = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// The weights of 16 outputs, and no more, fit.
// CHECK: error: 'accel.conv2d' on engine 'npu' of target 'tiny_npu' cannot have the accel.tiling that it carries: outputs of a launch: found 32, wanted at most 16; without it the best is chosen
func.func @pinned_with_too_many_outputs(%x: tensor<1x100x8x8xi8>) -> tensor<1x64x8x8xi8> {
  %w = arith.constant dense<1> : tensor<64x100x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "npu", accel.tiling = #accel.tiling<outputs = 32, rows = 1, columns = 1, loads = true, stores = true>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x100x8x8xi8>, tensor<64x100x1x1xi8>) -> tensor<1x64x8x8xi8>
  return %y : tensor<1x64x8x8xi8>
}

// -----

// Launches of 16, but the weights of both lie in their memory at a time.
// CHECK: error: 'accel.conv2d' on engine 'npu' of target 'tiny_npu' cannot have the accel.tiling that it carries: weight bytes: found 2,688 bytes, wanted at most 2,048 bytes of weights; without it the best is chosen
func.func @pinned_with_weights_that_do_not_fit(%x: tensor<1x80x8x8xi8>) -> tensor<1x64x8x8xi8> {
  %w = arith.constant dense<1> : tensor<64x80x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "npu", accel.tiling = #accel.tiling<outputs = 32, rows = 1, columns = 1, launch_outputs = 16, loads = true, stores = true>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x80x8x8xi8>, tensor<64x80x1x1xi8>) -> tensor<1x64x8x8xi8>
  return %y : tensor<1x64x8x8xi8>
}

// -----

// CHECK: error: 'accel.tiling' of 'accel.add' is 16 : i64, expected #accel.tiling<..>
func.func @no_dictionary(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  %y = accel.add %x, %x {engine = "npu", accel.tiling = 16, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// All that is wrong is said at once.
// CHECK: error: tiling 'columns' is 0, expected at least 1
func.func @malformed(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  %y = accel.add %x, %x {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 1, columns = 0>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// CHECK: error: tiling 'buffers' is 3, expected 1 or 2
func.func @three_buffers(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  %y = accel.add %x, %x {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 1, columns = 1, buffers = 3>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// CHECK: choose_tilings_invalid.mlir:[[#@LINE+1]]:61: error: expected one of [default, htvm] for how layers are mapped on accelerators: the fastest way found, or HTVM's, got: dory
module attributes {accel.options = #accel.options<mapping = dory>} {
  func.func @unknown_mapping() {
    return
  }
}
