// RUN: htvm-opt %s --split-input-file --verify-diagnostics
// RUN: sed 's/, expected/, wanted/' %s > %t.mlir && not htvm-opt %t.mlir --split-input-file --verify-diagnostics 2>&1 | FileCheck %s

// In `-re`, what is in inner braces is a regular expression, and the rest stands for itself.
func.func @wrong(%x: tensor<4xf32>) {
  // CHECK: error: expected error did not come: result has shape
  // expected-error-re@+1 {{result has shape {{[0-9]+}}, expected {{4|5}}}}
  %0 = accel.relu %x : (tensor<4xf32>) -> tensor<5xf32>
  return
}
