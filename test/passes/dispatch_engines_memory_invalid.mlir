// RUN: not htvm-opt %s -p dispatch-engines --target=%S/targets/tiny_npu.py --engines=npu --memory=l1=128 --memory=weights=2k --split-input-file 2>&1 | FileCheck %s

// CHECK: error: no engine of target 'tiny_npu' runs 'accel.conv2d'
// CHECK-NEXT: npu: smallest tile: found 136 bytes, wanted at most 128 bytes of l1
func.func @smallest_tile_is_too_large(%x: tensor<1x120x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x120x1x1xi8>
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x120x8x8xi8>, tensor<16x120x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}

// -----

// CHECK: error: no engine of target 'tiny_npu' runs 'accel.conv2d'
// CHECK-NEXT: npu: weight bytes: found 3,264 bytes (16 outputs), wanted at most 2,048 bytes
func.func @weights_are_too_large(%x: tensor<1x200x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x200x1x1xi8>
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x200x8x8xi8>, tensor<16x200x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}

// -----

// Pinned, and the reason is a memory.
// CHECK: error: 'accel.conv2d' is pinned to engine 'npu', which does not support it: smallest tile: found 136 bytes, wanted at most 128 bytes of l1; engines that run it: none
func.func @pinned_where_it_does_not_fit(%x: tensor<1x120x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x120x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x120x8x8xi8>, tensor<16x120x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y : tensor<1x16x8x8xi8>
}
