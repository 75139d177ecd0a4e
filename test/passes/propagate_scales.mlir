// RUN: htvm-opt %s -p propagate-scales --split-input-file | FileCheck %s
// RUN: htvm-opt %s -p 'propagate-scales{activations=true}' --split-input-file | FileCheck %s --check-prefix=RETURNED

!a = !quant.uniform<i8:f32, 0.5:3>

// CHECK-LABEL: @reshape_and_transpose
func.func @reshape_and_transpose(%x: tensor<1x4x1x2x!a>) -> tensor<2x4xf32> {
  // CHECK: accel.reshape {{.*}} -> tensor<4x2x!quant.uniform<i8:f32, 5.000000e-01:3>>
  %0 = accel.reshape %x : (tensor<1x4x1x2x!a>) -> tensor<4x2xf32>
  // CHECK: accel.transpose {{.*}} -> tensor<2x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  %1 = accel.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<4x2xf32>) -> tensor<2x4xf32>
  // CHECK: accel.relu {{.*}} -> tensor<2x4xf32>
  %2 = accel.relu %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %2 : tensor<2x4xf32>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>
!narrow = !quant.uniform<i8<3:100>:f32, 0.5:3>
!b = !quant.uniform<i8:f32, 0.25:3>

// Parts with equal scales keep them, and the range holds every part; parts with other scales must be rounded first.
// CHECK-LABEL: @concat
func.func @concat(%x: tensor<2x!a>, %y: tensor<2x!narrow>, %z: tensor<2x!b>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK: accel.concat %{{.*}} -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  // CHECK: accel.concat %{{.*}} -> tensor<4xf32>
  %0 = accel.concat %y, %x {axis = 0 : i64} : (tensor<2x!narrow>, tensor<2x!a>) -> tensor<4xf32>
  %1 = accel.concat %x, %z {axis = 0 : i64} : (tensor<2x!a>, tensor<2x!b>) -> tensor<4xf32>
  %2 = accel.relu %0 : (tensor<4xf32>) -> tensor<4xf32>
  return %2, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>

// A maximum is one of the numbers it is taken of; an average is not.
// CHECK-LABEL: @pooling
func.func @pooling(%x: tensor<1x1x2x2x!a>) -> (tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>) {
  // CHECK: accel.pool2d {{.*}}<max>{{.*}} -> tensor<1x1x1x1x!quant
  // CHECK: accel.pool2d {{.*}}<average>{{.*}} -> tensor<1x1x1x1xf32>
  %0 = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x1x2x2x!a>) -> tensor<1x1x1x1xf32>
  %1 = accel.pool2d %x {kind = #accel.pool_kind<average>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x1x2x2x!a>) -> tensor<1x1x1x1xf32>
  %2 = accel.relu %0 : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
  return %2, %1 : tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>
}

// A value that is returned takes the function's type with it.
// RETURNED-LABEL: func.func @returned
// RETURNED-SAME: -> (tensor<4x!quant.uniform<i8<0:127>:f32, 5.000000e-01>>, tensor<2x2x!quant.uniform<i8:f32, 5.000000e-01>>)
func.func @returned(%x: tensor<4x!quant.uniform<i8:f32, 0.5>>) -> (tensor<4xf32>, tensor<2x2xf32>) {
  %y = accel.relu %x : (tensor<4x!quant.uniform<i8:f32, 0.5>>) -> tensor<4xf32>
  %z = accel.reshape %x : (tensor<4x!quant.uniform<i8:f32, 0.5>>) -> tensor<2x2xf32>
  return %y, %z : tensor<4xf32>, tensor<2x2xf32>
}
