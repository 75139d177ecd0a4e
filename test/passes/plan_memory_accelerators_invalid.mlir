// RUN: not htvm-opt %s -p plan-memory --target=%S/targets/tiny_npu.py --memory=l1=100 --memory=ram=4k --split-input-file 2>&1 | FileCheck %s

// CHECK: error: does not fit target 'tiny_npu': l1 needs 128 bytes at node 'sum', has 100
// CHECK-NEXT: 64 bytes: 'sum output'
// CHECK-NEXT: 64 bytes: 'sum input'
// CHECK-NEXT: smaller tiles (accel.tiling) or fewer maps that stay there (accel.memory) help, or a target with more l1
func.func @l1_is_too_small(%x: memref<1x1x8x8xi8, "ram">, %y: memref<1x1x8x8xi8, "ram"> {accel.result}) {
  %a = accel.buffer "sum input" : memref<1x1x8x8xi8, "l1">
  %b = accel.buffer "sum output" : memref<1x1x8x8xi8, "l1">
  %0 = accel.copy %x to %a : memref<1x1x8x8xi8, "ram"> to memref<1x1x8x8xi8, "l1"> loc("sum")
  accel.wait %0 loc("sum")
  %1 = accel.launch "npu" %a, %a into %b {job = #accel.job<kind = add, channels = 1, outputs = 1, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 0 : i64}>} : (memref<1x1x8x8xi8, "l1">, memref<1x1x8x8xi8, "l1">, memref<1x1x8x8xi8, "l1">) -> !accel.token loc("sum")
  accel.wait %1 loc("sum")
  %2 = accel.copy %b to %y : memref<1x1x8x8xi8, "l1"> to memref<1x1x8x8xi8, "ram"> loc("sum")
  accel.wait %2 loc("sum")
  return
}

// -----

// Each launch has a descriptor of 16 words beside the constants.
// CHECK: error: does not fit target 'tiny_npu': ram needs 4,132 bytes at node 'sum', has 4,096
// CHECK-NEXT: 4,068 bytes: constants
memref.global "private" constant @w : memref<4000xi8, "ram"> = dense<1>
func.func @descriptors_count(%x: memref<64xi8, "ram">) {
  %w = memref.get_global @w : memref<4000xi8, "ram">
  %a = accel.buffer "sum input" : memref<4xi8, "l1">
  %b = accel.buffer "sum output" : memref<4xi8, "l1">
  %1 = accel.launch "npu" %a, %a into %b {job = #accel.job<kind = add, channels = 1, outputs = 1, size = [2, 2], out_size = [2, 2], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 0 : i64}>} : (memref<4xi8, "l1">, memref<4xi8, "l1">, memref<4xi8, "l1">) -> !accel.token loc("sum")
  accel.wait %1 loc("sum")
  return
}
