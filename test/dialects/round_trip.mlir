// RUN: htvm-opt %s -o %t.once
// RUN: htvm-opt %t.once -o %t.twice && diff %t.once %t.twice
// RUN: htvm-opt %s --mlir-print-op-generic | htvm-opt -o %t.generic && diff %t.once %t.generic
// RUN: mlir-opt --load-dialect-plugin=%plugin %s | htvm-opt -o %t.stock && diff %t.once %t.stock
// RUN: FileCheck %s < %t.once

// Every operation is read back as it is printed, by htvm-opt and by stock mlir-opt, in each of its forms.

!q = !quant.uniform<i8:f32, 5.000000e-01:3>
#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// CHECK-LABEL: @quantize
func.func @quantize(%x: tensor<4xf32>) -> tensor<4x!q> {
  // CHECK: accel.quantize %{{.*}} {rounding = #accel.rounding<floor>} : (tensor<4xf32>) -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  %y = accel.quantize %x {rounding = #accel.rounding<floor>} : (tensor<4xf32>) -> tensor<4x!q>
  return %y : tensor<4x!q>
}

// CHECK-LABEL: @conv2d
func.func @conv2d(%x: tensor<1x4x6x6x!q>, %w: tensor<8x2x3x3x!q>, %b: tensor<8xf32>) -> tensor<1x8x6x6xf32> {
  // CHECK: accel.conv2d %{{.*}}, %{{.*}} bias %{{.*}} {dilations = array<i64: 1, 1>, groups = 2 : i64, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>} : (
  %y = accel.conv2d %x, %w bias %b {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x4x6x6x!q>, tensor<8x2x3x3x!q>, tensor<8xf32>) -> tensor<1x8x6x6xf32>
  return %y : tensor<1x8x6x6xf32>
}

// CHECK-LABEL: @conv2d_with_a_converter
func.func @conv2d_with_a_converter(%x: tensor<1x4x6x6xi8>, %w: tensor<2x4x1x1xi8>) -> tensor<1x2x6x6xi8> {
  // CHECK: accel.conv2d %{{.*}}, %{{.*}} {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 0, 0, 0, 0>, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>, rescale = #accel.rescale<requant = <multiplier = [1], offset = [5, 6], shift = [1], min = -64, max = 63>, weights = [3, -3]>, strides = array<i64: 1, 1>} : (
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -32, max = 31>, rescale = #accel.rescale<requant = <multiplier = [1], offset = [5, 6], shift = [1], min = -64, max = 63>, weights = [3, -3]>} : (tensor<1x4x6x6xi8>, tensor<2x4x1x1xi8>) -> tensor<1x2x6x6xi8>
  return %y : tensor<1x2x6x6xi8>
}

// CHECK-LABEL: @dense_on_integers
func.func @dense_on_integers(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) -> tensor<1x2xi8> {
  // CHECK: accel.dense %{{.*}}, %{{.*}} {engine = "host", requant = #accel.requant<multiplier = [5], offset = [1, 2], shift = [40], min = -128, max = 127, narrow = true>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  %y = accel.dense %x, %w {engine = "host", requant = #accel.requant<multiplier = [5], offset = [1, 2], shift = [40], min = -128, max = 127, narrow = true>} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return %y : tensor<1x2xi8>
}

// CHECK-LABEL: @arithmetic
func.func @arithmetic(%a: tensor<2x3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
  // CHECK: accel.add %{{.*}}, %{{.*}} {offset = 2.500000e-01 : f64} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: accel.sub %{{.*}}, %{{.*}} : (
  // CHECK: accel.mul %{{.*}}, %{{.*}} {zero_points = array<i64: 1, -1>} : (
  // CHECK: accel.div %{{.*}}, %{{.*}} : (
  %0 = accel.add %a, %b {offset = 0.25 : f64} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %1 = accel.sub %0, %b : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %2 = accel.mul %1, %b {zero_points = array<i64: 1, -1>} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %3 = accel.div %2, %b : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %3 : tensor<2x3xf32>
}

