// RUN: htvm-opt %s -p plan-memory --target=%S/targets/tiny_npu.py --split-input-file | FileCheck %s

// Each memory has an arena of its own. A buffer is needed from the copy or launch that first has it to the last wait:
// %b has the place of %a, whose launch has been waited for; %c begins before that, and has another. %y may have the
// place of %x: when it is written, the copy from there has been waited for.
// CHECK: accel.arena = {l1 = 128 : i64, ram = 64 : i64, weights = 80 : i64}
// CHECK-SAME: accel.capacity = {l1 = 4096 : i64, ram = 524288 : i64, weights = 4096 : i64}
// CHECK-SAME: accel.lower_bound = {l1 = 128 : i64, ram = 64 : i64, weights = 80 : i64}
// CHECK-SAME: accel.peak = {l1 = "one", ram = "one", weights = "one"}
// CHECK-LABEL: @several_memories
// CHECK-SAME: accel.offset = 0 : i64
// CHECK-SAME: accel.offset = 0 : i64, accel.result
memref.global "private" constant @w : memref<80xi8, "ram"> = dense<1>
func.func @several_memories(%x: memref<1x1x8x8xi8, "ram">, %y: memref<1x1x8x8xi8, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<80xi8, "ram">
  // CHECK: accel.buffer "a" at [[A:[0-9]+]]
  // CHECK: accel.buffer "c" at
  // CHECK-NOT: at [[A]] :
  // CHECK: accel.buffer "b" at [[A]]
  // CHECK: accel.buffer "v" at 0
  %a = accel.buffer "a" : memref<1x1x8x8xi8, "l1">
  %c = accel.buffer "c" : memref<1x1x8x8xi8, "l1">
  %b = accel.buffer "b" : memref<1x1x8x8xi8, "l1">
  %v = accel.buffer "v" : memref<80xi8, "weights">
  %0 = accel.copy %w to %v : memref<80xi8, "ram"> to memref<80xi8, "weights"> loc("one")
  %1 = accel.copy %x to %a : memref<1x1x8x8xi8, "ram"> to memref<1x1x8x8xi8, "l1"> loc("one")
  accel.wait %1 loc("one")
  accel.wait %0 loc("one")
  %2 = accel.launch "npu" %a weights %v into %c {job = #accel.job<kind = conv2d, channels = 1, outputs = 1, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 0 : i64}>} : (memref<1x1x8x8xi8, "l1">, memref<80xi8, "weights">, memref<1x1x8x8xi8, "l1">) -> !accel.token loc("one")
  accel.wait %2 loc("one")
  %3 = accel.launch "npu" %c, %c into %b {job = #accel.job<kind = add, channels = 1, outputs = 1, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 0 : i64}>} : (memref<1x1x8x8xi8, "l1">, memref<1x1x8x8xi8, "l1">, memref<1x1x8x8xi8, "l1">) -> !accel.token loc("two")
  accel.wait %3 loc("two")
  %4 = accel.copy %b to %y : memref<1x1x8x8xi8, "l1"> to memref<1x1x8x8xi8, "ram"> loc("two")
  accel.wait %4 loc("two")
  return
}

// -----

// The same launches without a wait between them: %a is read until the end, and nothing has its place.
// CHECK: accel.arena = {l1 = 192 : i64
// CHECK-LABEL: @in_flight
func.func @in_flight(%x: memref<1x1x8x8xi8, "ram">, %y: memref<1x1x8x8xi8, "ram"> {accel.result}) {
  %a = accel.buffer "a" : memref<1x1x8x8xi8, "l1">
  %c = accel.buffer "c" : memref<1x1x8x8xi8, "l1">
  %b = accel.buffer "b" : memref<1x1x8x8xi8, "l1">
  %1 = accel.copy %x to %a : memref<1x1x8x8xi8, "ram"> to memref<1x1x8x8xi8, "l1">
  accel.wait %1
  %2 = accel.launch "npu" %a, %a into %c {job = #accel.job<kind = add, channels = 1, outputs = 1, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 0 : i64}>} : (memref<1x1x8x8xi8, "l1">, memref<1x1x8x8xi8, "l1">, memref<1x1x8x8xi8, "l1">) -> !accel.token
  %5 = accel.copy %x to %b : memref<1x1x8x8xi8, "ram"> to memref<1x1x8x8xi8, "l1">
  accel.wait %5
  %4 = accel.copy %b to %y : memref<1x1x8x8xi8, "l1"> to memref<1x1x8x8xi8, "ram">
  accel.wait %4
  accel.wait %2
  return
}

// -----

// What a loop reads the next time round is not over when it has read it: the other tile has a place of its own.
// CHECK: accel.arena = {l1 = 128 : i64
// CHECK-LABEL: @a_loop
func.func @a_loop(%x: memref<64xi8, "ram">, %y: memref<64xi8, "ram"> {accel.result}) attributes {accel.order = #accel.optimality<optimal>} {
  // CHECK: accel.buffer "kept" at [[KEPT:[0-9]+]] :
  // CHECK-NOT: accel.buffer "passing" at [[KEPT]] :
  // CHECK: accel.buffer "passing" at
  %kept = accel.buffer "kept" : memref<64xi8, "l1">
  %passing = accel.buffer "passing" : memref<64xi8, "l1">
  accel.step "npu" {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %0 = accel.copy %x to %kept : memref<64xi8, "ram"> to memref<64xi8, "l1">
    accel.wait %0
    scf.for %i = %c0 to %c3 step %c1 {
      %1 = accel.copy %kept to %y : memref<64xi8, "l1"> to memref<64xi8, "ram">
      accel.wait %1
      %2 = accel.copy %x to %passing : memref<64xi8, "ram"> to memref<64xi8, "l1">
      accel.wait %2
    }
    accel.yield
  }
  return
}
