// RUN: htvm-opt %s -p unsign-maps --target=%S/targets/unsigned.py | FileCheck %s
// RUN: htvm-opt %s -p unsign-maps | FileCheck %s --check-prefix=SIGNED
// RUN: htvm-opt %s -p unsign-maps --target=%S/targets/any_place.py | FileCheck %s --check-prefix=SIGNED

// SIGNED-NOT: u8

!x = !quant.uniform<i8:f32, 5.000000e-01:-128>
!y = !quant.uniform<i8<0:127>:f32, 2.500000e-01>
!w = !quant.uniform<i8:f32, 1.000000e+00>

// A sum reads its input without sign; the map between, in a shorter range, loses its own, and what moves it; what is
// returned has it again.
// CHECK-LABEL: @ends
// CHECK-SAME: (%arg0: tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01:-128>>)
// CHECK: %[[U:.*]] = accel.quantize %arg0 : {{.*}} -> tensor<1x4x!quant.uniform<u8:f32, 5.000000e-01>>
// CHECK: accel.add %[[U]], %[[U]]
// CHECK: %[[Y:.*]] = accel.quantize {{.*}} -> tensor<1x4x!quant.uniform<u8<128:255>:f32, 2.500000e-01:128>>
// CHECK: %[[R:.*]] = accel.reshape %[[Y]] {{.*}} -> tensor<4x!quant.uniform<u8<128:255>:f32, 2.500000e-01:128>>
// CHECK: %[[S:.*]] = accel.quantize %[[R]] : {{.*}} -> tensor<4x!quant.uniform<i8<0:127>:f32, 2.500000e-01>>
// CHECK: accel.relu %[[R]] :
// CHECK: return %[[S]]
func.func @ends(%x: tensor<1x4x!x>) -> (tensor<4x!y>, tensor<4xf32>) {
  %a = accel.add %x, %x : (tensor<1x4x!x>, tensor<1x4x!x>) -> tensor<1x4xf32>
  %y = accel.quantize %a : (tensor<1x4xf32>) -> tensor<1x4x!y>
  %r = accel.reshape %y : (tensor<1x4x!y>) -> tensor<4x!y>
  %b = accel.relu %r : (tensor<4x!y>) -> tensor<4xf32>
  return %r, %b : tensor<4x!y>, tensor<4xf32>
}

// Weights that are computed keep their sign, and what only looks at an input reads it as it is.
// CHECK-LABEL: @weights
// CHECK: accel.relu %arg1
// CHECK: %[[W:.*]] = accel.quantize {{.*}} -> tensor<2x4x!quant.uniform<i8:f32, 1.000000e+00>>
// CHECK: accel.dense {{.*}}, %[[W]]
func.func @weights(%x: tensor<1x4x!x>, %v: tensor<2x4x!w>) -> tensor<1x2xf32> {
  %r = accel.relu %v : (tensor<2x4x!w>) -> tensor<2x4xf32>
  %w = accel.quantize %r : (tensor<2x4xf32>) -> tensor<2x4x!w>
  %y = accel.dense %x, %w : (tensor<1x4x!x>, tensor<2x4x!w>) -> tensor<1x2xf32>
  return %y : tensor<1x2xf32>
}
