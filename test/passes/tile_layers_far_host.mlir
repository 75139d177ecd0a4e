// RUN: htvm-opt %s -p order-layers,choose-tilings,bufferize-layers,tile-layers --target=%S/targets/far_memory.py --memory ram=10k | FileCheck %s

// The host has no room for all weights of a convolution: those of some outputs come from flash, the next ones before it
// computes. It writes a part of the whole output.
// CHECK: [[BLOCKS:#.*]] = affine_map<(d0, d1, d2, d3) -> (d0 floordiv 4, d1, d2, d3, d0 mod 4)>
// CHECK: memref.global "private" constant @accel_conv2d_packed : memref<9216xi8, "flash">
// CHECK: [[FIRST:%.*]] = accel.copy {{.*}} "flash"> to {{.*}} "ram">
// CHECK: [[SECOND:%.*]] = accel.copy {{.*}} "flash"> to {{.*}} "ram">
// CHECK-NEXT: accel.wait [[FIRST]]
// CHECK-NEXT: accel.conv2d %arg0, {{.*}}accel.inner
// CHECK-SAME: memref<8x32x3x3xi8, [[BLOCKS]], "ram">
// CHECK-SAME: memref<1x8x4x4xi8, strided<[512, 16, 4, 1]>, "ram">
// CHECK: accel.copy
// CHECK: accel.wait [[SECOND]]
// CHECK: accel.step
// CHECK-NEXT: accel.conv2d
// CHECK-SAME: strided<[512, 16, 4, 1], offset: 128>
func.func @weights(%x: tensor<1x32x4x4xi8>) -> tensor<1x32x4x4xi8> {
  %w = arith.constant dense<1> : tensor<32x32x3x3xi8>
  %y = accel.conv2d %x, %w {engine = "host", kernel = #accel.kernel<collected>, scratch_bytes = 576 : i64, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [10], min = -128, max = 127>} : (tensor<1x32x4x4xi8>, tensor<32x32x3x3xi8>) -> tensor<1x32x4x4xi8>
  return %y : tensor<1x32x4x4xi8>
}
