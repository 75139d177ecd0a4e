// RUN: htvm-opt %s -p order-layers,choose-tilings --target=diana | FileCheck %s --check-prefixes=CHECK,LARGE
// RUN: htvm-opt %s -p order-layers,choose-tilings --target=diana --memory l2_private=16k | FileCheck %s --check-prefixes=CHECK,SMALL
// RUN: htvm-opt %s -p order-layers,choose-tilings --target=diana --memory l2_private=8k | FileCheck %s --check-prefixes=CHECK,LEAST

// Of the tilings with the smallest buffers those are taken whose code fits: tiles of a pixel have borders of two pixels
// on each side, and 25 of them differ, twice for 16 outputs each.
module attributes {accel.options = #accel.options<objective = memory>} {
  // CHECK-LABEL: @borders_are_code
  func.func @borders_are_code(%x: tensor<1x16x16x16xi8>) -> tensor<1x32x16x16xi8> {
    %w = arith.constant dense<1> : tensor<32x16x5x5xi8>
    // CHECK: accel.conv2d
    // LARGE-SAME: accel.tiling = #accel.tiling<outputs = 16, rows = 1, columns = 1, loads = true, stores = true>
    // SMALL-SAME: accel.tiling = #accel.tiling<outputs = 32, rows = 1, columns = 1, loads = true, stores = true, outputs_first = true>
    // LEAST-SAME: accel.tiling = #accel.tiling<outputs = 32, rows = 2, columns = 2, loads = true, stores = true, outputs_first = true>
    %y = accel.conv2d %x, %w {engine = "digital", strides = array<i64: 1, 1>, pads = array<i64: 2, 2, 2, 2>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [8], min = -128, max = 127>} : (tensor<1x16x16x16xi8>, tensor<32x16x5x5xi8>) -> tensor<1x32x16x16xi8>
    return %y : tensor<1x32x16x16xi8>
  }
}
