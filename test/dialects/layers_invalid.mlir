// RUN: htvm-opt %s --split-input-file --verify-diagnostics

// What the verifiers of layers say: the value found, and the value wanted.

func.func @result_and_destination(%x: memref<4xi8, "ram">) {
  // expected-error@+1 {{has both a result and a destination; expected a result on tensors, a destination ('into') on memrefs}}
  %y = "accel.relu"(%x, %x) : (memref<4xi8, "ram">, memref<4xi8, "ram">) -> tensor<4xi8>
  return
}

// -----

func.func @neither_result_nor_destination(%x: tensor<4xi8>) {
  // expected-error@+1 {{has neither a result nor a destination; expected}}
  "accel.relu"(%x) : (tensor<4xi8>) -> ()
  return
}

// -----

func.func @tensor_with_destination(%x: tensor<4xi8>, %y: memref<4xi8, "ram">) {
  // expected-error@+1 {{operand 0 is a tensor, expected a memref like the destination}}
  accel.relu %x into %y : (tensor<4xi8>, memref<4xi8, "ram">) -> ()
  return
}

// -----

func.func @memref_with_result(%x: memref<4xi8, "ram">) {
  // expected-error@+1 {{operand 0 is a memref, expected a tensor like the result}}
  %y = accel.relu %x : (memref<4xi8, "ram">) -> tensor<4xi8>
  return
}

// -----

func.func @dynamic_shape(%x: tensor<?xi8>) {
  // expected-error@+1 {{operand #0 must be statically shaped tensor or memref, but got 'tensor<?xi8>'}}
  %y = accel.relu %x : (tensor<?xi8>) -> tensor<?xi8>
  return
}

// -----

func.func @other_shape(%x: tensor<4x2xi8>) {
  // expected-error@+1 {{result has shape 2x4, expected 4x2}}
  %y = accel.relu %x : (tensor<4x2xi8>) -> tensor<2x4xi8>
  return
}

// -----

