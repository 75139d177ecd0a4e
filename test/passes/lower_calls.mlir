// RUN: htvm-opt %s -p lower-calls --split-input-file | FileCheck %s
// RUN: htvm-opt %s -p dispatched,scheduled,tiled,planned --target=rv32 --split-input-file | FileCheck %s --check-prefix=PLANNED

// Intermediate results are arguments with a place in scratch memory, constants are arguments as well; the operations on
// single elements are one loop behind the maximum.
// CHECK-LABEL: func.func private @body(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<6xi32>, %[[Y:[a-z0-9]+]]: memref<6xi32>, %[[MOST:[a-z0-9]+]]: memref<1xi32> {accel.offset = 0 : i64}, %[[C:[a-z0-9]+]]: memref<6xi32> {accel.constant = dense<[1, 2, 3, 4, 5, 6]> : tensor<6xi32>})
// CHECK: scf.for
// CHECK: memref.store %{{.*}}, %[[MOST]]
// CHECK: scf.for
// CHECK: memref.load %[[C]]
// CHECK: memref.store %{{.*}}, %[[Y]]
// CHECK-NOT: memref.alloc
// CHECK-LABEL: func.func @calls
// CHECK: accel.call @body(%arg0) {engine = "host", scratch_bytes = 4 : i64}
// PLANNED-LABEL: func.func @calls
// PLANNED: %[[SCRATCH:.*]] = accel.buffer "accel.call scratch" at 48
// PLANNED: accel.call @body(%arg0) scratch %[[SCRATCH]] into %arg1
func.func private @body(%x: tensor<1x6xi32>) -> tensor<1x6xi32> {
  %c = "tosa.const"() <{values = dense<[[1, 2, 3, 4, 5, 6]]> : tensor<1x6xi32>}> : () -> tensor<1x6xi32>
  %0 = tosa.reduce_max %x {axis = 1 : i32} : (tensor<1x6xi32>) -> tensor<1x1xi32>
  %1 = tosa.sub %x, %0 : (tensor<1x6xi32>, tensor<1x1xi32>) -> tensor<1x6xi32>
  %2 = tosa.add %1, %c : (tensor<1x6xi32>, tensor<1x6xi32>) -> tensor<1x6xi32>
  return %2 : tensor<1x6xi32>
}
func.func @calls(%x: tensor<1x6xi32>) -> tensor<1x6xi32> {
  %y = accel.call @body(%x) {engine = "host"} : (tensor<1x6xi32>) -> tensor<1x6xi32>
  return %y : tensor<1x6xi32>
}

// -----

// Functions of linalg are called as well.
// CHECK-LABEL: func.func private @doubled(
// CHECK-SAME: memref<4xi8>, %{{.*}}: memref<4xi8>)
// CHECK: arith.addi
#same = affine_map<(d0) -> (d0)>
func.func private @doubled(%x: tensor<4xi8>) -> tensor<4xi8> {
  %empty = tensor.empty() : tensor<4xi8>
  %y = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]} ins(%x : tensor<4xi8>) outs(%empty : tensor<4xi8>) {
  ^bb0(%a: i8, %b: i8):
    %sum = arith.addi %a, %a : i8
    linalg.yield %sum : i8
  } -> tensor<4xi8>
  return %y : tensor<4xi8>
}
func.func @calls_linalg(%x: tensor<4xi8>) -> tensor<4xi8> {
  %y = accel.call @doubled(%x) {engine = "host"} : (tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}
