// RUN: htvm-opt %s --split-input-file --verify-diagnostics

// What the verifiers of convolutions, dense layers and poolings say.

func.func @conv2d_of_rank_3(%x: tensor<3x6x6xi8>, %w: tensor<8x3x3x3xi8>) {
  // expected-error@+1 {{input has rank 3 (3x6x6), expected 4}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<3x6x6xi8>, tensor<8x3x3x3xi8>) -> tensor<8x4x4xi32>
  return
}

// -----

func.func @conv2d_with_two_pads(%x: tensor<1x3x6x6xi8>, %w: tensor<8x3x3x3xi8>) {
  // expected-error@+1 {{pads has 2 numbers, expected 4}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x3x6x6xi8>, tensor<8x3x3x3xi8>) -> tensor<1x8x4x4xi32>
  return
}

// -----

func.func @conv2d_with_stride_0(%x: tensor<1x3x6x6xi8>, %w: tensor<8x3x3x3xi8>) {
  // expected-error@+1 {{strides holds 0, expected at least 1}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 0>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x3x6x6xi8>, tensor<8x3x3x3xi8>) -> tensor<1x8x4x4xi32>
  return
}

// -----

func.func @conv2d_with_odd_groups(%x: tensor<1x3x6x6xi8>, %w: tensor<8x3x3x3xi8>) {
  // expected-error@+1 {{groups is 2, expected a divisor of 3 input and 8 output channels}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x3x6x6xi8>, tensor<8x3x3x3xi8>) -> tensor<1x8x4x4xi32>
  return
}

// -----

func.func @conv2d_with_other_weights(%x: tensor<1x4x6x6xi8>, %w: tensor<8x4x3x3xi8>) {
  // expected-error@+1 {{weights take 4 input channels, expected 2 (4 in 2 groups)}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x4x6x6xi8>, tensor<8x4x3x3xi8>) -> tensor<1x8x4x4xi32>
  return
}

// -----

func.func @conv2d_kernel_too_large(%x: tensor<1x3x6x6xi8>, %w: tensor<8x3x3x3xi8>) {
  // expected-error@+1 {{kernel spans 9 columns, input has 8 with padding}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 1, 0, 1>, dilations = array<i64: 1, 4>, groups = 1 : i64} : (tensor<1x3x6x6xi8>, tensor<8x3x3x3xi8>) -> tensor<1x8x4x4xi32>
  return
}

// -----

func.func @conv2d_with_other_result(%x: tensor<1x3x6x6xi8>, %w: tensor<8x3x3x3xi8>) {
  // expected-error@+1 {{result has shape 1x8x6x6, expected 1x8x4x4}}
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x3x6x6xi8>, tensor<8x3x3x3xi8>) -> tensor<1x8x6x6xi32>
  return
}

// -----

func.func @bias_of_other_channels(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>, %b: tensor<4xi32>) {
  // expected-error@+1 {{bias has shape 4, expected 2 (output channels)}}
  %y = accel.dense %x, %w bias %b : (tensor<1x4xi8>, tensor<2x4xi8>, tensor<4xi32>) -> tensor<1x2xi32>
  return
}

// -----

func.func @bias_beside_requant(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>, %b: tensor<2xi32>) {
  // expected-error@+1 {{has a bias operand beside requant, which holds it in 'offset'}}
  %y = accel.dense %x, %w bias %b {requant = #accel.requant<multiplier = [5], offset = [1], shift = [4], min = -128, max = 127>} : (tensor<1x4xi8>, tensor<2x4xi8>, tensor<2xi32>) -> tensor<1x2xi8>
  return
}

// -----

func.func @dense_on_a_scalar(%x: tensor<i8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{input is a scalar, expected rank 1 or more}}
  %y = accel.dense %x, %w : (tensor<i8>, tensor<2x4xi8>) -> tensor<2xi32>
  return
}

// -----

func.func @dense_with_other_weights(%x: tensor<1x4xi8>, %w: tensor<2x5xi8>) {
  // expected-error@+1 {{weights take 5 inputs, expected 4 (the input's last axis)}}
  %y = accel.dense %x, %w : (tensor<1x4xi8>, tensor<2x5xi8>) -> tensor<1x2xi32>
  return
}

// -----

func.func @unknown_pooling(%x: tensor<1x4x6x6xi8>) {
  // expected-error@+1 {{attribute 'kind' failed to satisfy constraint: what a pool makes of a window: average, max, min, sum}}
  %y = accel.pool2d %x {kind = "median", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x4x6x6xi8>) -> tensor<1x4x3x3xi8>
  return
}

// -----

func.func @window_outside_the_map(%x: tensor<1x4x6x6xi8>) {
  // expected-error@+1 {{pads of rows are 0 and 2 with a kernel of 2: a window must hold an element}}
  %y = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 2, 0>} : (tensor<1x4x6x6xi8>) -> tensor<1x4x4x3xi8>
  return
}

// -----

func.func @pooling_without_counts(%x: tensor<1x4x6x6xi8>) {
  // expected-error@+1 {{has requant without 'counts'}}
  %y = accel.pool2d %x {kind = #accel.pool_kind<sum>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, requant = #accel.requant<multiplier = [5], offset = [1], shift = [4], min = -128, max = 127>} : (tensor<1x4x6x6xi8>) -> tensor<1x4x3x3xi8>
  return
}

// -----

func.func @kernel_that_is_no_name(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{kernel is 'Fast One', expected small letters, digits and underscores, a letter first}}
  %y = accel.dense %x, %w {kernel = #accel.kernel<"Fast One">} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi32>
  return
}

// -----

func.func @kernel_of_another_kind(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{attribute 'kernel' failed to satisfy constraint: the host's kernel for a linear layer}}
  %y = accel.dense %x, %w {kernel = 4 : i64} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi32>
  return
}

// -----

func.func @run_without_kernel(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{has 'run' without 'kernel'}}
  %y = accel.dense %x, %w {run = 4} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi32>
  return
}

// -----

func.func @skip_without_kernel(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) {
  // expected-error@+1 {{has 'skip' without 'kernel'}}
  %y = accel.dense %x, %w {skip = -128} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi32>
  return
}

// -----

func.func @scratch_of_other_size(%x: memref<1x4xi8, "ram">, %w: memref<2x4xi8, "ram">, %s: memref<31xi8, "ram">, %y: memref<1x2xi32, "ram">) {
  // expected-error@+1 {{scratch is 'memref<31xi8, "ram">', expected 32 i8 elements ('scratch_bytes')}}
  accel.dense %x, %w scratch %s into %y {kernel = #accel.kernel<collected>, scratch_bytes = 32} : (memref<1x4xi8, "ram">, memref<2x4xi8, "ram">, memref<31xi8, "ram">, memref<1x2xi32, "ram">) -> ()
  return
}

// -----

func.func @dilated_window_around_a_map(%x: tensor<1x1x1x1xi8>) {
  // expected-error@+1 {{pads of rows are 1 and 1 with a kernel of 2: a window must hold an element}}
  %y = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 1>, strides = array<i64: 1, 1>, pads = array<i64: 1, 0, 1, 0>, dilations = array<i64: 2, 1>} : (tensor<1x1x1x1xi8>) -> tensor<1x1x1x1xi8>
  return
}
