// RUN: not htvm-opt %s -p choose-kernels --target=rv32 2>&1 | FileCheck %s

// CHECK: choose_kernels_invalid.mlir:[[#@LINE+1]]:1: error: accel.optimize is 'size', expected one of memory, speed
module attributes {accel.optimize = "size"} {
}
