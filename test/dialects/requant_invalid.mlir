// RUN: htvm-opt %s --split-input-file --verify-diagnostics

// What the verifiers say of the constants that turn accumulators into outputs.

func.func @no_shift(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{struct is missing required parameter: shift}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], min = -128, max = 127>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @wide_multiplier(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant 'multiplier' holds 4294967296, expected -2147483648 to 2147483647}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [4294967296], offset = [1], shift = [4], min = -128, max = 127>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @dictionary(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{attribute 'requant' failed to satisfy constraint: Integer constants that turn an accumulator into an output}}
  %y = accel.dense %x, %w {requant = {multiplier = array<i32: 5>}} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @shift_that_is_no_array(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+2 {{expected '['}}
  // expected-error@+1 {{failed to parse Accel_RequantAttr parameter 'shift'}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = 4, min = -128, max = 127>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @real_bound(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+2 {{expected integer value}}
  // expected-error@+1 {{failed to parse Accel_RequantAttr parameter 'max'}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [4], min = -128, max = 127.0>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @three_multipliers_for_two_channels(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant 'multiplier' has 3 entries, expected 1 or 2 (outputs)}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5, 6, 7], offset = [1], shift = [4], min = -128, max = 127>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @add_with_one_multiplier(%x: tensor<4xi8>) {
  // expected-error@+1 {{requant 'multiplier' has 1 entries, expected 2 (operands)}}
  %y = accel.add %x, %x {requant = #accel.requant<multiplier = [5], offset = [1], shift = [4], min = -128, max = 127>} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return
}

// -----

func.func @add_with_two_offsets(%x: tensor<4xi8>) {
  // expected-error@+1 {{requant 'offset' has 2 entries, expected 1 (operands)}}
  %y = accel.add %x, %x {requant = #accel.requant<multiplier = [5, 5], offset = [1, 2], shift = [4], min = -128, max = 127>} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return
}

// -----

func.func @shift_beyond_64_bits(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant 'shift' holds 63, expected 0 to 62}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [63], min = -128, max = 127>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @narrow_shift_below_32(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant 'shift' holds 31, expected 32 to 62 with 'narrow'}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [31], min = -128, max = 127, narrow = true>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @empty_range(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant 'min' is 5, above 'max', which is 4}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [4], min = 5, max = 4>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @rescale_without_a_code(%x: tensor<1x4x6x6xi8>, %w: tensor<2x4x1x1xi8>) {
  // expected-error@+1 {{has rescale without requant, which makes the code that it scales}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64, rescale = #accel.rescale<requant = <multiplier = [1], offset = [0], shift = [1], min = -64, max = 63>, weights = [1, 2]>} : (tensor<1x4x6x6xi8>, tensor<2x4x1x1xi8>) -> tensor<1x2x6x6xi8>
  return
}

// -----

func.func @rescale_without_weights(%x: tensor<1x4x6x6xi8>, %w: tensor<2x4x1x1xi8>) {
  // expected-error@+1 {{expected ','}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>, rescale = #accel.rescale<requant = <multiplier = [1], offset = [0], shift = [1], min = -64, max = 63>>} : (tensor<1x4x6x6xi8>, tensor<2x4x1x1xi8>) -> tensor<1x2x6x6xi8>
  return
}

// -----

func.func @rescale_with_one_weight(%x: tensor<1x4x6x6xi8>, %w: tensor<2x4x1x1xi8>) {
  // expected-error@+1 {{rescale 'weights' has 1 entries, expected 2 (output channels)}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>, rescale = #accel.rescale<requant = <multiplier = [1], offset = [0], shift = [1], min = -64, max = 63>, weights = [1]>} : (tensor<1x4x6x6xi8>, tensor<2x4x1x1xi8>) -> tensor<1x2x6x6xi8>
  return
}

// -----

func.func @rescale_is_checked_as_requant_is(%x: tensor<1x4x6x6xi8>, %w: tensor<2x4x1x1xi8>) {
  // expected-error@+2 {{failed to parse Accel_RescaleAttr parameter 'requant'}}
  // expected-error@+1 {{struct is missing required parameter: shift}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>, rescale = #accel.rescale<requant = <multiplier = [1], offset = [0], min = -64, max = 63>, weights = [1, 2]>} : (tensor<1x4x6x6xi8>, tensor<2x4x1x1xi8>) -> tensor<1x2x6x6xi8>
  return
}

// -----

func.func @rescale_with_wide_weights(%x: tensor<1x4x6x6xi8>, %w: tensor<2x4x1x1xi8>) {
  // expected-error@+1 {{rescale 'weights' holds 4294967296, expected -2147483648 to 2147483647}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>, rescale = #accel.rescale<requant = <multiplier = [1], offset = [0], shift = [1], min = -64, max = 63>, weights = [1, 4294967296]>} : (tensor<1x4x6x6xi8>, tensor<2x4x1x1xi8>) -> tensor<1x2x6x6xi8>
  return
}

// -----

func.func @quotient_without_a_divisor(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant has 'numerator' without 'divisor'}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [40], min = -128, max = 127, numerator = [3], rest = [0]>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @quotient_without_a_numerator(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant has 'divisor' without 'numerator'}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [40], min = -128, max = 127, divisor = [3], rest = [0]>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @quotient_that_divides_by_nothing(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant 'divisor' holds 0, expected 1 to 9223372036854775807}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [40], min = -128, max = 127, numerator = [3, 3], divisor = [7, 0], rest = [0]>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @quotient_of_three_channels(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{requant 'rest' has 3 entries, expected 1 or 2 (outputs)}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [5], offset = [1], shift = [40], min = -128, max = 127, numerator = [3], divisor = [7], rest = [0, 0, 0]>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return
}

// -----

func.func @quotient_of_a_sum(%x: tensor<1x4xi8>) {
  // expected-error@+1 {{requant 'numerator' has 1 entries, expected 2 (operands)}}
  %y = accel.add %x, %x {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127, numerator = [3], divisor = [7], rest = [0]>} : (tensor<1x4xi8>, tensor<1x4xi8>) -> tensor<1x4xi8>
  return
}

// -----

func.func @quotient_of_a_sum_by_channel(%x: tensor<1x4xi8>) {
  // expected-error@+1 {{requant 'divisor' has 2 entries, expected 1 (operands)}}
  %y = accel.add %x, %x {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127, numerator = [3, 4], divisor = [7, 7], rest = [0]>} : (tensor<1x4xi8>, tensor<1x4xi8>) -> tensor<1x4xi8>
  return
}
