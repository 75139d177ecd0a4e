// RUN: htvm-opt %s -p pin-layers | FileCheck %s

// A layer gets what the plan's entry for it has, and no other layer does.
module attributes {accel.plan = [#accel.pin<node = "sum", op = "add", engine = "host">,
                                 #accel.pin<node = "twice", op = "add", tiling = <outputs = 16, rows = 4, columns = 4>, again = <outputs = 8, rows = 4, columns = 4>>,
                                 #accel.pin<node = "sum", op = "add", number = 2, engine = "npu">]} {
  // CHECK-LABEL: @pinned
  func.func @pinned(%x: tensor<1x16x4x4xi8>) -> tensor<1x16x4x4xi8> {
    // CHECK: %[[SUM:.*]] = accel.add
    // CHECK-SAME: engine = "host"
    %0 = accel.add %x, %x : (tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>) -> tensor<1x16x4x4xi8> loc("sum")
    // CHECK: %[[TWICE:.*]] = accel.add %[[SUM]], %[[SUM]] {accel.again = #accel.tiling<outputs = 8, rows = 4, columns = 4>, accel.tiling = #accel.tiling<outputs = 16, rows = 4, columns = 4>}
    %1 = accel.add %0, %0 : (tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>) -> tensor<1x16x4x4xi8> loc("twice")
    // CHECK: accel.add %[[TWICE]], %[[TWICE]] : (
    %2 = accel.add %1, %1 : (tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>) -> tensor<1x16x4x4xi8> loc("free")
    // CHECK: accel.add {{.*}} {engine = "npu"}
    %3 = accel.add %2, %2 : (tensor<1x16x4x4xi8>, tensor<1x16x4x4xi8>) -> tensor<1x16x4x4xi8> loc("sum")
    return %3 : tensor<1x16x4x4xi8>
  }
}
