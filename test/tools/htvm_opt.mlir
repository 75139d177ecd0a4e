// RUN: htvm-opt %s -p canonicalize,cse | FileCheck %s --check-prefix=BOTH
// RUN: htvm-opt %s -p canonicalize -p cse | FileCheck %s --check-prefix=BOTH
// RUN: htvm-opt %s --pass-pipeline='builtin.module(canonicalize,func.func(cse))' | FileCheck %s --check-prefix=BOTH
// RUN: htvm-opt < %s -p cse -o %t && FileCheck %s --check-prefix=BOTH < %t
// RUN: htvm-opt %s -p cse --mlir-print-ir-before-all --mlir-print-ir-after-all -o /dev/null 2>&1 | FileCheck %s --check-prefix=DUMP
// RUN: htvm-opt %s -p fuse-epilogues --print-ir-after-all -o /dev/null 2>&1 | FileCheck %s --check-prefix=OWN
// RUN: htvm-opt %s -p canonicalize,fuse-epilogues,cse --print-ir-before=cse --print-ir-after=fuse-epilogues -o /dev/null 2>&1 | FileCheck %s --check-prefix=SOME
// RUN: htvm-opt %s --mlir-print-debuginfo | FileCheck %s --check-prefix=NAMES
// RUN: htvm-opt %s --mlir-elide-elementsattrs-if-larger=2 | FileCheck %s --check-prefix=ELIDED

// BOTH: accel.relu
// BOTH-NOT: accel.relu
// DUMP: IR Dump Before CSE
// DUMP: IR Dump After CSE
// OWN: IR Dump After fuse-epilogues
// SOME-NOT: IR Dump
// SOME: IR Dump After fuse-epilogues
// SOME: IR Dump Before cse
// SOME-NOT: IR Dump
// NAMES: loc("relu0")
// ELIDED: dense_resource<__elided__>
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %0 = accel.relu %x : (tensor<4xf32>) -> tensor<4xf32> loc("relu0")
  %1 = accel.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %2 = accel.add %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = accel.add %2, %c : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %3 : tensor<4xf32>
}
