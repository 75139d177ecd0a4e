// RUN: htvm-opt %s -p order-layers --target=rv32 | FileCheck %s

// Two branches, each wide in the middle: one is finished before the other begins.
// CHECK-LABEL: @one_branch_after_the_other
// CHECK-SAME: accel.order = #accel.optimality<optimal>
func.func @one_branch_after_the_other(%x: tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi8> {
  // CHECK: %[[A:.*]] = accel.pad %arg0
  // CHECK: %[[C:.*]] = accel.pool2d %[[A]]
  // CHECK: %[[B:.*]] = accel.pad %arg0
  // CHECK: %[[D:.*]] = accel.pool2d %[[B]]
  // CHECK: accel.add %[[C]], %[[D]]
  %a = accel.pad %x {low = array<i64: 0, 0, 2, 2>, high = array<i64: 0, 0, 2, 2>, value = 0.0 : f64} : (tensor<1x1x4x4xi8>) -> tensor<1x1x8x8xi8>
  %b = accel.pad %x {low = array<i64: 0, 0, 0, 0>, high = array<i64: 0, 0, 4, 4>, value = 0.0 : f64} : (tensor<1x1x4x4xi8>) -> tensor<1x1x8x8xi8>
  %c = accel.pool2d %a {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x1x8x8xi8>) -> tensor<1x1x4x4xi8>
  %d = accel.pool2d %b {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x1x8x8xi8>) -> tensor<1x1x4x4xi8>
  %y = accel.add %c, %d : (tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi8>
  return %y : tensor<1x1x4x4xi8>
}

// Where nothing is gained, the order of the source stays.
// CHECK-LABEL: @nothing_to_gain
// CHECK-SAME: accel.order = #accel.optimality<optimal>
func.func @nothing_to_gain(%x: tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi8> {
  // CHECK: accel.transpose
  // CHECK: accel.pool2d
  // CHECK: accel.add
  %a = accel.transpose %x {permutation = array<i64: 0, 1, 3, 2>} : (tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi8>
  %b = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi8>
  %y = accel.add %a, %b : (tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi8>
  return %y : tensor<1x1x4x4xi8>
}

// A function that computes nothing has an order too.
// CHECK-LABEL: @empty
// CHECK-SAME: accel.order = #accel.optimality<optimal>
func.func @empty(%x: tensor<4xi8>) -> tensor<4xi8> {
  return %x : tensor<4xi8>
}
