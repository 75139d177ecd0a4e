//===- AccelOps.td - operations of the accel dialect --------------*- tablegen -*-===//
// SPDX-License-Identifier: Apache-2.0
//
// Axis letters: N batch, C and K input and output channels, H W rows and columns, R S kernel.
// The meaning of each operation is executable: dialects/semantics/interpreter.py.
//===----------------------------------------------------------------------===//

#ifndef ACCEL_OPS_TD
#define ACCEL_OPS_TD

include "AccelAttributes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Types and attributes
//===----------------------------------------------------------------------===//

/// A tensor in the stages up to 'scheduled', a memref from 'tiled' on. The shape is always static.
def Accel_Value : AnyTypeOf<[AnyStaticShapeTensor, AnyStaticShapeMemRef],
    "statically shaped tensor or memref">;
def Accel_Tensor : AnyTypeOf<[AnyStaticShapeTensor], "statically shaped tensor">;
def Accel_MemRef : AnyTypeOf<[AnyStaticShapeMemRef], "statically shaped memref">;

def Accel_Indices : TypedArrayAttrBase<DenseI64ArrayAttr, "a list of indices for each axis">;

//===----------------------------------------------------------------------===//
// Bases
//===----------------------------------------------------------------------===//

class Accel_Op<string mnemonic, list<Trait> traits = []> : Op<Accel_Dialect, mnemonic, traits>;

/// A layer. On tensors it has a result and no side effect; on memrefs it writes the operand after `into`.
class Accel_Layer<string mnemonic, dag inputs, dag attributes, list<Trait> traits = []>
    : Accel_Op<mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>])> {
  dag common = (ins OptionalAttr<StrAttr>:$engine);
  let arguments = !con(inputs, (ins Optional<Accel_MemRef>:$out), attributes, common);
  let results = (outs Optional<Accel_Tensor>:$result);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The type of what the layer produces: its result, or the memref it writes.
    ::mlir::ShapedType getOutputType() {
      ::mlir::Value value = getResult() ? ::mlir::Value(getResult()) : ::mlir::Value(getOut());
      return value ? ::llvm::cast<::mlir::ShapedType>(value.getType()) : ::mlir::ShapedType();
    }
  }];
  let extraClassDefinition = [{
    void $cppClass::getEffects(
        ::llvm::SmallVectorImpl<::mlir::SideEffects::EffectInstance<::mlir::MemoryEffects::Effect>> &effects) {
      ::htvm::accel::addDestinationEffects(getOperation(), getOutMutable(), effects);
    }
  }];
}

