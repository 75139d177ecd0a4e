// RUN: htvm-opt %s -p tile-layers --target=%S/targets/far_memory.py | FileCheck %s

// Weights in flash and maps in far RAM pass through buffers in the host's memory. They are brought there for the next tile
// while one is computed, and what was made goes on from there while the next one is.
module attributes {accel.arena_room = {ram = 16384 : i64}} {
  memref.global "private" constant @w : memref<4x4x1x1xi8, "ram"> = dense<1>
  // CHECK: memref.global "private" constant @conv_packed : memref<{{.*}}, "flash">
  // CHECK-LABEL: @far
  // CHECK-DAG: %[[IN:.*]] = accel.buffer "conv input" : memref<64xi8, "ram">
  // CHECK-DAG: %[[OUT:.*]] = accel.buffer "conv output" : memref<64xi8, "ram">
  // CHECK-DAG: accel.buffer "conv weights" : memref<{{.*}}, "ram">
  // CHECK: %[[FETCH:.*]] = accel.copy {{.*}}, "flash"> to memref<{{.*}}, "ram">
  // CHECK: accel.wait %[[FETCH]]
  // CHECK: accel.copy {{.*}} "ram"> to memref<{{.*}}, "weights">
  // CHECK: %[[COME:.*]] = accel.copy {{.*}}, "l3"> to memref<{{.*}}, "ram">
  // CHECK: accel.wait %[[COME]]
  // CHECK: %[[GO:.*]] = accel.copy {{.*}}, "ram"> to memref<{{.*}}, "l1">
  // CHECK: %[[NEXT:.*]] = accel.copy {{.*}}, "l3"> to memref<{{.*}}, "ram">
  // CHECK: accel.wait %[[GO]]
  // CHECK: %[[FIRST:.*]] = accel.launch
  // CHECK: accel.wait %[[NEXT]]
  // CHECK: accel.copy {{.*}}, "ram"> to memref<{{.*}}, "l1">
  // CHECK: accel.wait %[[FIRST]]
  // CHECK: accel.launch
  // CHECK: %[[LEAVE:.*]] = accel.copy {{.*}}, "l1"> to memref<{{.*}}, "ram">
  // CHECK: accel.wait %[[LEAVE]]
  // CHECK: accel.copy {{.*}}, "ram"> to memref<{{.*}}, "l3">
  func.func @far() {
    %x = accel.buffer "x" : memref<1x4x8x4xi8, "l3">
    %y = accel.buffer "y" : memref<1x4x8x4xi8, "l3">
    %w = memref.get_global @w : memref<4x4x1x1xi8, "ram">
    accel.conv2d %x, %w into %y {engine = "npu", accel.weights_memory = "flash", accel.tiling = #accel.tiling<outputs = 4, rows = 4, columns = 4, buffers = 2, loads = true, stores = true, outputs_first = true>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (memref<1x4x8x4xi8, "l3">, memref<4x4x1x1xi8, "ram">, memref<1x4x8x4xi8, "l3">) -> () loc("conv")
    return
  }
}
