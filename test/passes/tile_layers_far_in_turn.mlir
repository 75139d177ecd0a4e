// RUN: htvm-opt %s -p tile-layers --target=%S/targets/far_memory.py | FileCheck %s

// The weights of many tiles come from flash through a few buffers in turn, and the tiles become a loop.
// CHECK-LABEL: @far
// CHECK-COUNT-4: accel.buffer "conv weights" : memref<128xi8, "ram">
// CHECK-COUNT-2: accel.buffer "conv weights" : memref<128xi8, "weights">
// CHECK-NOT: accel.buffer
// CHECK: scf.for
// CHECK: accel.copy {{.*}}, "flash"> to memref<128xi8, "ram">
// CHECK: accel.launch
// CHECK: scf.yield
module attributes {accel.arena_room = {ram = 16384 : i64}} {
  memref.global "private" constant @w : memref<320x4x1x1xi8, "ram"> = dense<1>
  func.func @far() {
    %x = accel.buffer "x" : memref<1x4x1x2xi8, "l1">
    %y = accel.buffer "y" : memref<1x320x1x2xi8, "l1">
    %w = memref.get_global @w : memref<320x4x1x1xi8, "ram">
    accel.conv2d %x, %w into %y {engine = "npu", accel.weights_memory = "flash", accel.tiling = #accel.tiling<outputs = 4, rows = 1, columns = 2, weight_buffers = 2, outputs_first = true>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (memref<1x4x1x2xi8, "l1">, memref<320x4x1x1xi8, "ram">, memref<1x320x1x2xi8, "l1">) -> () loc("conv")
    return
  }
}
