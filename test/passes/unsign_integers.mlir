// RUN: htvm-opt %s -p unsign-integers --target=gap9 | FileCheck %s
// RUN: htvm-opt %s -p unsign-integers --target=diana | FileCheck %s --check-prefix=SIGNED

// An accelerator that reads unsigned bytes only: maps between convolutions are 128 more, from the input on.
// CHECK-LABEL: @maps_lose_their_sign
// SIGNED-LABEL: @maps_lose_their_sign
// SIGNED-NOT: ui8
func.func @maps_lose_their_sign(%x: tensor<1x2x4x4xi8>) -> tensor<1x1x4x4xi8> {
  %w = arith.constant dense<[[[[3]], [[-1]]], [[[5]], [[0]]]]> : tensor<2x2x1x1xi8>
  %v = arith.constant dense<1> : tensor<1x2x1x1xi8>
  // CHECK: %[[TABLE:.*]] = arith.constant dense<"0x000102
  // CHECK: %[[X:.*]] = accel.lookup %{{.*}}, %[[TABLE]] {accel.inner, lowest = -128 : i64}
  // CHECK-SAME: -> tensor<1x2x4x4xui8>
  // CHECK: %[[Y:.*]] = accel.conv2d %[[X]]
  // CHECK-SAME: accel.unsigned
  // CHECK-SAME: pad_value = 124
  // 7 - 128 * (3 - 1), 9 - 128 * 5
  // CHECK-SAME: offset = [-249, -631]
  // CHECK-SAME: zero_point = 131, min = 0, max = 255
  // CHECK-SAME: -> tensor<1x2x4x4xui8>
  %y = accel.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>,
      groups = 1 : i64, pad_value = -4 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [7, 9],
      shift = [35], zero_point = 3, min = -128, max = 127, narrow = true>}
      : (tensor<1x2x4x4xi8>, tensor<2x2x1x1xi8>) -> tensor<1x2x4x4xi8>
  // What the network returns keeps its sign.
  // CHECK: accel.conv2d %[[Y]]
  // CHECK-SAME: min = -128, max = 127
  // CHECK-SAME: -> tensor<1x1x4x4xi8>
  %z = accel.conv2d %y, %v {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>,
      groups = 1 : i64, pad_value = 3 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0],
      shift = [35], min = -128, max = 127, narrow = true>}
      : (tensor<1x2x4x4xi8>, tensor<1x2x1x1xi8>) -> tensor<1x1x4x4xi8>
  return %z : tensor<1x1x4x4xi8>
}

// A map that a convolution and the caller read: the caller's is looked up.
// CHECK-LABEL: @result_is_read_as_well
func.func @result_is_read_as_well(%a: tensor<1x1x4x4xi8>) -> (tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>) {
  %v = arith.constant dense<1> : tensor<1x1x1x1xi8>
  // CHECK: %[[SUM:.*]] = accel.add
  // CHECK-SAME: offset = [128], shift = [0], min = 0, max = 255, narrow = true
  // CHECK-SAME: (tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xui8>
  // CHECK: %[[BACK:.*]] = accel.lookup %[[SUM]], %{{.*}} {accel.inner, lowest = 0 : i64}
  %y = accel.add %a, %a {requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [0], min = -128, max = 127,
      narrow = true>} : (tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi8>
  // CHECK: %[[Z:.*]] = accel.conv2d %[[SUM]]
  %z = accel.conv2d %y, %v {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>,
      groups = 1 : i64, pad_value = 0 : i64, requant = #accel.requant<multiplier = [1073741824], offset = [0],
      shift = [35], min = -128, max = 127, narrow = true>}
      : (tensor<1x1x4x4xi8>, tensor<1x1x1x1xi8>) -> tensor<1x1x4x4xi8>
  // CHECK: return %[[BACK]], %[[Z]]
  return %y, %z : tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>
}
