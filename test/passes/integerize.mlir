// RUN: htvm-opt %s -p integerize,canonicalize --split-input-file | FileCheck %s

!x = !quant.uniform<i8:f32, 0.5:3>
!w = !quant.uniform<i8:f32, 0.25>
!y = !quant.uniform<i8<-5:127>:f32, 0.375:-5>

// y = x * w * (0.5 * 0.25 / 0.375): slope 1/3, no exact tie. Zero points and bias are in the offset.
// CHECK-LABEL: @dense
// CHECK-SAME: (%[[X:.*]]: tensor<1x2xi8>) -> tensor<1x2xi8>
func.func @dense(%x: tensor<1x2x!x>) -> tensor<1x2x!y> {
  // CHECK: %[[W:.*]] = arith.constant dense<{{\[\[}}3, -3], [6, 7]]> : tensor<2x2xi8>
  %c = arith.constant dense<[[3, -3], [6, 7]]> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!w>
  // CHECK: accel.dense %[[X]], %[[W]] {requant = #accel.requant<multiplier = [
  // CHECK-SAME: min = -5, max = 127, narrow = true
  // CHECK-SAME: -> tensor<1x2xi8>
  %0 = accel.dense %x, %w : (tensor<1x2x!x>, tensor<2x2x!w>) -> tensor<1x2x!y>
  return %0 : tensor<1x2x!y>
}

// -----

!x = !quant.uniform<u8:f32, 1.0>
!w = !quant.uniform<i8:f32, 1.0>
!y = !quant.uniform<u8:f32, 256.0>

