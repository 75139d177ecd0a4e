// RUN: not htvm-opt %s 2>&1 | FileCheck %s --check-prefix=WHOLE
// RUN: not htvm-opt %s --split-input-file 2>&1 | FileCheck %s --check-prefix=SPLIT
// RUN: htvm-opt %s --split-input-file --verify-diagnostics

// Nothing is printed of a file with an error; of a split one, the parts without.

func.func @wrong(%x: tensor<4xf32>) {
  // WHOLE: htvm_opt_errors.mlir:[[#@LINE+6]]:8: error: 'accel.relu' op result has shape 5, expected 4
  // WHOLE-NEXT: %0 = accel.relu
  // WHOLE-NEXT: {{^       \^}}
  // WHOLE-NEXT: note: see current operation
  // SPLIT: htvm_opt_errors.mlir:[[#@LINE+2]]:8: error: 'accel.relu' op result has shape 5, expected 4
  // expected-error@+1 {{result has shape 5, expected 4}}
  %0 = accel.relu %x : (tensor<4xf32>) -> tensor<5xf32>
  return
}
// WHOLE-NOT: func.func

// -----

func.func @also_wrong(%x: tensor<4xf32>) {
  // SPLIT: htvm_opt_errors.mlir:[[#@LINE+2]]:8: error: 'accel.relu' op result has shape 6, expected 4
  // expected-error@below {{result has shape 6}}
  %0 = accel.relu %x : (tensor<4xf32>) -> tensor<6xf32>
  return
}

// -----

// SPLIT: func.func @right
func.func @right(%x: tensor<4xf32>) {
  return
}
