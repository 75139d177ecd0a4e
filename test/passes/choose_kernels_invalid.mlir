// RUN: not htvm-opt %s -p choose-kernels --target=rv32 2>&1 | FileCheck %s

// CHECK: choose_kernels_invalid.mlir:[[#@LINE+1]]:1: error: 'accel.constants' of 'builtin.module' is "size", expected bytes (an integer of at least 0) or a factor (f64 above 0)
module attributes {accel.constants = "size"} {
}
