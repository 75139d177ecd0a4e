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
