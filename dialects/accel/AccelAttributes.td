//===- AccelAttributes.td - attributes of the accel dialect -------*- tablegen -*-===//
// SPDX-License-Identifier: Apache-2.0
//
// Facts that are more than one number or word. generate_python.py makes a Python class of each.
//===----------------------------------------------------------------------===//

#ifndef ACCEL_ATTRIBUTES_TD
#define ACCEL_ATTRIBUTES_TD

include "AccelDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Accel_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<Accel_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

/// Integers in brackets.
class Accel_Integers<string what> : AttrParameter<"::mlir::DenseI64ArrayAttr", what>;
class Accel_OptionalIntegers<string what> : OptionalParameter<"::mlir::DenseI64ArrayAttr", what>;
class Accel_Integer<string what> : AttrParameter<"int64_t", what>;
class Accel_OptionalInteger<string what> : DefaultValuedParameter<"int64_t", "0", what>;
class Accel_Flag<string what> : DefaultValuedParameter<"bool", "false", what>;

//===----------------------------------------------------------------------===//
// From accumulators to outputs
//===----------------------------------------------------------------------===//

def Accel_RequantAttr : Accel_Attr<"Requant", "requant"> {
  let summary = "Integer constants that turn an accumulator into an output";
  let description = [{
        y = clamp(((((acc << pre_shift) + offset[c]) * multiplier[c]) >> shift[c]) + zero_point, min, max)

    `multiplier` (32 bits), `offset` (64 bits) and `shift` have one entry, or one per output channel (conv2d, dense)
    or per entry of `counts` (pool2d). The product has 64 bits, the shift rounds towards minus infinity. `zero_point`
    is 0 where it is in the offset. accel.add has one multiplier per operand; see there.

    `numerator`, `divisor` and `rest` come together: the product after its shift is at most 1 beside the quotient that
    is meant; left = acc * numerator + rest - quotient * divisor, modulo 2^64, is then below 0 or not below `divisor`,
    and corrects it. A tie is where `left` is less than `tie_below`.
  }];
  let parameters = (ins
    Accel_Integers<"factors of the sums, positive in 32 bits">:$multiplier,
    Accel_Integers<"addends of the accumulators, before the multiplication">:$offset,
    Accel_Integers<"bits that the products are shifted right by, 0 to 62">:$shift,
    Accel_OptionalInteger<"bits that accumulators are shifted left by">:$pre_shift,
    Accel_OptionalInteger<"number that is added after the shift">:$zero_point,
    Accel_OptionalInteger<"the offset holds a half; what is shifted out being below this, the value was a tie, and the "
                          "even one of the quotient and the one below is taken; 0: no tie is told">:$tie_below,
    Accel_Integer<"smallest output">:$min,
    Accel_Integer<"largest output">:$max,
    Accel_Flag<"the sum before the multiplication fits 32 bits for every accumulator that can occur, and every shift is "
               "at least 32: a high multiplication and a shift do">:$narrow,
    Accel_OptionalIntegers<"factors of the accumulator in the exact quotient">:$numerator,
    Accel_OptionalIntegers<"divisors of the exact quotient, at least 1">:$divisor,
    Accel_OptionalIntegers<"addends of the exact dividend, modulo 2^64">:$rest);
}

def Accel_RescaleAttr : Accel_Attr<"Rescale", "rescale"> {
  let summary = "A second step for engines that read their sums with a converter";
  let description = [{
    What the layer's `requant` makes is a code, and the output is what this `requant` makes of the accumulator
    code * weights[c]; `weights` has one entry for each output channel.
  }];
  let parameters = (ins
    "RequantAttr":$requant,
    Accel_Integers<"factor of each output channel's code, in 32 bits">:$weights);
}

def Accel_InexactAttr : Accel_Attr<"Inexact", "inexact"> {
  let summary = "Accumulators for which a layer's constants give another output than exact arithmetic";
  let parameters = (ins
    Accel_Integers<"output channel of each">:$channels,
    Accel_Integers<"the accumulators">:$accumulators);
}

//===----------------------------------------------------------------------===//
// Decisions
//===----------------------------------------------------------------------===//

def Accel_TilingAttr : Accel_Attr<"Tiling", "tiling"> {
  let summary = "The size of the tiles of a layer at one level of memories, and how they are gone through";
  let parameters = (ins
    Accel_Integer<"output channels of a tile">:$outputs,
    Accel_Integer<"rows of a tile">:$rows,
    Accel_Integer<"columns of a tile">:$columns,
    DefaultValuedParameter<"int64_t", "1", "2: a tile's transfers go on while another one is computed">:$buffers,
    Accel_OptionalInteger<"output channels of a launch, if a tile has several; 0: one for all">:$launch_outputs,
    Accel_Flag<"inputs come from another memory">:$loads,
    Accel_Flag<"outputs go to another memory">:$stores,
    Accel_Flag<"output channels are the outer loop">:$outputs_first,
    Accel_Flag<"the host waits for each command">:$blocking);
}

def Accel_PredictedAttr : Accel_Attr<"Predicted", "predicted"> {
  let summary = "What a cost model says of a layer alone, in cycles";
  let parameters = (ins
    Accel_Integer<"cycles with its tiling">:$cycles,
    Accel_Integer<"what no tiling of the layer can beat">:$bound);
}

#endif // ACCEL_ATTRIBUTES_TD
