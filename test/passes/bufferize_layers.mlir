// RUN: htvm-opt %s -p dispatch-engines,order-layers,bufferize-layers --target=rv32 --split-input-file | FileCheck %s

#nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>

// Constants are globals named after the first node that reads them, one for equal ones; layers write buffers, whose
// strides are the layout, or the result, which is the last argument.
// CHECK: memref.global "private" constant @stem_0_weights : memref<4x4x1x1xi8, "ram"> = dense<1>
// CHECK-NOT: memref.global
// CHECK-LABEL: @chain
// CHECK-SAME: %[[X:.*]]: memref<1x4x2x2xi8, "ram"> {accel.name = "in"}
// CHECK-SAME: %[[Y:.*]]: memref<1x4x2x2xi8, "ram"> {accel.interface = "int8", accel.name = "out", accel.result})
func.func @chain(%x: tensor<1x4x2x2xi8> {accel.name = "in"})
    -> (tensor<1x4x2x2xi8> {accel.name = "out", accel.interface = "int8"}) {
  %v = arith.constant dense<1> : tensor<4x4x1x1xi8>
  %w = arith.constant dense<1> : tensor<4x4x1x1xi8>
  // CHECK: %[[V:.*]] = memref.get_global @stem_0_weights
  // CHECK: %[[M:.*]] = accel.buffer "stem/0" : memref<1x4x2x2xi8, strided<[16, 1, 8, 4]>, "ram">
  // CHECK: accel.conv2d %[[X]], %[[V]] into %[[M]] {{.*}}engine = "host"
  // CHECK: %[[W:.*]] = memref.get_global @stem_0_weights
  // CHECK-NOT: accel.buffer
  // CHECK: accel.conv2d %[[M]], %[[W]] into %[[Y]]
  // CHECK: return{{$}}
  %m = accel.conv2d %x, %v {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x4x2x2xi8>, tensor<4x4x1x1xi8>) -> tensor<1x4x2x2xi8, #nhwc> loc(fused["stem/0", "stem/relu"])
  %y = accel.conv2d %m, %w {engine = "host", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x4x2x2xi8, #nhwc>, tensor<4x4x1x1xi8>) -> tensor<1x4x2x2xi8> loc("head")
  return %y : tensor<1x4x2x2xi8>
}

// -----

// Names that C cannot have, that are taken, or that are the same for two constants.
// CHECK-DAG: @node_1x1_weights : memref<2x2xi8, "ram"> = dense<1>
// CHECK-DAG: @node_1x1_weights_2 : memref<2x2xi8, "ram"> = dense<2>
// CHECK-DAG: @caf_table : memref<256xi8, "ram"> = dense<3>
func.func @names(%x: tensor<1x2xi8>) -> tensor<1x2xi8> {
  %v = arith.constant dense<1> : tensor<2x2xi8>
  %w = arith.constant dense<2> : tensor<2x2xi8>
  %t = arith.constant dense<3> : tensor<256xi8>
  %a = accel.dense %x, %v : (tensor<1x2xi8>, tensor<2x2xi8>) -> tensor<1x2xi8> loc("1x1")
  %b = accel.dense %a, %w : (tensor<1x2xi8>, tensor<2x2xi8>) -> tensor<1x2xi8> loc("1x1")
  %y = accel.lookup %b, %t {lowest = -128 : i64} : (tensor<1x2xi8>, tensor<256xi8>) -> tensor<1x2xi8> loc("caf\C3\A9")
  return %y : tensor<1x2xi8>
}

// -----

// An argument, a constant and a value that is returned already cannot be written by a layer: they are copied, and the
// copies say what they are for.
// CHECK-LABEL: @copies
// CHECK-SAME: %[[X:.*]]: memref<4xi8, "ram">, %[[A:.*]]: memref<4xi8, "ram"> {accel.result}, %[[B:.*]]: memref<4xi8, "ram"> {accel.result}, %[[C:.*]]: memref<4xi8, "ram"> {accel.result}, %[[D:.*]]: memref<4xi8, "ram"> {accel.result}
func.func @copies(%x: tensor<4xi8>) -> (tensor<4xi8>, tensor<4xi8>, tensor<4xi8>, tensor<4xi8>) {
  // CHECK: accel.add %[[X]], %[[X]] into %[[B]]
  // CHECK-DAG: accel.reshape %[[X]] into %[[A]] {accel.inserted = #accel.inserted<purpose = copy_result>, engine = "host"}
  // CHECK-DAG: accel.reshape %[[B]] into %[[C]] {accel.inserted = #accel.inserted<purpose = copy_result>, engine = "host"}
  // CHECK-DAG: accel.reshape %{{.*}} into %[[D]] {accel.inserted = #accel.inserted<purpose = copy_result>, engine = "host"}
  %c = arith.constant dense<7> : tensor<4xi8>
  %y = accel.add %x, %x {engine = "host"} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return %x, %y, %y, %c : tensor<4xi8>, tensor<4xi8>, tensor<4xi8>, tensor<4xi8>
}

// -----

// A value that is returned and read again is read where the result is.
// CHECK-LABEL: @returned_and_read
// CHECK-SAME: %[[X:.*]]: memref<4xi8, "ram">, %[[A:.*]]: memref<4xi8, "ram"> {accel.result}, %[[B:.*]]: memref<4xi8, "ram">
func.func @returned_and_read(%x: tensor<4xi8>) -> (tensor<4xi8>, tensor<4xi8>) {
  // CHECK: accel.add %[[X]], %[[X]] into %[[A]]
  // CHECK: accel.add %[[A]], %[[X]] into %[[B]]
  %a = accel.add %x, %x {engine = "host"} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  %b = accel.add %a, %x {engine = "host"} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return %a, %b : tensor<4xi8>, tensor<4xi8>
}

// An input whose bytes are in the layout already is read where it is, under the names of other axes.
// CHECK-LABEL: func.func @input_with_other_axes_is_a_view
// CHECK-SAME: %[[X:.*]]: memref<1x4x4x2xi8, "ram">
// CHECK: %[[VIEW:.*]] = memref.reinterpret_cast %[[X]] to offset: [0], sizes: [1, 2, 4, 4], strides: [32, 1, 8, 2] : memref<1x4x4x2xi8, "ram"> to memref<1x2x4x4xi8, strided<[32, 1, 8, 2]>, "ram">
// CHECK-NOT: accel.transpose
// CHECK: accel.pool2d %[[VIEW]]
#pixels = affine_map<(n, c, h, w) -> (n, h, w, c)>
func.func @input_with_other_axes_is_a_view(%x: tensor<1x4x4x2xi8>) -> tensor<1x2x1x1xi8> {
  %0 = accel.transpose %x {engine = "host", permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x2xi8>) -> tensor<1x2x4x4xi8, #pixels>
  %1 = accel.pool2d %0 {engine = "host", kind = #accel.pool_kind<max>, kernel = array<i64: 4, 4>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x2x4x4xi8, #pixels>) -> tensor<1x2x1x1xi8>
  return %1 : tensor<1x2x1x1xi8>
}
