// RUN: htvm-opt %s -p dispatch-engines,assign-layouts --target=rv32 --split-input-file | FileCheck %s
// RUN: htvm-opt %s -p dispatch-engines,assign-layouts,assign-layouts --target=rv32 --split-input-file | FileCheck %s

// A map inside the network has its channels innermost; what the caller sees is row-major.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @inside_and_outside
// CHECK-SAME: tensor<1x8x4x4xi8>) -> tensor<1x8x2x2xi8>
func.func @inside_and_outside(%x: tensor<1x8x4x4xi8>) -> tensor<1x8x2x2xi8> {
  // CHECK: accel.pool2d {{.*}} : (tensor<1x8x4x4xi8>) -> tensor<1x8x3x3xi8, #[[NHWC]]>
  // CHECK: accel.pool2d {{.*}} : (tensor<1x8x3x3xi8, #[[NHWC]]>) -> tensor<1x8x2x2xi8>
  %m = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x3x3xi8>
  %y = accel.pool2d %m {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x3x3xi8>) -> tensor<1x8x2x2xi8>
  return %y : tensor<1x8x2x2xi8>
}

// -----

// One column, or one channel: another order is the same places, and is written as row-major.
// CHECK-NOT: affine_map
// CHECK-LABEL: @same_places
func.func @same_places(%x: tensor<1x8x4x4xi8>) -> tensor<1x8x1x1xi8> {
  %m = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 4, 4>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x1x1xi8>
  %n = accel.transpose %m {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x8x1x1xi8>) -> tensor<1x1x8x1xi8>
  %y = accel.transpose %n {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x1x8x1xi8>) -> tensor<1x8x1x1xi8>
  return %y : tensor<1x8x1x1xi8>
}

// -----

// A reshape reads its operand as a flat array.
// CHECK-NOT: affine_map
// CHECK-LABEL: @reshape
func.func @reshape(%x: tensor<1x8x4x4xi8>) -> tensor<1x128xi8> {
  %m = accel.transpose %x {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x8x4x4xi8>) -> tensor<1x4x4x8xi8>
  %y = accel.reshape %m : (tensor<1x4x4x8xi8>) -> tensor<1x128xi8>
  return %y : tensor<1x128xi8>
}

// -----

// An element-wise layer ties its operands to its result: what the reshape wants goes back through the lookup and the
// addition to both convolutions.
// CHECK-NOT: affine_map
// CHECK-LABEL: @tied
func.func @tied(%x: tensor<1x8x4x4xi8>) -> tensor<1x128xi8> {
  %t = arith.constant dense<0> : tensor<256xi8>
  %a = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x4x4xi8>
  %b = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x4x4xi8>
  %s = accel.add %a, %b : (tensor<1x8x4x4xi8>, tensor<1x8x4x4xi8>) -> tensor<1x8x4x4xi8>
  %l = accel.lookup %s, %t {lowest = -128 : i64} : (tensor<1x8x4x4xi8>, tensor<256xi8>) -> tensor<1x8x4x4xi8>
  %y = accel.reshape %l : (tensor<1x8x4x4xi8>) -> tensor<1x128xi8>
  return %y : tensor<1x128xi8>
}

// -----

// A smaller operand that is broadcast, or a constant, is not tied.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @broadcast
func.func @broadcast(%x: tensor<1x8x4x4xi8>) -> tensor<1x8x1x1xi8> {
  %c = arith.constant dense<3> : tensor<1x8x4x4xi8>
  // CHECK: accel.transpose {{.*}} -> tensor<1x8x4x4xi8, #[[NHWC]]>
  %a = accel.transpose %x {permutation = array<i64: 0, 1, 3, 2>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x4x4xi8>
  // CHECK: accel.add {{.*}} : (tensor<1x8x4x4xi8, #[[NHWC]]>, tensor<1x8x4x4xi8>) -> tensor<1x8x4x4xi8, #[[NHWC]]>
  %s = accel.add %a, %c : (tensor<1x8x4x4xi8>, tensor<1x8x4x4xi8>) -> tensor<1x8x4x4xi8>
  // CHECK: accel.pool2d {{.*}} -> tensor<1x8x1x1xi8>
  %y = accel.pool2d %s {kind = #accel.pool_kind<max>, kernel = array<i64: 4, 4>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x1x1xi8>
  return %y : tensor<1x8x1x1xi8>
}
