// RUN: htvm-opt %s -p convert-affine-to-depthwise --split-input-file | FileCheck %s

!a = !quant.uniform<i8<-32:31>:f32, 1.0>

// What follows an analog array: a factor and a term for each channel.
// CHECK-LABEL: @factor_and_term
func.func @factor_and_term(%x: tensor<1x2x4x4x!a>) -> tensor<1x2x4x4xf32> {
  // CHECK: arith.constant dense<1> : tensor<2x1x1x1xi8>
  // CHECK: %[[ONES:.*]] = quant.scast
  // CHECK: %[[Y:.*]] = accel.conv2d %arg0, %[[ONES]] {{.*}}groups = 2
  // CHECK: %[[Z:.*]] = accel.mul %[[Y]]
  // CHECK-NEXT: accel.add %[[Z]]
  %m = arith.constant dense<[[[[5.0]], [[7.0]]]]> : tensor<1x2x1x1xf32>
  %t = arith.constant dense<[[[[100.0]], [[-200.0]]]]> : tensor<1x2x1x1xf32>
  %0 = accel.mul %x, %m : (tensor<1x2x4x4x!a>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %1 = accel.add %0, %t : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  return %1 : tensor<1x2x4x4xf32>
}

// -----

!a = !quant.uniform<i8:f32, 1.0>

// Channels on another axis, or of another rank, are brought to the second of four. A term for all is one per channel.
// CHECK-LABEL: @other_shapes
func.func @other_shapes(%x: tensor<3x5x2x!a>, %y: tensor<2x6x!a>) -> (tensor<3x5x2xf32>, tensor<2x6xf32>) {
  // CHECK: accel.reshape %arg0 : {{.*}} -> tensor<15x2x1x1x!quant
  // CHECK: accel.conv2d {{.*}} -> tensor<15x2x1x1xf32>
  // CHECK: accel.reshape {{.*}} -> tensor<3x5x2xf32>
  // CHECK: accel.div
  // CHECK: accel.reshape %arg1 : {{.*}} -> tensor<2x6x1x1x!quant
  // CHECK: accel.sub
  %d = arith.constant dense<[5.0, 7.0]> : tensor<2xf32>
  %t = arith.constant dense<0.5> : tensor<f32>
  %0 = accel.div %x, %d : (tensor<3x5x2x!a>, tensor<2xf32>) -> tensor<3x5x2xf32>
  %1 = accel.sub %y, %t : (tensor<2x6x!a>, tensor<f32>) -> tensor<2x6xf32>
  return %0, %1 : tensor<3x5x2xf32>, tensor<2x6xf32>
}

// -----

!a = !quant.uniform<i8:f32, 1.0>

// A factor for all is a scale, and arithmetic behind a layer goes into the layer.
// CHECK-LABEL: @left_alone
// CHECK-NOT: accel.conv2d
func.func @left_alone(%x: tensor<1x2x!a>) -> (tensor<1x2xf32>, tensor<1x2xf32>) {
  %m = arith.constant dense<5.0> : tensor<f32>
  %t = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %0 = accel.mul %x, %m : (tensor<1x2x!a>, tensor<f32>) -> tensor<1x2xf32>
  %1 = accel.relu %x : (tensor<1x2x!a>) -> tensor<1x2xf32>
  %2 = accel.add %1, %t : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  return %0, %2 : tensor<1x2xf32>, tensor<1x2xf32>
}
