// RUN: htvm-opt %s -p assign-layouts --target=%S/targets/in_flight.py | FileCheck %s
// RUN: htvm-opt %s -p assign-layouts,assign-layouts --target=%S/targets/in_flight.py | FileCheck %s

// CHECK-DAG: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>

// One array reads a map in planes, the other one pixel by pixel. From 1 channel it is made again in fewer cycles than a
// convolution of its 32 channels takes to convert it.
// CHECK-LABEL: @fewer_channels_are_read
func.func @fewer_channels_are_read(%x: tensor<1x1x8x8xi8>) -> (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) {
  %w = arith.constant dense<1> : tensor<32x1x1x1xi8>
  %v = arith.constant dense<1> : tensor<32x32x1x1xi8>
  // CHECK: %[[PLANES:.*]] = accel.conv2d %arg0, {{.*}} -> tensor<1x32x8x8xi8>
  // CHECK: %[[PIXELS:.*]] = accel.conv2d %arg0, {{.*}}accel.inserted = #accel.inserted<purpose = run_again>{{.*}} -> tensor<1x32x8x8xi8, #[[NHWC]]>
  // CHECK: accel.conv2d %[[PLANES]]
  // CHECK: accel.conv2d %[[PIXELS]]
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x1x8x8xi8>, tensor<32x1x1x1xi8>) -> tensor<1x32x8x8xi8>
  %a = accel.conv2d %y, %v {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<32x32x1x1xi8>) -> tensor<1x32x8x8xi8>
  %b = accel.conv2d %y, %v {engine = "second", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<32x32x1x1xi8>) -> tensor<1x32x8x8xi8>
  return %a, %b : tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>
}

// What adds a map to itself reads it in the layout that it writes: both layers run twice.
// CHECK-LABEL: @a_sum_and_what_it_adds
func.func @a_sum_and_what_it_adds(%x: tensor<1x1x8x8xi8>) -> (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) {
  %w = arith.constant dense<1> : tensor<32x1x1x1xi8>
  %v = arith.constant dense<1> : tensor<32x32x1x1xi8>
  // CHECK: %[[Y:.*]] = accel.conv2d %arg0, {{.*}} -> tensor<1x32x8x8xi8>
  // CHECK: %[[S:.*]] = accel.add %[[Y]], %[[Y]]
  // CHECK: %[[Y2:.*]] = accel.conv2d %arg0, {{.*}} -> tensor<1x32x8x8xi8, #[[NHWC]]>
  // CHECK: %[[S2:.*]] = accel.add %[[Y2]], %[[Y2]] {{.*}} -> tensor<1x32x8x8xi8, #[[NHWC]]>
  // CHECK: accel.conv2d %[[S]]
  // CHECK: accel.conv2d %[[S2]]
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x1x8x8xi8>, tensor<32x1x1x1xi8>) -> tensor<1x32x8x8xi8>
  %s = accel.add %y, %y {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8>
  %a = accel.conv2d %s, %v {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<32x32x1x1xi8>) -> tensor<1x32x8x8xi8>
  %b = accel.conv2d %s, %v {engine = "second", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<32x32x1x1xi8>) -> tensor<1x32x8x8xi8>
  return %a, %b : tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>
}

// From 32 channels a map of 8 is made again in more cycles than its conversion takes.
// CHECK-LABEL: @more_channels_are_read
func.func @more_channels_are_read(%x: tensor<1x32x8x8xi8>) -> (tensor<1x8x8x8xi8>, tensor<1x8x8x8xi8>) {
  %w = arith.constant dense<1> : tensor<8x32x1x1xi8>
  %v = arith.constant dense<1> : tensor<8x8x1x1xi8>
  // CHECK: %[[Y:.*]] = accel.conv2d %arg0
  // CHECK: accel.conv2d %[[Y]], {{.*}}accel.inserted = #accel.inserted<purpose = convert_layout>
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<8x32x1x1xi8>) -> tensor<1x8x8x8xi8>
  %a = accel.conv2d %y, %v {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x8x8xi8>, tensor<8x8x1x1xi8>) -> tensor<1x8x8x8xi8>
  %b = accel.conv2d %y, %v {engine = "second", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x8x8x8xi8>, tensor<8x8x1x1xi8>) -> tensor<1x8x8x8xi8>
  return %a, %b : tensor<1x8x8x8xi8>, tensor<1x8x8x8xi8>
}
