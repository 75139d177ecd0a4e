// RUN: htvm-opt %s -p dispatch-engines,assign-layouts,choose-kernels,order-layers,bufferize-layers,plan-memory --target=rv32 \
// RUN:   | htvm-opt -p 'verify-stage{stage=planned}' | FileCheck %s
// RUN: htvm-opt %s -p 'verify-stage{stage=integer},dispatched,scheduled,tiled,planned' --target=rv32 | FileCheck %s

// Every stage on the way keeps its promises, the memory plan included.
// CHECK-LABEL: @residual
// CHECK: accel.add
func.func @residual(%x: tensor<1x8x4x4xi8>) -> tensor<1x8xi8> {
  %w = arith.constant dense<1> : tensor<8x8x3x3xi8>
  %c = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x4x4xi8>, tensor<8x8x3x3xi8>) -> tensor<1x8x4x4xi8>
  %d = accel.conv2d %c, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x4x4xi8>, tensor<8x8x3x3xi8>) -> tensor<1x8x4x4xi8>
  %s = accel.add %c, %d : (tensor<1x8x4x4xi8>, tensor<1x8x4x4xi8>) -> tensor<1x8x4x4xi8>
  %p = accel.pool2d %s {kind = #accel.pool_kind<max>, kernel = array<i64: 4, 4>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x1x1xi8>
  %y = accel.reshape %p : (tensor<1x8x1x1xi8>) -> tensor<1x8xi8>
  return %y : tensor<1x8xi8>
}
