// RUN: htvm-opt %s -p sink-movement --split-input-file | FileCheck %s

!a = !quant.uniform<i8:f32, 0.5:3>

// A chain goes before the reshape, and its last link gives the reshape a quantised type.
// CHECK-LABEL: @chain
func.func @chain(%x: tensor<1x4x2x2x!a>) -> tensor<1x4x!a> {
  // CHECK: accel.pool2d
  // CHECK-NEXT: accel.relu {{.*}} -> tensor<1x4x1x1xf32>
  // CHECK-NEXT: accel.quantize {{.*}}floor{{.*}} -> tensor<1x4x1x1x!quant
  // CHECK-NEXT: accel.reshape {{.*}} -> tensor<1x4x!quant
  %0 = accel.pool2d %x {kind = #accel.pool_kind<average>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x4x2x2x!a>) -> tensor<1x4x1x1xf32>
  %1 = accel.reshape %0 : (tensor<1x4x1x1xf32>) -> tensor<1x4xf32>
  %2 = accel.relu %1 : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %3 = accel.quantize %2 {rounding = #accel.rounding<floor>} : (tensor<1x4xf32>) -> tensor<1x4x!a>
  return %3 : tensor<1x4x!a>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>

// A number for each channel follows its axis; one for each of the rows that a reshape makes has none to follow.
// CHECK-LABEL: @constants
func.func @constants(%x: tensor<1x4x!a>) -> (tensor<4x1xf32>, tensor<2x2xf32>) {
  // CHECK: %[[X:.*]] = accel.relu
  // CHECK: %[[C:.*]] = arith.constant dense<{{.*}}> : tensor<1x4xf32>
  // CHECK: %[[Y:.*]] = accel.mul %[[X]], %[[C]]
  // CHECK: accel.transpose %[[Y]]
  // CHECK: accel.reshape %[[X]]
  // CHECK: accel.mul
  %c = arith.constant dense<[[1.0], [2.0], [3.0], [4.0]]> : tensor<4x1xf32>
  %d = arith.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %0 = accel.relu %x : (tensor<1x4x!a>) -> tensor<1x4xf32>
  %1 = accel.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<1x4xf32>) -> tensor<4x1xf32>
  %2 = accel.mul %1, %c : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
  %3 = accel.reshape %0 : (tensor<1x4xf32>) -> tensor<2x2xf32>
  %4 = accel.mul %3, %d : (tensor<2x2xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
  return %2, %4 : tensor<4x1xf32>, tensor<2x2xf32>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>
!b = !quant.uniform<i8:f32, 0.25:3>

// Each part of a concat is rounded; the number that surrounds a padded map is clamped as its elements are.
// CHECK-LABEL: @concat_and_pad
func.func @concat_and_pad(%x: tensor<2x!a>, %y: tensor<2x!b>) -> tensor<6x!a> {
  // CHECK: %[[X:.*]] = accel.relu %arg0
  // CHECK-NEXT: accel.relu %[[X]]
  // CHECK: %[[Q:.*]] = accel.quantize
  // CHECK: %[[R:.*]] = accel.quantize
  // CHECK: %[[C:.*]] = accel.concat %[[Q]], %[[R]]
  // CHECK: accel.pad %[[C]] {{.*}}value = -1.000000e+00
  %0 = accel.relu %x : (tensor<2x!a>) -> tensor<2xf32>
  %1 = accel.relu %0 : (tensor<2xf32>) -> tensor<2xf32>
  %2 = accel.concat %1, %y {axis = 0 : i64} : (tensor<2xf32>, tensor<2x!b>) -> tensor<4xf32>
  %3 = accel.pad %2 {low = array<i64: 1>, high = array<i64: 1>, value = -2.0 : f64} : (tensor<4xf32>) -> tensor<6xf32>
  %4 = accel.clamp %3 {min = -1.0 : f64, max = 1.0 : f64} : (tensor<6xf32>) -> tensor<6xf32>
  %5 = accel.quantize %4 : (tensor<6xf32>) -> tensor<6x!a>
  return %5 : tensor<6x!a>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>

// The maximum of rounded numbers is the rounded maximum; the maximum of negated ones is not the negated maximum.
// CHECK-LABEL: @max_pool
func.func @max_pool(%x: tensor<1x1x2x2x!a>) -> (tensor<1x1x1x1x!a>, tensor<1x1x1x1xf32>) {
  // CHECK: accel.quantize
  // CHECK-NEXT: accel.pool2d
  // CHECK: accel.pool2d
  // CHECK-NEXT: accel.mul
  %c = arith.constant dense<-1.0> : tensor<f32>
  %0 = accel.sigmoid %x : (tensor<1x1x2x2x!a>) -> tensor<1x1x2x2xf32>
  %1 = accel.pool2d %0 {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x1x2x2xf32>) -> tensor<1x1x1x1xf32>
  %2 = accel.quantize %1 : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1x!a>
  %3 = accel.mul %1, %c : (tensor<1x1x1x1xf32>, tensor<f32>) -> tensor<1x1x1x1xf32>
  return %2, %3 : tensor<1x1x1x1x!a>, tensor<1x1x1x1xf32>
}
