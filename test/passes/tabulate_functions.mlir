// RUN: htvm-opt %s -p tabulate-functions | FileCheck %s

!q = !quant.uniform<i8<-2:2>:f32, 5.000000e-01>
!out = !quant.uniform<i8:f32, 2.500000e-01:-5>

// x * max(x, 0), for x from -1 to 1 by halves: 0, 0, 0, 1/4, 1, in steps of a quarter from -5.
// CHECK-LABEL: @product_with_itself_rectified
func.func @product_with_itself_rectified(%x: tensor<1x8x!q>) -> tensor<1x8x!out> {
  // CHECK: dense<[-5, -5, -5, -4, -1]> : tensor<5xi8>
  // CHECK-NEXT: accel.lookup %arg0, %{{.*}} {lowest = -2 : i64} : (tensor<1x8x!quant
  // CHECK-NEXT: return
  %0 = accel.relu %x : (tensor<1x8x!q>) -> tensor<1x8xf32>
  %1 = accel.mul %x, %0 : (tensor<1x8x!q>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %2 = accel.quantize %1 : (tensor<1x8xf32>) -> tensor<1x8x!out>
  return %2 : tensor<1x8x!out>
}

// A constant for each channel makes a table for each.
// CHECK-LABEL: @slope_per_channel
func.func @slope_per_channel(%x: tensor<1x2x3x!q>) -> tensor<1x2x3x!out> {
  // CHECK{LITERAL}: dense<[[-7, -6, -5, -5, -5], [-1, -3, -5, -5, -5]]> : tensor<2x5xi8>
  // CHECK: accel.lookup %arg0, %{{.*}} {axis = 1 : i64, lowest = -2 : i64}
  %c = arith.constant dense<[[0.5], [-1.0]]> : tensor<2x1xf32>
  %0 = accel.clamp %x {min = -1.0e9 : f64, max = 0.0 : f64} : (tensor<1x2x3x!q>) -> tensor<1x2x3xf32>
  %1 = accel.mul %0, %c : (tensor<1x2x3xf32>, tensor<2x1xf32>) -> tensor<1x2x3xf32>
  %2 = accel.quantize %1 : (tensor<1x2x3xf32>) -> tensor<1x2x3x!out>
  return %2 : tensor<1x2x3x!out>
}

// A layer can make a function's result itself, and sums and products with constants are folded elsewhere.
// CHECK-LABEL: @forms_of_their_own
func.func @forms_of_their_own(%x: tensor<4x!q>) -> (tensor<4x!out>, tensor<4x!out>) {
  // CHECK-NOT: accel.lookup
  %c = arith.constant dense<3.0> : tensor<f32>
  %0 = accel.sigmoid %x : (tensor<4x!q>) -> tensor<4xf32>
  %1 = accel.relu %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = accel.quantize %1 : (tensor<4xf32>) -> tensor<4x!out>
  %3 = accel.mul %x, %c : (tensor<4x!q>, tensor<f32>) -> tensor<4xf32>
  %4 = accel.add %3, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %5 = accel.quantize %4 : (tensor<4xf32>) -> tensor<4x!out>
  return %2, %5 : tensor<4x!out>, tensor<4x!out>
}

// What two values make, or divides by 0, is no table of one.
// CHECK-LABEL: @no_tables
func.func @no_tables(%x: tensor<4x!q>, %y: tensor<4x!q>) -> (tensor<4x!out>, tensor<4x!out>) {
  // CHECK-NOT: accel.lookup
  %0 = accel.sigmoid %x : (tensor<4x!q>) -> tensor<4xf32>
  %1 = accel.mul %0, %y : (tensor<4xf32>, tensor<4x!q>) -> tensor<4xf32>
  %2 = accel.quantize %1 : (tensor<4xf32>) -> tensor<4x!out>
  %3 = accel.relu %x : (tensor<4x!q>) -> tensor<4xf32>
  %4 = accel.div %x, %3 : (tensor<4x!q>, tensor<4xf32>) -> tensor<4xf32>
  %5 = accel.quantize %4 : (tensor<4xf32>) -> tensor<4x!out>
  return %2, %5 : tensor<4x!out>, tensor<4x!out>
}
