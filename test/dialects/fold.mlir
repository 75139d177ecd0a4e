// RUN: htvm-opt %s -p canonicalize | FileCheck %s

!q = !quant.uniform<i8:f32, 5.000000e-01:3>

// A quantised value is on its own grid already.
// CHECK-LABEL: @quantize_to_the_same_type_is_nothing
func.func @quantize_to_the_same_type_is_nothing(%x: tensor<4x!q>) -> tensor<4x!q> {
  // CHECK-NEXT: return %arg0
  %y = accel.quantize %x : (tensor<4x!q>) -> tensor<4x!q>
  return %y : tensor<4x!q>
}

// CHECK-LABEL: @concat_of_one_is_nothing
func.func @concat_of_one_is_nothing(%x: tensor<2x3xi8>) -> tensor<2x3xi8> {
  // CHECK-NEXT: return %arg0
  %y = accel.concat %x {axis = 0} : (tensor<2x3xi8>) -> tensor<2x3xi8>
  return %y : tensor<2x3xi8>
}

// CHECK-LABEL: @pad_by_nothing_is_nothing
func.func @pad_by_nothing_is_nothing(%x: tensor<2x3xi8>) -> tensor<2x3xi8> {
  // CHECK-NEXT: return %arg0
  %y = accel.pad %x {low = array<i64: 0, 0>, high = array<i64: 0, 0>, value = 1.0 : f64} : (tensor<2x3xi8>) -> tensor<2x3xi8>
  return %y : tensor<2x3xi8>
}

// CHECK-LABEL: @transpose_in_order_is_nothing
func.func @transpose_in_order_is_nothing(%x: tensor<2x3xi8>) -> tensor<2x3xi8> {
  // CHECK-NEXT: return %arg0
  %y = accel.transpose %x {permutation = array<i64: 0, 1>} : (tensor<2x3xi8>) -> tensor<2x3xi8>
  return %y : tensor<2x3xi8>
}

// The type is the same, the elements are not.
// CHECK-LABEL: @transpose_of_a_square_stays
func.func @transpose_of_a_square_stays(%x: tensor<3x3xi8>) -> tensor<3x3xi8> {
  // CHECK: accel.transpose
  %y = accel.transpose %x {permutation = array<i64: 1, 0>} : (tensor<3x3xi8>) -> tensor<3x3xi8>
  return %y : tensor<3x3xi8>
}

// CHECK-LABEL: @reshapes_join
func.func @reshapes_join(%x: tensor<2x6xi8>) -> tensor<3x4xi8> {
  // CHECK-NEXT: %[[Y:.*]] = accel.reshape %arg0 : (tensor<2x6xi8>) -> tensor<3x4xi8>
  // CHECK-NEXT: return %[[Y]]
  %0 = accel.reshape %x : (tensor<2x6xi8>) -> tensor<12xi8>
  %1 = accel.reshape %0 : (tensor<12xi8>) -> tensor<3x4xi8>
  return %1 : tensor<3x4xi8>
}

// A reshape that also quantises is not only a reshape.
// CHECK-LABEL: @reshape_that_quantises_stays
func.func @reshape_that_quantises_stays(%x: tensor<12xf32>) -> tensor<12x!q> {
  // CHECK-COUNT-2: accel.reshape
  %0 = accel.reshape %x : (tensor<12xf32>) -> tensor<3x4x!q>
  %1 = accel.reshape %0 : (tensor<3x4x!q>) -> tensor<12x!q>
  return %1 : tensor<12x!q>
}

// On memrefs the copy is what is wanted.
// CHECK-LABEL: @reshape_into_a_buffer_stays
func.func @reshape_into_a_buffer_stays(%x: memref<4xi8, "ram">, %y: memref<4xi8, "ram">) {
  // CHECK: accel.reshape %arg0 into %arg1
  accel.reshape %x into %y : (memref<4xi8, "ram">, memref<4xi8, "ram">) -> ()
  return
}

// CHECK-LABEL: @taking_everything_in_order
func.func @taking_everything_in_order(%x: tensor<2x3xi8>) -> tensor<2x3xi8> {
  // CHECK-NOT: accel.take
  %y = accel.take %x {indices = [array<i64>, array<i64: 0, 1, 2>]} : (tensor<2x3xi8>) -> tensor<2x3xi8>
  return %y : tensor<2x3xi8>
}

// CHECK-LABEL: @taking_in_another_order
func.func @taking_in_another_order(%x: tensor<2x3xi8>) -> tensor<2x3xi8> {
  // CHECK: accel.take
  %y = accel.take %x {indices = [array<i64>, array<i64: 2, 1, 0>]} : (tensor<2x3xi8>) -> tensor<2x3xi8>
  return %y : tensor<2x3xi8>
}
