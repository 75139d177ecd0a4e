// RUN: htvm-opt %s -p tile-layers --target=%S/targets/tiny_npu.py --split-input-file | FileCheck %s

// One tile: weights and input are fetched, then the job runs, then its result is copied out. Nobody reads the weights
// of the layer any more: they are packed, 16 lanes for each of 4 inputs, then 64 bytes of biases.
// CHECK-NOT: @w
// CHECK: memref.global "private" constant @one_packed : memref<128xi8, "ram">
// CHECK-NOT: @w
// CHECK-LABEL: @one_tile
memref.global "private" constant @w : memref<4x4x1x1xi8, "ram"> = dense<1>
func.func @one_tile(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<4x4x1x1xi8, "ram">
  // CHECK-DAG: %[[IN:.*]] = accel.buffer "one input" : memref<256xi8, "l1">
  // CHECK-DAG: %[[OUT:.*]] = accel.buffer "one output" : memref<256xi8, "l1">
  // CHECK-DAG: %[[WEIGHTS:.*]] = accel.buffer "one weights" : memref<128xi8, "weights">
  // CHECK: accel.step "npu" attributes {accel.macs = 1024
  // CHECK-SAME: accel.op = "accel.conv2d", accel.predicted = #accel.predicted<cycles = 2, bound = 1>, accel.shape = array<i64: 1, 4, 8, 8>
  // CHECK: %[[T:.*]] = accel.copy %{{.*}} to %[[WEIGHTS]]
  // CHECK: %[[IN_MAP:.*]] = memref.reinterpret_cast %[[IN]] to offset: [0], sizes: [1, 4, 8, 8]
  // CHECK: %[[U:.*]] = accel.copy %arg0 to %[[IN_MAP]]
  // CHECK-SAME: engine = "load"
  // A transfer engine does its copies in order: the wait for the second is one for both.
  // CHECK-NEXT: accel.wait %[[U]]
  // CHECK-NOT: accel.wait %[[T]]
  // CHECK: %[[V:.*]] = accel.launch "npu" %{{.*}} weights %[[WEIGHTS]] into
  // CHECK-SAME: job = #accel.job<kind = conv2d, channels = 4, outputs = 4, size = [1, 64], out_size = [1, 64], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 4 : i64}>
  // CHECK: accel.wait %[[V]]
  // CHECK: %[[S:.*]] = accel.copy %{{.*}} to %arg1
  // CHECK: accel.wait %[[S]]
  // CHECK-NOT: accel.conv2d %
  accel.conv2d %x, %w into %y {engine = "npu", accel.predicted = #accel.predicted<cycles = 2, bound = 1>, accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, loads = true, stores = true, outputs_first = true>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<4x4x1x1xi8, "ram">, memref<1x4x8x8xi8, "ram">) -> () loc("one")
  return
}

// -----

// Two tiles of 4 rows, two buffers: the second tile's input, rows 3 to 7 with the row that both read, is fetched
// while the first is computed, and the first's result is copied out while the second is. Padding is only at the border.
// CHECK-LABEL: @two_tiles
memref.global "private" constant @w : memref<4x4x3x3xi8, "ram"> = dense<1>
func.func @two_tiles(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<4x4x3x3xi8, "ram">
  // CHECK-COUNT-2: accel.buffer "two input" : memref<160xi8, "l1">
  // CHECK-COUNT-2: accel.buffer "two output" : memref<128xi8, "l1">
  // CHECK: memref.subview %arg0[0, 0, 0, 0] [1, 4, 5, 8]
  // CHECK: %[[A:.*]] = accel.launch "npu"
  // CHECK-SAME: pads = [1, 1, 0, 1]
  // CHECK: memref.subview %arg0[0, 0, 3, 0] [1, 4, 5, 8]
  // CHECK-NEXT: memref.reinterpret_cast
  // CHECK-NEXT: %[[LOAD:.*]] = accel.copy
  // CHECK-DAG: accel.wait %[[LOAD]]
  // CHECK-DAG: accel.wait %[[A]]
  // CHECK: %[[B:.*]] = accel.launch "npu"
  // CHECK-SAME: pads = [0, 1, 1, 1]
  // CHECK: memref.subview %arg1[0, 0, 0, 0] [1, 4, 4, 8]
  // CHECK-NEXT: %[[STORE:.*]] = accel.copy
  // CHECK: accel.wait %[[B]]
  // CHECK: memref.subview %arg1[0, 0, 4, 0] [1, 4, 4, 8]
  accel.conv2d %x, %w into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 4, columns = 8, buffers = 2, loads = true, stores = true, outputs_first = true>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<4x4x3x3xi8, "ram">, memref<1x4x8x8xi8, "ram">) -> () loc("two")
  return
}

