// RUN: not htvm-opt %s -p 'verify-stage{stage=tiled}' --target=diana --split-input-file 2>&1 | FileCheck %s

// CHECK: error: stage 'tiled': 'accel.transpose' is on engine 'npu', expected one of 'diana': digital, analog, host
// CHECK: error: stage 'tiled': 'accel.transpose' on 'digital' is left, expected tile-layers to have made commands of it
module {
  func.func @engines(%x: memref<4x4xi8, "l2">, %y: memref<4x4xi8, "l2"> {accel.result}) attributes {accel.order = #accel.optimality<optimal>} {
    accel.transpose %x into %y {engine = "npu", permutation = array<i64: 1, 0>} : (memref<4x4xi8, "l2">, memref<4x4xi8, "l2">) -> ()
    accel.transpose %x into %y {engine = "digital", permutation = array<i64: 1, 0>} : (memref<4x4xi8, "l2">, memref<4x4xi8, "l2">) -> ()
    return
  }
}

// -----

// A copy names the transfer engine that goes its way, or none; one of the target's must.
// CHECK: error: stage 'tiled': a copy from 'l2' to 'l1' has engine 'store', expected 'load', which goes there
// CHECK-NOT: from 'l2' to 'l1'
// CHECK: error: stage 'tiled': a copy goes from 'l2' to 'l3', expected a route of 'diana': l2_to_l1, {{.*}}l1_to_l2
module {
  func.func @copies(%x: memref<4x4xi8, "l2">, %y: memref<4x4xi8, "l3"> {accel.result}) attributes {accel.order = #accel.optimality<optimal>} {
    %b = accel.buffer "b" : memref<4x4xi8, "l1">
    accel.step {
      %0 = accel.copy %x to %b {engine = "store"} : memref<4x4xi8, "l2"> to memref<4x4xi8, "l1">
      accel.wait %0
      %1 = accel.copy %x to %b : memref<4x4xi8, "l2"> to memref<4x4xi8, "l1">
      accel.wait %1
      %2 = accel.copy %x to %y {engine = "load"} : memref<4x4xi8, "l2"> to memref<4x4xi8, "l3">
      accel.wait %2
      accel.yield
    }
    return
  }
}
