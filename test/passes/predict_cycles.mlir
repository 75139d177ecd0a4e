// RUN: htvm-opt %s -p predict-cycles --target=diana | FileCheck %s

// With MATCH's figures a copy of 1,600 bytes takes 70 + 100 cycles and an addition of 1,600 sums 100; of the host, a
// command takes 9, a launch 2, a wait 8, the call of a step 9. The call and the first copy: 9 + 9, until 188, the second
// until 358, a wait: 366; that for the first copy is none. The launch's 2, the addition until 468, a wait: 476, the copy
// given at 485, until 655, a wait: 663.
// CHECK-LABEL: @a_step
func.func @a_step(
    %x: memref<1x16x10x10xi8, "l2"> {accel.offset = 0 : i64},
    %y: memref<1x16x10x10xi8, "l2"> {accel.offset = 1600 : i64, accel.result}) {
  %0 = accel.buffer "lhs" at 0 : memref<1x16x10x10xi8, "l1">
  %1 = accel.buffer "rhs" at 1600 : memref<1x16x10x10xi8, "l1">
  %2 = accel.buffer "sum" at 3200 : memref<1x16x10x10xi8, "l1">
  // CHECK: accel.step "digital"
  // CHECK-SAME: accel.predicted_cycles = 663
  accel.step "digital" attributes {accel.shape = array<i64: 1, 16, 10, 10>} {
    %t = accel.copy %x to %0 : memref<1x16x10x10xi8, "l2"> to memref<1x16x10x10xi8, "l1">
    %u = accel.copy %x to %1 : memref<1x16x10x10xi8, "l2"> to memref<1x16x10x10xi8, "l1">
    accel.wait %u
    accel.wait %t
    %v = accel.launch "digital" %0, %1 into %2 {job = #accel.job<kind = add, channels = 16, outputs = 16, size = [10, 10], out_size = [10, 10], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 0 : i64}>} : (memref<1x16x10x10xi8, "l1">, memref<1x16x10x10xi8, "l1">, memref<1x16x10x10xi8, "l1">) -> !accel.token
    accel.wait %v
    %w = accel.copy %2 to %y : memref<1x16x10x10xi8, "l1"> to memref<1x16x10x10xi8, "l2">
    accel.wait %w
    accel.yield
  }
  return
}

// A loop is gone through as often as it goes round. Three copies of 160 bytes, each of which waits for the one before:
// the call's 9, the first copy given at 18, until 98, a wait: 106, the second at 115, until 195, a wait: 203, the third
// at 212. Nobody waits for that one.
// CHECK-LABEL: @a_loop
func.func @a_loop(
    %x: memref<1x3x10x16xi8, "l2"> {accel.offset = 0 : i64},
    %y: memref<1x3x10x16xi8, "l2"> {accel.offset = 480 : i64, accel.result}) {
  %0 = accel.buffer "tile" at 0 : memref<1x1x10x16xi8, "l1">
  // CHECK: accel.step "digital"
  // CHECK-SAME: accel.predicted_cycles = 212
  %z = accel.step "digital" -> !accel.token attributes {accel.shape = array<i64: 1, 3, 10, 16>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %r = accel.ready
    %last = scf.for %i = %c0 to %c3 step %c1 iter_args(%before = %r) -> (!accel.token) {
      accel.wait %before
      %part = memref.subview %x[0, %i, 0, 0] [1, 1, 10, 16] [1, 1, 1, 1] : memref<1x3x10x16xi8, "l2"> to memref<1x1x10x16xi8, strided<[480, 160, 16, 1], offset: ?>, "l2">
      %t = accel.copy %part to %0 {engine = "dma"} : memref<1x1x10x16xi8, strided<[480, 160, 16, 1], offset: ?>, "l2"> to memref<1x1x10x16xi8, "l1">
      scf.yield %t : !accel.token
    }
    accel.yield %last
  }
  return
}

// A layer of the host takes what choose-kernels has estimated for its kernel, 1.2 cycles an instruction, and a call.
// CHECK-LABEL: @a_kernel_is_chosen
func.func @a_kernel_is_chosen(
    %x: memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "l2"> {accel.offset = 0 : i64},
    %y: memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "l2"> {accel.offset = 64 : i64, accel.result}) {
  %w = memref.get_global @weights : memref<4x4x1x1xi8, "l2">
  // CHECK: accel.conv2d
  // CHECK-SAME: accel.predicted_cycles = 1209
  accel.conv2d %x, %w into %y {accel.instructions = 1000 : i64, engine = "host", kernel = #accel.kernel<in_place>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "l2">, memref<4x4x1x1xi8, "l2">, memref<1x4x4x4xi8, strided<[64, 1, 16, 4]>, "l2">) -> ()
  return
}
memref.global "private" constant @weights : memref<4x4x1x1xi8, "l2"> = dense<1>
