// RUN: htvm-opt %s -p "split-patches{layers=2 patches=2}" --target=rv32 --split-input-file | FileCheck %s

#half = #accel.requant<multiplier = [1], offset = [0], shift = [0], min = -128, max = 127>

// Each patch makes half of the rows of the last output, where it stays. The first layer makes the rows that these read,
// less those that the patch before has made: rows 4 and 5 are kept.
// CHECK-LABEL: @windows_reach_back
func.func @windows_reach_back(%x: memref<1x4x8x8xi8, strided<[256, 1, 32, 4]>, "ram">, %y: memref<1x4x8x8xi8, strided<[256, 1, 32, 4]>, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<4x4x3x3xi8, "ram">
  // CHECK: %[[X0:.*]] = memref.reinterpret_cast %arg0 to offset: [0], sizes: [1, 4, 6, 8]
  // CHECK: accel.conv2d %[[X0]], {{.*}} into %[[A0:[0-9a-z_]+]] {accel.inner, {{.*}}pads = array<i64: 1, 1, 0, 1>
  // CHECK: %[[LAST:.*]] = memref.reinterpret_cast %[[A0]] to offset: [96], sizes: [1, 4, 2, 8]
  // CHECK: accel.take %[[LAST]] into %[[KEPT:[0-9a-z_]+]] {accel.inserted = #accel.inserted<purpose = keep_rows>
  // CHECK: %[[Y0:.*]] = memref.reinterpret_cast %arg1 to offset: [0], sizes: [1, 4, 4, 8]
  // CHECK: accel.conv2d %[[A0]], {{.*}} into %[[Y0]] {accel.inner, {{.*}}pads = array<i64: 1, 1, 0, 1>
  // CHECK: %[[FIRST:.*]] = memref.reinterpret_cast %[[A1:.*]] to offset: [0], sizes: [1, 4, 2, 8]
  // CHECK: accel.take %[[KEPT]] into %[[FIRST]]
  // CHECK: %[[X1:.*]] = memref.reinterpret_cast %arg0 to offset: [128], sizes: [1, 4, 4, 8]
  // CHECK: %[[NEW:.*]] = memref.reinterpret_cast %[[A1]] to offset: [64], sizes: [1, 4, 3, 8]
  // CHECK: accel.conv2d %[[X1]], {{.*}} into %[[NEW]] {accel.inner, {{.*}}pads = array<i64: 0, 1, 1, 1>
  // CHECK: %[[Y1:.*]] = memref.reinterpret_cast %arg1 to offset: [128], sizes: [1, 4, 4, 8]
  // CHECK: accel.conv2d %[[A1]], {{.*}} into %[[Y1]] {accel.inner, {{.*}}pads = array<i64: 0, 1, 1, 1>
  // CHECK-NOT: accel.conv2d
  %a = accel.buffer "a" : memref<1x4x8x8xi8, strided<[256, 1, 32, 4]>, "ram">
  accel.conv2d %x, %w into %a {dilations = array<i64: 1, 1>, engine = "host", groups = 1 : i64, kernel = #accel.kernel<in_place>, pads = array<i64: 1, 1, 1, 1>, pad_value = 0, requant = #half, strides = array<i64: 1, 1>} : (memref<1x4x8x8xi8, strided<[256, 1, 32, 4]>, "ram">, memref<4x4x3x3xi8, "ram">, memref<1x4x8x8xi8, strided<[256, 1, 32, 4]>, "ram">) -> () loc("a")
  accel.conv2d %a, %w into %y {dilations = array<i64: 1, 1>, engine = "host", groups = 1 : i64, kernel = #accel.kernel<in_place>, pads = array<i64: 1, 1, 1, 1>, pad_value = 0, requant = #half, strides = array<i64: 1, 1>} : (memref<1x4x8x8xi8, strided<[256, 1, 32, 4]>, "ram">, memref<4x4x3x3xi8, "ram">, memref<1x4x8x8xi8, strided<[256, 1, 32, 4]>, "ram">) -> () loc("y")
  return
}
memref.global "private" constant @w : memref<4x4x3x3xi8, "ram"> = dense<1>

// -----

// Rows of a single byte do not begin at words: nothing is cut.
// CHECK-LABEL: @odd_rows
func.func @odd_rows(%x: memref<1x1x8x3xi8, "ram">, %y: memref<1x1x8x3xi8, "ram"> {accel.result}) {
  // CHECK: accel.add %arg0, %arg0 into %
  // CHECK-NOT: reinterpret_cast
  %a = accel.buffer "a" : memref<1x1x8x3xi8, "ram">
  accel.add %x, %x into %a {engine = "host"} : (memref<1x1x8x3xi8, "ram">, memref<1x1x8x3xi8, "ram">, memref<1x1x8x3xi8, "ram">) -> () loc("a")
  accel.add %a, %x into %y {engine = "host"} : (memref<1x1x8x3xi8, "ram">, memref<1x1x8x3xi8, "ram">, memref<1x1x8x3xi8, "ram">) -> () loc("y")
  return
}
