// RUN: not htvm-opt %s -p dispatch-engines --target=rv32 2>&1 | FileCheck %s

// CHECK: [[#@LINE+3]]:8: error: no engine of target 'rv32' runs 'accel.conv2d'
// CHECK-NEXT: host: groups of computed weights: found 2, wanted 1
func.func @computed_weights_in_groups(%x: tensor<1x2x4x4xi8>, %w: tensor<4x1x1x1xi8>) -> tensor<1x4x4x4xi8> {
  %0 = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [32], pre_shift = 0, min = -128, max = 127>} : (tensor<1x2x4x4xi8>, tensor<4x1x1x1xi8>) -> tensor<1x4x4x4xi8>
  return %0 : tensor<1x4x4x4xi8>
}
