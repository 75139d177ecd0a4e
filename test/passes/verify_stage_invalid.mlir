// RUN: not htvm-opt %s -p 'verify-stage{stage=imported}' --split-input-file 2>&1 | FileCheck %s --check-prefix=IMPORTED
// RUN: not htvm-opt %s -p 'verify-stage{stage=integer}' --split-input-file 2>&1 | FileCheck %s --check-prefix=INTEGER
// RUN: not htvm-opt %s -p 'verify-stage{stage=scheduled}' --split-input-file 2>&1 | FileCheck %s --check-prefix=SCHEDULED
// RUN: not htvm-opt %s -p 'verify-stage{stage=planned}' --split-input-file 2>&1 | FileCheck %s --check-prefix=PLANNED
// RUN: not htvm-opt %s -p 'verify-stage{stage=done}' 2>&1 | FileCheck %s --check-prefix=STAGE

// STAGE: pass 'verify-stage': unknown stage 'done'; stages are imported, integer, dispatched, scheduled, tiled, planned

// IMPORTED: verify_stage_invalid.mlir:[[#@LINE+2]]:8: error: stage 'imported': 'accel.relu' has elements i8, expected a quantised type or f32
func.func @integer_too_early(%x: tensor<4xi8>) -> tensor<4xi8> {
  %y = accel.relu %x : (tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

// IMPORTED: error: stage 'imported': argument 1 of 'no_elements' is a 'i32', expected a tensor of at least one element
// IMPORTED: error: stage 'imported': 'accel.relu' has a value of 'tensor<0xf32>', expected a tensor of at least one element
// SCHEDULED: error: stage 'scheduled': argument 1 of 'no_elements' is a 'i32', expected a tensor of at least one element
func.func @no_elements(%x: tensor<0x!quant.uniform<i8:f32, 0.5>>, %n: i32) -> tensor<0xf32> {
  %y = accel.relu %x : (tensor<0x!quant.uniform<i8:f32, 0.5>>) -> tensor<0xf32>
  return %y : tensor<0xf32>
}

// -----

// IMPORTED: error: stage 'imported': argument 0 of 'no_scale' has elements f32, expected a quantised type
// IMPORTED: error: stage 'imported': 'accel.relu' has elements stored as i4, expected i8, i16, i32
func.func @no_scale(%r: tensor<4xf32>, %x: tensor<4x!quant.uniform<i4:f32, 0.5>>) -> tensor<4xf32> {
  %y = accel.relu %x : (tensor<4x!quant.uniform<i4:f32, 0.5>>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// IMPORTED: error: stage 'imported': found 'arith.addi', expected layers and arith.constant, quant.scast, func.return
// SCHEDULED: error: stage 'scheduled': found 'arith.addi', expected layers and arith.constant, func.return
// PLANNED: error: stage 'planned': found 'arith.addi', expected layers and accel.buffer, memref.get_global, memref.subview, memref.reinterpret_cast, accel.step, func.return
func.func @other_operation(%x: tensor<4xi8> {accel.name = "x"}) -> tensor<4xi8> {
  %y = arith.addi %x, %x : tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

// SCHEDULED: error: stage 'scheduled': 'accel.relu' is left, expected integer layers only
// SCHEDULED: error: stage 'scheduled': 'accel.add' has elements f32, expected i8, ui8, i16, ui16, i32
func.func @real(%x: tensor<4xi8>, %r: tensor<4xf32>) -> tensor<4xi8> {
  %y = accel.relu %x : (tensor<4xi8>) -> tensor<4xi8>
  %z = accel.add %y, %r : (tensor<4xi8>, tensor<4xf32>) -> tensor<4xi8>
  return %z : tensor<4xi8>
}

// -----

// An accumulator has 32 bits: what a narrower result would be, nobody has said.
// INTEGER: error: stage 'integer': 'accel.matmul' without requant has a result of i8, expected i32
func.func @narrow_sums(%a: tensor<2x4xi8>, %b: tensor<4x2xi8>) -> tensor<2x2xi8> {
  %y = accel.matmul %a, %b : (tensor<2x4xi8>, tensor<4x2xi8>) -> tensor<2x2xi8>
  return %y : tensor<2x2xi8>
}

// -----

// SCHEDULED: error: stage 'scheduled': 'accel.add' has no engine, expected dispatch-engines to have named one
func.func @no_engine(%x: tensor<4xi8>) -> tensor<4xi8> {
  %y = accel.add %x, %x : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// SCHEDULED: error: stage 'scheduled': 'accel.add' has a value of {{.*}}, expected a permutation of its axes
// SCHEDULED: error: stage 'scheduled': 'accel.reshape' has a value of {{.*}}, expected it to be row-major
func.func @layouts(%x: tensor<1x2x2x2xi8, #nhwc>) -> tensor<8xi8> {
  %s = accel.add %x, %x {engine = "host"} : (tensor<1x2x2x2xi8, #nhwc>, tensor<1x2x2x2xi8, #nhwc>) -> tensor<1x2x2x2xi8, "sideways">
  %y = accel.reshape %x {engine = "host"} : (tensor<1x2x2x2xi8, #nhwc>) -> tensor<8xi8>
  return %y : tensor<8xi8>
}

// -----

// SCHEDULED: error: stage 'scheduled': accel.order of 'main' is missing, expected #accel.optimality<optimal> or <bounded>
func.func @main(%x: tensor<4xi8> {accel.name = "x"}) -> tensor<4xi8> {
  return %x : tensor<4xi8>
}

// -----

// PLANNED: error: stage 'planned': argument 0 of 'tensor_left' is a 'tensor<4xi8>', expected a memref in a named memory
// PLANNED: error: stage 'planned': 'func.return' has a value of 'tensor<4xi8>', expected a memref in a named memory
func.func @tensor_left(%x: tensor<4xi8>) -> tensor<4xi8> attributes {accel.order = #accel.optimality<optimal>} {
  return %x : tensor<4xi8>
}

// -----

// PLANNED: error: stage 'planned': 'x' at ram 2 to 6 begins at no multiple of 4
// PLANNED: error: stage 'planned': 'y' at ram 8 to 12 ends beyond the arena, which has 8 bytes
// PLANNED: error: stage 'planned': a value of 'memref<4xi8, "ram">' has no offset, expected plan-memory to have given one
module attributes {accel.arena = {ram = 8 : i64}, accel.lower_bound = {ram = 8 : i64}, accel.capacity = {ram = 8 : i64}} {
  func.func @offsets(%x: memref<4xi8, "ram"> {accel.name = "x", accel.offset = 2 : i64},
                     %y: memref<4xi8, "ram"> {accel.name = "y", accel.offset = 8 : i64, accel.result}) attributes {accel.order = #accel.optimality<optimal>} {
    %a = accel.buffer "a" : memref<4xi8, "ram">
    return
  }
}

// -----

// An addition may work in place, a transposition may not; nobody may write in place of an argument.
// PLANNED: error: stage 'planned': node 'turn' reads 'a' at ram 16 to 32, overwritten by node 'turn' with 'b' at ram 16 to 32
// PLANNED: error: stage 'planned': node 'sum' reads 'x' at ram 0 to 16, overwritten by node 'sum' with 'c' at ram 0 to 16
// PLANNED: error: stage 'planned': node 'late' reads 'a' at ram 16 to 32, overwritten by node 'turn' with 'b' at ram 16 to 32
// PLANNED: error: stage 'planned': node 'late' reads 'z' at ram 64 to 80, which nothing has written
// PLANNED: error: stage 'planned': the caller reads 'y' at ram 32 to 48, overwritten by node 'end' with 'e' at ram 40 to 56
module attributes {accel.arena = {ram = 80 : i64}, accel.lower_bound = {ram = 80 : i64}, accel.capacity = {ram = 80 : i64}} {
  func.func @memory(%x: memref<4x4xi8, "ram"> {accel.name = "x", accel.offset = 0 : i64},
                    %y: memref<4x4xi8, "ram"> {accel.name = "y", accel.offset = 32 : i64, accel.result}) attributes {accel.order = #accel.optimality<optimal>} {
    %z = accel.buffer "z" at 64 : memref<4x4xi8, "ram">
    %a = accel.buffer "a" at 16 : memref<4x4xi8, "ram">
    accel.transpose %x into %a {engine = "host", permutation = array<i64: 1, 0>} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> () loc("begin")
    %b = accel.buffer "b" at 16 : memref<4x4xi8, "ram">
    accel.transpose %a into %b {engine = "host", permutation = array<i64: 1, 0>} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> () loc("turn")
    %c = accel.buffer "c" at 0 : memref<4x4xi8, "ram">
    accel.add %x, %b into %c {engine = "host"} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> () loc("sum")
    %d = accel.buffer "d" at 0 : memref<4x4xi8, "ram">
    accel.add %c, %b into %d {engine = "host"} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> () loc("in place")
    accel.add %a, %z into %y {engine = "host"} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> () loc("late")
    %e = accel.buffer "e" at 40 : memref<4x4xi8, "ram">
    accel.transpose %d into %e {engine = "host", permutation = array<i64: 1, 0>} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> () loc("end")
    return
  }
}

// -----

// Sums that a job adds to must still be there: those of another one lie where they were.
// PLANNED: error: stage 'planned': node 'part 2' reads 's' at acc 0 to 64, overwritten by node 'other' with 'o' at acc 32 to 96
module attributes {accel.arena = {acc = 128 : i64}, accel.lower_bound = {acc = 112 : i64}, accel.capacity = {acc = 128 : i64}} {
  func.func @sums(%x: memref<1x16xi8, "acc"> {accel.name = "x", accel.offset = 96 : i64},
                  %y: memref<1x16xi8, "acc"> {accel.name = "y", accel.offset = 112 : i64, accel.result}) attributes {accel.order = #accel.optimality<optimal>} {
    %s = accel.buffer "s" at 0 : memref<64xi8, "acc">
    %o = accel.buffer "o" at 32 : memref<64xi8, "acc">
    accel.step "npu" {
      %0 = accel.launch "npu" %x sums %s into %y {job = #accel.job<kind = dense, channels = 16, outputs = 16, size = [1, 1], out_size = [1, 1], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], keeps = true>} : (memref<1x16xi8, "acc">, memref<1x16xi8, "acc">, memref<64xi8, "acc">) -> !accel.token loc("part 1")
      accel.wait %0
      %1 = accel.launch "npu" %x sums %o into %y {job = #accel.job<kind = dense, channels = 16, outputs = 16, size = [1, 1], out_size = [1, 1], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]>} : (memref<1x16xi8, "acc">, memref<1x16xi8, "acc">, memref<64xi8, "acc">) -> !accel.token loc("other")
      accel.wait %1
      %2 = accel.launch "npu" %x sums %s into %y {job = #accel.job<kind = dense, channels = 16, outputs = 16, size = [1, 1], out_size = [1, 1], kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], adds = true>} : (memref<1x16xi8, "acc">, memref<1x16xi8, "acc">, memref<64xi8, "acc">) -> !accel.token loc("part 2")
      accel.wait %2
      accel.yield
    }
    return
  }
}

// -----

// PLANNED: error: stage 'planned': the arena of 'ram' has 8 bytes, expected from 4 (its lower bound) to 4 (its capacity)
module attributes {accel.arena = {ram = 8 : i64}, accel.lower_bound = {ram = 4 : i64}, accel.capacity = {ram = 4 : i64}} {
  func.func @does_not_fit(%x: memref<4xi8, "ram"> {accel.offset = 0 : i64}) attributes {accel.order = #accel.optimality<optimal>} {
    return
  }
}

// -----

// Commands are in steps, and nothing else is but loops and what computes their offsets.
// PLANNED: error: stage 'planned': found 'accel.copy' in no step, expected it in an 'accel.step'
// PLANNED: error: stage 'planned': found 'arith.addi' in a step, expected layers, commands and memref.subview, memref.reinterpret_cast, scf.for, scf.yield, affine.apply, arith.constant, accel.ready, accel.yield
// PLANNED: error: stage 'planned': a step has several layers of the host, expected one at most
module {
  func.func @steps(%x: memref<4x4xi8, "ram"> {accel.offset = 0 : i64}, %y: memref<4x4xi8, "l1"> {accel.offset = 0 : i64, accel.result}) attributes {accel.order = #accel.optimality<optimal>} {
    %t = accel.copy %x to %y : memref<4x4xi8, "ram"> to memref<4x4xi8, "l1">
    accel.step {
      %c = arith.constant 1 : index
      %d = arith.addi %c, %c : index
      accel.wait %t
      accel.yield
    }
    accel.step {
      accel.transpose %x into %x {engine = "host", permutation = array<i64: 1, 0>} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> ()
      accel.transpose %x into %x {engine = "host", permutation = array<i64: 1, 0>} : (memref<4x4xi8, "ram">, memref<4x4xi8, "ram">) -> ()
      accel.yield
    }
    return
  }
}
