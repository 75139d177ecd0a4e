// RUN: htvm-opt %s -p fuse-converters --target=diana | FileCheck %s

// A code of 6 bits that is scaled for each channel: one layer of an engine with a converter.
// CHECK-LABEL: @one_layer
func.func @one_layer(%x: tensor<1x2x4x4xi8> {accel.range = array<i64: -64, 63>}) -> tensor<1x2x4x4xi8> {
  // CHECK: %[[Y:[0-9]+]] = accel.conv2d %arg0
  // CHECK-SAME: requant = #accel.requant<multiplier = [1], offset = [0], shift = [1], min = -32, max = 31>
  // CHECK-SAME: rescale = #accel.rescale<requant = <multiplier = [1], offset = [9, -9], shift = [1], min = -128, max = 127>, weights = [5, -3]>
  // CHECK-NEXT: return %[[Y]]
  %w = arith.constant dense<[[[[1]], [[-1]]], [[[0]], [[1]]]]> : tensor<2x2x1x1xi8>
  %s = arith.constant dense<[[[[5]]], [[[-3]]]]> : tensor<2x1x1x1xi8>
  %c = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [1], min = -32, max = 31>} : (tensor<1x2x4x4xi8>, tensor<2x2x1x1xi8>) -> tensor<1x2x4x4xi8>
  %y = accel.conv2d %c, %s {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2, requant = #accel.requant<multiplier = [1], offset = [9, -9], shift = [1], min = -128, max = 127>} : (tensor<1x2x4x4xi8>, tensor<2x1x1x1xi8>) -> tensor<1x2x4x4xi8>
  return %y : tensor<1x2x4x4xi8>
}

// The code has another use: it must be computed.
// CHECK-LABEL: @code_is_used_twice
func.func @code_is_used_twice(%x: tensor<1x2x4x4xi8> {accel.range = array<i64: -64, 63>}) -> (tensor<1x2x4x4xi8>, tensor<1x2x4x4xi8>) {
  // CHECK-COUNT-2: accel.conv2d
  // CHECK-NOT: rescale
  %w = arith.constant dense<1> : tensor<2x2x1x1xi8>
  %s = arith.constant dense<5> : tensor<2x1x1x1xi8>
  %c = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [1], min = -32, max = 31>} : (tensor<1x2x4x4xi8>, tensor<2x2x1x1xi8>) -> tensor<1x2x4x4xi8>
  %y = accel.conv2d %c, %s {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2, requant = #accel.requant<multiplier = [1], offset = [9], shift = [1], min = -128, max = 127>} : (tensor<1x2x4x4xi8>, tensor<2x1x1x1xi8>) -> tensor<1x2x4x4xi8>
  return %c, %y : tensor<1x2x4x4xi8>, tensor<1x2x4x4xi8>
}

// A code of 7 bits: no engine has such a converter.
// CHECK-LABEL: @no_engine_takes_it
func.func @no_engine_takes_it(%x: tensor<1x2x4x4xi8> {accel.range = array<i64: -64, 63>}) -> tensor<1x2x4x4xi8> {
  // CHECK-COUNT-2: accel.conv2d
  // CHECK-NOT: rescale
  %w = arith.constant dense<1> : tensor<2x2x1x1xi8>
  %s = arith.constant dense<5> : tensor<2x1x1x1xi8>
  %c = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [1], min = -64, max = 63>} : (tensor<1x2x4x4xi8>, tensor<2x2x1x1xi8>) -> tensor<1x2x4x4xi8>
  %y = accel.conv2d %c, %s {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2, requant = #accel.requant<multiplier = [1], offset = [9], shift = [1], min = -128, max = 127>} : (tensor<1x2x4x4xi8>, tensor<2x1x1x1xi8>) -> tensor<1x2x4x4xi8>
  return %y : tensor<1x2x4x4xi8>
}

// A layer that names its engine stays as it is.
// CHECK-LABEL: @pinned
func.func @pinned(%x: tensor<1x2x4x4xi8> {accel.range = array<i64: -64, 63>}) -> tensor<1x2x4x4xi8> {
  // CHECK: accel.conv2d {{.*}}engine = "host"
  // CHECK-NEXT: accel.conv2d
  // CHECK-NOT: rescale
  %w = arith.constant dense<1> : tensor<2x2x1x1xi8>
  %s = arith.constant dense<5> : tensor<2x1x1x1xi8>
  %c = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [1], min = -32, max = 31>} : (tensor<1x2x4x4xi8>, tensor<2x2x1x1xi8>) -> tensor<1x2x4x4xi8>
  %y = accel.conv2d %c, %s {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2, requant = #accel.requant<multiplier = [1], offset = [9], shift = [1], min = -128, max = 127>} : (tensor<1x2x4x4xi8>, tensor<2x1x1x1xi8>) -> tensor<1x2x4x4xi8>
  return %y : tensor<1x2x4x4xi8>
}
