// RUN: not htvm-opt %s --verify-diagnostics 2>&1 | FileCheck %s

// What came and was not expected, and what was expected and did not come, each where it is written.
func.func @wrong(%x: tensor<4xf32>) {
  // CHECK: verify_diagnostics_invalid.mlir:[[#@LINE+1]]: error: expected error did not come: result has shape 6
  // expected-error@+2 {{result has shape 6}}
  // CHECK: verify_diagnostics_invalid.mlir:[[#@LINE+1]]: error: unexpected error: {{.*}}result has shape 5
  %0 = accel.relu %x : (tensor<4xf32>) -> tensor<5xf32>
  return
}
