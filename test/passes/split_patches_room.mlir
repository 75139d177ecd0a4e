// RUN: htvm-opt %s -p "split-patches,plan-memory" --target=rv32 --split-input-file | FileCheck %s

// Whole, %a and the argument take 2,048 bytes, and there are 1,800: the fewest patches that need no more are made.
// CHECK: accel.arena = {ram = [[#%d,ARENA:]] : i64}
// CHECK-LABEL: @too_large_whole
// CHECK: accel.buffer "a rows 0 to
module attributes {accel.arena_room = {ram = 1800 : i64}} {
func.func @too_large_whole(%x: memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, %y: memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "ram"> {accel.result}) {
  %a = accel.buffer "a" : memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">
  accel.add %x, %x into %a {engine = "host"} : (memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">) -> () loc("a")
  accel.pool2d %a into %y {engine = "host", kernel = array<i64: 4, 4>, kind = #accel.pool_kind<max>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 4, 4>} : (memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "ram">) -> () loc("y")
  return
}
}

// -----

// There is room: nothing is cut.
// CHECK-LABEL: @fits_whole
// CHECK: accel.buffer "a" at
module attributes {accel.arena_room = {ram = 3000 : i64}} {
func.func @fits_whole(%x: memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, %y: memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "ram"> {accel.result}) {
  %a = accel.buffer "a" : memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">
  accel.add %x, %x into %a {engine = "host"} : (memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">) -> () loc("a")
  accel.pool2d %a into %y {engine = "host", kernel = array<i64: 4, 4>, kind = #accel.pool_kind<max>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 4, 4>} : (memref<1x4x16x16xi8, strided<[1024, 1, 64, 4]>, "ram">, memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "ram">) -> () loc("y")
  return
}
}

// -----

// All fits. What the layer collects of its window needs 324 bytes beside input and output, which overlap: in three patches
// it lies in the rows of the output that are not written yet, and then in rows of a plane that are not read any more.
// CHECK: accel.arena = {ram = 9228 : i64}
// CHECK-LABEL: @scratch_memory_needs_no_room
// CHECK-SAME: %arg0: {{.*}}accel.offset = 2316{{.*}}, %arg1: {{.*}}accel.offset = 0
// CHECK: accel.buffer "a scratch" at 1536
// CHECK: accel.buffer "a scratch" at 6924
// CHECK: accel.buffer "a scratch" at 6924
// CHECK-NOT: accel.take
#same = #accel.requant<multiplier = [1], offset = [0], shift = [0], min = -128, max = 127>
module {
func.func @scratch_memory_needs_no_room(%x: memref<1x3x48x48xi8, "ram">, %y: memref<1x8x24x24xi8, strided<[4608, 1, 192, 8]>, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<8x3x3x3xi8, "ram">
  %s = accel.buffer "a scratch" : memref<324xi8, "ram">
  accel.conv2d %x, %w scratch %s into %y {dilations = array<i64: 1, 1>, engine = "host", groups = 1 : i64, kernel = #accel.kernel<packed>, pads = array<i64: 0, 0, 1, 1>, pad_value = 0, requant = #same, run = 3 : i64, scratch_bytes = 324 : i64, strides = array<i64: 2, 2>} : (memref<1x3x48x48xi8, "ram">, memref<8x3x3x3xi8, "ram">, memref<324xi8, "ram">, memref<1x8x24x24xi8, strided<[4608, 1, 192, 8]>, "ram">) -> () loc("a")
  return
}
memref.global "private" constant @w : memref<8x3x3x3xi8, "ram"> = dense<1>
}
