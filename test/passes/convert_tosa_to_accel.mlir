// RUN: htvm-opt %s -p convert-tosa-to-accel,canonicalize-layers --split-input-file | FileCheck %s

// A convolution takes in its rescale and its clamp. Maps have their channels first; the bias is in the offset.
// CHECK-LABEL: @conv_rescale_clamp
// CHECK-SAME: %[[X:.*]]: tensor<1x4x4x2xi8> {accel.interface = "int8", accel.name = "arg0", accel.range = array<i64: -128, 127>}
// CHECK: %[[FIRST:.*]] = accel.transpose %[[X]] {accel.inner, permutation = array<i64: 0, 3, 1, 2>}
// CHECK: %[[Y:.*]] = accel.conv2d %[[FIRST]]
// CHECK-SAME: accel.channels_first
// CHECK-SAME: pad_value = -3 : i64, pads = array<i64: 1, 0, 1, 2>
// CHECK-SAME: min = -10, max = 60
// CHECK: accel.transpose %[[Y]] {accel.inner, permutation = array<i64: 0, 2, 3, 1>}
func.func @conv_rescale_clamp(%x: tensor<1x4x4x2xi8>) -> tensor<1x4x4x3xi8> {
  %w = "tosa.const"() <{values = dense<2> : tensor<3x3x3x2xi8>}> : () -> tensor<3x3x3x2xi8>
  %b = "tosa.const"() <{values = dense<100> : tensor<3xi32>}> : () -> tensor<3xi32>
  %xz = "tosa.const"() <{values = dense<-3> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z8 = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z32 = "tosa.const"() <{values = dense<0> : tensor<1xi32>}> : () -> tensor<1xi32>
  %m = "tosa.const"() <{values = dense<1073741824> : tensor<1xi32>}> : () -> tensor<1xi32>
  %s = "tosa.const"() <{values = dense<36> : tensor<1xi8>}> : () -> tensor<1xi8>
  %0 = tosa.conv2d %x, %w, %b, %xz, %z8 {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 0, 2>, stride = array<i64: 1, 1>} : (tensor<1x4x4x2xi8>, tensor<3x3x3x2xi8>, tensor<3xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x4x4x3xi32>
  %1 = tosa.rescale %0, %m, %s, %z32, %z8 {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = DOUBLE_ROUND, scale32 = true} : (tensor<1x4x4x3xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x4x4x3xi8>
  %2 = tosa.clamp %1 {min_val = -10 : i8, max_val = 60 : i8} : (tensor<1x4x4x3xi8>) -> tensor<1x4x4x3xi8>
  return %2 : tensor<1x4x4x3xi8>
}

// -----

// No cheap constants round these results twice, below 0 and above: the rounding is written down. The layer is a row.
// CHECK-LABEL: @matrix_rounds_twice
// CHECK: accel.dense
// CHECK-SAME: accel.channels_first, requant = #accel.requant<multiplier = [1610612737], offset = [-700, -1350], shift = [34], zero_point = 5, min = -128, max = 127, double_round = true>, zero_point = 7
func.func @matrix_rounds_twice(%x: tensor<1x1x1x100xi8>) -> tensor<1x1x1x2xi8> {
  %w = "tosa.const"() <{values = dense<1> : tensor<2x1x1x100xi8>}> : () -> tensor<2x1x1x100xi8>
  %b = "tosa.const"() <{values = dense<[0, -650]> : tensor<2xi32>}> : () -> tensor<2xi32>
  %xz = "tosa.const"() <{values = dense<7> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z8 = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %yz = "tosa.const"() <{values = dense<5> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z32 = "tosa.const"() <{values = dense<0> : tensor<1xi32>}> : () -> tensor<1xi32>
  %m = "tosa.const"() <{values = dense<1610612737> : tensor<1xi32>}> : () -> tensor<1xi32>
  %s = "tosa.const"() <{values = dense<34> : tensor<1xi8>}> : () -> tensor<1xi8>
  %0 = tosa.conv2d %x, %w, %b, %xz, %z8 {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x1x1x100xi8>, tensor<2x1x1x100xi8>, tensor<2xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x1x1x2xi32>
  %1 = tosa.rescale %0, %m, %s, %z32, %yz {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = DOUBLE_ROUND, scale32 = true} : (tensor<1x1x1x2xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x1x1x2xi8>
  return %1 : tensor<1x1x1x2xi8>
}

// -----

// A function of one value is a table, however many operations it has.
// CHECK-LABEL: @chain_is_a_table
// CHECK: %[[TABLE:.*]] = arith.constant dense<{{.*}}> : tensor<256xi8>
// CHECK: accel.lookup %arg0, %[[TABLE]] {lowest = -128 : i64} : (tensor<1x8xi8>, tensor<256xi8>) -> tensor<1x8xi8>
// CHECK-NEXT: return
func.func @chain_is_a_table(%x: tensor<1x8xi8>) -> tensor<1x8xi8> {
  %m = "tosa.const"() <{values = dense<1073741824> : tensor<1xi32>}> : () -> tensor<1xi32>
  %s = "tosa.const"() <{values = dense<30> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z8 = "tosa.const"() <{values = dense<3> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z32 = "tosa.const"() <{values = dense<0> : tensor<1xi32>}> : () -> tensor<1xi32>
  %0 = tosa.rescale %x, %m, %s, %z8, %z32 {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true} : (tensor<1x8xi8>, tensor<1xi32>, tensor<1xi8>, tensor<1xi8>, tensor<1xi32>) -> tensor<1x8xi32>
  %1 = tosa.abs %0 : (tensor<1x8xi32>) -> tensor<1x8xi32>
  %2 = tosa.cast %1 : (tensor<1x8xi32>) -> tensor<1x8xi8>
  return %2 : tensor<1x8xi8>
}

// -----

// What no layer computes is a function of its own: both branches come together in it, so that it has one result.
// CHECK-LABEL: func.func private @branches_rescale(
// CHECK-SAME: %[[IN:.*]]: tensor<1x8xi8>) -> tensor<1x8xi8>
// CHECK: tosa.rescale %[[IN]]
// CHECK: tosa.reduce_max
// CHECK: tosa.sub
// CHECK-LABEL: func.func @branches(
// CHECK: accel.call @branches_rescale(%arg0) : (tensor<1x8xi8>) -> tensor<1x8xi8>
func.func @branches(%x: tensor<1x8xi8>) -> tensor<1x8xi8> {
  %m = "tosa.const"() <{values = dense<1073741824> : tensor<1xi32>}> : () -> tensor<1xi32>
  %s = "tosa.const"() <{values = dense<30> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z8 = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z32 = "tosa.const"() <{values = dense<0> : tensor<1xi32>}> : () -> tensor<1xi32>
  %0 = tosa.rescale %x, %m, %s, %z8, %z32 {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true} : (tensor<1x8xi8>, tensor<1xi32>, tensor<1xi8>, tensor<1xi8>, tensor<1xi32>) -> tensor<1x8xi32>
  %1 = tosa.reduce_max %0 {axis = 1 : i32} : (tensor<1x8xi32>) -> tensor<1x1xi32>
  %2 = tosa.sub %0, %1 : (tensor<1x8xi32>, tensor<1x1xi32>) -> tensor<1x8xi32>
  %3 = tosa.rescale %2, %m, %s, %z32, %z8 {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true} : (tensor<1x8xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x8xi8>
  return %3 : tensor<1x8xi8>
}

// -----

// A pad with the zero point and a slice that no window misses are in the convolution.
// CHECK-LABEL: @pad_and_slice_are_taken_in
// CHECK-NOT: accel.pad
// CHECK-NOT: accel.take
// CHECK: accel.conv2d
// CHECK-SAME: pads = array<i64: 1, 0, 0, 0>, strides = array<i64: 2, 2>
func.func @pad_and_slice_are_taken_in(%x: tensor<1x6x6x1xi8>) -> tensor<1x3x3x1xi32> {
  %start = tosa.const_shape {values = dense<0> : tensor<4xindex>} : () -> !tosa.shape<4>
  %size = tosa.const_shape {values = dense<[1, 5, 6, 1]> : tensor<4xindex>} : () -> !tosa.shape<4>
  %amounts = tosa.const_shape {values = dense<[0, 0, 1, 0, 0, 0, 0, 0]> : tensor<8xindex>} : () -> !tosa.shape<8>
  %xz = "tosa.const"() <{values = dense<9> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z8 = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %w = "tosa.const"() <{values = dense<1> : tensor<1x2x2x1xi8>}> : () -> tensor<1x2x2x1xi8>
  %b = "tosa.const"() <{values = dense<0> : tensor<1xi32>}> : () -> tensor<1xi32>
  %0 = tosa.slice %x, %start, %size : (tensor<1x6x6x1xi8>, !tosa.shape<4>, !tosa.shape<4>) -> tensor<1x5x6x1xi8>
  %1 = tosa.pad %0, %amounts, %xz : (tensor<1x5x6x1xi8>, !tosa.shape<8>, tensor<1xi8>) -> tensor<1x6x6x1xi8>
  %2 = tosa.conv2d %1, %w, %b, %xz, %z8 {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x6x6x1xi8>, tensor<1x2x2x1xi8>, tensor<1xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x3x3x1xi32>
  return %2 : tensor<1x3x3x1xi32>
}

// -----

// Arguments and results have the names that TensorFlow's converters write; a name of their own counts more.
// CHECK-LABEL: @names_of_tensorflow
// CHECK-SAME: accel.name = "image"
// CHECK-SAME: accel.name = "mine"
// CHECK-SAME: accel.name = "score"
func.func @names_of_tensorflow(%x: tensor<4xi8>, %y: tensor<4xi8> {accel.name = "mine"}) -> tensor<4xi8>
    attributes {tf.entry_function = {inputs = "image,mask", outputs = "score"}} {
  %0 = tosa.maximum %x, %y : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return %0 : tensor<4xi8>
}

// -----

// An expression of one value whose constants differ along an axis is a table for each index of that.
// CHECK-LABEL: @expression_is_a_table_by_channel
// CHECK: %[[TABLE:.*]] = arith.constant {{.*}} : tensor<2x256xi8>
// CHECK: accel.lookup %{{.*}}, %[[TABLE]] {axis = 1 : i64, lowest = -128 : i64}
func.func @expression_is_a_table_by_channel(%x: tensor<3x2xi8>) -> tensor<3x2xi8> {
  %c = "tosa.const"() <{values = dense<[[5, -9]]> : tensor<1x2xi32>}> : () -> tensor<1x2xi32>
  %0 = tosa.cast %x : (tensor<3x2xi8>) -> tensor<3x2xi32>
  %1 = tosa.add %0, %c : (tensor<3x2xi32>, tensor<1x2xi32>) -> tensor<3x2xi32>
  %2 = tosa.clamp %1 {min_val = -100 : i32, max_val = 100 : i32} : (tensor<3x2xi32>) -> tensor<3x2xi32>
  %3 = tosa.cast %2 : (tensor<3x2xi32>) -> tensor<3x2xi8>
  return %3 : tensor<3x2xi8>
}

// -----

// Operations of other dialects are called too; what they read within them comes along, constants as copies.
// CHECK-LABEL: func.func private @other_dialects_clamp
// CHECK: linalg.generic
// CHECK: tosa.clamp
// CHECK-LABEL: func.func @other_dialects
// CHECK: accel.call @other_dialects_clamp
func.func @other_dialects(%x: tensor<4xi32>) -> tensor<4xi32> {
  %c3 = arith.constant 3 : i32
  %e = tensor.empty() : tensor<4xi32>
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xi32>) outs(%e : tensor<4xi32>) {
  ^bb0(%a: i32, %b: i32):
    %s = arith.addi %a, %c3 : i32
    linalg.yield %s : i32
  } -> tensor<4xi32>
  %1 = tosa.clamp %0 {min_val = -5 : i32, max_val = 9 : i32} : (tensor<4xi32>) -> tensor<4xi32>
  return %1 : tensor<4xi32>
}
