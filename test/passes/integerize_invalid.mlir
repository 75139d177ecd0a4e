// RUN: not htvm-opt %s -p integerize --split-input-file 2>&1 | FileCheck %s

!x = !quant.uniform<i8:f32, 0.5:3>
!wide = !quant.uniform<i16:f32, 0.5>

// Two functions of different tensors have too many pairs for one table, and their product no integers.
// CHECK: [[#@LINE+4]]:8: error: 'accel.mul' combines two values that nothing quantises; put QuantizeLinear and DequantizeLinear behind the nodes before it
func.func @product_of_functions(%x: tensor<2x!x>, %y: tensor<2x!wide>) -> tensor<2x!x> {
  %0 = accel.sigmoid %x : (tensor<2x!x>) -> tensor<2xf32>
  %1 = accel.sigmoid %y : (tensor<2x!wide>) -> tensor<2xf32>
  %2 = accel.mul %0, %1 : (tensor<2xf32>, tensor<2xf32>) -> tensor<2x!x>
  return %2 : tensor<2x!x>
}

// -----

!x = !quant.uniform<i8:f32, 0.5:3>

// CHECK: [[#@LINE+4]]:8: error: 'accel.mul' has a constant that varies along the axes [0, 1], expected one axis
func.func @real_constant(%x: tensor<2x2x!x>) -> tensor<2x2x!x> {
  %c = arith.constant dense<[[1.5, 2.5], [3.5, 2.25]]> : tensor<2x2xf32>

  %0 = accel.mul %x, %c : (tensor<2x2x!x>, tensor<2x2xf32>) -> tensor<2x2x!x>
  return %0 : tensor<2x2x!x>
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

!x = !quant.uniform<i8:f32, 0.5>
!y = !quant.uniform<i8:f32, 1.0000001e-10:-128>

// CHECK: [[#@LINE+2]]:8: error: 'accel.softmax' has output scale 1.0000001e-10, which leaves -{{[0-9]+}} bits for exponentials, expected at least 16
func.func @softmax_scale(%x: tensor<1x4x!x>) -> tensor<1x4x!y> {
  %0 = accel.softmax %x {axis = 1 : i64} : (tensor<1x4x!x>) -> tensor<1x4x!y>
  return %0 : tensor<1x4x!y>
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
