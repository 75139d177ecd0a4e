// RUN: htvm-opt %s -p dispatch-engines --target=diana --memory l2=30k | FileCheck %s
// RUN: htvm-opt %s -p dispatch-engines --target=diana --memory l2=40k | FileCheck %s --check-prefix=FULL

// Constants lack room for the matrices of all 64 channels, which take 17 kB: some are computed from theirs, the others
// in the plain form, in tiles of 16. Where there is room for all, all are.
// CHECK-LABEL: @some_channels
// FULL-LABEL: @some_channels
func.func @some_channels(%x: tensor<1x64x5x25xi8>) -> tensor<1x64x5x25xi8> {
  %w = arith.constant dense<1> : tensor<64x1x3x3xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: accel.form = #accel.form<kind = some_rows_as_channels, outputs = 16, rows = 5, constants = [{{[0-9]+}}, {{[0-9]+}}, 5]>
  // CHECK-SAME: engine = "digital"
  // FULL: accel.conv2d
  // FULL-SAME: accel.form = #accel.form<kind = rows_as_channels,
  // FULL-SAME: engine = "digital"
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x64x5x25xi8>, tensor<64x1x3x3xi8>) -> tensor<1x64x5x25xi8>
  return %y : tensor<1x64x5x25xi8>
}
