// RUN: htvm-opt %s -p integerize --split-input-file | FileCheck %s

!a = !quant.uniform<i8:f32, 0.5:3>
!w = !quant.uniform<i8<-127:127>:f32, 0.25>
!y = !quant.uniform<i8:f32, 0.125:5>

// Nothing can be said of the sum of weights that come at run time, so zero points do not go into the offset: where
// there is one, the integers are counted from it, in 16 bits.
// CHECK-LABEL: @computed_weights
func.func @computed_weights(%x: tensor<1x2x4x4x!a>, %w: tensor<3x2x1x1x!w>) -> tensor<1x3x4x4x!y> {
  // CHECK: %[[X:.*]] = accel.lookup %arg0, %{{.*}} -> tensor<1x2x4x4xi16>
  // CHECK: accel.conv2d %[[X]], %arg1 {{.*}}pad_value = 0 : i64{{.*}} : (tensor<1x2x4x4xi16>, tensor<3x2x1x1xi8>)
  %0 = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x2x4x4x!a>, tensor<3x2x1x1x!w>) -> tensor<1x3x4x4x!y>
  return %0 : tensor<1x3x4x4x!y>
}
