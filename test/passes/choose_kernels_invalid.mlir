// RUN: not htvm-opt %s -p choose-kernels --target=rv32 2>&1 | FileCheck %s

// CHECK: choose_kernels_invalid.mlir:[[#@LINE+1]]:1: error: accel.constants is "size", expected a factor (f64) or bytes (i64)
module attributes {accel.constants = "size"} {
}
