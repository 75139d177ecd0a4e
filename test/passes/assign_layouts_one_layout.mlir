// RUN: htvm-opt %s -p dispatch-engines,assign-layouts --target=%S/targets/any_place.py | FileCheck %s

// The accelerator writes pixels only. Who sees the network's output wants planes: the host makes them of the result; so it
// does before a reshape, which takes a map for a flat array.
// CHECK-DAG: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @returned
func.func @returned(%x: tensor<1x16x8x8xui8>) -> (tensor<1x16x8x8xui8>, tensor<1x1024xui8>) {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: %[[X:.*]] = accel.convert_layout %{{.*}} {accel.inserted = #accel.inserted<purpose = convert_layout>, engine = "host"}
  // CHECK: %[[Y:.*]] = accel.conv2d %[[X]], {{.*}}engine = "replay"{{.*}} -> tensor<1x16x8x8xui8, #[[NHWC]]>
  // CHECK: %[[P:.*]] = accel.convert_layout %[[Y]] {{.*}} -> tensor<1x16x8x8xui8>
  // CHECK: %[[R:.*]] = accel.reshape %[[P]]
  // CHECK: return %[[P]], %[[R]]
  %y = accel.conv2d %x, %w {engine = "replay", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = 0, max = 255>} : (tensor<1x16x8x8xui8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xui8>
  %r = accel.reshape %y : (tensor<1x16x8x8xui8>) -> tensor<1x1024xui8>
  return %y, %r : tensor<1x16x8x8xui8>, tensor<1x1024xui8>
}

// What is no convolution can be the accelerator's as well: a pool, a lookup, a product. The input is converted before the
// lookup or behind it, which takes as long.
// CHECK-LABEL: @pinned
func.func @pinned(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x4x4xi8> {
  %t = arith.constant dense<3> : tensor<256xi8>
  // CHECK: accel.lookup {{.*}}engine = "replay"{{.*}} -> tensor<1x4x8x8xi8
  // CHECK: accel.mul {{.*}}engine = "replay"{{.*}} -> tensor<1x4x8x8xi8, #[[NHWC]]>
  // CHECK: accel.pool2d {{.*}}engine = "replay"{{.*}} -> tensor<1x4x4x4xi8, #[[NHWC]]>
  %a = accel.lookup %x, %t {engine = "replay", lowest = -128 : i64} : (tensor<1x4x8x8xi8>, tensor<256xi8>) -> tensor<1x4x8x8xi8>
  %b = accel.mul %a, %a {engine = "replay", zero_points = array<i64: 0, 0>, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  %c = accel.pool2d %b {engine = "replay", kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x4x8x8xi8>) -> tensor<1x4x4x4xi8>
  return %c : tensor<1x4x4x4xi8>
}