// -----

// A map that stays: the next layer reads it where it is, as soon as the first job has ended. The host's layer between
// them works meanwhile.
// CHECK-LABEL: @stays
func.func @stays(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}, %z: memref<1x4x4x4xi8, "ram"> {accel.result}) {
  // CHECK: %[[A:.*]] = accel.buffer "first" : memref<1x4x8x8xi8, "l1">
  %a = accel.buffer "first" : memref<1x4x8x8xi8, "l1">
  // CHECK: %[[T:.*]] = accel.step "npu"
  // CHECK: %[[L:.*]] = accel.launch "npu" {{.*}} into %[[A]]
  // CHECK-NEXT: accel.yield %[[L]]
  accel.add %x, %x into %a {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, loads = true, outputs_first = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "l1">) -> () loc("first")
  // CHECK: accel.step {
  // CHECK-NEXT: accel.pool2d %arg0 into %arg2
  accel.pool2d %x into %z {engine = "host", kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x4x4xi8, "ram">) -> () loc("pool")
  // CHECK-NEXT: accel.wait %[[T]]
  // CHECK: accel.launch "npu" %[[A]], %[[A]] into
  accel.add %a, %a into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, stores = true, outputs_first = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "ram">) -> () loc("second")
  return
}

// -----

// A layer of a transfer engine is one copy. The host reads what it brings: it waits.
// CHECK-LABEL: @copy
func.func @copy(%x: memref<1x4x8x8xi8, "ram">, %z: memref<1x4x4x4xi8, "ram"> {accel.result}) {
  %a = accel.buffer "sum" : memref<1x4x8x8xi8, "l1">
  accel.add %x, %x into %a {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, loads = true, outputs_first = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "l1">) -> () loc("sum")
  %b = accel.buffer "copy" : memref<1x4x8x8xi8, "ram">
  // CHECK: %[[T:.*]] = accel.launch
  // CHECK: accel.wait %[[T]]
  // CHECK-NEXT: %[[C:.*]] = accel.copy %{{.*}} to %[[B:.*]] {engine = "store"} : memref<1x4x8x8xi8, "l1"> to memref<1x4x8x8xi8, "ram">
  // CHECK-NEXT: accel.wait %[[C]]
  // CHECK: accel.step {
  // CHECK-NEXT: accel.pool2d %[[B]]
  accel.transfer %a into %b {engine = "store"} : (memref<1x4x8x8xi8, "l1">, memref<1x4x8x8xi8, "ram">) -> () loc("copy")
  accel.pool2d %b into %z {engine = "host", kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x4x4xi8, "ram">) -> () loc("pool")
  return
}

// -----

// The weights of three parts, of which their memory holds two, are fetched for both rows, into two buffers in turn. The
// third part waits until the first has been used.
// CHECK-LABEL: @weights_return
memref.global "private" constant @w : memref<48x100x1x1xi8, "ram"> = dense<1>
func.func @weights_return(%x: memref<1x100x2x8xi8, "ram">, %y: memref<1x48x2x8xi8, "ram"> {accel.result}) {
  %w = memref.get_global @w : memref<48x100x1x1xi8, "ram">
  // CHECK: %[[A:.*]] = accel.buffer "back weights" : memref<1664xi8, "weights">
  // CHECK: %[[B:.*]] = accel.buffer "back weights" : memref<1664xi8, "weights">
  // CHECK: accel.copy %{{.*}} to %[[A]]
  // CHECK: accel.copy %{{.*}} to %[[B]]
  // CHECK: %[[T:.*]] = accel.launch "npu" %{{.*}} weights %[[A]]
  // CHECK-NEXT: accel.wait %[[T]]
  // CHECK-NEXT: memref.subview
  // CHECK-NEXT: accel.copy %{{.*}} to %[[A]]
  // CHECK: accel.launch "npu" %{{.*}} weights %[[B]]
  // CHECK: accel.copy %{{.*}} to %[[B]]
  // CHECK: accel.launch "npu" %{{.*}} weights %[[A]]
  // CHECK-COUNT-3: accel.launch "npu"
  accel.conv2d %x, %w into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 16, rows = 1, columns = 8, buffers = 2, weight_buffers = 2, loads = true, stores = true>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, requant = #accel.requant<multiplier = [1], offset = [0], shift = [8], min = -128, max = 127>} : (memref<1x100x2x8xi8, "ram">, memref<48x100x1x1xi8, "ram">, memref<1x48x2x8xi8, "ram">) -> () loc("back")
  return
}