// Integer arithmetic: floor(acc / 256) is a shift, and out-of-bounds taps read the zero point, 0.
// CHECK-LABEL: @conv2d_floor
func.func @conv2d_floor(%x: tensor<1x1x4x4x!x>) -> tensor<1x1x4x4x!y> {
  %c = arith.constant dense<1> : tensor<1x1x3x3xi8>
  %w = quant.scast %c : tensor<1x1x3x3xi8> to tensor<1x1x3x3x!w>
  // CHECK: accel.conv2d {{.*}}pad_value = 0 : i64
  // CHECK-SAME: min = 0, max = 255
  // CHECK-SAME: : (tensor<1x1x4x4xui8>, tensor<1x1x3x3xi8>) -> tensor<1x1x4x4xui8>
  %0 = accel.conv2d %x, %w {rounding = #accel.rounding<floor>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x1x4x4x!x>, tensor<1x1x3x3x!w>) -> tensor<1x1x4x4x!y>
  return %0 : tensor<1x1x4x4x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>
!w = !quant.uniform<u8:f32, 0.25:200>
!y = !quant.uniform<i8:f32, 0.375>

// A zero point of the weights is taken out of them; 8 signed bits no longer hold what is left.
// CHECK-LABEL: @weights_with_zero_point
func.func @weights_with_zero_point(%x: tensor<1x2x!x>) -> tensor<1x1x!y> {
  // CHECK: arith.constant dense<{{\[\[}}55, -200]]> : tensor<1x2xi16>
  %c = arith.constant dense<[[-1, 0]]> : tensor<1x2xi8>
  %w = quant.scast %c : tensor<1x2xi8> to tensor<1x2x!w>
  %0 = accel.dense %x, %w : (tensor<1x2x!x>, tensor<1x2x!w>) -> tensor<1x1x!y>
  return %0 : tensor<1x1x!y>
}

// -----

!x = !quant.uniform<i8:f32, 1.0:2>
!w = !quant.uniform<i8:f32, 1.0>
!raw = !quant.uniform<i32:f32, 1.0>

// 32-bit results are the accumulators: 10 + 2 * 3 - ... : the bias takes in the zero point, 10 - 2 * (3 + 4) = -4.
// CHECK-LABEL: @raw_accumulators
func.func @raw_accumulators(%x: tensor<1x2x!x>) -> tensor<1x1x!raw> {
  %c = arith.constant dense<[[3, 4]]> : tensor<1x2xi8>
  %w = quant.scast %c : tensor<1x2xi8> to tensor<1x2x!w>
  %bc = arith.constant dense<10> : tensor<1xi32>
  %b = quant.scast %bc : tensor<1xi32> to tensor<1x!raw>
  // CHECK: %[[B:.*]] = arith.constant dense<-4> : tensor<1xi32>
  // CHECK: accel.dense %{{.*}}, %{{.*}} bias %[[B]] {zero_point = 2 : i64} : {{.*}} -> tensor<1x1xi32>
  %0 = accel.dense %x, %w bias %b : (tensor<1x2x!x>, tensor<1x2x!w>, tensor<1x!raw>) -> tensor<1x1x!raw>
  return %0 : tensor<1x1x!raw>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>
!y = !quant.uniform<i8:f32, 0.75:-4>

// CHECK-LABEL: @add_and_sub
func.func @add_and_sub(%a: tensor<4x!x>, %b: tensor<4x!y>) -> tensor<4x!y> {
  // CHECK: accel.add {{.*}}multiplier = {{\[}}[[A:[0-9]+]], [[B:[0-9]+]]]
  // A difference is a sum with a negative multiplier.
  // CHECK: accel.add {{.*}}multiplier = [{{[0-9]+}}, -{{[0-9]+}}]
  %0 = accel.add %a, %b : (tensor<4x!x>, tensor<4x!y>) -> tensor<4x!y>
  %1 = accel.sub %a, %0 : (tensor<4x!x>, tensor<4x!y>) -> tensor<4x!y>
  return %1 : tensor<4x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>
!y = !quant.uniform<i8:f32, 1.0:-4>

// Halves of both parities: ties alternate, and no linear function does that. The code looks at the bits shifted out.
// CHECK-LABEL: @ties_to_even
func.func @ties_to_even(%a: tensor<4x!x>, %b: tensor<4x!x>) -> tensor<4x!y> {
  // CHECK: accel.add {{.*}}multiplier = [1, 1]
  // CHECK-SAME: shift = [1], zero_point = -4, tie_below = 1
  %0 = accel.add %a, %b : (tensor<4x!x>, tensor<4x!x>) -> tensor<4x!y>
  return %0 : tensor<4x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>
!g = !quant.uniform<i8:f32, 0.3:-7>

// CHECK-LABEL: @mul
func.func @mul(%a: tensor<1x2x2x2x!x>, %b: tensor<1x2x1x1x!g>) -> tensor<1x2x2x2x!x> {
  // CHECK: accel.mul {{.*}}requant = {{.*}}zero_points = array<i64: 3, -7>
  %0 = accel.mul %a, %b : (tensor<1x2x2x2x!x>, tensor<1x2x1x1x!g>) -> tensor<1x2x2x2x!x>
  return %0 : tensor<1x2x2x2x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>
!y = !quant.uniform<i8:f32, 0.3:1>

// A 3x3 window with padding holds 4 elements in a corner, 6 on a side, 9 inside: constants for each.
// CHECK-LABEL: @average_pool
func.func @average_pool(%x: tensor<1x1x5x5x!x>) -> tensor<1x1x5x5x!y> {
  // CHECK: accel.pool2d {{.*}}counts = array<i64: 4, 6, 9>
  // CHECK-SAME: multiplier = [{{[0-9]+}}, {{[0-9]+}}, {{[0-9]+}}]
  %0 = accel.pool2d %x {kind = #accel.pool_kind<average>, kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x5x5x!x>) -> tensor<1x1x5x5x!y>
  return %0 : tensor<1x1x5x5x!y>
}

// -----

!x = !quant.uniform<i8<0:3>:f32, 1.0>
!y = !quant.uniform<i8:f32, 0.5:1>

// A function of one value is a table over the values that occur: 0, 1, 2, 3 in steps of a half, from 1.
// CHECK-LABEL: @lookup
func.func @lookup(%x: tensor<4x!x>) -> tensor<4x!y> {
  // CHECK: %[[T:.*]] = arith.constant dense<[1, 3, 5, 7]> : tensor<4xi8>
  // CHECK: accel.lookup %{{.*}}, %[[T]] {lowest = 0 : i64}
  %0 = accel.relu %x : (tensor<4x!x>) -> tensor<4x!y>
  return %0 : tensor<4x!y>
}

// -----

!x = !quant.uniform<i8<0:3>:f32, 1.0>
!y = !quant.uniform<i8:f32, 0.5:1>

// Only the part with another scale is converted.
// CHECK-LABEL: @concat
func.func @concat(%x: tensor<2x!x>, %y: tensor<2x!y>) -> tensor<4x!y> {
  // CHECK: %[[X:.*]] = accel.lookup %arg0
  // CHECK: accel.concat %[[X]], %arg1
  %0 = accel.concat %x, %y {axis = 0 : i64} : (tensor<2x!x>, tensor<2x!y>) -> tensor<4x!y>
  return %0 : tensor<4x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:-7>

// The padding is a stored value: 1.0 is -7 + 1.0 / 0.5 = -5.
// CHECK-LABEL: @pad
func.func @pad(%x: tensor<2x!x>) -> tensor<4x!x> {
  // CHECK: accel.pad {{.*}}value = -5.000000e+00
  %0 = accel.pad %x {low = array<i64: 1>, high = array<i64: 1>, value = 1.0 : f64} : (tensor<2x!x>) -> tensor<4x!x>
  return %0 : tensor<4x!x>
}

// -----

!x = !quant.uniform<i8:f32, 40.0>
!y = !quant.uniform<i8:f32, 0.00390625:-128>

// exp(-40) is in 2^52 parts still more than 0 but exp(-80) is not: the table ends where the entries would be 0.
// CHECK-LABEL: @softmax
func.func @softmax(%x: tensor<1x4x!x>) -> tensor<1x4x!y> {
  // CHECK: arith.constant dense<{{[0-9]+}}> : tensor<1xi64>
  // CHECK: accel.softmax {{.*}}scale_multiplier = 1 : i64, scale_shift = 8 : i64, zero_point = -128 : i64
  %0 = accel.softmax %x {axis = 1 : i64} : (tensor<1x4x!x>) -> tensor<1x4x!y>
  return %0 : tensor<1x4x!y>
}

// -----

!x = !quant.uniform<u8:f32, 2.0>
!y = !quant.uniform<u8:f32, 1.0>

// Reading integers with another scale costs nothing: the casts are gone.
// CHECK-LABEL: @reinterpreted
func.func @reinterpreted(%x: tensor<2x!x> {accel.name = "x"}) -> tensor<2x!y> {
  // CHECK-NEXT: return %arg0 : tensor<2xui8>
  %0 = quant.scast %x : tensor<2x!x> to tensor<2xi8>
  %1 = quant.scast %0 : tensor<2xi8> to tensor<2x!y>
  return %1 : tensor<2x!y>
}

// A convolution that nothing rounds gives accumulators; their sigmoid is a step function with a start for each result.
// CHECK-LABEL: @function_of_accumulators
func.func @function_of_accumulators(%x: tensor<1x2x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x!quant.uniform<i8:f32, 0.25>> {
  %c = arith.constant dense<[[100, 100], [-100, 100]]> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!quant.uniform<i8:f32, 0.03125>>
  // CHECK: %[[ACC:.*]] = accel.dense {{.*}} -> tensor<1x2xi32>
  %0 = accel.dense %x, %w : (tensor<1x2x!quant.uniform<i8:f32, 0.5>>, tensor<2x2x!quant.uniform<i8:f32, 0.03125>>) -> tensor<1x2xf32>
  // CHECK: accel.lookup %[[ACC]]
  %1 = accel.sigmoid %0 : (tensor<1x2xf32>) -> tensor<1x2x!quant.uniform<i8:f32, 0.25>>
  return %1 : tensor<1x2x!quant.uniform<i8:f32, 0.25>>
}

// Accumulators with a scale for each channel, and a quantised value, are added in one exact sum.
// CHECK-LABEL: @sum_of_accumulators
func.func @sum_of_accumulators(%x: tensor<1x2x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x!quant.uniform<i8:f32, 0.75>> {
  %c = arith.constant dense<3> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!quant.uniform<i8:f32:0, {0.3, 0.7}>>
  // CHECK: %[[ACC:.*]] = accel.dense {{.*}} -> tensor<1x2xi32>
  %0 = accel.dense %x, %w : (tensor<1x2x!quant.uniform<i8:f32, 0.5>>, tensor<2x2x!quant.uniform<i8:f32:0, {0.3, 0.7}>>) -> tensor<1x2xf32>
  // CHECK: accel.weighted_sum %[[ACC]], %{{.*}} by %{{.*}} {axis = 1 : i64, even, {{.*}}} : (tensor<1x2xi32>, tensor<1x2xi8>, tensor<2x8xi64>) -> tensor<1x2xi8>
  %1 = accel.add %0, %x : (tensor<1x2xf32>, tensor<1x2x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x!quant.uniform<i8:f32, 0.75>>
  return %1 : tensor<1x2x!quant.uniform<i8:f32, 0.75>>
}


// -----

// Accumulators that nothing rounds are returned with what they mean for each channel: 0.25 and 0.75 times the integer.
// CHECK-LABEL: @returned_accumulators
// CHECK-SAME: -> (tensor<1x2xi32> {accel.axis = 1 : i64, accel.name = "y", accel.offsets = array<f64: 0.000000e+00, 0.000000e+00>, accel.range = {{.*}}, accel.scales = array<f64: 2.500000e-01, 7.500000e-01>})
func.func @returned_accumulators(%x: tensor<1x2x!quant.uniform<i8:f32, 0.5>>) -> (tensor<1x2xf32> {accel.name = "y"}) {
  %c = arith.constant dense<3> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!quant.uniform<i8:f32:0, {0.5, 1.5}>>
  %0 = accel.dense %x, %w : (tensor<1x2x!quant.uniform<i8:f32, 0.5>>, tensor<2x2x!quant.uniform<i8:f32:0, {0.5, 1.5}>>) -> tensor<1x2xf32>
  return %0 : tensor<1x2xf32>
}

// -----

// A softmax that nothing rounds becomes the nearest multiples of 2^-15: 1 is 32768.
// CHECK-LABEL: @returned_softmax
// CHECK-SAME: -> (tensor<1x2xui16> {accel.name = "y", accel.nearest, accel.range = array<i64: 0, 32768>, accel.scale = 3.0517578125E-5 : f64, accel.zero_point = 0 : i64})
func.func @returned_softmax(%x: tensor<1x2x!quant.uniform<i8:f32, 0.5>>) -> (tensor<1x2xf32> {accel.name = "y"}) {
  %0 = accel.softmax %x {axis = 1 : i64} : (tensor<1x2x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2xf32>
  return %0 : tensor<1x2xf32>
}
