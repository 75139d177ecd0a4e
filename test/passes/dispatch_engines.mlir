// RUN: htvm-opt %s -p dispatch-engines --target=rv32 | FileCheck %s
// RUN: htvm-opt %s -p dispatch-engines,dispatch-engines --target=rv32 | FileCheck %s

// The host runs every layer.
// CHECK-LABEL: @host_runs_it
func.func @host_runs_it(%a: tensor<1x16xi8>, %b: tensor<1x16xi8>) -> tensor<1x16xi8> {
  // CHECK: accel.add
  // CHECK-SAME: engine = "host"
  %y = accel.add %a, %b : (tensor<1x16xi8>, tensor<1x16xi8>) -> tensor<1x16xi8>
  return %y : tensor<1x16xi8>
}

// A choice that was made before stays, if the engine agrees.
// CHECK-LABEL: @pinned
func.func @pinned(%x: tensor<1x16xi8>) -> tensor<4x4xi8> {
  // CHECK: accel.reshape
  // CHECK-SAME: engine = "host"
  %y = accel.reshape %x {engine = "host"} : (tensor<1x16xi8>) -> tensor<4x4xi8>
  return %y : tensor<4x4xi8>
}
