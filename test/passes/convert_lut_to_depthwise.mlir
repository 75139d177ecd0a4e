// RUN: htvm-opt %s -p convert-lut-to-depthwise --target=diana --split-input-file | FileCheck %s

// All entries are (x + 3) >> 1 of x from -4 to 3: a convolution with ones, whose bias is 3.
// CHECK-LABEL: @half
func.func @half(%x: tensor<1x3x16x16xi8> {accel.range = array<i64: -4, 3>}) -> tensor<1x3x16x16xi8> {
  // CHECK: %[[ONES:.*]] = arith.constant dense<1> : tensor<3x1x1x1xi8>
  // CHECK: %[[Y:.*]] = accel.conv2d %{{.*}}, %[[ONES]]
  // CHECK-SAME: groups = 3 : i64
  // CHECK-SAME: multiplier = [1073741824], offset = [12], shift = [33], pre_shift = 2, min = -1, max = 3, narrow = true
  // CHECK: return %[[Y]]
  %t = arith.constant dense<[-1, 0, 0, 1, 1, 2, 2, 3]> : tensor<8xi8>
  %y = accel.lookup %x, %t {lowest = -4 : i64} : (tensor<1x3x16x16xi8>, tensor<8xi8>) -> tensor<1x3x16x16xi8>
  return %y : tensor<1x3x16x16xi8>
}

// -----

// Ties that go to the even neighbour are no steps of one size: the table stays.
// CHECK-LABEL: @half_to_even
func.func @half_to_even(%x: tensor<1x3x16x16xi8> {accel.range = array<i64: -4, 3>}) -> tensor<1x3x16x16xi8> {
  // CHECK: accel.lookup
  // CHECK-NOT: accel.conv2d
  %t = arith.constant dense<[-2, -2, -1, 0, 0, 0, 1, 2]> : tensor<8xi8>
  %y = accel.lookup %x, %t {lowest = -4 : i64} : (tensor<1x3x16x16xi8>, tensor<8xi8>) -> tensor<1x3x16x16xi8>
  return %y : tensor<1x3x16x16xi8>
}

// -----

// Of a vector there is no map that the array could convolve.
// CHECK-LABEL: @vector
func.func @vector(%x: tensor<1x640xi8> {accel.range = array<i64: -4, 3>}) -> tensor<1x640xi8> {
  // CHECK: accel.lookup
  // CHECK-NOT: accel.conv2d
  %t = arith.constant dense<[-1, 0, 0, 1, 1, 2, 2, 3]> : tensor<8xi8>
  %y = accel.lookup %x, %t {lowest = -4 : i64} : (tensor<1x640xi8>, tensor<8xi8>) -> tensor<1x640xi8>
  return %y : tensor<1x640xi8>
}

// -----

// Of the operand only its type is known, which has more than the table: the clip would be reached, so the table stays.
// CHECK-LABEL: @smaller_than_its_type
func.func @smaller_than_its_type(%x: tensor<1x3x16x16xi8>) -> tensor<1x3x16x16xi8> {
  // CHECK: accel.lookup
  // CHECK-NOT: accel.conv2d
  %t = arith.constant dense<[-1, 0, 0, 1, 1, 2, 2, 3]> : tensor<8xi8>
  %y = accel.lookup %x, %t {lowest = -4 : i64} : (tensor<1x3x16x16xi8>, tensor<8xi8>) -> tensor<1x3x16x16xi8>
  return %y : tensor<1x3x16x16xi8>
}
