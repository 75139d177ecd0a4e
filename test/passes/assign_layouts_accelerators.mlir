// RUN: htvm-opt %s -p assign-layouts --target=diana --split-input-file | FileCheck %s
// RUN: htvm-opt %s -p assign-layouts,assign-layouts --target=diana --split-input-file | FileCheck %s

// The array reads channel by channel: what lies between its layers has no encoding, though the host would like its
// channels innermost.
// CHECK-NOT: affine_map
// CHECK-LABEL: @nchw
func.func @nchw(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "digital", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %z = accel.conv2d %y, %w {engine = "digital", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %z : tensor<1x16x8x8xi8>
}

// -----

// The analog array reads pixel by pixel, and the array before it can write that: no conversion.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @written_as_it_is_read
func.func @written_as_it_is_read(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: accel.conv2d {{.*}} -> tensor<1x16x8x8xi8, #[[NHWC]]>
  %y = accel.conv2d %x, %w {engine = "digital", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = 0, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  // CHECK-NOT: accel.convert_layout
  // CHECK: accel.conv2d {{.*}} : (tensor<1x16x8x8xi8, #[[NHWC]]>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %z = accel.conv2d %y, %w {engine = "analog", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %z : tensor<1x16x8x8xi8>
}

// -----

// What the caller gives is row-major, and the analog array wants it pixel by pixel: the digital array, which reads the
// one and writes the other, converts it, once for both readers.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @converted
func.func @converted(%x: tensor<1x16x8x8xi8> {accel.range = array<i64: 0, 127>}) -> (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: %[[C:.*]] = accel.conv2d %arg0
  // CHECK-SAME: engine = "digital", groups = 1 : i64
  // CHECK-SAME: min = 0, max = 127
  // CHECK-SAME: (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8, #[[NHWC]]>
  // CHECK: accel.conv2d %[[C]]
  %y = accel.conv2d %x, %w {engine = "analog", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  // CHECK: accel.conv2d %[[C]]
  %z = accel.conv2d %x, %w {engine = "analog", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [5], min = -32, max = 31>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %y, %z : tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>
}

// -----

// An addition has one order for both operands and its result. The array can write either: what the caller sees
// decides.
// CHECK-NOT: affine_map
// CHECK-LABEL: @addition_of_one_order
func.func @addition_of_one_order(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "digital", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = 0, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %z = accel.add %x, %y {engine = "digital", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8>
  return %z : tensor<1x16x8x8xi8>
}

// -----

// The host adds a map that the analog array has made, and reads, to itself. The sum has the same order, if it can: the
// caller sees it row-major.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @tied_to_what_others_see
func.func @tied_to_what_others_see(%x: tensor<1x16x8x8xi8> {accel.range = array<i64: 0, 31>}) -> (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "analog", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  // CHECK: accel.add {{.*}} : (tensor<1x16x8x8xi8, #[[NHWC]]>, tensor<1x16x8x8xi8, #[[NHWC]]>) -> tensor<1x16x8x8xi8>
  %s = accel.add %y, %y {engine = "host", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8>
  %z = accel.conv2d %y, %w {engine = "analog", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %s, %z : tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>
}

// -----

// Launches of a depthwise layer have 16 channels each, and pixel by pixel they would leave gaps for the others: of 64
// channels, the map is made channel by channel, and converted.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @depthwise_and_analog
func.func @depthwise_and_analog(%x: tensor<1x64x16x16xi8> {accel.range = array<i64: 0, 127>}) -> tensor<1x16x16x16xi8> {
  %d = arith.constant dense<1> : tensor<64x1x1x1xi8>
  %w = arith.constant dense<1> : tensor<16x64x1x1xi8>
  // CHECK: %[[Y:.*]] = accel.conv2d %arg0, {{.*}} groups = 64 {{.*}} -> tensor<1x64x16x16xi8>{{$}}
  // CHECK: %[[C:.*]] = accel.conv2d %[[Y]], {{.*}} groups = 1 {{.*}} -> tensor<1x64x16x16xi8, #[[NHWC]]>
  // CHECK: accel.conv2d %[[C]]
  %y = accel.conv2d %x, %d {engine = "digital", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [0], min = 0, max = 127>} : (tensor<1x64x16x16xi8>, tensor<64x1x1x1xi8>) -> tensor<1x64x16x16xi8>
  %z = accel.conv2d %y, %w {engine = "analog", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>} : (tensor<1x64x16x16xi8>, tensor<16x64x1x1xi8>) -> tensor<1x16x16x16xi8>
  return %z : tensor<1x16x16x16xi8>
}

// -----

// Pixels are channels to the array that sums a whole map: it reads the map pixel by pixel.
// CHECK: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @sum_of_a_map
func.func @sum_of_a_map(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x1x1xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: %[[Y:.*]] = accel.conv2d {{.*}} -> tensor<1x16x8x8xi8, #[[NHWC]]>
  // CHECK-NOT: accel.conv2d
  // CHECK: accel.pool2d %[[Y]]
  %y = accel.conv2d %x, %w {engine = "digital", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  %z = accel.pool2d %y {engine = "digital", kind = #accel.pool_kind<average>, kernel = array<i64: 8, 8>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, counts = array<i64: 64>, requant = #accel.requant<multiplier = [1], offset = [0], shift = [6], min = -128, max = 127>} : (tensor<1x16x8x8xi8>) -> tensor<1x16x1x1xi8>
  return %z : tensor<1x16x1x1xi8>
}
