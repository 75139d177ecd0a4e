// RUN: not htvm-opt %s -p pin-layers --split-input-file 2>&1 | FileCheck %s

// CHECK: error: the plan has an entry for conv2d 'sum', but no such layer is there; layers are sum
module attributes {accel.plan = [#accel.pin<node = "sum", op = "conv2d", engine = "host">]} {
  func.func @another_operation(%x: tensor<1x16xi8>) -> tensor<1x16xi8> {
    %0 = accel.add %x, %x : (tensor<1x16xi8>, tensor<1x16xi8>) -> tensor<1x16xi8> loc("sum")
    return %0 : tensor<1x16xi8>
  }
}

// -----

// CHECK: error: the plan has an entry for add 'sum', number 2, but no such layer is there; layers are sum
module attributes {accel.plan = [#accel.pin<node = "sum", op = "add", number = 2, engine = "host">]} {
  func.func @only_one(%x: tensor<1x16xi8>) -> tensor<1x16xi8> {
    %0 = accel.add %x, %x : (tensor<1x16xi8>, tensor<1x16xi8>) -> tensor<1x16xi8> loc("sum")
    return %0 : tensor<1x16xi8>
  }
}
