// RUN: htvm-opt %s -p fold-arithmetic --split-input-file | FileCheck %s

!i8 = !quant.uniform<i8:f32, 1.0>
!u8 = !quant.uniform<u8:f32, 1.0>
!i32 = !quant.uniform<i32:f32, 1.0>

// Multiply-add arithmetic after a convolution: the factors become weight scales, the terms biases, and the divisor
// the scale that the result is rounded with; its integers are then read with scale 1 again.
// CHECK-LABEL: @multiply_add_divide
func.func @multiply_add_divide(%x: tensor<1x1x2x2x!i8>) -> tensor<1x2x2x2x!u8> {
  // CHECK: %[[BITS:.*]] = arith.constant dense<{{.*}}2{{.*}}-3{{.*}}> : tensor<2x1x1x1xi8>
  // CHECK: %[[BITS:.*]] = arith.constant dense<{{.*}}2{{.*}}-3{{.*}}> : tensor<2x1x1x1xi8>
  // CHECK-DAG: %[[W:.*]] = quant.scast %[[BITS]] {{.*}}{5.000000e+00,7.000000e+00}
  // CHECK-DAG: %[[TERMS:.*]] = arith.constant dense<[100, -200]> : tensor<2xi32>
  // CHECK-DAG: %[[B:.*]] = quant.scast %[[TERMS]] : {{.*}}{1.000000e+00,1.000000e+00}
  %c = arith.constant dense<[[[[2]]], [[[-3]]]]> : tensor<2x1x1x1xi8>
  %w = quant.scast %c : tensor<2x1x1x1xi8> to tensor<2x1x1x1x!i8>
  %m = arith.constant dense<[[[[5.0]], [[7.0]]]]> : tensor<1x2x1x1xf32>
  %a = arith.constant dense<[[[[100.0]], [[-200.0]]]]> : tensor<1x2x1x1xf32>
  %d = arith.constant dense<1024.0> : tensor<f32>
  // CHECK: %[[Y:.*]] = accel.conv2d %{{.*}}, %[[W]] bias %[[B]]
  // CHECK-NOT: accel.mul
  // CHECK-NOT: accel.add
  // CHECK-NOT: accel.div
  // CHECK: accel.quantize %[[Y]] {{.*}}floor{{.*}} -> tensor<1x2x2x2x!quant.uniform<u8:f32, 1.024000e+03>>
  // CHECK: quant.scast {{.*}} to tensor<1x2x2x2x!quant.uniform<u8:f32, 1.000000e+00>>
  %0 = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x1x2x2x!i8>, tensor<2x1x1x1x!i8>) -> tensor<1x2x2x2xf32>
  %1 = accel.mul %0, %m : (tensor<1x2x2x2xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x2x2xf32>
  %2 = accel.add %1, %a : (tensor<1x2x2x2xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x2x2xf32>
  %3 = accel.div %2, %d : (tensor<1x2x2x2xf32>, tensor<f32>) -> tensor<1x2x2x2xf32>
  %4 = accel.quantize %3 {rounding = #accel.rounding<floor>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2x!u8>
  return %4 : tensor<1x2x2x2x!u8>
}

// -----

!i8 = !quant.uniform<i8:f32, 1.0>

// A factor of 0 makes a channel of zero weights (a scale cannot be 0), a negative one turns the weights round.
// CHECK-LABEL: @zero_and_negative_factors
func.func @zero_and_negative_factors(%x: tensor<1x2x!i8>) -> tensor<1x2x!i8> {
  // CHECK: arith.constant dense<{{\[\[}}0, 0], [-3, 4]]> : tensor<2x2xi8>
  // CHECK: quant.scast {{.*}}{1.000000e+00,2.000000e+00}
  %c = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!i8>
  %m = arith.constant dense<[0.0, -2.0]> : tensor<2xf32>
  // CHECK: accel.dense
  // CHECK-NOT: accel.mul
  %0 = accel.dense %x, %w : (tensor<1x2x!i8>, tensor<2x2x!i8>) -> tensor<1x2xf32>
  %1 = accel.mul %0, %m : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %2 = accel.quantize %1 : (tensor<1x2xf32>) -> tensor<1x2x!i8>
  return %2 : tensor<1x2x!i8>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>
!i32 = !quant.uniform<i32:f32, 0.25>

// MatMul + Add: the quantised constant becomes the bias and keeps its scale.
// CHECK-LABEL: @bias_after_dense
func.func @bias_after_dense(%x: tensor<1x2x!a>) -> tensor<1x2x!a> {
  %c = arith.constant dense<1> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!quant.uniform<i8:f32, 0.5>>
  %bc = arith.constant dense<[7, 9]> : tensor<2xi32>
  %b = quant.scast %bc : tensor<2xi32> to tensor<2x!i32>
  // CHECK: arith.constant dense<[7, 9]> : tensor<2xi32>
  // CHECK: %[[B:.*]] = quant.scast {{.*}}{2.500000e-01,2.500000e-01}
  // CHECK: accel.dense %{{.*}}, %{{.*}} bias %[[B]]
  // CHECK-NOT: accel.add
  %0 = accel.dense %x, %w : (tensor<1x2x!a>, tensor<2x2x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2xf32>
  %1 = accel.add %0, %b : (tensor<1x2xf32>, tensor<2x!i32>) -> tensor<1x2xf32>
  %2 = accel.quantize %1 : (tensor<1x2xf32>) -> tensor<1x2x!a>
  return %2 : tensor<1x2x!a>
}

// -----

!i8 = !quant.uniform<i8:f32, 1.0>

// Both operands of an addition times an integer: their integers are read with larger scales. The term is an offset.
// CHECK-LABEL: @scaled_addition
func.func @scaled_addition(%a: tensor<1x4x!i8>, %b: tensor<1x4x!i8>) -> tensor<1x4x!i8> {
  %m = arith.constant dense<3.0> : tensor<f32>
  %half = arith.constant dense<8.0> : tensor<f32>
  %d = arith.constant dense<16.0> : tensor<f32>
  // CHECK: %[[A:.*]] = quant.scast %{{.*}} : tensor<1x4xi8> to tensor<1x4x!quant.uniform<i8:f32, 3.000000e+00>>
  // CHECK: accel.add %[[A]], %{{.*}} {offset = 8.000000e+00 : f64}
  // CHECK: accel.quantize {{.*}} -> tensor<1x4x!quant.uniform<i8:f32, 1.600000e+01>>
  %0 = accel.mul %a, %m : (tensor<1x4x!i8>, tensor<f32>) -> tensor<1x4xf32>
  %1 = accel.add %0, %b : (tensor<1x4xf32>, tensor<1x4x!i8>) -> tensor<1x4xf32>
  %2 = accel.add %1, %half : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  %3 = accel.div %2, %d : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  %4 = accel.quantize %3 {rounding = #accel.rounding<floor>} : (tensor<1x4xf32>) -> tensor<1x4x!i8>
  return %4 : tensor<1x4x!i8>
}

// -----

!i8 = !quant.uniform<i8:f32, 1.0>

// A factor that varies along another axis than the channels has no place in the weights: it stays.
// CHECK-LABEL: @factor_per_column_stays
func.func @factor_per_column_stays(%x: tensor<1x1x1x2x!i8>) -> tensor<1x1x1x2x!i8> {
  %c = arith.constant dense<1> : tensor<1x1x1x1xi8>
  %w = quant.scast %c : tensor<1x1x1x1xi8> to tensor<1x1x1x1x!i8>
  %m = arith.constant dense<[[[[2.0, 3.0]]]]> : tensor<1x1x1x2xf32>
  // CHECK: accel.mul
  %0 = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x1x1x2x!i8>, tensor<1x1x1x1x!i8>) -> tensor<1x1x1x2xf32>
  %1 = accel.mul %0, %m : (tensor<1x1x1x2xf32>, tensor<1x1x1x2xf32>) -> tensor<1x1x1x2xf32>
  %2 = accel.quantize %1 : (tensor<1x1x1x2xf32>) -> tensor<1x1x1x2x!i8>
  return %2 : tensor<1x1x1x2x!i8>
}

// -----

!i8 = !quant.uniform<i8:f32, 1.0>

// A division moves behind bounds, to the quantize that takes it in.
// CHECK-LABEL: @division_before_bounds
func.func @division_before_bounds(%x: tensor<4xf32>) -> tensor<4x!i8> {
  %d = arith.constant dense<3.0> : tensor<f32>
  // CHECK: accel.clamp %arg0 {max = 1.800000e+01 : f64, min = -3.000000e+00 : f64}
  // CHECK-NEXT: accel.quantize {{.*}} -> tensor<4x!quant.uniform<i8:f32, 3.000000e+00>>
  %0 = accel.div %x, %d : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = accel.clamp %0 {min = -1.0 : f64, max = 6.0 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  %2 = accel.quantize %1 : (tensor<4xf32>) -> tensor<4x!i8>
  return %2 : tensor<4x!i8>
}
