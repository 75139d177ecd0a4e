// RUN: htvm-opt %s -p refit-scales --split-input-file | FileCheck %s

!map = !quant.uniform<i8:f32, 4.000000e-02:-128>
!weight = !quant.uniform<i8:f32, 1.000000e-02>
!sum = !quant.uniform<i32:f32, 4.000000e-04>

// Scales become powers of two, weights are rounded anew, half a step of the result is in the bias; what the network
// takes and gives keeps its type.
module attributes {accel.options = #accel.options<requant = pow2>} {
  // CHECK-LABEL: @one_layer
  // CHECK-SAME: tensor<1x2x4x4x!quant.uniform<i8:f32, 4.000000e-02:-128>>
  func.func @one_layer(%x: tensor<1x2x4x4x!map>) -> tensor<1x1x4x4x!map> {
    // CHECK: %[[X:.*]] = accel.lookup %{{.*}} -> tensor<1x2x4x4x!quant.uniform<i8<0:127>:f32, 1.250000e-01>>
    // CHECK: %[[W:.*]] = arith.constant dense<{{\[\[\[\[}}64]], {{\[\[}}-32]]]]> : tensor<1x2x1x1xi8>
    // CHECK: arith.constant dense<237> : tensor<1xi32>
    // CHECK: %[[Y:.*]] = accel.conv2d %[[X]]
    // CHECK-SAME: rounding = #accel.rounding<floor>
    // CHECK: %[[Z:.*]] = accel.lookup %[[Y]]
    // CHECK: return %[[Z]]
    %0 = arith.constant dense<[[[[100]], [[-50]]]]> : tensor<1x2x1x1xi8>
    %w = quant.scast %0 : tensor<1x2x1x1xi8> to tensor<1x2x1x1x!weight>
    %1 = arith.constant dense<[1000]> : tensor<1xi32>
    %b = quant.scast %1 : tensor<1xi32> to tensor<1x!sum>
    %y = accel.conv2d %x, %w bias %b {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x2x4x4x!map>, tensor<1x2x1x1x!weight>, tensor<1x!sum>) -> tensor<1x1x4x4x!map>
    return %y : tensor<1x1x4x4x!map>
  }
}

// -----

// Nothing is changed without being asked for.
// CHECK-LABEL: @not_asked
func.func @not_asked(%x: tensor<1x4x!quant.uniform<i8:f32, 4.000000e-02:-128>>) -> tensor<1x4x!quant.uniform<i8:f32, 4.000000e-02:-128>> {
  // CHECK-NOT: accel.lookup
  // CHECK: accel.add
  %y = accel.add %x, %x : (tensor<1x4x!quant.uniform<i8:f32, 4.000000e-02:-128>>, tensor<1x4x!quant.uniform<i8:f32, 4.000000e-02:-128>>) -> tensor<1x4x!quant.uniform<i8:f32, 4.000000e-02:-128>>
  return %y : tensor<1x4x!quant.uniform<i8:f32, 4.000000e-02:-128>>
}

// -----

!map = !quant.uniform<i8:f32, 4.000000e-02:-128>
!weight = !quant.uniform<i8:f32, 1.000000e-02>
!sum = !quant.uniform<i32:f32, 4.000000e-04>

// Where weights are nothing, or next to nothing, they become so coarse that 32 bits hold the bias: 1000 * 0.0004 and half
// of the result's 0.125 are 0.4625, in steps of 2^-31.
module attributes {accel.options = #accel.options<requant = pow2>} {
  // CHECK-LABEL: @bias_alone
  func.func @bias_alone(%x: tensor<1x2x4x4x!map>) -> tensor<1x1x4x4x!map> {
    // CHECK: arith.constant dense<0> : tensor<1x2x1x1xi8>
    // CHECK: arith.constant dense<993211187> : tensor<1xi32>
    %0 = arith.constant dense<0> : tensor<1x2x1x1xi8>
    %w = quant.scast %0 : tensor<1x2x1x1xi8> to tensor<1x2x1x1x!weight>
    %1 = arith.constant dense<[1000]> : tensor<1xi32>
    %b = quant.scast %1 : tensor<1xi32> to tensor<1x!sum>
    %y = accel.conv2d %x, %w bias %b {dilations = array<i64: 1, 1>, groups = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x2x4x4x!map>, tensor<1x2x1x1x!weight>, tensor<1x!sum>) -> tensor<1x1x4x4x!map>
    return %y : tensor<1x1x4x4x!map>
  }
}

// -----

!map = !quant.uniform<i8:f32, 4.000000e-02:-128>
!weight = !quant.uniform<i8:f32, 1.000000e-02>

// Layers without a bias get one, and their results new types as well.
module attributes {accel.options = #accel.options<requant = pow2>} {
  // CHECK-LABEL: @no_biases
  func.func @no_biases(%x: tensor<1x2x!map>) -> tensor<1x2x!map> {
    %0 = arith.constant dense<[[100, -50], [20, 30]]> : tensor<2x2xi8>
    %w = quant.scast %0 : tensor<2x2xi8> to tensor<2x2x!weight>
    // CHECK: %[[Y:.*]] = accel.dense %{{.*}}, %{{.*}} bias %{{.*}} {rounding = #accel.rounding<floor>}
    // CHECK-SAME: -> tensor<1x2x!quant.uniform<i8<0:127>:f32, 1.250000e-01>>
    %y = accel.dense %x, %w : (tensor<1x2x!map>, tensor<2x2x!weight>) -> tensor<1x2x!map>
    // CHECK: accel.dense %[[Y]], %{{.*}} bias %{{.*}} {rounding = #accel.rounding<floor>}
    // CHECK-SAME: -> tensor<1x2x!quant.uniform<i8<0:127>:f32, 1.250000e-01>>
    %z = accel.dense %y, %w : (tensor<1x2x!map>, tensor<2x2x!weight>) -> tensor<1x2x!map>
    return %z : tensor<1x2x!map>
  }
}
