// RUN: htvm-opt %s -p cse,canonicalize,symbol-dce | FileCheck %s

// On tensors, a layer is a function of its operands: equal ones are computed once, unused ones not at all.
// CHECK-LABEL: @layers_on_tensors_are_pure
func.func @layers_on_tensors_are_pure(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: %[[Y:.*]] = accel.relu %arg0
  // CHECK-NEXT: accel.add %[[Y]], %[[Y]]
  // CHECK-NEXT: return
  %0 = accel.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = accel.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %2 = accel.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  %3 = accel.add %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %3 : tensor<4xf32>
}

// On memrefs, it writes: nothing may disappear.
// CHECK-LABEL: @layers_on_memrefs_write
func.func @layers_on_memrefs_write(%x: memref<4xi8, "ram">, %y: memref<4xi8, "ram">) {
  // CHECK-COUNT-2: accel.reshape %arg0 into %arg1
  accel.reshape %x into %y : (memref<4xi8, "ram">, memref<4xi8, "ram">) -> ()
  accel.reshape %x into %y : (memref<4xi8, "ram">, memref<4xi8, "ram">) -> ()
  return
}

// Two buffers are two places, however alike; a buffer that nothing uses is none.
// CHECK-LABEL: @buffers_are_places
func.func @buffers_are_places(%x: memref<4xi8, "ram">) {
  // CHECK-COUNT-2: accel.buffer "b"
  // CHECK-NOT: accel.buffer
  %0 = accel.buffer "b" : memref<4xi8, "ram">
  %1 = accel.buffer "b" : memref<4xi8, "ram">
  %2 = accel.buffer "unused" : memref<4xi8, "ram">
  accel.reshape %x into %0 : (memref<4xi8, "ram">, memref<4xi8, "ram">) -> ()
  accel.reshape %0 into %1 : (memref<4xi8, "ram">, memref<4xi8, "ram">) -> ()
  return
}
