// RUN: not htvm-opt %s -p integerize --split-input-file 2>&1 | FileCheck %s

!x = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+3]]:8: error: 'accel.relu' has a real result (tensor<2xf32>), expected a quantised one: no QuantizeLinear follows
// CHECK-NOT: error
func.func @real_result(%x: tensor<2x!x>) -> tensor<2x!x> {
  %0 = accel.relu %x : (tensor<2x!x>) -> tensor<2xf32>
  %1 = accel.quantize %0 : (tensor<2xf32>) -> tensor<2x!x>
  return %1 : tensor<2x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+4]]:8: error: 'accel.mul' has a real constant operand that no neighbour could take in
func.func @real_constant(%x: tensor<2x!x>) -> tensor<2x!x> {
  %c = arith.constant dense<[1.5, 2.5]> : tensor<2xf32>

  %0 = accel.mul %x, %c : (tensor<2x!x>, tensor<2xf32>) -> tensor<2x!x>
  return %0 : tensor<2x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+2]]:8: error: 'accel.dense' has weights that are not constant
func.func @weights_not_constant(%x: tensor<1x2x!x>, %w: tensor<2x2x!x>) -> tensor<1x2x!x> {
  %0 = accel.dense %x, %w : (tensor<1x2x!x>, tensor<2x2x!x>) -> tensor<1x2x!x>
  return %0 : tensor<1x2x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>
!w = !quant.uniform<i8:f32:1, {0.5, 0.25}>

// CHECK: [[#@LINE+5]]:8: error: 'accel.dense' has weight scales along axis 1, expected axis 0 (output channels)
func.func @weight_scales_along_inputs(%x: tensor<1x2x!x>) -> tensor<1x2x!x> {
  %c = arith.constant dense<1> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!w>

  %0 = accel.dense %x, %w : (tensor<1x2x!x>, tensor<2x2x!w>) -> tensor<1x2x!x>
  return %0 : tensor<1x2x!x>
}

// -----

!x = !quant.uniform<i8:f32:1, {0.5, 0.25}>
!y = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+2]]:8: error: 'accel.add' has 2 scales in its left operand, expected one
func.func @scales_per_channel(%x: tensor<1x2x!x>, %y: tensor<1x2x!y>) -> tensor<1x2x!y> {
  %0 = accel.add %x, %y : (tensor<1x2x!x>, tensor<1x2x!y>) -> tensor<1x2x!y>
  return %0 : tensor<1x2x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5>
!raw = !quant.uniform<i32:f32, 1.0>

// CHECK: [[#@LINE+5]]:8: error: 'accel.dense' has 32-bit results with scale ratio 0.5 in channel 0, expected accumulators as they are (1)
func.func @rounded_accumulators(%x: tensor<1x2x!x>) -> tensor<1x2x!raw> {
  %c = arith.constant dense<1> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!quant.uniform<i8:f32, 1.0>>

  %0 = accel.dense %x, %w : (tensor<1x2x!x>, tensor<2x2x!quant.uniform<i8:f32, 1.0>>) -> tensor<1x2x!raw>
  return %0 : tensor<1x2x!raw>
}

// -----

!x = !quant.uniform<i16:f32, 1.0>
!w = !quant.uniform<i16:f32, 1.0>

// CHECK: [[#@LINE+5]]:8: error: 'accel.dense' has accumulators from -3,221,094,401 to 3,221,061,634, which 32 bits do not hold
func.func @accumulators_too_large(%x: tensor<1x3x!x>) -> tensor<1x1x!x> {
  %c = arith.constant dense<[[32767, 32767, -32767]]> : tensor<1x3xi16>
  %w = quant.scast %c : tensor<1x3xi16> to tensor<1x3x!w>

  %0 = accel.dense %x, %w : (tensor<1x3x!x>, tensor<1x3x!w>) -> tensor<1x1x!x>
  return %0 : tensor<1x1x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+2]]:8: error: 'accel.relu' has a real input (tensor<2xf32>), expected a quantised one
func.func @real_input(%x: tensor<2xf32>) -> tensor<2x!x> {
  %0 = accel.relu %x : (tensor<2xf32>) -> tensor<2x!x>
  return %0 : tensor<2x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+5]]:8: error: 'accel.dense' has a bias that is not a quantised constant
func.func @bias_not_constant(%x: tensor<1x2x!x>, %b: tensor<2x!x>) -> tensor<1x2x!x> {
  %c = arith.constant dense<1> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!x>

  %0 = accel.dense %x, %w bias %b : (tensor<1x2x!x>, tensor<2x2x!x>, tensor<2x!x>) -> tensor<1x2x!x>
  return %0 : tensor<1x2x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>
!y = !quant.uniform<i8:f32:0, {0.5, 0.25}>

// CHECK: [[#@LINE+5]]:8: error: 'accel.dense' has result scales along axis 0, expected one, or one per channel and one zero point
func.func @result_scales_along_rows(%x: tensor<2x2x!x>) -> tensor<2x2x!y> {
  %c = arith.constant dense<1> : tensor<2x2xi8>
  %w = quant.scast %c : tensor<2x2xi8> to tensor<2x2x!x>

  %0 = accel.dense %x, %w : (tensor<2x2x!x>, tensor<2x2x!x>) -> tensor<2x2x!y>
  return %0 : tensor<2x2x!y>
}

// -----

!x = !quant.uniform<i32:f32, 0.5>
!y = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+2]]:8: error: 'accel.relu' has 4,294,967,296 different inputs, expected at most 65,536 for a table
func.func @table_too_large(%x: tensor<2x!x>) -> tensor<2x!y> {
  %0 = accel.relu %x : (tensor<2x!x>) -> tensor<2x!y>
  return %0 : tensor<2x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5>
!y = !quant.uniform<i8:f32, 1.0000001e-10:-128>

// CHECK: [[#@LINE+2]]:8: error: 'accel.softmax' has output scale 1.0000001e-10, which leaves -{{[0-9]+}} bits for exponentials, expected at least 16
func.func @softmax_scale(%x: tensor<1x4x!x>) -> tensor<1x4x!y> {
  %0 = accel.softmax %x {axis = 1 : i64} : (tensor<1x4x!x>) -> tensor<1x4x!y>
  return %0 : tensor<1x4x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5>
!y = !quant.uniform<i32:f32, 0.5>

// CHECK: [[#@LINE+2]]:8: error: 'accel.mul' has results of 32 bits, expected 8 or 16
func.func @wide_product(%x: tensor<2x!x>) -> tensor<2x!y> {
  %0 = accel.mul %x, %x : (tensor<2x!x>, tensor<2x!x>) -> tensor<2x!y>
  return %0 : tensor<2x!y>
}

// -----

!x = !quant.uniform<i8:f32, 0.5>
!u = !quant.uniform<u8:f32, 0.5>

// CHECK: [[#@LINE+5]]:8: error: 'accel.concat' moves a constant of unsigned integers, expected signed storage
func.func @unsigned_constant(%x: tensor<2x!x>) -> tensor<4x!x> {
  %c = arith.constant dense<-1> : tensor<2xi8>
  %k = quant.scast %c : tensor<2xi8> to tensor<2x!u>

  %0 = accel.concat %x, %k {axis = 0} : (tensor<2x!x>, tensor<2x!u>) -> tensor<4x!x>
  return %0 : tensor<4x!x>
}