class Accel_UnaryLayer<string mnemonic, dag attributes = (ins), list<Trait> traits = []>
    : Accel_Layer<mnemonic, (ins Accel_Value:$input), attributes, traits> {
  let assemblyFormat = [{
    $input (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

class Accel_BinaryLayer<string mnemonic, dag attributes = (ins), list<Trait> traits = []>
    : Accel_Layer<mnemonic, (ins Accel_Value:$lhs, Accel_Value:$rhs), attributes, traits> {
  let assemblyFormat = [{
    $lhs `,` $rhs (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Between real numbers and integers
//===----------------------------------------------------------------------===//

def Accel_QuantizeOp : Accel_UnaryLayer<"quantize",
    (ins DefaultValuedAttr<Accel_Rounding, "::htvm::accel::Rounding::half_even">:$rounding), [Accel_Monotone, Accel_ElementWise, Accel_RealOnly]> {
  let summary = "Round real numbers to a quantised type";
  let description = [{
    Stages imported and fused. `q = clamp(round(x / scale) + zero_point, storage minimum, storage maximum)`, where x is the
    real value of the operand, itself real or quantised (then this is a change of scale). Rounding is half to
    even, or towards minus infinity (`floor`).

    ```mlir
    %q = accel.quantize %x : (tensor<4xf32>) -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:3>>
    ```
  }];
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Linear layers
//===----------------------------------------------------------------------===//

def Accel_Conv2dOp : Accel_Layer<"conv2d",
    (ins Accel_Value:$input, Accel_Value:$weights, Optional<Accel_Value>:$bias, Optional<Accel_MemRef>:$scratch),
    (ins DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations, I64Attr:$groups,
         OptionalAttr<Accel_Rounding>:$rounding, OptionalAttr<I64Attr>:$pad_value,
         OptionalAttr<Accel_RequantAttr>:$requant, OptionalAttr<Accel_RescaleAttr>:$rescale, OptionalAttr<Accel_Kernel>:$kernel,
         OptionalAttr<I64Attr>:$run, OptionalAttr<I64Attr>:$skip, OptionalAttr<I64Attr>:$scratch_bytes),
    [Accel_Weighted, AttrSizedOperandSegments]> {
  let summary = "Convolve a feature map with a kernel per output channel";
  let description = [{
    input [N, C, H, W], weights [K, C / groups, R, S], bias [K], result [N, K, H', W'].
    strides = [rows, columns], pads = [top, left, bottom, right], dilations = [rows, columns].

    Taps outside the map contribute nothing to the real sum. In stage integer, where no zero points are left,
    they read `pad_value` (the input's zero point): acc = sum of all taps of x * w, in 32 bits; the zero point's
    contribution is in the offset. Weights are i8, or i16 where 8 signed bits do not hold them. A bias operand is left only with a raw result (no `requant`): y = acc + bias.

    `rescale` (stage dispatched on) is a second step for engines that read their sums with a converter.
  }];
  let assemblyFormat = [{
    $input `,` $weights (`bias` $bias^)? (`scratch` $scratch^)? (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_DenseOp : Accel_Layer<"dense",
    (ins Accel_Value:$input, Accel_Value:$weights, Optional<Accel_Value>:$bias, Optional<Accel_MemRef>:$scratch),
    (ins OptionalAttr<Accel_Rounding>:$rounding, OptionalAttr<I64Attr>:$zero_point, OptionalAttr<Accel_RequantAttr>:$requant,
         OptionalAttr<Accel_Kernel>:$kernel, OptionalAttr<I64Attr>:$run, OptionalAttr<I64Attr>:$skip,
         OptionalAttr<I64Attr>:$scratch_bytes),
    [Accel_Weighted, AttrSizedOperandSegments]> {
  let summary = "Multiply rows by a matrix: y[m, k] = sum over c of x[m, c] * w[k, c]";
  let description = [{
    input [.., C], weights [K, C], bias [K], result [.., K]. In stage integer acc = sum of x * w; the zero point's
    contribution is in the offset, and `zero_point` says only which element it is. A bias operand is left only with a raw
    result (no `requant`): y = acc + bias.
  }];
  let assemblyFormat = [{
    $input `,` $weights (`bias` $bias^)? (`scratch` $scratch^)? (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_MatMulOp : Accel_BinaryLayer<"matmul",
    (ins OptionalAttr<Accel_Rounding>:$rounding, OptionalAttr<DenseI64ArrayAttr>:$zero_points,
         OptionalAttr<Accel_RequantAttr>:$requant)> {
  let summary = "Multiply matrices that are both computed: y[.., m, k] = sum over c of a[.., m, c] * b[.., c, k]";
  let description = [{
    lhs [.., M, C], rhs [.., C, K], result [.., M, K]; the axes before these two broadcast as in numpy.
    In stage integer acc = sum of (a - zero_points[0]) * (b - zero_points[1]), in 32 bits; raw without `requant`.
  }];
}

//===----------------------------------------------------------------------===//
// Element-wise layers
//===----------------------------------------------------------------------===//

def Accel_AddOp : Accel_BinaryLayer<"add",
    (ins OptionalAttr<Accel_Rounding>:$rounding, OptionalAttr<F64Attr>:$offset, OptionalAttr<Accel_RequantAttr>:$requant), [Accel_Additive, Accel_Arithmetic, Accel_ElementWise]> {
  let summary = "Add two tensors, with numpy broadcasting";
  let description = [{
    `offset` is a real number added to each sum (stage fused). In stage integer
    y = clamp((a * multiplier[0] + b * multiplier[1] + offset[0]) >> shift[0], min, max), where the sum fits 32 bits
    with `narrow`, else 64 bits; `tie_below` and `zero_point` as for all layers.
  }];
}

def Accel_SubOp : Accel_BinaryLayer<"sub", (ins OptionalAttr<Accel_Rounding>:$rounding), [Accel_Additive, Accel_Arithmetic, Accel_ElementWise, Accel_RealOnly]> {
  let summary = "Subtract two tensors, with numpy broadcasting (stages imported and fused)";
}

def Accel_MulOp : Accel_BinaryLayer<"mul",
    (ins OptionalAttr<Accel_Rounding>:$rounding, OptionalAttr<DenseI64ArrayAttr>:$zero_points,
         OptionalAttr<Accel_RequantAttr>:$requant), [Accel_Arithmetic, Accel_ElementWise]> {
  let summary = "Multiply two tensors, with numpy broadcasting";
  let description = [{
    In stage integer acc = (a - zero_points[0]) * (b - zero_points[1]).
  }];
}

def Accel_DivOp : Accel_BinaryLayer<"div", (ins OptionalAttr<Accel_Rounding>:$rounding), [Accel_Arithmetic, Accel_ElementWise, Accel_RealOnly]> {
  let summary = "Divide by a constant, with numpy broadcasting (stage imported)";
}

def Accel_MaximumOp : Accel_BinaryLayer<"maximum", (ins OptionalAttr<Accel_Rounding>:$rounding), [Accel_Extremum, Accel_ElementWise]> {
  let summary = "The larger of two tensors' elements, with numpy broadcasting";
  let description = "In stage integer operands and result have one scale and zero point, and the integers are compared.";
}

def Accel_MinimumOp : Accel_BinaryLayer<"minimum", (ins OptionalAttr<Accel_Rounding>:$rounding), [Accel_Extremum, Accel_ElementWise]> {
  let summary = "The smaller of two tensors' elements, with numpy broadcasting";
  let description = "In stage integer operands and result have one scale and zero point, and the integers are compared.";
}

def Accel_ReluOp : Accel_UnaryLayer<"relu", (ins OptionalAttr<Accel_Rounding>:$rounding), [Accel_Bounds, Accel_Monotone, Accel_ElementWise, Accel_RealOnly]> {
  let summary = "max(x, 0)";
}

def Accel_ClampOp : Accel_UnaryLayer<"clamp", (ins F64Attr:$min, F64Attr:$max, OptionalAttr<Accel_Rounding>:$rounding), [Accel_Bounds, Accel_Monotone, Accel_ElementWise, Accel_RealOnly]> {
  let summary = "min(max(x, min), max), real bounds";
}

def Accel_SigmoidOp : Accel_UnaryLayer<"sigmoid", (ins OptionalAttr<Accel_Rounding>:$rounding), [Accel_Monotone, Accel_ElementWise, Accel_RealOnly]> {
  let summary = "1 / (1 + exp(-x))";
}

def Accel_UnaryOp : Accel_Layer<"unary", (ins Accel_Value:$input),
    (ins Accel_Function:$function, OptionalAttr<F64Attr>:$alpha, OptionalAttr<F64Attr>:$beta,
         OptionalAttr<Accel_Rounding>:$rounding), [Accel_ElementWise, Accel_RealOnly]> {
  let summary = "A function of each element";
  let description = [{
    Stages imported and fused. The functions, and which of the parameters `alpha` and `beta` they have:

        abs, exp, erf, gelu, gelu_tanh, log, mish, neg, reciprocal, sign, softplus, softsign, sqrt, tanh
        alpha          celu, elu, leaky_relu, pow (x^alpha), shrink (0 where |x| <= alpha), threshold (x where x > alpha)
        alpha, beta    hard_sigmoid (alpha * x + beta, from 0 to 1), hard_swish (x times that), selu (alpha, gamma = beta)

    Where a function has no value (sqrt and log of negative numbers, 1 / 0), stored integers that mean such a number
    give the nearest end of the result's range, 0 for none.
  }];
  let assemblyFormat = [{
    custom<Function>($function) $input (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_LookupOp : Accel_Layer<"lookup",
    (ins Accel_Value:$input, Accel_Value:$table), (ins I64Attr:$lowest, OptionalAttr<I64Attr>:$axis), [Accel_ElementWise]> {
  let summary = "Replace each element by an entry of a table: y = table[x - lowest]";
  let description = [{
    Stage fused (what is stored is meant then, too) and integer. Any function of one quantised value, computed exactly
    when compiling. `lowest` is the storage value that the table's first entry belongs to; the table has one entry per
    value that can occur. With `axis` each index of that axis has a table of its own: table [size of the axis, entries].
    Entries have the width of the result's elements; constants being signless, a table for `ui8` results is an i8
    constant that holds the bits.
  }];
  let assemblyFormat = [{
    $input `,` $table (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_ThresholdOp : Accel_Layer<"threshold",
    (ins Accel_Value:$input, Accel_Value:$starts, Accel_Value:$values), (ins OptionalAttr<I64Attr>:$axis), [Accel_ElementWise]> {
  let summary = "A step function of each element: y = values[number of starts that are at most x]";
  let description = [{
    Stage integer. Any function of one stored integer that has too many values for a table, such as an accumulator:
    `starts` (i32, in rising order) are the integers at which the result changes, `values` has one entry more. With
    `axis` each index of that axis has a step function of its own: starts [size of the axis, n], values [size of the
    axis, n + 1]; else both have rank 1. Entries of `values` have the width of the result's elements, as a lookup's.
  }];
  let assemblyFormat = [{
    $input `,` $starts `,` $values (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_WeightedSumOp : Accel_Layer<"weighted_sum",
    (ins Variadic<Accel_Value>:$inputs, Accel_Value:$constants),
    (ins OptionalAttr<I64Attr>:$axis, UnitAttr:$even, I64Attr:$zero_point, I64Attr:$min, I64Attr:$max),
    [Accel_ElementWise, AttrSizedOperandSegments]> {
  let summary = "A sum of up to 4 tensors times numbers, over a number, rounded exactly, with numpy broadcasting";
  let description = [{
    Stage integer. `constants` (i64) has a row, or with `axis` one for each index of that axis of the result: n
    multipliers, n numerators, an offset, a shift, a divisor and a rest, for n inputs x[i].

        q = floor((sum of x[i] * numerator[i] + rest) / divisor)
        y = clamp(q + zero_point, min, max)

    With `even` the rest holds half the divisor, and where nothing remains of the division the even one of q and q - 1
    is taken. (sum of x[i] * multiplier[i] + offset) >> shift is at most 1 beside q, and what remains of the division
    corrects it; therefore products with numerators are modulo 2^64.
  }];
  let assemblyFormat = [{
    $inputs `by` $constants (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

def Accel_Pool2dOp : Accel_UnaryLayer<"pool2d",
    (ins Accel_PoolKind:$kind, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
         OptionalAttr<DenseI64ArrayAttr>:$dilations,
         DefaultValuedAttr<BoolAttr, "false">:$count_include_pad, OptionalAttr<Accel_Rounding>:$rounding,
         OptionalAttr<F64Attr>:$offset, OptionalAttr<DenseI64ArrayAttr>:$counts,
         OptionalAttr<Accel_RequantAttr>:$requant), [Accel_Reduction]> {
  let summary = "Average, maximum, minimum or sum of the elements under a window";
  let description = [{
    input [N, C, H, W], result [N, C, H', W']; pads = [top, left, bottom, right], dilations = [rows, columns] or 1.
    Elements outside the map are left out; an average divides by the number of elements inside, or by R*S with
    `count_include_pad`.
    `offset` is a real number added to each average or sum (stage fused).

    In stage integer acc = sum of the elements inside; `counts` lists the numbers of elements inside that occur,
    in rising order, `requant` has one multiplier and offset for each, and `accel.range` is the smallest and the largest
    integer that input can hold. Maximum and minimum are taken on the storage.
  }];
}

def Accel_SoftmaxOp : Accel_Layer<"softmax",
    (ins Accel_Value:$input, Optional<Accel_Value>:$table),
    (ins I64Attr:$axis, OptionalAttr<Accel_Rounding>:$rounding, OptionalAttr<I64Attr>:$scale_multiplier,
         OptionalAttr<I64Attr>:$scale_shift, OptionalAttr<I64Attr>:$zero_point,
         OptionalAttr<I64Attr>:$min, OptionalAttr<I64Attr>:$max),
    [Accel_Normalising, Accel_Reduction, AttrSizedOperandSegments]> {
  let summary = "exp(x) / sum of exp(x) along an axis";
  let description = [{
    In stage integer, `table` (i64, all entries >= 0) holds exp(-s * d) in fixed point for d = 0, 1, .., where s is the
    input's scale; entries beyond its end are 0. With d = largest x on the axis - x, e = table[d], S = sum of e on the axis:

        k = the largest integer with e * 2^(scale_shift + 1) >= (2k - 1) * scale_multiplier * S
        y = clamp(k + zero_point, min, max)

    that is e / S divided by the output's scale (scale_multiplier * 2^-scale_shift) and rounded to nearest; on
    equality the even one of k and k - 1. Both sides fit 64 bits (unsigned) for every k in [min - zero_point, max - zero_point].
  }];
  let assemblyFormat = [{
    $input (`table` $table^)? (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_LayerNormOp : Accel_Layer<"layer_norm",
    (ins Accel_Value:$input, Optional<Accel_Value>:$scale, Optional<Accel_Value>:$bias),
    (ins OptionalAttr<F64Attr>:$epsilon, OptionalAttr<Accel_Rounding>:$rounding,
         OptionalAttr<I64Attr>:$half_step, OptionalAttr<I64Attr>:$variance_scale,
         OptionalAttr<DenseI64ArrayAttr>:$variance_offset, OptionalAttr<I64Attr>:$shift, OptionalAttr<I64Attr>:$zero_point,
         OptionalAttr<I64Attr>:$min, OptionalAttr<I64Attr>:$max),
    [Accel_Normalising, Accel_Reduction, AttrSizedOperandSegments]> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * scale + bias, along the last axis";
  let description = [{
    input [.., N], scale and bias [N]; without them 1 and 0. The variance is that of the N elements, not an estimate.

    In stage integer scale and bias are i64, and with d = N * x - sum of x, v = N * sum of x^2 - (sum of x)^2:

        k = the largest integer with  scale * d * 2^(shift / 2) >= ((2k - 1) * half_step - bias)
                                                                     * sqrt(variance_scale * v + variance_offset)
        y = clamp(k + zero_point, min, max)

    that is the real number over the output's scale, rounded to nearest; on equality the even one of k and k - 1. It
    is decided on the squares of both sides, which fit 384 bits; `shift` is even, and the two numbers of `variance_offset`
    are 2^32 times the first and the second.
  }];
  let assemblyFormat = [{
    $input (`scale` $scale^)? (`bias` $bias^)? (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_ArgMaxOp : Accel_UnaryLayer<"argmax",
    (ins I64Attr:$axis, UnitAttr:$smallest, UnitAttr:$last, OptionalAttr<Accel_Rounding>:$rounding), [Accel_Reduction]> {
  let summary = "Where along an axis the largest element is";
  let description = [{
    The axis stays, with size 1. `smallest`: where the smallest element is. Of equal ones the first counts, or the `last`.
    In stage integer the storage is compared, and the result is an index, of any width that holds it.
  }];
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

def Accel_ConcatOp : Accel_Layer<"concat",
    (ins Variadic<Accel_Value>:$inputs), (ins I64Attr:$axis, OptionalAttr<Accel_Rounding>:$rounding),
    [Accel_Moves, AttrSizedOperandSegments]> {
  let summary = "Join tensors along an axis";
  let assemblyFormat = [{
    $inputs (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Accel_PadOp : Accel_UnaryLayer<"pad",
    (ins DenseI64ArrayAttr:$low, DenseI64ArrayAttr:$high, F64Attr:$value, OptionalAttr<Accel_Rounding>:$rounding)> {
  let summary = "Surround a tensor with a constant";
  let description = [{
    `low` and `high` give the elements added before and after each axis. `value` is a real number; in stage integer it
    is a storage value.
  }];
  let hasFolder = 1;
}

def Accel_TransposeOp : Accel_UnaryLayer<"transpose",
    (ins DenseI64ArrayAttr:$permutation, OptionalAttr<Accel_Rounding>:$rounding), [Accel_Moves]> {
  let summary = "Reorder axes: axis i of the result is axis permutation[i] of the input";
  let hasFolder = 1;
}

def Accel_ConvertLayoutOp : Accel_UnaryLayer<"convert_layout", (ins), [Accel_Moves]> {
  let summary = "The same elements in the same shape, laid out in memory otherwise";
  let description = [{
    Stage dispatched on. The layouts are those of the types: a tensor's encoding, a memref's strides; they differ.

    ```mlir
    %y = accel.convert_layout %x {engine = "host"} : (tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8, #nhwc>
    ```
  }];
}

def Accel_TransferOp : Accel_UnaryLayer<"transfer", (ins), [Accel_Moves]> {
  let summary = "The same map, in another memory";
  let description = [{
    Stage scheduled on. `engine` is the transfer engine that moves it; shape, element type and layout stay. On memrefs the
    memory spaces differ; on tensors `accel.memory` of the layers says where maps are, and the result of a transfer is in
    the memory of the host's maps.

    ```mlir
    %y = accel.transfer %x {engine = "store"} : (tensor<1x16x8x8xi8>) -> tensor<1x16x8x8xi8>
    ```
  }];
}

def Accel_TakeOp : Accel_UnaryLayer<"take", (ins Accel_Indices:$indices, OptionalAttr<Accel_Rounding>:$rounding), [Accel_Moves]> {
  let summary = "Choose elements by their indices along each axis";
  let description = [{
    `indices` has a list for each axis; an empty list is the whole axis. y[i, j, ..] = x[indices[0][i], indices[1][j], ..]:
    slices with any step, parts of a split, gathering, repetition, mirrored and repeated borders, nearest neighbours.

    ```mlir
    %y = accel.take %x {indices = [array<i64>, array<i64: 3, 1>]} : (tensor<2x4xf32>) -> tensor<2x2xf32>
    ```
  }];
  let hasFolder = 1;
}

def Accel_WindowsOp : Accel_UnaryLayer<"windows",
    (ins DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides), [Accel_Moves]> {
  let summary = "The elements under each window of a map, as the channels of one pixel";
  let description = [{
    Stage integer on. input [N, C, H, W], result [N, R*S*C, H', W'] of windows of R x S pixels without padding:
    y[n, (r*S + s)*C + c, i, j] = x[n, c, i*strides[0] + r, j*strides[1] + s]. A convolution of 1x1 computes of them what
    one of R x S computes of the input.

    ```mlir
    %y = accel.windows %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>} : (tensor<1x2x9x9xi8>) -> tensor<1x18x4x4xi8>
    ```
  }];
}

def Accel_ReshapeOp : Accel_UnaryLayer<"reshape", (ins OptionalAttr<Accel_Rounding>:$rounding), [Accel_Moves]> {
  let summary = "The same elements, in row-major order, under another shape";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Functions of other dialects
//===----------------------------------------------------------------------===//

def Accel_CallOp : Accel_Layer<"call", (ins Variadic<Accel_Value>:$inputs, Optional<Accel_MemRef>:$scratch),
    (ins FlatSymbolRefAttr:$callee, OptionalAttr<I64Attr>:$scratch_bytes), [AttrSizedOperandSegments]> {
  let summary = "What a function of other dialects computes, on the host";
  let description = [{
    Stage integer on. `callee` is a private function of the module with a body of tosa, linalg, arith, math, tensor and scf
    operations on integers; its arguments are the inputs, its one result is the layer's.

    From stage dispatched on (lower-calls) it is loops on memory of one dimension: its arguments are the inputs, the
    output, then its intermediate results (each with `accel.offset`, bytes in the scratch memory of `scratch_bytes`), then its constants
    (each with `accel.constant`). Values are row-major.

    ```mlir
    %y = accel.call @softmax(%x) : (tensor<1x10xi8>) -> tensor<1x10xi8>
    ```
  }];
  let assemblyFormat = [{
    $callee `(` $inputs `)` (`scratch` $scratch^)? (`into` $out^)? attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Several layers as one
//===----------------------------------------------------------------------===//

def Accel_FusedOp : Accel_Layer<"fused", (ins Variadic<Accel_Value>:$inputs), (ins),
    [SingleBlock, AttrSizedOperandSegments]> {
  let summary = "Several layers that an engine computes in one job";
  let description = [{
    Stage integer on, from fuse-patterns. The body has the layers, on tensors, each of which reads the result of the one
    before; its arguments are the inputs: feature maps first, then constants. Only accelerators run it: the engine says
    which patterns it takes (backend/targets/README.md). Layouts and memories are those of operands and result, also when
    these are memrefs; the body's types have none.

    ```mlir
    %y = accel.fused %x, %w {
    ^bb0(%a: tensor<1x16x8x8xi8>, %b: tensor<16x16x3x3xi8>):
      %c = accel.conv2d %a, %b {..} : ..
      %p = accel.pool2d %c {kind = #accel.pool_kind<max>, ..} : ..
      accel.output %p : tensor<1x16x4x4xi8>
    } : (tensor<1x16x8x8xi8>, tensor<16x16x3x3xi8>) -> tensor<1x16x4x4xi8>
    ```
  }];
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $inputs (`into` $out^)? $body attr-dict `:` functional-type(operands, results)
  }];
}

def Accel_OutputOp : Accel_Op<"output", [Pure, ReturnLike, Terminator, HasParent<"FusedOp">]> {
  let summary = "The result of layers that are fused";
  let arguments = (ins Accel_Tensor:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def Accel_BufferOp : Accel_Op<"buffer", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "A piece of one of the target's memories, live from its first to its last use";
  let description = [{
    The memory is the memref's memory space. The memory planner gives each buffer its byte offset in that memory's arena.

    ```mlir
    %b = accel.buffer "conv0" at 3072 : memref<1x16x32x32xi8, strided<[16384, 1, 512, 16]>, "ram">
    ```
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<I64Attr>:$offset);
  let results = (outs Accel_MemRef:$memref);
  let assemblyFormat = "$name (`at` $offset^)? attr-dict `:` type($memref)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Accelerators and transfers
//===----------------------------------------------------------------------===//

def Accel_Token : TypeDef<Accel_Dialect, "Token"> {
  let mnemonic = "token";
  let summary = "What a copy or a launch gives, to be waited for";
}

def Accel_CopyOp : Accel_Op<"copy", [Accel_Command, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Start to copy a piece of memory into another memory";
  let description = [{
    Stage tiled on. The copy runs while later operations do, until it has been waited for: before that nobody
    reads or writes the target, and nobody writes the source. Source and target have one shape; each may be strided
    (a `memref.subview` of a larger map). `engine` is the transfer engine, which does copies one after the other.

    ```mlir
    %t = accel.copy %x to %tile : memref<1x16x8x32xi8, strided<[16384, 1024, 32, 1]>, "l2"> to memref<1x16x8x32xi8, "l1">
    ```
  }];
  let arguments = (ins Accel_MemRef:$source, Accel_MemRef:$target, OptionalAttr<StrAttr>:$engine);
  let results = (outs Accel_Token:$token);
  let assemblyFormat = "$source `to` $target attr-dict `:` type($source) `to` type($target)";
  let hasVerifier = 1;
}

def Accel_LaunchOp : Accel_Op<"launch",
    [Accel_Command, AttrSizedOperandSegments, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Start a job of an accelerator";
  let description = [{
    Stage tiled on. The engine computes a layer, or a tile of one, from operands in its own memories; `job` is what the
    target's description of the engine made of it (backend/targets/jobs.py). The job runs while later operations do,
    until it has been waited for. An engine does its jobs in their order; whoever launches more than it holds
    (`queue_depth`, backend/targets/soc.py) has waited.

    `sums` is where an engine that keeps sums in memory has them: the job may overwrite all of it, and a job that adds to
    sums of an earlier one reads them there.

    ```mlir
    %t = accel.launch "digital" %x weights %w into %y {job = #accel.job<kind = conv2d, ..>} : (memref<..>, memref<..>, memref<..>)
    ```
  }];
  // `sums` comes last: bytecode of version 0.1 has the others alone.
  let arguments = (ins StrAttr:$engine, Variadic<Accel_MemRef>:$inputs, Optional<Accel_MemRef>:$weights,
                       Accel_MemRef:$out, Optional<Accel_MemRef>:$sums, Accel_Job:$job);
  let results = (outs Accel_Token:$token);
  let assemblyFormat = [{
    $engine $inputs (`weights` $weights^)? (`sums` $sums^)? `into` $out attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Accel_WaitOp : Accel_Op<"wait", [Accel_Command, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Wait for a copy or a launch to end, and so for all that its engine was given before";
  let arguments = (ins Accel_Token:$token);
  let assemblyFormat = "$token attr-dict";
}

def Accel_ReadyOp : Accel_Op<"ready", [Pure]> {
  let summary = "The token of nothing: who waits for it goes on at once";
  let description = [{
    What a loop takes the first time for a token that it gives itself from then on.
  }];
  let results = (outs Accel_Token:$token);
  let assemblyFormat = "attr-dict";
}

def Accel_StepOp : Accel_Op<"step", [RecursiveMemoryEffects, SingleBlock]> {
  let summary = "All that the host does while it runs a layer: one function of the generated C";
  let description = [{
    Stage tiled on, on targets with accelerators. The body has the copies, launches and waits of the layer's tiles, in
    `scf.for` loops where there are many, or a layer of the host; and what is given for later layers meanwhile. Tokens
    that later steps wait for are results. Of a layer on an accelerator the step says what it was (`accel.op`,
    `accel.shape`, `accel.macs`, its tiling, what was predicted); each command has the location of the layer it serves.
    Where tiles of several layers are in flight at once (`group` of their tilings), the step of a layer begins with its
    first launch, and has what all of them are given until the next layer's first.

    ```mlir
    %t = accel.step "digital" -> !accel.token attributes {accel.op = "accel.conv2d", ..} {
      %c = accel.copy %x to %tile ..
      accel.wait %c
      %l = accel.launch "digital" %tile into %y ..
      accel.yield %l
    }
    ```
  }];
  let arguments = (ins OptionalAttr<StrAttr>:$engine);
  let results = (outs Variadic<Accel_Token>:$tokens);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "($engine^)? (`->` type($tokens)^)? attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Accel_YieldOp : Accel_Op<"yield", [Pure, ReturnLike, Terminator, HasParent<"StepOp">]> {
  let summary = "The tokens that a step gives to later ones";
  let arguments = (ins Variadic<Accel_Token>:$tokens);
  let assemblyFormat = "($tokens^)? attr-dict";
}

#endif // ACCEL_OPS_TD
