// RUN: htvm-opt %s -p fold-constants | FileCheck %s

!q = !quant.uniform<i8:f32, 5.000000e-01>

// 2 * 0.5 is 1, whose double 2.0 is 4 steps of 0.5.
// CHECK-LABEL: @sum_of_constants
func.func @sum_of_constants(%x: tensor<2x!q>) -> tensor<2x!q> {
  // CHECK: %[[STORED:.*]] = arith.constant dense<4> : tensor<2xi8>
  // CHECK: %[[C:.*]] = quant.scast %[[STORED]]
  %i = arith.constant dense<2> : tensor<2xi8>
  %c = quant.scast %i : tensor<2xi8> to tensor<2x!q>
  // CHECK-NOT: accel.quantize
  %0 = accel.add %c, %c : (tensor<2x!q>, tensor<2x!q>) -> tensor<2xf32>
  %1 = accel.quantize %0 : (tensor<2xf32>) -> tensor<2x!q>
  // CHECK: accel.maximum %{{.*}}, %[[C]]
  %y = accel.maximum %x, %1 : (tensor<2x!q>, tensor<2x!q>) -> tensor<2x!q>
  return %y : tensor<2x!q>
}

// A number that float32 holds is written as one.
// CHECK-LABEL: @real_result
func.func @real_result(%x: tensor<2x!q>) -> tensor<2xf32> {
  // CHECK: %[[C:.*]] = arith.constant dense<[3.000000e+00, 5.000000e+00]> : tensor<2xf32>
  // CHECK: accel.mul %{{.*}}, %[[C]]
  %a = arith.constant dense<[1.0, 3.0]> : tensor<2xf32>
  %b = arith.constant dense<2.0> : tensor<2xf32>
  %0 = accel.add %a, %b : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %y = accel.mul %x, %0 : (tensor<2x!q>, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// A root that nothing holds exactly stays an operation.
// CHECK-LABEL: @irrational
func.func @irrational(%x: tensor<2x!q>) -> tensor<2xf32> {
  %a = arith.constant dense<2.0> : tensor<2xf32>
  // CHECK: accel.unary sqrt
  %0 = accel.unary sqrt %a : (tensor<2xf32>) -> tensor<2xf32>
  %y = accel.mul %x, %0 : (tensor<2x!q>, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// What an input feeds stays.
// CHECK-LABEL: @computed
func.func @computed(%x: tensor<2x!q>) -> tensor<2xf32> {
  // CHECK: accel.relu
  %0 = accel.relu %x : (tensor<2x!q>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
