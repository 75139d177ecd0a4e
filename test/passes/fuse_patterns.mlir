// RUN: htvm-opt %s -p fuse-patterns --target=%S/targets/pooling_npu.py --split-input-file | FileCheck %s
// RUN: htvm-opt %s -p fuse-patterns --target=%S/targets/tiny_npu.py --split-input-file | FileCheck %s --check-prefix=ALONE

// The engine pools what it convolves: one layer, whose inputs are maps first, then constants.
// CHECK-LABEL: @one_layer
// ALONE-LABEL: @one_layer
func.func @one_layer(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x4x4xi8> {
  // CHECK: %[[Y:.*]] = accel.fused %arg0, %cst {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<1x16x8x8xi8>, %[[W:.*]]: tensor<16x16x1x1xi8>):
  // CHECK-NEXT: %[[C:.*]] = accel.conv2d %[[A]], %[[W]]
  // CHECK-NEXT: %[[P:.*]] = accel.pool2d %[[C]]
  // CHECK-NEXT: accel.output %[[P]] : tensor<1x16x4x4xi8>
  // CHECK: return %[[Y]]
  // ALONE-NOT: accel.fused
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  %c = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %y = accel.pool2d %c {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x16x8x8xi8>) -> tensor<1x16x4x4xi8>
  return %y : tensor<1x16x4x4xi8>
}

// What is convolved is read by others as well; and the engine has no minimum.
// CHECK-LABEL: @used_twice_or_not_taken
// CHECK-NOT: accel.fused
func.func @used_twice_or_not_taken(%x: tensor<1x16x8x8xi8>) -> (tensor<1x16x8x8xi8>, tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>) {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  %c = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %y = accel.pool2d %c {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x16x8x8xi8>) -> tensor<1x16x4x4xi8>
  %d = accel.conv2d %c, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %z = accel.pool2d %d {kind = #accel.pool_kind<min>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x16x8x8xi8>) -> tensor<1x16x4x4xi8>
  return %c, %y, %z : tensor<1x16x8x8xi8>, tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>
}

// -----

// A plan names the convolution alone: it stays alone.
module attributes {accel.plan = [#accel.pin<node = "conv", op = "conv2d", engine = "npu">]} {
  // CHECK-LABEL: @planned
  // CHECK-NOT: accel.fused
  func.func @planned(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x4x4xi8> {
    %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
    %c = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8> loc("conv")
    %y = accel.pool2d %c {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x16x8x8xi8>) -> tensor<1x16x4x4xi8>
    return %y : tensor<1x16x4x4xi8>
  }
}
