//===- AccelDialect.td - the accel dialect ------------------------*- tablegen -*-===//
// SPDX-License-Identifier: Apache-2.0
//
// Names the layers of a quantised network from import to C. AccelOps.td has the operations.
//===----------------------------------------------------------------------===//

#ifndef ACCEL_DIALECT_TD
#define ACCEL_DIALECT_TD

include "mlir/IR/OpBase.td"

def Accel_Dialect : Dialect {
  let name = "accel";
  let summary = "Layers of quantised neural networks for small heterogeneous SoCs";
  let description = [{
    One set of operations serves every stage of the compiler. What changes from stage to stage is the type of
    the values, and which attributes are present:

    | stage      | values                                                 | an operation means                      |
    |------------|--------------------------------------------------------|-----------------------------------------|
    | imported   | `tensor<..x!quant.uniform<..>>`, real: `tensor<..xf32>` | exact real arithmetic; the result is real |
    | fused      | the result is quantised                                | exact real arithmetic, then `accel.quantize` |
    | integer    | `tensor<..xi8>`, `ui8`, `i16`, `i32`                    | integers, with the constants in `requant` |
    | dispatched | the same, with a layout (a permutation map as encoding) | and `engine` names who runs it           |
    | tiled      | `memref<.., "memory">`, destination after `into`        | reads operands, writes the destination   |
    | tiled      | layers of accelerators have become `accel.launch`, with `accel.copy` and `accel.wait` around them | |
    | planned    | the same; each `accel.buffer` has its byte offset       |                                         |

    The order of dimensions is always ONNX's (N, C, H, W); a physical layout is a property of the type.

    `f32` stands for a real number here. No operation rounds to float32; only `accel.quantize` (and an operation
    with a quantised result, which includes it) rounds.

    Attributes of function arguments and results: `accel.name` (the ONNX name), `accel.interface` (the ONNX
    element type: "int8", "float32", ..), `accel.offset` (bytes in the arena, from planning on).
  }];
  let cppNamespace = "::htvm::accel";
  let dependentDialects = ["::mlir::quant::QuantDialect"];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
  }];
}

//===----------------------------------------------------------------------===//
// Families
//===----------------------------------------------------------------------===//

/// What several operations share. Passes and engines ask for it, not for lists of operations: in C++ it is a trait, in
/// Python an abstract class with what all its operations have (`isinstance(op, accel.Weighted)`).
class Accel_Family<string name, string what> : NativeOpTrait<name> {
  let cppNamespace = "::htvm::accel::family";
  string summary = what;
}

def Accel_Weighted : Accel_Family<"Weighted", "multiplies windows or rows by weights, and accumulates the products">;
def Accel_ElementWise : Accel_Family<"ElementWise", "each element of the result depends on one of each operand">;
def Accel_Arithmetic : Accel_Family<"Arithmetic", "adds, subtracts, multiplies or divides two tensors">;
def Accel_Additive : Accel_Family<"Additive", "adds or subtracts two tensors">;
def Accel_Extremum : Accel_Family<"Extremum", "takes the larger or the smaller of two tensors' elements">;
def Accel_Bounds : Accel_Family<"Bounds", "limits the elements of a tensor, and changes no others">;
def Accel_Monotone : Accel_Family<"Monotone", "a function of one element that never falls">;
def Accel_Moves : Accel_Family<"Moves", "the elements of the result are those of the operands, none is computed">;
def Accel_Reduction : Accel_Family<"Reduction", "each element of the result depends on several of one operand">;
def Accel_Normalising : Accel_Family<"Normalising", "brings the elements along an axis to a common scale">;
def Accel_RealOnly : Accel_Family<"RealOnly", "has no integer form: it is replaced before stage integer">;
def Accel_Command : Accel_Family<"Command", "is given to a unit, or waits for one">;

#endif // ACCEL_DIALECT_TD
