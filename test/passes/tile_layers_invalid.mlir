// RUN: not htvm-opt %s -p tile-layers --target=%S/targets/tiny_npu.py --split-input-file 2>&1 | FileCheck %s

// CHECK: error: 'accel.add' on engine 'npu': no accel.tiling, expected choose-tilings to have written one
func.func @no_tiling(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}) {
  accel.add %x, %x into %y {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">) -> ()
  return
}

// -----

// CHECK: error: expected integer value
func.func @malformed(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}) {
  accel.add %x, %x into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, columns = "8">, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">) -> ()
  return
}

// -----

// CHECK: error: 'accel.add' on engine 'npu': accel.tiling without loads, but an input is in ram, expected l1
func.func @no_loads(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}) {
  accel.add %x, %x into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, stores = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">) -> ()
  return
}

// -----

// CHECK: error: 'accel.add' on engine 'npu': accel.tiling without stores, but the output is in ram
func.func @no_stores(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}) {
  accel.add %x, %x into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, loads = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">) -> ()
  return
}

// -----

// CHECK: error: 'accel.add' on engine 'npu': accel.tiling with stores, but the output is in l1
func.func @stores_to_itself(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "l1"> {accel.result}) {
  accel.add %x, %x into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, loads = true, stores = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "l1">) -> ()
  return
}
