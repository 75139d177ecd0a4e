// RUN: htvm-opt %s | FileCheck %s

// What version 0.1 wrote is read, and written as it is now: words in quotes, jobs and pins as dictionaries, options as
// four attributes of the module.

!q = !quant.uniform<i8:f32, 5.000000e-01:3>

// CHECK: module attributes {accel.options = #accel.options<objective = memory, requant = pow2, mapping = htvm, constants = 300 : i64>
// CHECK-SAME: accel.plan = [#accel.pin<node = "a", op = "add", number = 2, engine = "npu", tiling = <outputs = 16, rows = 4, columns = 4, buffers = 2, stores = true>>]
module attributes {accel.objective = "memory", accel.requant = "pow2", accel.mapping = "htvm", accel.constants = 300 : i64,
                   accel.plan = [{node = "a", op = "add", number = 2 : i64, engine = "npu", tiling = {outputs = 16 : i64, rows = 4 : i64, columns = 4 : i64, buffers = 2 : i64, stores}}]} {
  // CHECK: accel.rounding = #accel.rounding<floor>
  // CHECK: accel.order = #accel.optimality<optimal>, accel.placement = #accel.optimality<bounded>
  func.func @words(%x: tensor<1x4x6x6x!q> {accel.name = "x", accel.rounding = "floor"}) -> tensor<1x4x3x3xf32> attributes {accel.order = "optimal", accel.placement = "bounded"} {
    // CHECK: accel.pool2d %{{.*}} {accel.inserted = #accel.inserted<purpose = refit_scales, before = !quant.uniform<i8:f32, 5.000000e-01:3>, after = !quant.uniform<i8:f32, 2.500000e-01>>, {{.*}}kind = #accel.pool_kind<average>
    // CHECK-SAME: rounding = #accel.rounding<half_even>
    // CHECK-NOT: accel.refitted_scales
    // CHECK: accel.unary tanh
    %0 = accel.pool2d %x {kind = "average", kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, rounding = "half_even", accel.inserted = "refit_scales",
                          accel.refitted_scales = [!q, !quant.uniform<i8:f32, 2.500000e-01>]} : (tensor<1x4x6x6x!q>) -> tensor<1x4x3x3xf32>
    %1 = accel.unary "tanh" %0 : (tensor<1x4x3x3xf32>) -> tensor<1x4x3x3xf32>
    return %1 : tensor<1x4x3x3xf32>
  }

  // CHECK: kernel = #accel.kernel<row>
  func.func @kernel(%x: tensor<1x4xi8>, %w: tensor<2x4xi8>) -> tensor<1x2xi32> {
    %0 = "accel.dense"(%x, %w) <{kernel = "row", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0>}> : (tensor<1x4xi8>, tensor<2x4xi8>) -> tensor<1x2xi32>
    return %0 : tensor<1x2xi32>
  }

  // What a job left out is as it was: a clip of 8 bits; a converter's fields are those of a "matvec".
  func.func @jobs(%x: memref<1x4x8x8xi8, "l1">, %y: memref<1x4x8x8xi8, "l1">) {
    // CHECK: job = #accel.job<kind = conv2d, channels = 4, outputs = 4, size = [8, 8], out_size = [8, 8], kernel = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1], layout = nhwc, own = {high = 127 : i64, low = 0 : i64, shift = 4 : i64}>
    %0 = accel.launch "npu" %x into %y {job = {kind = "conv2d", channels = 4 : i64, outputs = 4 : i64, size = array<i64: 8, 8>, out_size = array<i64: 8, 8>, kernel = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>, shift = 4 : i64, low = 0 : i64, layout = "nhwc"}} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">) -> !accel.token
    // CHECK: job = #accel.job<kind = matvec, {{.*}}own = {code_high = 31 : i64, code_low = -32 : i64, high = 127 : i64, low = -128 : i64, rescale_shift = 0 : i64, shift = 0 : i64}>
    %1 = accel.launch "npu" %x into %y {job = {kind = "matvec", channels = 4 : i64, outputs = 4 : i64, size = array<i64: 8, 8>, out_size = array<i64: 8, 8>, code_low = -32 : i64, code_high = 31 : i64}} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">) -> !accel.token
    return
  }
}
