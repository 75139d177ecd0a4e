// RUN: htvm-opt %s --split-input-file --verify-diagnostics

// What the verifiers of functions, products, choices and indices say.

func.func @unknown_function(%x: tensor<4xf32>) {
  // expected-error@+1 {{'sine' is no function of accel.unary, expected one of abs, exp, tanh and others that its description lists}}
  %y = accel.unary sine %x : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @missing_parameter(%x: tensor<4xf32>) {
  // expected-error@+1 {{'hard_sigmoid' has 1 parameters, expected 2 (alpha, beta)}}
  %y = accel.unary hard_sigmoid %x {alpha = 0.5 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @another_parameter(%x: tensor<4xf32>) {
  // expected-error@+1 {{'elu' has 1 parameters, expected 1 (alpha)}}
  %y = accel.unary elu %x {beta = 0.5 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @tables_for_other_channels(%x: tensor<2x4xi8>, %tables: tensor<3x256xi8>) {
  // expected-error@+1 {{has 3 tables, expected 4 (axis 1)}}
  %y = accel.lookup %x, %tables {axis = 1, lowest = -128} : (tensor<2x4xi8>, tensor<3x256xi8>) -> tensor<2x4xi8>
  return
}

// -----

func.func @matrices_that_do_not_multiply(%a: tensor<2x3xi8>, %b: tensor<4x2xi8>) {
  // expected-error@+1 {{operands have shapes 2x3 and 4x2, expected 3 rows in the second}}
  %y = accel.matmul %a, %b : (tensor<2x3xi8>, tensor<4x2xi8>) -> tensor<2x2xi32>
  return
}

// -----

func.func @matrices_that_do_not_broadcast(%a: tensor<2x5x3xi8>, %b: tensor<4x3x2xi8>) {
  // expected-error@+1 {{operands have shapes 2 and 4, which do not broadcast}}
  %y = accel.matmul %a, %b : (tensor<2x5x3xi8>, tensor<4x3x2xi8>) -> tensor<2x5x2xi32>
  return
}

// -----

func.func @a_row_is_no_matrix(%a: tensor<3xi8>, %b: tensor<3x2xi8>) {
  // expected-error@+1 {{operands have shapes 3 and 3x2, expected rank 2 or more}}
  %y = accel.matmul %a, %b : (tensor<3xi8>, tensor<3x2xi8>) -> tensor<2xi32>
  return
}

// -----

func.func @windows_of_another_shape(%x: tensor<1x2x9x8xi8>) {
  // expected-error@+1 {{result has shape 1x12x4x8, expected 1x12x4x7}}
  %y = accel.windows %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 1>} : (tensor<1x2x9x8xi8>) -> tensor<1x12x4x8xi8>
  return
}

// -----

func.func @windows_that_do_not_fit(%x: tensor<1x2x2x8xi8>) {
  // expected-error@+1 {{kernel spans 3 rows, input has 2 with padding}}
  %y = accel.windows %x {kernel = array<i64: 3, 2>, strides = array<i64: 1, 1>} : (tensor<1x2x2x8xi8>) -> tensor<1x12x1x7xi8>
  return
}

// -----

func.func @windows_without_steps(%x: tensor<1x2x9x8xi8>) {
  // expected-error@+1 {{strides holds 0, expected at least 1}}
  %y = accel.windows %x {kernel = array<i64: 3, 2>, strides = array<i64: 0, 1>} : (tensor<1x2x9x8xi8>) -> tensor<1x12x7x7xi8>
  return
}

// -----

func.func @index_outside(%x: tensor<2x4xi8>) {
  // expected-error@+1 {{indices of axis 1 hold 4, expected 0 to 3}}
  %y = accel.take %x {indices = [array<i64>, array<i64: 0, 4>]} : (tensor<2x4xi8>) -> tensor<2x2xi8>
  return
}

// -----

func.func @a_list_for_each_axis(%x: tensor<2x4xi8>) {
  // expected-error@+1 {{indices has 1 lists, expected 2 (the input's rank)}}
  %y = accel.take %x {indices = [array<i64: 0>]} : (tensor<2x4xi8>) -> tensor<1x4xi8>
  return
}

// -----

func.func @an_axis_that_stays(%x: tensor<2x4xi8>) {
  // expected-error@+1 {{result has shape 2, expected 2x1}}
  %y = accel.argmax %x {axis = 1} : (tensor<2x4xi8>) -> tensor<2xi32>
  return
}

// -----

func.func @scale_of_another_axis(%x: tensor<2x4xf32>, %g: tensor<2xf32>) {
  // expected-error@+1 {{scale has shape 2, expected 4 (the input's last axis)}}
  %y = accel.layer_norm %x scale %g {epsilon = 0.1 : f64} : (tensor<2x4xf32>, tensor<2xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @neither_real_nor_integer(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{has neither 'epsilon' nor 'half_step'}}
  %y = accel.layer_norm %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @half_of_the_constants(%x: tensor<2x4xi8>) {
  // expected-error@+1 {{has 'half_step' without 'variance_scale'}}
  %y = accel.layer_norm %x {half_step = 3} : (tensor<2x4xi8>) -> tensor<2x4xi8>
  return
}

// -----

func.func @a_value_too_few(%x: tensor<4xi32>, %s: tensor<3xi32>, %v: tensor<3xi8>) {
  // expected-error@+1 {{has 3 values for 3 starts, expected one more}}
  %y = accel.threshold %x, %s, %v : (tensor<4xi32>, tensor<3xi32>, tensor<3xi8>) -> tensor<4xi8>
  return
}

// -----

func.func @step_functions_of_another_axis(%x: tensor<4x2xi32>, %s: tensor<3x3xi32>, %v: tensor<3x4xi8>) {
  // expected-error@+1 {{has 3 step functions, expected 2 (axis 1)}}
  %y = accel.threshold %x, %s, %v {axis = 1} : (tensor<4x2xi32>, tensor<3x3xi32>, tensor<3x4xi8>) -> tensor<4x2xi8>
  return
}

// -----

func.func @constants_of_one_input(%x: tensor<4x2xi32>, %c: tensor<1x6xi64>) {
  // expected-error@+1 {{has constants 1x6, expected 1x8}}
  %y = accel.weighted_sum %x, %x by %c {zero_point = 0, min = 0, max = 1} : (tensor<4x2xi32>, tensor<4x2xi32>, tensor<1x6xi64>) -> tensor<4x2xi8>
  return
}

// -----

func.func @too_many_inputs(%x: tensor<2xi32>, %c: tensor<1x14xi64>) {
  // expected-error@+1 {{has 5 inputs, expected 1 to 4}}
  %y = accel.weighted_sum %x, %x, %x, %x, %x by %c {zero_point = 0, min = 0, max = 1} : (tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<1x14xi64>) -> tensor<2xi8>
  return
}
