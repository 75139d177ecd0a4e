// RUN: not htvm-opt %s -p choose-kernels --target=rv32 2>&1 | FileCheck %s

// CHECK: choose_kernels_invalid.mlir:[[#@LINE+1]]:50: error: options 'constants' is -3 : i64, expected bytes (an i64 of at least 0) or a factor (f64 above 0)
module attributes {accel.options = #accel.options<constants = -3 : i64>} {
}
