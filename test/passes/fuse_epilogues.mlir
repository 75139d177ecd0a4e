// RUN: htvm-opt %s -p fuse-epilogues --split-input-file | FileCheck %s

!a = !quant.uniform<i8:f32, 0.5:3>
!w = !quant.uniform<i8:f32, 0.25>

// The activation becomes the lower end of the stored range: 0 is stored as the zero point.
// CHECK-LABEL: @relu_narrows_the_range
func.func @relu_narrows_the_range(%x: tensor<1x2x!a>) -> tensor<1x2x!a> {
  %c = arith.constant dense<1> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!w>
  // CHECK: %[[Y:.*]] = accel.dense
  // CHECK-SAME: -> tensor<1x2x!quant.uniform<i8<3:127>:f32, 5.000000e-01:3>>
  // CHECK-NEXT: return %[[Y]]
  %0 = accel.dense %x, %w : (tensor<1x2x!a>, tensor<2x2x!w>) -> tensor<1x2xf32>
  %1 = accel.relu %0 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = accel.quantize %1 : (tensor<1x2xf32>) -> tensor<1x2x!a>
  return %2 : tensor<1x2x!a>
}

// -----

!a = !quant.uniform<i8:f32, 0.1:-128>

// 0..6 in steps of 0.1 from -128: 6 is stored as -68. Rounding and clamping commute.
// CHECK-LABEL: @relu6_narrows_both_ends
func.func @relu6_narrows_both_ends(%x: tensor<4x!a>, %y: tensor<4x!a>) -> tensor<4x!a> {
  // CHECK: accel.add
  // CHECK-SAME: {rounding = #accel.rounding<floor>}
  // CHECK-SAME: i8<-128:-69>
  %0 = accel.add %x, %y : (tensor<4x!a>, tensor<4x!a>) -> tensor<4xf32>
  %1 = accel.clamp %0 {min = 0.0 : f64, max = 6.0 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  %2 = accel.quantize %1 {rounding = #accel.rounding<floor>} : (tensor<4xf32>) -> tensor<4x!a>
  return %2 : tensor<4x!a>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>

// A relu of a quantised value has no layer in front of it: it is the layer.
// CHECK-LABEL: @relu_alone
func.func @relu_alone(%x: tensor<4x!a>) -> tensor<4x!a> {
  // CHECK: accel.relu %{{.*}} -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  // CHECK-NEXT: return
  %0 = accel.relu %x : (tensor<4x!a>) -> tensor<4xf32>
  %1 = accel.quantize %0 : (tensor<4xf32>) -> tensor<4x!a>
  return %1 : tensor<4x!a>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:3>
!b = !quant.uniform<i8:f32, 0.25:3>

// A real value that is rounded in two ways is computed for each of them.
// CHECK-LABEL: @two_roundings
func.func @two_roundings(%x: tensor<4x!a>, %y: tensor<4x!a>) -> (tensor<4x!a>, tensor<4x!b>) {
  // CHECK-DAG: %[[A:.*]] = accel.add {{.*}} -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  // CHECK-DAG: %[[B:.*]] = accel.add {{.*}} -> tensor<4x!quant.uniform<i8:f32, 2.500000e-01:3>>
  // CHECK: return %[[A]], %[[B]]
  %0 = accel.add %x, %y : (tensor<4x!a>, tensor<4x!a>) -> tensor<4xf32>
  %1 = accel.quantize %0 : (tensor<4xf32>) -> tensor<4x!a>
  %2 = accel.quantize %0 : (tensor<4xf32>) -> tensor<4x!b>
  return %1, %2 : tensor<4x!a>, tensor<4x!b>
}

// -----

!a = !quant.uniform<i8:f32, 0.5:127>

// A relu above a zero point of 127 leaves one value, which is no range: it stays, on what was rounded before it.
// CHECK-LABEL: @one_value_is_no_range
func.func @one_value_is_no_range(%x: tensor<4x!a>, %y: tensor<4x!a>) -> tensor<4x!a> {
  // CHECK: %[[SUM:.*]] = accel.add {{.*}} -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:127>>
  // CHECK: accel.relu %[[SUM]] : {{.*}} -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:127>>
  // CHECK-NOT: accel.quantize
  %0 = accel.add %x, %y : (tensor<4x!a>, tensor<4x!a>) -> tensor<4xf32>
  %1 = accel.relu %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = accel.quantize %1 : (tensor<4xf32>) -> tensor<4x!a>
  return %2 : tensor<4x!a>
}
