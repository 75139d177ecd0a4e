// RUN: htvm-opt %s --split-input-file --verify-diagnostics

// What the verifiers of jobs, options, pins and inserted layers say.

func.func @job_of_another_size(%x: memref<1x4x8x8xi8, "l1">) {
  // expected-error@+1 {{job 'out_size' has 8 rows, expected 6, which its size, kernel, strides and pads give}}
  %0 = accel.launch "npu" %x into %x {job = #accel.job<kind = conv2d, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]>} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">) -> !accel.token
  return
}

// -----

func.func @job_with_some_groups(%x: memref<1x4x8x8xi8, "l1">) {
  // expected-error@+1 {{job 'groups' is 2 with 4 channels and 4 outputs, expected 1, or all three the same}}
  %0 = accel.launch "npu" %x into %x {job = #accel.job<kind = conv2d, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], groups = 2>} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">) -> !accel.token
  return
}

// -----

func.func @field_that_is_a_word(%x: memref<1x4x8x8xi8, "l1">) {
  // expected-error@+1 {{job field 'shift' is "four", expected an i64}}
  %0 = accel.launch "npu" %x into %x {job = #accel.job<kind = add, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {shift = "four"}>} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">) -> !accel.token
  return
}

// -----

func.func @former_job_with_another_field(%x: memref<1x4x8x8xi8, "l1">) {
  // expected-error@+1 {{'accel.launch' has attributes of an earlier htvm that none wrote: job has 'gain', expected none but channels, outputs, size}}
  %0 = accel.launch "npu" %x into %x {job = {kind = "add", channels = 4 : i64, outputs = 4 : i64, size = array<i64: 8, 8>, out_size = array<i64: 8, 8>, gain = 3 : i64}} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">) -> !accel.token
  return
}

// -----

// expected-error@+1 {{expected one of [latency, energy, memory] for what tilings are chosen for, got: speed}} expected-error@+1 {{failed to parse Accel_OptionsAttr parameter 'objective'}}
module attributes {accel.options = #accel.options<objective = speed>} {}

// -----

// expected-error@+1 {{'accel.objective' of 'builtin.module' is "speed", expected "latency", "energy" or "memory"; #accel.options has it now}}
module attributes {accel.objective = "speed"} {}

// -----

// expected-error@+1 {{pin 'number' is 0, expected at least 1}}
module attributes {accel.plan = [#accel.pin<node = "conv1", op = "conv2d", number = 0>]} {}

// -----

func.func @inserted_without_scales(%x: tensor<4xi8>) -> tensor<4xi8> {
  // expected-error@+1 {{inserted for 'refit_scales' without 'before', expected it of 'refit_scales' alone}}
  %y = accel.reshape %x {accel.inserted = #accel.inserted<purpose = refit_scales>} : (tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

// expected-error@+1 {{'accel.interface' of argument 0 is "float7", expected an ONNX element type (a string), such as "float32"}}
func.func @unknown_element_type(%x: tensor<4xi8> {accel.interface = "float7"}) {
  return
}

// -----

func.func @rounds_twice_and_tells_ties(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) -> tensor<1x2xi8> {
  // expected-error@+1 {{requant has 'double_round' beside 'tie_below', expected it alone}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [3], offset = [0], shift = [34], tie_below = 1, min = -128, max = 127, double_round = true>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return %y : tensor<1x2xi8>
}

// -----

func.func @rounds_twice_without_a_shift(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) -> tensor<1x2xi8> {
  // expected-error@+1 {{requant 'shift' holds 0, expected 1 to 62}}
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [3], offset = [0], shift = [0], min = -128, max = 127, double_round = true>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return %y : tensor<1x2xi8>
}

// -----

func.func @calls_nothing(%x: tensor<4xi8>) -> tensor<4xi8> {
  // expected-error@+1 {{'accel.call' op calls 'missing', expected a function of this module that has a body}}
  %y = accel.call @missing(%x) : (tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

func.func private @body(%x: tensor<4xi8>, %z: tensor<4xi8>) -> tensor<4xi8> {
  return %x : tensor<4xi8>
}
func.func @calls_with_too_few(%x: tensor<4xi8>) -> tensor<4xi8> {
  // expected-error@+1 {{has 1 inputs, 'body' has 3 arguments and results, expected one for each input, and one for the output}}
  %y = accel.call @body(%x) : (tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

func.func private @body(%x: tensor<8xi8>) -> tensor<4xi8> {
  %y = tensor.extract_slice %x[0] [4] [1] : tensor<8xi8> to tensor<4xi8>
  return %y : tensor<4xi8>
}
func.func @calls_with_another_shape(%x: tensor<4xi8>) -> tensor<4xi8> {
  // expected-error@+1 {{value 0 is 'tensor<4xi8>', 'body' has 'tensor<8xi8>'}}
  %y = accel.call @body(%x) : (tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}