// -----

// HTVM's way: the host waits for every command.
// CHECK-LABEL: @blocking
func.func @blocking(%x: memref<1x4x8x8xi8, "ram">, %y: memref<1x4x8x8xi8, "ram"> {accel.result}) {
  // CHECK: %[[A:.*]] = accel.copy
  // CHECK-NEXT: accel.wait %[[A]]
  // CHECK: %[[B:.*]] = accel.copy
  // CHECK-NEXT: accel.wait %[[B]]
  // CHECK: %[[C:.*]] = accel.launch
  // CHECK-NEXT: accel.wait %[[C]]
  // CHECK: %[[D:.*]] = accel.copy
  // CHECK-NEXT: accel.wait %[[D]]
  // CHECK-NEXT: accel.yield
  accel.add %x, %x into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 8, columns = 8, loads = true, stores = true, outputs_first = true, blocking = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">, memref<1x4x8x8xi8, "ram">) -> () loc("sum")
  return
}

// -----

// Buffers of 1,200 bytes, of which L1 holds three: the first result is sent, and has left, before the second job needs
// room for its own. With more room it would be sent beside that job.
// CHECK-LABEL: @sent_for_its_room
func.func @sent_for_its_room(%x: memref<1x16x1x75xi8, "ram">, %y: memref<1x16x1x75xi8, "ram"> {accel.result}, %z: memref<1x16x1x75xi8, "ram"> {accel.result}) {
  // CHECK: %[[OUT:.*]] = accel.buffer "first output"
  // CHECK: accel.launch "npu"
  // CHECK: memref.reinterpret_cast %[[OUT]]
  // CHECK-NEXT: %[[SENT:.*]] = accel.copy %{{.*}} to %arg1
  // CHECK-NEXT: accel.wait %[[SENT]]
  // CHECK: accel.launch "npu"
  accel.add %x, %x into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 16, rows = 1, columns = 75, loads = true, stores = true, outputs_first = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x16x1x75xi8, "ram">, memref<1x16x1x75xi8, "ram">, memref<1x16x1x75xi8, "ram">) -> () loc("first")
  accel.add %x, %x into %z {engine = "npu", accel.tiling = #accel.tiling<outputs = 16, rows = 1, columns = 75, loads = true, stores = true, outputs_first = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x16x1x75xi8, "ram">, memref<1x16x1x75xi8, "ram">, memref<1x16x1x75xi8, "ram">) -> () loc("second")
  return
}

// -----

// 300 tiles of a row each: what repeats is a loop, of two tiles since two buffers take turns. The first tile is in front
// of it, the last behind it.
// CHECK-LABEL: @many_tiles
func.func @many_tiles(%x: memref<1x4x300x8xi8, "ram">, %y: memref<1x4x300x8xi8, "ram"> {accel.result}) {
  // CHECK: %[[A:.*]] = accel.buffer "rows input"
  // CHECK: %[[B:.*]] = accel.buffer "rows input"
  // CHECK: accel.step "npu"
  // CHECK: accel.launch "npu"
  // CHECK: scf.for %[[I:.*]] = %c0{{.*}} to %c149
  // CHECK: accel.launch "npu"
  // CHECK: affine.apply #{{.*}}(%[[I]])
  // CHECK: accel.launch "npu"
  // CHECK-NOT: accel.launch
  // CHECK: {{^ *}}}
  // CHECK: accel.launch "npu"
  // CHECK: accel.yield
  accel.add %x, %x into %y {engine = "npu", accel.tiling = #accel.tiling<outputs = 4, rows = 1, columns = 8, buffers = 2, loads = true, stores = true, outputs_first = true>, requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>} : (memref<1x4x300x8xi8, "ram">, memref<1x4x300x8xi8, "ram">, memref<1x4x300x8xi8, "ram">) -> () loc("rows")
  return
}