func.func @unknown_rounding(%x: tensor<4xf32>) {
  // expected-error@+1 {{attribute 'rounding' failed to satisfy constraint: how real numbers become integers: half_even, floor}}
  %y = accel.relu %x {rounding = "up"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @quantize_to_integers(%x: tensor<4xf32>) {
  // expected-error@+1 {{result has elements 'i8', expected a quantised type}}
  %y = accel.quantize %x : (tensor<4xf32>) -> tensor<4xi8>
  return
}

// -----

func.func @clamp_of_nothing(%x: tensor<4xf32>) {
  // expected-error@+1 {{min is 3.000000e+00, expected at most max, which is 1.000000e+00}}
  %y = accel.clamp %x {min = 3.0 : f64, max = 1.0 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @no_broadcast(%a: tensor<2x3xf32>, %b: tensor<2xf32>) {
  // expected-error@+1 {{operands have shapes 2x3 and 2, which do not broadcast}}
  %y = accel.add %a, %b : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @one_zero_point(%a: tensor<2xi8>) {
  // expected-error@+1 {{zero_points has 1 numbers, expected 2}}
  %y = accel.mul %a, %a {zero_points = array<i64: 1>} : (tensor<2xi8>, tensor<2xi8>) -> tensor<2xi8>
  return
}

// -----

func.func @table_of_rank_2(%x: tensor<4xi8>, %t: tensor<16x16xi8>) {
  // expected-error@+1 {{table has rank 2 (16x16), expected 1}}
  %y = accel.lookup %x, %t {lowest = -128} : (tensor<4xi8>, tensor<16x16xi8>) -> tensor<4xi8>
  return
}

// -----

func.func @softmax_of_no_axis(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{axis is 2, expected 0 to 1}}
  %y = accel.softmax %x {axis = 2} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @softmax_table_without_scale(%x: tensor<1x4xi8>, %t: tensor<9xi64>) {
  // expected-error@+1 {{has a table without 'scale_multiplier'}}
  %y = accel.softmax %x table %t {axis = 1} : (tensor<1x4xi8>, tensor<9xi64>) -> tensor<1x4xi8>
  return
}

// -----

func.func @concat_of_nothing() {
  // expected-error@+1 {{has 0 inputs, expected at least 1}}
  %y = "accel.concat"() {axis = 0, operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<4xi8>
  return
}

// -----

func.func @concat_of_unlike_shapes(%a: tensor<2x3xi8>, %b: tensor<3x3xi8>) {
  // expected-error@+1 {{input 1 has shape 3x3, expected that of input 0 (2x3) but for axis 1}}
  %y = accel.concat %a, %b {axis = 1} : (tensor<2x3xi8>, tensor<3x3xi8>) -> tensor<2x6xi8>
  return
}

// -----

func.func @pad_of_one_axis(%x: tensor<2x3xi8>) {
  // expected-error@+1 {{low has 1 numbers, expected 2}}
  %y = accel.pad %x {low = array<i64: 1>, high = array<i64: 0, 0>, value = 0.0 : f64} : (tensor<2x3xi8>) -> tensor<3x3xi8>
  return
}

// -----

func.func @pad_by_less_than_nothing(%x: tensor<2x3xi8>) {
  // expected-error@+1 {{high holds -1, expected at least 0}}
  %y = accel.pad %x {low = array<i64: 0, 0>, high = array<i64: -1, 0>, value = 0.0 : f64} : (tensor<2x3xi8>) -> tensor<1x3xi8>
  return
}

// -----

func.func @convert_layout_to_the_same(%x: tensor<1x2x3x4xi8>) {
  // expected-error@+1 {{has one layout for its input and its result, 'tensor<1x2x3x4xi8>', expected two}}
  %y = accel.convert_layout %x : (tensor<1x2x3x4xi8>) -> tensor<1x2x3x4xi8>
  return
}

// -----

func.func @convert_layout_of_another_shape(%x: tensor<1x2x3x4xi8>) {
  // expected-error@+1 {{'accel.convert_layout' op result has shape 1x2x4x3, expected 1x2x3x4}}
  %y = accel.convert_layout %x : (tensor<1x2x3x4xi8>) -> tensor<1x2x4x3xi8, affine_map<(n, c, h, w) -> (n, h, w, c)>>
  return
}

// -----

func.func @convert_layout_and_type(%x: tensor<1x2x3x4xi8>) {
  // expected-error@+1 {{makes elements of 'i16' from 'i8', expected the same type}}
  %y = accel.convert_layout %x : (tensor<1x2x3x4xi8>) -> tensor<1x2x3x4xi16, affine_map<(n, c, h, w) -> (n, h, w, c)>>
  return
}

// -----

func.func @transfer_to_another_layout(%x: tensor<1x2x3x4xi8>) {
  // expected-error@+1 {{changes the layout of 'tensor<1x2x3x4xi8>' to that of 'tensor<1x2x3x4xi8, affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>>', expected the same}}
  %y = accel.transfer %x {engine = "store"} : (tensor<1x2x3x4xi8>) -> tensor<1x2x3x4xi8, affine_map<(n, c, h, w) -> (n, h, w, c)>>
  return
}

// -----

func.func @transfer_within_a_memory(%x: memref<4xi8, "l1">, %y: memref<4xi8, "l1">) {
  // expected-error@+1 {{stays in the memory of 'memref<4xi8, "l1">', expected another one}}
  accel.transfer %x into %y {engine = "store"} : (memref<4xi8, "l1">, memref<4xi8, "l1">) -> ()
  return
}

// -----

func.func @axis_twice(%x: tensor<2x3xi8>) {
  // expected-error@+1 {{permutation is [0, 0], expected each of 0 to 1 once}}
  %y = accel.transpose %x {permutation = array<i64: 0, 0>} : (tensor<2x3xi8>) -> tensor<2x2xi8>
  return
}

// -----

func.func @reshape_loses_elements(%x: tensor<2x3xi8>) {
  // expected-error@+1 {{result has 5 elements (5), expected 6 (2x3)}}
  %y = accel.reshape %x : (tensor<2x3xi8>) -> tensor<5xi8>
  return
}

// -----

func.func @buffer_in_no_memory() {
  // expected-error@+1 {{has memory space 1 : i64, expected the name of a memory (a string)}}
  %b = accel.buffer "b" : memref<4xi8, 1>
  return
}

// -----

func.func @buffer_before_the_memory() {
  // expected-error@+1 {{offset is -4, expected at least 0}}
  %b = accel.buffer "b" at -4 : memref<4xi8, "ram">
  return
}

// -----

func.func @step_without_an_end() {
  // expected-error@+1 {{does not end with 'accel.yield'}}
  "accel.step"() ({
    %r = accel.ready
    accel.wait %r
  }) : () -> ()
  return
}

// -----

func.func @step_that_gives_too_few_tokens() {
  // expected-error@+1 {{yields 0 tokens, expected 1: one for each result}}
  %t = accel.step -> !accel.token {
    accel.yield
  }
  return
}

// -----

func.func @fused_layers_without_an_end(%x: tensor<1x4xi8>) -> tensor<1x4xi8> {
  // expected-error@+1 {{does not end with 'accel.output'}}
  %y = "accel.fused"(%x) <{operandSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%a: tensor<1x4xi8>):
    %b = accel.reshape %a : (tensor<1x4xi8>) -> tensor<4xi8>
  }) : (tensor<1x4xi8>) -> tensor<1x4xi8>
  return %y : tensor<1x4xi8>
}

// -----

func.func @fused_layers_of_another_input(%x: tensor<1x4xi8>) -> tensor<1x4xi8> {
  // expected-error@+1 {{argument 0 of the body is a 'tensor<4xi8>', expected a tensor with shape and elements of 'tensor<1x4xi8>'}}
  %y = accel.fused %x {
  ^bb0(%a: tensor<4xi8>):
    %b = accel.reshape %a : (tensor<4xi8>) -> tensor<1x4xi8>
    accel.output %b : tensor<1x4xi8>
  } : (tensor<1x4xi8>) -> tensor<1x4xi8>
  return %y : tensor<1x4xi8>
}

// -----

func.func @fused_layers_of_another_output(%x: tensor<1x4xi8>) -> tensor<1x4xi8> {
  // expected-error@+1 {{has a body whose output is a 'tensor<4xi8>', expected shape and elements of 'tensor<1x4xi8>'}}
  %y = accel.fused %x {
  ^bb0(%a: tensor<1x4xi8>):
    %b = accel.reshape %a : (tensor<1x4xi8>) -> tensor<4xi8>
    accel.output %b : tensor<4xi8>
  } : (tensor<1x4xi8>) -> tensor<1x4xi8>
  return %y : tensor<1x4xi8>
}
