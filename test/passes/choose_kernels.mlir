// RUN: htvm-opt %s -p choose-kernels --target=rv32 --split-input-file | FileCheck %s
// RUN: sed 's/^func.func/module attributes {accel.options = #accel.options<constants = 2.1 : f64>} { func.func/; s/^}$/} }/' %s | htvm-opt - -p choose-kernels --target=rv32 --split-input-file | FileCheck %s --check-prefix=FAST
// RUN: htvm-opt %s -p 'choose-kernels{most-data=2.1}' --target=rv32 --split-input-file | FileCheck %s --check-prefix=FAST
// RUN: htvm-opt %s -p 'choose-kernels{most-data=9}' --target=rv32 --split-input-file | FileCheck %s --check-prefix=LARGE
// RUN: htvm-opt %s -p choose-kernels --target=diana --split-input-file | FileCheck %s --check-prefix=LEAN

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// Two pixels share a multiplication. The scratch memory has 3 words for each of 16 taps.
// CHECK-LABEL: @pointwise_is_packed
func.func @pointwise_is_packed(%x: tensor<1x16x4x4xi8, #nhwc>) -> tensor<1x32x4x4xi8, #nhwc> {
  // CHECK: accel.conv2d
  // CHECK-SAME: accel.data_bytes = 528 : i64
  // CHECK-SAME: kernel = #accel.kernel<packed>
  // CHECK-SAME: run = 4
  // CHECK-SAME: scratch_bytes = 192
  %w = arith.constant dense<20> : tensor<32x16x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x16x4x4xi8, #nhwc>, tensor<32x16x1x1xi8>) -> tensor<1x32x4x4xi8, #nhwc>
  return %y : tensor<1x32x4x4xi8, #nhwc>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// 64 times 128 is 2^13: four such taps reach 2^15, three do not.
// CHECK-LABEL: @large_weights_have_short_runs
func.func @large_weights_have_short_runs(%x: tensor<1x24x4x4xi8, #nhwc>) -> tensor<1x32x4x4xi8, #nhwc> {
  // CHECK: kernel = #accel.kernel<packed>
  // CHECK-SAME: run = 3
  %w = arith.constant dense<-64> : tensor<32x24x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x24x4x4xi8, #nhwc>, tensor<32x24x1x1xi8>) -> tensor<1x32x4x4xi8, #nhwc>
  return %y : tensor<1x32x4x4xi8, #nhwc>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// Taps of weight 0 are left out: no runs, a list.
// CHECK-LABEL: @zeros_are_skipped
func.func @zeros_are_skipped(%x: tensor<1x64x4x4xi8, #nhwc>) -> tensor<1x64x4x4xi8, #nhwc> {
  // CHECK: kernel = #accel.kernel<packed>
  // CHECK-SAME: run = 0
  %w = arith.constant dense<0> : tensor<64x64x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x64x4x4xi8, #nhwc>, tensor<64x64x1x1xi8>) -> tensor<1x64x4x4xi8, #nhwc>
  return %y : tensor<1x64x4x4xi8, #nhwc>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// Weights of 16 bits, and fewer than six pixels, are multiplied one by one.
// CHECK-LABEL: @not_for_pairs
func.func @not_for_pairs(%x: tensor<1x16x4x4xi8, #nhwc>, %p: tensor<1x16x2x2xi8, #nhwc>) -> tensor<1x32x4x4xi8, #nhwc> {
  // CHECK-NOT: packed
  // CHECK: return
  %v = arith.constant dense<300> : tensor<32x16x1x1xi16>
  %w = arith.constant dense<20> : tensor<32x16x1x1xi8>
  %y = accel.conv2d %x, %v {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x16x4x4xi8, #nhwc>, tensor<32x16x1x1xi16>) -> tensor<1x32x4x4xi8, #nhwc>
  %z = accel.conv2d %p, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x16x2x2xi8, #nhwc>, tensor<32x16x1x1xi8>) -> tensor<1x32x2x2xi8, #nhwc>
  return %y : tensor<1x32x4x4xi8, #nhwc>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// Transformed weights are eight times as large: the default has no room for them where there is nothing but this layer.
// CHECK-LABEL: @convolution_3x3
// LARGE-LABEL: @convolution_3x3
func.func @convolution_3x3(%x: tensor<1x16x32x32xi8, #nhwc>) -> tensor<1x16x32x32xi8, #nhwc> {
  // CHECK: kernel = #accel.kernel<packed>
  // LARGE: accel.data_bytes = 18432 : i64
  // LARGE-SAME: kernel = #accel.kernel<winograd>
  // LARGE-SAME: scratch_bytes = 6928
  %w = arith.constant dense<20> : tensor<16x16x3x3xi8>
  %y = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x16x32x32xi8, #nhwc>, tensor<16x16x3x3xi8>) -> tensor<1x16x32x32xi8, #nhwc>
  return %y : tensor<1x16x32x32xi8, #nhwc>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// Beside a layer with many weights, the one that gains most by a byte has its weights transformed, and no other. A
// target with accelerators keeps its memory for them.
// CHECK-LABEL: @budget_goes_where_it_gains_most
// LEAN-LABEL: @budget_goes_where_it_gains_most
func.func @budget_goes_where_it_gains_most(%x: tensor<1x16x32x32xi8, #nhwc>, %z: tensor<1x64x8x8xi8, #nhwc>) -> (tensor<1x16x32x32xi8, #nhwc>, tensor<1x64x8x8xi8, #nhwc>) {
  // LEAN: kernel = #accel.kernel<packed>
  // LEAN-NOT: winograd
  // LEAN: return
  // CHECK: kernel = #accel.kernel<winograd>
  // CHECK: kernel = #accel.kernel<packed>
  %w = arith.constant dense<20> : tensor<16x16x3x3xi8>
  %y = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x16x32x32xi8, #nhwc>, tensor<16x16x3x3xi8>) -> tensor<1x16x32x32xi8, #nhwc>
  %v = arith.constant dense<20> : tensor<64x64x3x3xi8>
  %u = accel.conv2d %z, %v {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x64x8x8xi8, #nhwc>, tensor<64x64x3x3xi8>) -> tensor<1x64x8x8xi8, #nhwc>
  return %y, %u : tensor<1x16x32x32xi8, #nhwc>, tensor<1x64x8x8xi8, #nhwc>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// 236 * 9 * 127 * 128 is more than 2^25: sums could not be told apart.
// LARGE-LABEL: @sums_are_too_large
func.func @sums_are_too_large(%x: tensor<1x236x8x8xi8, #nhwc>) -> tensor<1x4x8x8xi8, #nhwc> {
  // LARGE-NOT: winograd
  // LARGE: return
  %w = arith.constant dense<127> : tensor<4x236x3x3xi8>
  %y = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x236x8x8xi8, #nhwc>, tensor<4x236x3x3xi8>) -> tensor<1x4x8x8xi8, #nhwc>
  return %y : tensor<1x4x8x8xi8, #nhwc>
}

// -----

// One row times a matrix: two channels share a multiplication, with twice the constants without taking words apart.
// CHECK-LABEL: @row
// FAST-LABEL: @row
func.func @row(%x: tensor<1x64xi8>) -> tensor<1x16xi8> {
  // CHECK: kernel = #accel.kernel<quad_row>
  // CHECK-NOT: skip
  // FAST: kernel = #accel.kernel<wide_row>
  %w = arith.constant dense<3> : tensor<16x64xi8>
  %y = accel.dense %x, %w {engine = "host", zero_point = -128} : (tensor<1x64xi8>, tensor<16x64xi8>) -> tensor<1x16xi8>
  return %y : tensor<1x16xi8>
}

// -----

// Half of what a relu makes is taken to be 0, which is -128 here: both layers skip it, and the one with large weights
// has no runs. What a layer with another zero point makes is not 0 more often than anything else.
// CHECK-LABEL: @zeros_of_a_relu_are_skipped
// FAST-LABEL: @zeros_of_a_relu_are_skipped
func.func @zeros_of_a_relu_are_skipped(%x: tensor<1x8xi8>) -> (tensor<1x32xi8>, tensor<1x64xi8>, tensor<1x32xi8>) {
  // CHECK: kernel = #accel.kernel<quad_row>
  // CHECK-NOT: skip
  // CHECK: arith.constant
  // FAST: kernel = #accel.kernel<wide_row>
  %u = arith.constant dense<1> : tensor<64x8xi8>
  %h = accel.dense %x, %u {engine = "host"} : (tensor<1x8xi8>, tensor<64x8xi8>) -> tensor<1x64xi8>
  // CHECK: kernel = #accel.kernel<quad_row>
  // CHECK-SAME: skip = -128
  // FAST: kernel = #accel.kernel<wide_row>
  // FAST-SAME: skip = -128
  %v = arith.constant dense<3> : tensor<32x64xi8>
  %a = accel.dense %h, %v {engine = "host", zero_point = -128} : (tensor<1x64xi8>, tensor<32x64xi8>) -> tensor<1x32xi8>
  // CHECK: kernel = #accel.kernel<sparse_row>
  // CHECK-SAME: skip = -128
  // FAST: kernel = #accel.kernel<sparse_row>
  %w = arith.constant dense<-100> : tensor<64x64xi8>
  %b = accel.dense %h, %w {engine = "host", zero_point = -128} : (tensor<1x64xi8>, tensor<64x64xi8>) -> tensor<1x64xi8>
  // CHECK: kernel = #accel.kernel<quad_row>
  // CHECK-NOT: skip
  %c = accel.dense %h, %v {engine = "host", zero_point = 3} : (tensor<1x64xi8>, tensor<32x64xi8>) -> tensor<1x32xi8>
  return %a, %b, %c : tensor<1x32xi8>, tensor<1x64xi8>, tensor<1x32xi8>
}

// -----

// An average is seldom 0.
// CHECK-LABEL: @averages_are_not_skipped
func.func @averages_are_not_skipped(%x: tensor<1x64x4x4xi8>) -> tensor<1x16xi8> {
  // CHECK: accel.dense
  // CHECK-NOT: skip
  %p = accel.pool2d %x {engine = "host", kind = #accel.pool_kind<max>, kernel = array<i64: 4, 4>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x64x4x4xi8>) -> tensor<1x64x1x1xi8>
  %h = accel.reshape %p {engine = "host"} : (tensor<1x64x1x1xi8>) -> tensor<1x64xi8>
  %w = arith.constant dense<3> : tensor<16x64xi8>
  %y = accel.dense %h, %w {engine = "host", zero_point = -128} : (tensor<1x64xi8>, tensor<16x64xi8>) -> tensor<1x16xi8>
  return %y : tensor<1x16xi8>
}

// -----

// CHECK-LABEL: @depthwise
func.func @depthwise(%x: tensor<1x2x8x8xi8>) -> tensor<1x2x7x7xi8> {
  // CHECK: kernel = #accel.kernel<depthwise_3x3>
  // CHECK: kernel = #accel.kernel<depthwise>
  %v = arith.constant dense<1> : tensor<2x1x3x3xi8>
  %w = arith.constant dense<1> : tensor<2x1x2x2xi8>
  %m = accel.conv2d %x, %v {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x2x8x8xi8>, tensor<2x1x3x3xi8>) -> tensor<1x2x8x8xi8>
  %y = accel.conv2d %m, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x2x8x8xi8>, tensor<2x1x2x2xi8>) -> tensor<1x2x7x7xi8>
  return %y : tensor<1x2x7x7xi8>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// What is named already stays.
// CHECK-LABEL: @pinned
func.func @pinned(%x: tensor<1x16x4x4xi8, #nhwc>) -> tensor<1x32x4x4xi8, #nhwc> {
  // CHECK: kernel = #accel.kernel<in_place>
  %w = arith.constant dense<20> : tensor<32x16x1x1xi8>
  %y = accel.conv2d %x, %w {engine = "host", kernel = #accel.kernel<in_place>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x16x4x4xi8, #nhwc>, tensor<32x16x1x1xi8>) -> tensor<1x32x4x4xi8, #nhwc>
  return %y : tensor<1x32x4x4xi8, #nhwc>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// Four channels are a word, but not in the memory of a caller, who may have a map anywhere; nor with 6 channels.
// CHECK-LABEL: @depthwise_words
func.func @depthwise_words(%x: tensor<1x32x20x20xi8, #nhwc>, %z: tensor<1x6x8x8xi8, #nhwc>) -> (tensor<1x32x20x20xi8, #nhwc>, tensor<1x6x8x8xi8, #nhwc>) {
  // CHECK: accel.conv2d %arg0
  // CHECK-SAME: kernel = #accel.kernel<depthwise_3x3>
  // CHECK: accel.conv2d
  // CHECK-SAME: kernel = #accel.kernel<depthwise_words>
  // CHECK-SAME: scratch_bytes = 1936
  // CHECK: accel.conv2d
  // CHECK-SAME: kernel = #accel.kernel<depthwise_3x3>
  %w = arith.constant dense<1> : tensor<32x1x3x3xi8>
  %v = arith.constant dense<1> : tensor<6x1x3x3xi8>
  %a = accel.conv2d %x, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 32 : i64} : (tensor<1x32x20x20xi8, #nhwc>, tensor<32x1x3x3xi8>) -> tensor<1x32x20x20xi8, #nhwc>
  %y = accel.conv2d %a, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 32 : i64} : (tensor<1x32x20x20xi8, #nhwc>, tensor<32x1x3x3xi8>) -> tensor<1x32x20x20xi8, #nhwc>
  %b = accel.add %z, %z {engine = "host"} : (tensor<1x6x8x8xi8, #nhwc>, tensor<1x6x8x8xi8, #nhwc>) -> tensor<1x6x8x8xi8, #nhwc>
  %u = accel.conv2d %b, %v {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 6 : i64} : (tensor<1x6x8x8xi8, #nhwc>, tensor<6x1x3x3xi8>) -> tensor<1x6x8x8xi8, #nhwc>
  return %y, %u : tensor<1x32x20x20xi8, #nhwc>, tensor<1x6x8x8xi8, #nhwc>
}
