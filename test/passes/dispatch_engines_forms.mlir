// RUN: htvm-opt %s -p dispatch-engines --target=diana --split-input-file | FileCheck %s

// Five rows of 12 channels fill the lanes that 16 channels of one output each leave empty.
// CHECK-LABEL: @rows_are_channels
func.func @rows_are_channels(%x: tensor<1x64x5x25xi8>) -> tensor<1x64x5x25xi8> {
  %w = arith.constant dense<1> : tensor<64x1x3x3xi8>
  // CHECK: accel.conv2d
  // CHECK-SAME: accel.form = #accel.form<kind = rows_as_channels, outputs = {{[0-9]+}}, rows = 5>
  // CHECK-SAME: engine = "digital"
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x64x5x25xi8>, tensor<64x1x3x3xi8>) -> tensor<1x64x5x25xi8>
  return %y : tensor<1x64x5x25xi8>
}

// -----

// HTVM's mapping has no forms but the plain one.
module attributes {accel.options = #accel.options<mapping = htvm>} {
  // CHECK-LABEL: @htvm_has_none
  func.func @htvm_has_none(%x: tensor<1x64x5x25xi8>) -> tensor<1x64x5x25xi8> {
    %w = arith.constant dense<1> : tensor<64x1x3x3xi8>
    // CHECK: accel.conv2d
    // CHECK-NOT: accel.form
    // CHECK-SAME: engine = "digital"
    %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x64x5x25xi8>, tensor<64x1x3x3xi8>) -> tensor<1x64x5x25xi8>
    return %y : tensor<1x64x5x25xi8>
  }
}

// -----

// A tiling that is there already is one of the plain form, and so is the layer.
// CHECK-LABEL: @tiled_already
func.func @tiled_already(%x: tensor<1x64x5x25xi8>) -> tensor<1x64x5x25xi8> {
  %w = arith.constant dense<1> : tensor<64x1x3x3xi8>
  // CHECK: accel.conv2d
  // CHECK-NOT: accel.form
  // CHECK-SAME: engine = "digital"
  %y = accel.conv2d %x, %w {accel.tiling = #accel.tiling<outputs = 16, rows = 5, columns = 25, loads = true, stores = true>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x64x5x25xi8>, tensor<64x1x3x3xi8>) -> tensor<1x64x5x25xi8>
  return %y : tensor<1x64x5x25xi8>
}

// -----

// An average of 25 pixels, which no shift divides by: estimates and their correction.
// CHECK-LABEL: @average
func.func @average(%x: tensor<1x64x5x5xi8> {accel.range = array<i64: 0, 127>}) -> tensor<1x64x1x1xi8> {
  // CHECK: accel.pool2d
  // CHECK-SAME: accel.form = #accel.form<kind = corrected_average, outputs = 1, rows = 1, constants = [
  // CHECK-SAME: engine = "digital"
  %y = accel.pool2d %x {kind = #accel.pool_kind<average>, kernel = array<i64: 5, 5>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, counts = array<i64: 25>, requant = #accel.requant<multiplier = [42949673], offset = [12], shift = [30], min = -128, max = 127>} : (tensor<1x64x5x5xi8>) -> tensor<1x64x1x1xi8>
  return %y : tensor<1x64x1x1xi8>
}