// CHECK-LABEL: @functions_of_one_value
func.func @functions_of_one_value(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: accel.relu %{{.*}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: accel.clamp %{{.*}} {max = 6.000000e+00 : f64, min = 0.000000e+00 : f64} : (
  // CHECK: accel.sigmoid %{{.*}} : (
  // CHECK: accel.softmax %{{.*}} {axis = 1 : i64} : (
  %0 = accel.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = accel.clamp %0 {min = 0.0 : f64, max = 6.0 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = accel.sigmoid %1 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = accel.softmax %2 {axis = 1} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %3 : tensor<2x3xf32>
}

// CHECK-LABEL: @tables
func.func @tables(%x: tensor<1x4xi8>, %bytes: tensor<256xi8>, %powers: tensor<9xi64>) -> tensor<1x4xi8> {
  // CHECK: accel.lookup %{{.*}}, %{{.*}} {lowest = -128 : i64} : (tensor<1x4xi8>, tensor<256xi8>) -> tensor<1x4xi8>
  // CHECK: accel.softmax %{{.*}} table %{{.*}} {axis = 1 : i64, max = 127 : i64, min = -128 : i64, scale_multiplier = 1 : i64, scale_shift = 8 : i64, zero_point = -128 : i64} : (tensor<1x4xi8>, tensor<9xi64>) -> tensor<1x4xi8>
  %0 = accel.lookup %x, %bytes {lowest = -128} : (tensor<1x4xi8>, tensor<256xi8>) -> tensor<1x4xi8>
  %1 = accel.softmax %0 table %powers {axis = 1, scale_multiplier = 1, scale_shift = 8, zero_point = -128, min = -128, max = 127} : (tensor<1x4xi8>, tensor<9xi64>) -> tensor<1x4xi8>
  return %1 : tensor<1x4xi8>
}

// CHECK-LABEL: @pool2d_with_layout
func.func @pool2d_with_layout(%x: tensor<1x4x6x6xi8, #nhwc>) -> tensor<1x4x3x3xi8, #nhwc> {
  // CHECK: accel.pool2d %{{.*}} {count_include_pad = true, counts = array<i64: 4>, kernel = array<i64: 2, 2>, kind = #accel.pool_kind<average>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 2, 2>} : (tensor<1x4x6x6xi8, #{{.*}}>) -> tensor<1x4x3x3xi8, #{{.*}}>
  %y = accel.pool2d %x {kind = #accel.pool_kind<average>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, count_include_pad = true, counts = array<i64: 4>} : (tensor<1x4x6x6xi8, #nhwc>) -> tensor<1x4x3x3xi8, #nhwc>
  return %y : tensor<1x4x3x3xi8, #nhwc>
}

// CHECK-LABEL: @movement
func.func @movement(%x: tensor<2x3xi8>, %y: tensor<2x1xi8>) -> tensor<10xi8> {
  // CHECK: accel.concat %{{.*}}, %{{.*}} {axis = 1 : i64} : (tensor<2x3xi8>, tensor<2x1xi8>) -> tensor<2x4xi8>
  // CHECK: accel.pad %{{.*}} {high = array<i64: 0, 0>, low = array<i64: 0, 1>, value = -3.000000e+00 : f64} : (
  // CHECK: accel.transpose %{{.*}} {permutation = array<i64: 1, 0>} : (tensor<2x5xi8>) -> tensor<5x2xi8>
  // CHECK: accel.reshape %{{.*}} : (tensor<5x2xi8>) -> tensor<10xi8>
  %0 = accel.concat %x, %y {axis = 1} : (tensor<2x3xi8>, tensor<2x1xi8>) -> tensor<2x4xi8>
  %1 = accel.pad %0 {low = array<i64: 0, 1>, high = array<i64: 0, 0>, value = -3.0 : f64} : (tensor<2x4xi8>) -> tensor<2x5xi8>
  %2 = accel.transpose %1 {permutation = array<i64: 1, 0>} : (tensor<2x5xi8>) -> tensor<5x2xi8>
  %3 = accel.reshape %2 : (tensor<5x2xi8>) -> tensor<10xi8>
  return %3 : tensor<10xi8>
}

// CHECK-LABEL: @layout_and_memory
func.func @layout_and_memory(%x: tensor<1x2x3x4xi8>, %a: memref<4xi8, "l1">, %b: memref<4xi8, "ram">) -> tensor<1x2x3x4xi8> {
  // CHECK: accel.convert_layout %{{.*}} {engine = "host"} : (tensor<1x2x3x4xi8>) -> tensor<1x2x3x4xi8, #{{.*}}>
  // CHECK: accel.convert_layout
  // CHECK: accel.transfer %{{.*}} {engine = "store"} : (tensor<1x2x3x4xi8>) -> tensor<1x2x3x4xi8>
  // CHECK: accel.transfer %{{.*}} into %{{.*}} {engine = "store"} : (memref<4xi8, "l1">, memref<4xi8, "ram">) -> ()
  %0 = accel.convert_layout %x {engine = "host"} : (tensor<1x2x3x4xi8>) -> tensor<1x2x3x4xi8, affine_map<(n, c, h, w) -> (n, h, w, c)>>
  %1 = accel.convert_layout %0 {engine = "host"} : (tensor<1x2x3x4xi8, affine_map<(n, c, h, w) -> (n, h, w, c)>>) -> tensor<1x2x3x4xi8>
  %2 = accel.transfer %1 {engine = "store"} : (tensor<1x2x3x4xi8>) -> tensor<1x2x3x4xi8>
  accel.transfer %a into %b {engine = "store"} : (memref<4xi8, "l1">, memref<4xi8, "ram">) -> ()
  return %2 : tensor<1x2x3x4xi8>
}

// CHECK-LABEL: @on_memrefs
func.func @on_memrefs(%x: memref<1x4x2x2xi8, "ram">, %w: memref<4x4x1x1xi8, "ram">, %b: memref<4xi32, "ram">) {
  // CHECK: %[[ACC:.*]] = accel.buffer "acc" at 64 : memref<1x4x2x2xi32, strided<[16, 1, 8, 4]>, "ram">
  // CHECK: %[[Y:.*]] = accel.buffer "joined" : memref<1x8x2x2xi8, "ram">
  // CHECK: accel.conv2d %{{.*}}, %{{.*}} bias %{{.*}} into %[[ACC]] {
  // CHECK-SAME: : (memref<1x4x2x2xi8, "ram">, memref<4x4x1x1xi8, "ram">, memref<4xi32, "ram">, memref<1x4x2x2xi32, strided<[16, 1, 8, 4]>, "ram">) -> ()
  // CHECK: accel.concat %{{.*}}, %{{.*}} into %[[Y]] {axis = 1 : i64} : (memref<1x4x2x2xi8, "ram">, memref<1x4x2x2xi8, "ram">, memref<1x8x2x2xi8, "ram">) -> ()
  %acc = accel.buffer "acc" at 64 : memref<1x4x2x2xi32, strided<[16, 1, 8, 4]>, "ram">
  %y = accel.buffer "joined" : memref<1x8x2x2xi8, "ram">
  accel.conv2d %x, %w bias %b into %acc {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (memref<1x4x2x2xi8, "ram">, memref<4x4x1x1xi8, "ram">, memref<4xi32, "ram">, memref<1x4x2x2xi32, strided<[16, 1, 8, 4]>, "ram">) -> ()
  accel.concat %x, %x into %y {axis = 1} : (memref<1x4x2x2xi8, "ram">, memref<1x4x2x2xi8, "ram">, memref<1x8x2x2xi8, "ram">) -> ()
  return
}

// CHECK-LABEL: @scratch_memory
func.func @scratch_memory(%x: memref<1x4xi8, "ram">, %w: memref<2x4xi8, "ram">, %y: memref<1x2xi32, "ram">) {
  // CHECK: %[[S:.*]] = accel.buffer "scratch" : memref<32xi8, "ram">
  // CHECK: accel.dense %{{.*}}, %{{.*}} scratch %[[S]] into %{{.*}} {kernel = #accel.kernel<packed>, run = 4 : i64, scratch_bytes = 32 : i64} : (
  %s = accel.buffer "scratch" : memref<32xi8, "ram">
  accel.dense %x, %w scratch %s into %y {kernel = #accel.kernel<packed>, run = 4, scratch_bytes = 32} : (memref<1x4xi8, "ram">, memref<2x4xi8, "ram">, memref<32xi8, "ram">, memref<1x2xi32, "ram">) -> ()
  return
}

// CHECK-LABEL: @named_functions
func.func @named_functions(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: accel.unary tanh %{{.*}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: accel.unary hard_sigmoid %{{.*}} {alpha = 2.000000e-01 : f64, beta = 5.000000e-01 : f64} : (
  // CHECK: accel.maximum %{{.*}}, %{{.*}} : (
  // CHECK: accel.minimum %{{.*}}, %{{.*}} : (
  %0 = accel.unary tanh %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = accel.unary hard_sigmoid %0 {alpha = 0.2 : f64, beta = 0.5 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = accel.maximum %0, %1 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = accel.minimum %2, %1 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %3 : tensor<2x3xf32>
}

// CHECK-LABEL: @computed_matrices
func.func @computed_matrices(%a: tensor<2x1x4x3xi8>, %b: tensor<5x3x6xi8>) -> tensor<2x5x4x6xi32> {
  // CHECK: accel.matmul %{{.*}}, %{{.*}} {zero_points = array<i64: 3, -1>} : (tensor<2x1x4x3xi8>, tensor<5x3x6xi8>) -> tensor<2x5x4x6xi32>
  %y = accel.matmul %a, %b {zero_points = array<i64: 3, -1>} : (tensor<2x1x4x3xi8>, tensor<5x3x6xi8>) -> tensor<2x5x4x6xi32>
  return %y : tensor<2x5x4x6xi32>
}

// CHECK-LABEL: @windows
func.func @windows(%x: tensor<1x2x9x8xi8>) -> tensor<1x12x4x7xi8> {
  // CHECK: accel.windows %{{.*}} {kernel = array<i64: 3, 2>, strides = array<i64: 2, 1>} : (tensor<1x2x9x8xi8>) -> tensor<1x12x4x7xi8>
  %y = accel.windows %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 1>} : (tensor<1x2x9x8xi8>) -> tensor<1x12x4x7xi8>
  return %y : tensor<1x12x4x7xi8>
}

// CHECK-LABEL: @chosen_elements
func.func @chosen_elements(%x: tensor<2x4xi8>, %tables: tensor<2x256xi8>) -> (tensor<2x3xi8>, tensor<2x4xi8>, tensor<2x1xi32>) {
  // CHECK: accel.take %{{.*}} {indices = [array<i64>, array<i64: 3, 0, 0>]} : (tensor<2x4xi8>) -> tensor<2x3xi8>
  // CHECK: accel.lookup %{{.*}}, %{{.*}} {axis = 0 : i64, lowest = -128 : i64} : (
  // CHECK: accel.argmax %{{.*}} {axis = 1 : i64, last} : (tensor<2x4xi8>) -> tensor<2x1xi32>
  %0 = accel.take %x {indices = [array<i64>, array<i64: 3, 0, 0>]} : (tensor<2x4xi8>) -> tensor<2x3xi8>
  %1 = accel.lookup %x, %tables {axis = 0, lowest = -128} : (tensor<2x4xi8>, tensor<2x256xi8>) -> tensor<2x4xi8>
  %2 = accel.argmax %x {axis = 1, last} : (tensor<2x4xi8>) -> tensor<2x1xi32>
  return %0, %1, %2 : tensor<2x3xi8>, tensor<2x4xi8>, tensor<2x1xi32>
}

// CHECK-LABEL: @normalisation
func.func @normalisation(%x: tensor<2x4xf32>, %g: tensor<4xf32>, %h: tensor<4xf32>, %q: tensor<2x4xi8>, %f: tensor<4xi64>) -> tensor<2x4xi8> {
  // CHECK: accel.layer_norm %{{.*}} scale %{{.*}} bias %{{.*}} {epsilon = 1.000000e-01 : f64} : (
  // CHECK: accel.layer_norm %{{.*}} {epsilon = 1.000000e-01 : f64} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: accel.layer_norm %{{.*}} scale %{{.*}} bias %{{.*}} {half_step = 3 : i64, {{.*}}variance_offset = array<i64: 0, 7>, variance_scale = 5 : i64, zero_point = 0 : i64} : (tensor<2x4xi8>, tensor<4xi64>, tensor<4xi64>)
  %0 = accel.layer_norm %x scale %g bias %h {epsilon = 0.1 : f64} : (tensor<2x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %1 = accel.layer_norm %0 {epsilon = 0.1 : f64} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %2 = accel.layer_norm %q scale %f bias %f {half_step = 3, variance_scale = 5, variance_offset = array<i64: 0, 7>, shift = -2, zero_point = 0, min = -128, max = 127} : (tensor<2x4xi8>, tensor<4xi64>, tensor<4xi64>) -> tensor<2x4xi8>
  return %2 : tensor<2x4xi8>
}

// CHECK-LABEL: @threshold
func.func @threshold(%x: tensor<1x2x3xi32>, %s: tensor<2x4xi32>, %v: tensor<2x5xi8>) -> tensor<1x2x3xi8> {
  // CHECK: accel.threshold %{{.*}}, %{{.*}}, %{{.*}} {axis = 1 : i64} : (
  %y = accel.threshold %x, %s, %v {axis = 1} : (tensor<1x2x3xi32>, tensor<2x4xi32>, tensor<2x5xi8>) -> tensor<1x2x3xi8>
  return %y : tensor<1x2x3xi8>
}

// CHECK-LABEL: @weighted_sum
func.func @weighted_sum(%a: tensor<2x3xi32>, %b: tensor<3xi8>, %c: tensor<1x8xi64>) -> tensor<2x3xi8> {
  // CHECK: accel.weighted_sum %{{.*}}, %{{.*}} by %{{.*}} {even, max = 127 : i64, min = -128 : i64, zero_point = 3 : i64} : (
  %y = accel.weighted_sum %a, %b by %c {even, zero_point = 3, min = -128, max = 127} : (tensor<2x3xi32>, tensor<3xi8>, tensor<1x8xi64>) -> tensor<2x3xi8>
  return %y : tensor<2x3xi8>
}

// CHECK-LABEL: @accelerator
func.func @accelerator(%x: memref<1x4x8x8xi8, "l1">, %w: memref<640xi8, "weights">, %y: memref<1x4x8x8xi8, "l1">, %z: memref<1x4x8x8xi8, "ram">, %s: memref<256xi8, "l1">) {
  // CHECK: accel.launch "npu" %{{.*}} weights %{{.*}} into %{{.*}} {job = #accel.job<kind = conv2d, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1], groups = 4, layout = nhwc, own = {shift = 4 : i64}>} : (
  // CHECK: accel.launch "npu" %{{.*}} weights %{{.*}} sums %{{.*}} into
  // CHECK: accel.launch "adder" %{{.*}}, %{{.*}} into %{{.*}} {job = #accel.job<kind = add, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]>} : (
  // CHECK: accel.copy
  // CHECK: accel.wait
  %0 = accel.launch "npu" %x weights %w into %y {job = #accel.job<kind = conv2d, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1], groups = 4, layout = nhwc, own = {shift = 4 : i64}>} : (memref<1x4x8x8xi8, "l1">, memref<640xi8, "weights">, memref<1x4x8x8xi8, "l1">) -> !accel.token
  %5 = accel.launch "npu" %x weights %w sums %s into %y {job = #accel.job<kind = dense, channels = 4, outputs = 4, size = [1, 1], out_size = [1, 1], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]>} : (memref<1x4x8x8xi8, "l1">, memref<640xi8, "weights">, memref<1x4x8x8xi8, "l1">, memref<256xi8, "l1">) -> !accel.token
  %1 = accel.launch "adder" %x, %y into %y {job = #accel.job<kind = add, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]>} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">) -> !accel.token
  %2 = accel.copy %y to %z : memref<1x4x8x8xi8, "l1"> to memref<1x4x8x8xi8, "ram">
  accel.wait %2
  return
}

// A step holds commands or a layer, and gives the tokens that later ones wait for; loops carry them.
// CHECK-LABEL: @steps
func.func @steps(%x: memref<4x8xi8, "ram">, %y: memref<1x8xi8, "l1">) {
  // CHECK: %[[T:.*]]:2 = accel.step "npu" -> !accel.token, !accel.token attributes {accel.op = "accel.add"} {
  %t:2 = accel.step "npu" -> !accel.token, !accel.token attributes {accel.op = "accel.add"} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    // CHECK: %[[READY:.*]] = accel.ready
    %r = accel.ready
    // CHECK: scf.for {{.*}} iter_args(%[[BEFORE:.*]] = %[[READY]]) -> (!accel.token) {
    %last = scf.for %i = %c0 to %c4 step %c1 iter_args(%before = %r) -> (!accel.token) {
      // CHECK: accel.wait %[[BEFORE]]
      accel.wait %before
      %row = memref.subview %x[%i, 0] [1, 8] [1, 1] : memref<4x8xi8, "ram"> to memref<1x8xi8, strided<[8, 1], offset: ?>, "ram">
      // CHECK: accel.copy %{{.*}} to %{{.*}} {engine = "load"} :
      %c = accel.copy %row to %y {engine = "load"} : memref<1x8xi8, strided<[8, 1], offset: ?>, "ram"> to memref<1x8xi8, "l1">
      scf.yield %c : !accel.token
    }
    // CHECK: accel.yield %{{.*}}, %{{.*}}
    accel.yield %last, %r
  }
  // CHECK: accel.step {
  // CHECK-NEXT: accel.wait %[[T]]#0
  // CHECK-NEXT: accel.yield
  accel.step {
    accel.wait %t#0
    accel.yield
  }
  return
}

// CHECK-LABEL: @fused
func.func @fused(%x: tensor<1x4xi8>) -> tensor<4xi8> {
  // CHECK: accel.fused %{{.*}} {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<1x4xi8>):
  // CHECK-NEXT: %[[B:.*]] = accel.reshape %[[A]]
  // CHECK-NEXT: accel.output %[[B]] : tensor<4xi8>
  // CHECK-NEXT: } {engine = "npu"} : (tensor<1x4xi8>) -> tensor<4xi8>
  %y = accel.fused %x {
  ^bb0(%a: tensor<1x4xi8>):
    %b = accel.reshape %a : (tensor<1x4xi8>) -> tensor<4xi8>
    accel.output %b : tensor<4xi8>
  } {engine = "npu"} : (tensor<1x4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}

// CHECK-LABEL: module attributes
// CHECK-SAME: accel.options = #accel.options<objective = energy, requant = pow2, constants = 2.400000e+00 : f64>
// CHECK-SAME: accel.plan = [#accel.pin<node = "conv1", op = "conv2d", number = 2, engine = "npu", tiling = <outputs = 16, rows = 8, columns = 8, loads = true>>]
module attributes {accel.options = #accel.options<objective = energy, requant = pow2, mapping = default, constants = 2.4 : f64>,
                   accel.plan = [#accel.pin<node = "conv1", op = "conv2d", number = 2, engine = "npu", tiling = <outputs = 16, rows = 8, columns = 8, loads = true>>],
                   accel.arena = {ram = 64 : i64}, accel.arena_room = {ram = 64 : i64}, accel.descriptor_room = 64 : i64, accel.kernels = ["my_kernels.py"], accel.effort = 2 : i64, accel.capacity = {ram = 128 : i64}, accel.lower_bound = {ram = 64 : i64}, accel.peak = {ram = "conv1"}} {
  // CHECK: accel.rounding = #accel.rounding<floor>
  // CHECK: accel.order = #accel.optimality<optimal>, accel.order_bound = 64 : i64, accel.placement = #accel.optimality<bounded>
  func.func @notes(%x: tensor<4xi8> {accel.interface = "float32", accel.name = "x", accel.axis = 1 : i64, accel.nearest, accel.offset = 0 : i64, accel.offsets = array<f64: 0.0, 1.0>, accel.scales = array<f64: 0.5, 0.25>, accel.range = array<i64: -128, 127>, accel.rounding = #accel.rounding<floor>, accel.scale = 0.5 : f64, accel.zero_point = 3 : i64, accel.result}) -> tensor<4xi8>
      attributes {accel.order = #accel.optimality<optimal>, accel.order_bound = 64 : i64, accel.placement = #accel.optimality<bounded>} {
    // CHECK: accel.inserted = #accel.inserted<purpose = refit_scales, before = !quant.uniform<i8:f32, 5.000000e-01:3>, after = !quant.uniform<i8:f32, 5.000000e-01:3>>
    %y = accel.reshape %x {accel.data_bytes = 4 : i64, accel.inexact = #accel.inexact<count = 1, channel = 0, accumulator = 7>, accel.inner, accel.channels_first, accel.unsigned,
                           accel.inserted = #accel.inserted<purpose = refit_scales, before = !q, after = !q>, accel.macs = 0 : i64, accel.memory = "ram", accel.weights_memory = "flash", accel.instructions = 9 : i64, accel.host_kernel = "own_conv",
                           accel.again = #accel.tiling<outputs = 16, rows = 8, columns = 8>, accel.pinned_kernel = "few", accel.form = #accel.form<kind = rows_as_channels, outputs = 4, rows = 5>, accel.op = "accel.conv2d",
                           accel.predicted = #accel.predicted<cycles = 3, bound = 2>, accel.predicted_cycles = 3 : i64, accel.range = array<i64: 0, 1>, accel.shape = array<i64: 4>, accel.trail = array<i64: 16, 4>,
                           accel.tiling = #accel.tiling<outputs = 1, rows = 1, columns = 1>} : (tensor<4xi8>) -> tensor<4xi8>
    return %y : tensor<4xi8>
  }
}

// A function that layers call: on tensors, then on memory with what it needs beside its inputs and its output.
// CHECK-LABEL: @calls
func.func private @body(%x: tensor<4xi8>) -> tensor<4xi8> {
  return %x : tensor<4xi8>
}
func.func private @lowered(%x: memref<4xi8>, %y: memref<4xi8>, %0: memref<2xi32> {accel.offset = 8 : i64}, %1: memref<2xi8> {accel.constant = dense<[1, 2]> : tensor<2xi8>}) {
  return
}
func.func @calls(%x: tensor<4xi8>) -> tensor<4xi8> {
  // CHECK: accel.call @body(%{{.*}}) {engine = "host"} : (tensor<4xi8>) -> tensor<4xi8>
  %y = accel.call @body(%x) {engine = "host"} : (tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}
func.func @calls_on_memory(%x: memref<4xi8, "ram">, %s: memref<16xi8, "ram">, %y: memref<4xi8, "ram">) {
  // CHECK: accel.call @lowered(%{{.*}}) scratch %{{.*}} into %{{.*}} {scratch_bytes = 16 : i64} : (memref<4xi8, "ram">, memref<16xi8, "ram">, memref<4xi8, "ram">) -> ()
  accel.call @lowered(%x) scratch %s into %y {scratch_bytes = 16 : i64} : (memref<4xi8, "ram">, memref<16xi8, "ram">, memref<4xi8, "ram">) -> ()
  return
}

// CHECK-LABEL: @rounds_twice
func.func @rounds_twice(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) -> tensor<1x2xi8> {
  // CHECK: #accel.requant<multiplier = [1610612737], offset = [0], shift = [34], zero_point = 5, min = -128, max = 127, double_round = true>
  %y = accel.dense %x, %w {requant = #accel.requant<multiplier = [1610612737], offset = [0], shift = [34], zero_point = 5, min = -128, max = 127, double_round = true>, zero_point = 0 : i64} : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi8>
  return %y : tensor<1x2xi8>
}
