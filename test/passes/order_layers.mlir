// RUN: htvm-opt %s -p dispatch-engines,order-layers --target=rv32 | FileCheck %s

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
func.func @empty(%x: tensor<4xi8> {accel.name = "x"}) -> tensor<4xi8> {
  return %x : tensor<4xi8>
}

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// The convolution is last to read %a, so that its output may lie over it.
// CHECK-LABEL: @what_is_written_over_its_input_is_last
// CHECK-SAME: accel.order = #accel.optimality<optimal>
func.func @what_is_written_over_its_input_is_last(%x: tensor<1x16x4x4xi8, #nhwc>) -> tensor<1x16x8x8xi8, #nhwc> {
  // CHECK: %[[A:.*]] = accel.pad
  // CHECK: %[[C:.*]] = accel.pool2d %[[A]]
  // CHECK: %[[B:.*]] = accel.conv2d %[[A]]
  // CHECK: accel.add %[[B]], %[[C]]
  %w = arith.constant dense<20> : tensor<16x16x1x1xi8>
  %a = accel.pad %x {engine = "host", low = array<i64: 0, 0, 2, 2>, high = array<i64: 0, 0, 2, 2>, value = 0.0 : f64} : (tensor<1x16x4x4xi8, #nhwc>) -> tensor<1x16x8x8xi8, #nhwc>
  %b = accel.conv2d %a, %w {engine = "host", kernel = #accel.kernel<packed>, run = 4 : i64, scratch_bytes = 192 : i64, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x16x8x8xi8, #nhwc>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8, #nhwc>
  %c = accel.pool2d %a {engine = "host", kind = #accel.pool_kind<max>, kernel = array<i64: 8, 8>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x16x8x8xi8, #nhwc>) -> tensor<1x16x1x1xi8, #nhwc>
  %y = accel.add %b, %c {engine = "host"} : (tensor<1x16x8x8xi8, #nhwc>, tensor<1x16x1x1xi8, #nhwc>) -> tensor<1x16x8x8xi8, #nhwc>
  return %y : tensor<1x16x8x8xi8, #nhwc>
}
