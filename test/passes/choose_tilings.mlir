// RUN: htvm-opt %s -p order-layers,choose-tilings --target=%S/targets/tiny_npu.py --split-input-file | FileCheck %s
// RUN: htvm-opt %s -p order-layers,choose-tilings,choose-tilings --target=%S/targets/tiny_npu.py --split-input-file | FileCheck %s

// A map that one layer makes and the next one reads stays in L1; what others see passes through.
// CHECK-LABEL: @stays
func.func @stays(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
  %w = arith.constant dense<1> : tensor<16x16x1x1xi8>
  // CHECK: accel.conv2d %arg0
  // CHECK-SAME: accel.memory = "l1"
  // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 16, rows = 8, columns = 8, loads = true, outputs_first = true>
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  // CHECK: accel.conv2d
  // CHECK-NOT: accel.memory
  // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 16, rows = 8, columns = 8, stores = true, outputs_first = true>
  %z = accel.conv2d %y, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x16x1x1xi8>) -> tensor<1x16x8x8xi8>
  return %z : tensor<1x16x8x8xi8>
}

// -----

// The host reads a map that stays: a transfer engine copies it out. A transposition of nothing is that copy.
// CHECK-LABEL: @copy_for_the_host
func.func @copy_for_the_host(%x: tensor<1x4x8x8xi8>) -> (tensor<1x4x8x8xi8>, tensor<1x4x4x4xi8>) {
  // CHECK: %[[Y:.*]] = accel.add
  // CHECK-SAME: accel.memory = "l1"
  %y = accel.add %x, %x {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  // CHECK: %[[COPY:.*]] = accel.transfer %[[Y]] {engine = "store"}
  // CHECK-DAG: accel.add %[[Y]], %[[Y]]
  %z = accel.add %y, %y {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  // CHECK-DAG: accel.pool2d %[[COPY]]
  %p = accel.pool2d %y {engine = "host", kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x4x8x8xi8>) -> tensor<1x4x4x4xi8>
  return %z, %p : tensor<1x4x8x8xi8>, tensor<1x4x4x4xi8>
}

// -----

// 16 and 32 channels of 16 x 16 do not fit L1 beside each other: tiles pass through. The weights of 16 outputs fill most of
// their memory, so that a tile has no more.
// CHECK-LABEL: @in_tiles
func.func @in_tiles(%x: tensor<1x16x16x16xi8>) -> tensor<1x32x16x16xi8> {
  %w = arith.constant dense<1> : tensor<32x16x3x3xi8>
  // CHECK: accel.conv2d
  // CHECK-NOT: accel.memory
  // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 16, rows = {{[1-9]}}, {{.*}}loads = true, stores = true
  %y = accel.conv2d %x, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [8], min = -128, max = 127>} : (tensor<1x16x16x16xi8>, tensor<32x16x3x3xi8>) -> tensor<1x32x16x16xi8>
  return %y : tensor<1x32x16x16xi8>
}

// -----

// A map that stays is dense only along its outermost axis: the addition is cut by channels, though its other operand
// passes through and rows would be cheaper.
// CHECK-LABEL: @one_operand_stays
func.func @one_operand_stays(%x: tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8> {
  // CHECK: accel.add
  // CHECK-SAME: accel.memory = "l1"
  %y = accel.add %x, %x {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8>
  // CHECK: accel.add
  // CHECK-SAME: outputs = 16, rows = 8, columns = 8, loads = true, stores = true, outputs_first = true
  %z = accel.add %y, %x {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8>
  return %z : tensor<1x32x8x8xi8>
}

// -----

// Two maps that stay fill L1, and the third finds no room: it goes back to the host's memory.
// CHECK-LABEL: @too_much_for_all
func.func @too_much_for_all(%x: tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8> {
  // CHECK-COUNT-1: accel.memory = "l1"
  // CHECK-NOT: accel.memory
  %a = accel.add %x, %x {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8>
  %b = accel.add %a, %a {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8>
  %c = accel.add %a, %b {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x32x8x8xi8>, tensor<1x32x8x8xi8>) -> tensor<1x32x8x8xi8>
  return %c : tensor<1x32x8x8xi8>
}

// -----

// A tiling that is there already stays, and is predicted.
// CHECK-LABEL: @pinned
func.func @pinned(%x: tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8> {
  // CHECK: accel.predicted = #accel.predicted<cycles = {{[0-9]+}}, bound = {{[0-9]+}}>
  // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 3, rows = 7, columns = 5, buffers = 2, loads = true, stores = true>
  %y = accel.add %x, %x {engine = "npu", accel.tiling = #accel.tiling<outputs = 3, rows = 7, columns = 5, buffers = 2, loads = true, stores = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x4x8x8xi8>, tensor<1x4x8x8xi8>) -> tensor<1x4x8x8xi8>
  return %y : tensor<1x4x8x8xi8>
}

// -----

// HTVM's way: nothing stays, one command at a time, one channel of a depthwise layer at a time.
// CHECK-LABEL: @as_htvm
module attributes {accel.options = #accel.options<mapping = htvm>} {
  func.func @as_htvm(%x: tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8> {
    %w = arith.constant dense<1> : tensor<16x1x3x3xi8>
    // CHECK: accel.add
    // CHECK-NOT: accel.memory
    // CHECK-SAME: accel.tiling = #accel.tiling<outputs = 16, rows = 8, columns = 8, loads = true, stores = true, outputs_first = true, blocking = true>
    %y = accel.add %x, %x {engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8>
    // CHECK: accel.conv2d
    // CHECK-SAME: accel.tiling = #accel.tiling<{{.*}}launch_outputs = 1, loads = true, {{.*}}blocking = true
    %z = accel.conv2d %y, %w {engine = "npu", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 16, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (tensor<1x16x8x8xi8>, tensor<16x1x3x3xi8>) -> tensor<1x16x8x8xi8>
    return %z : tensor<1x16x8x8xi8>
  }
}
