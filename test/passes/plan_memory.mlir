// RUN: htvm-opt %s -p plan-memory --target=rv32 --split-input-file | FileCheck %s

// Three values of 64 bytes, two live at a time; the addition works in place. The input's space is used again.
// CHECK: accel.arena = {ram = 128 : i64}
// CHECK-SAME: accel.capacity = {ram = 524288 : i64}
// CHECK-SAME: accel.lower_bound = {ram = 128 : i64}
// CHECK-SAME: accel.peak = {ram = "left"}
// CHECK-LABEL: @reuse
// CHECK-SAME: accel.offset = [[X:[0-9]+]] : i64
func.func @reuse(%x: memref<64xi8, "ram">, %y: memref<8x8xi8, "ram"> {accel.result}) {
  // CHECK: accel.buffer "left" at
  // CHECK: accel.buffer "right" at [[X]]
  // CHECK: accel.buffer "sum" at [[S:[0-9]+]]
  // CHECK: accel.buffer "flat" at [[S]]
  %a = accel.buffer "left" : memref<64xi8, "ram">
  accel.transpose %x into %a {permutation = array<i64: 0>} : (memref<64xi8, "ram">, memref<64xi8, "ram">) -> () loc("left")
  %b = accel.buffer "right" : memref<64xi8, "ram">
  accel.transpose %a into %b {permutation = array<i64: 0>} : (memref<64xi8, "ram">, memref<64xi8, "ram">) -> () loc("right")
  %s = accel.buffer "sum" : memref<64xi8, "ram">
  accel.add %a, %b into %s : (memref<64xi8, "ram">, memref<64xi8, "ram">, memref<64xi8, "ram">) -> () loc("sum")
  %f = accel.buffer "flat" : memref<8x8xi8, "ram">
  accel.reshape %s into %f : (memref<64xi8, "ram">, memref<8x8xi8, "ram">) -> () loc("flat")
  accel.transpose %f into %y {permutation = array<i64: 1, 0>} : (memref<8x8xi8, "ram">, memref<8x8xi8, "ram">) -> () loc("end")
  return
}

// -----

// Neither an argument of the function nor an operand that is read again is ever written in place.
// CHECK: accel.arena = {ram = 48 : i64}
// CHECK-LABEL: @not_in_place
// CHECK-SAME: accel.offset = [[X:[0-9]+]] : i64
func.func @not_in_place(%x: memref<16xi8, "ram">, %y: memref<16xi8, "ram"> {accel.result}) {
  // CHECK: accel.buffer "twice" at
  // CHECK-NOT: at [[X]] :
  // CHECK: accel.buffer "again" at
  %a = accel.buffer "twice" : memref<16xi8, "ram">
  accel.add %x, %x into %a : (memref<16xi8, "ram">, memref<16xi8, "ram">, memref<16xi8, "ram">) -> ()
  %b = accel.buffer "again" : memref<16xi8, "ram">
  accel.add %a, %a into %b : (memref<16xi8, "ram">, memref<16xi8, "ram">, memref<16xi8, "ram">) -> ()
  accel.add %a, %b into %y : (memref<16xi8, "ram">, memref<16xi8, "ram">, memref<16xi8, "ram">) -> ()
  return
}

// -----

// A result is kept to the end; sizes are rounded up to words.
// CHECK: accel.arena = {ram = 12 : i64}
// CHECK-LABEL: @results_are_kept
// CHECK-SAME: accel.offset = [[X:[0-9]+]] : i64
// CHECK-SAME: accel.offset = [[Y:[0-9]+]] : i64, accel.result
// CHECK-SAME: accel.offset = [[X]] : i64, accel.result
memref.global "private" constant @w : memref<3x5xi8, "ram"> = dense<1>
func.func @results_are_kept(%x: memref<3xi8, "ram">, %y: memref<5xi8, "ram"> {accel.result}, %z: memref<3xi8, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<3x5xi8, "ram">
  accel.pad %x into %y {low = array<i64: 1>, high = array<i64: 1>, value = 0.0 : f64} : (memref<3xi8, "ram">, memref<5xi8, "ram">) -> ()
  accel.dense %y, %w into %z : (memref<5xi8, "ram">, memref<3x5xi8, "ram">, memref<3xi8, "ram">) -> ()
  return
}
