// RUN: htvm-opt %s -p tile-layers --target=%S/targets/in_ram.py | FileCheck %s

// An accelerator in the host's memory: no copies. It reads its weights where the constants are, the second tile's behind
// the first's.
memref.global "private" constant @w : memref<8x4x1x1xi8, "ram"> = dense<1>
// CHECK-LABEL: @home
// CHECK-NOT: accel.copy
// CHECK-NOT: accel.buffer
// CHECK: %[[W:.*]] = memref.get_global @conv_packed : memref<912xi8, "ram">
// CHECK: %[[FIRST:.*]] = memref.subview %[[W]][0] [456] [1]
// CHECK: %[[T:.*]] = accel.launch "replay" %arg0 weights %[[FIRST]] into
// CHECK: accel.wait %[[T]]
// CHECK-NOT: accel.copy
// CHECK: return
func.func @home(%x: memref<1x4x1x1xi8, "ram">, %y: memref<1x8x1x1xi8, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<8x4x1x1xi8, "ram">
  accel.conv2d %x, %w into %y {engine = "replay", accel.tiling = #accel.tiling<outputs = 4, rows = 1, columns = 1, outputs_first = true>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (memref<1x4x1x1xi8, "ram">, memref<8x4x1x1xi8, "ram">, memref<1x8x1x1xi8, "ram">) -> () loc("conv")
  return
}
