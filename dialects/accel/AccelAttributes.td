//===- AccelAttributes.td - attributes of the accel dialect -------*- tablegen -*-===//
// SPDX-License-Identifier: Apache-2.0
//
// Facts that are more than one number or word. generator/ makes a Python class of each.
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
// Choices
//===----------------------------------------------------------------------===//

class Accel_Enum<string name, string what, list<string> words> : I32Enum<name, what,
    !foreach(number, !range(!size(words)), I32EnumCase<words[number], number>)> {
  let cppNamespace = "::htvm::accel";
}

/// A choice as an attribute of its own. `what` is what messages and documentation call it.
class Accel_EnumAttr<EnumInfo choice, string attrMnemonic> : EnumAttr<Accel_Dialect, choice, attrMnemonic> {
  let assemblyFormat = "`<` $value `>`";
}

/// A choice as an attribute of operations. The former form, the word as a string, is read too: what reads modules makes
/// the attribute of it (dialects/modules.py), and nothing else in htvm meets it.
class Accel_Choice<EnumAttr choice> : Attr<
    CPred<"::htvm::accel::isChoice<" # choice.cppNamespace # "::" # choice.cppClassName # ">($_self)">,
    choice.enum.summary # ": " # !interleave(!foreach(each, choice.enum.enumerants, each.str), ", ")> {
  EnumAttr current = choice;
  let storageType = "::mlir::Attribute";
  let returnType = "::mlir::Attribute";
  let convertFromStorage = "$_self";
  let constBuilderCall = choice.constBuilderCall;
}

def Accel_RoundingEnum : Accel_Enum<"Rounding", "how real numbers become integers", ["half_even", "floor"]>;
def Accel_RoundingAttr : Accel_EnumAttr<Accel_RoundingEnum, "rounding">;
def Accel_Rounding : Accel_Choice<Accel_RoundingAttr>;

def Accel_PoolKindEnum : Accel_Enum<"PoolKind", "what a pool makes of a window", ["average", "max", "min", "sum"]>;
def Accel_PoolKindAttr : Accel_EnumAttr<Accel_PoolKindEnum, "pool_kind">;
def Accel_PoolKind : Accel_Choice<Accel_PoolKindAttr>;

/// `alpha` and `beta` are its parameters, those of ONNX's operator.
def Accel_FunctionEnum : Accel_Enum<"Function", "function of one number", [
    "abs", "celu", "elu", "erf", "exp", "gelu", "gelu_tanh", "hard_sigmoid", "hard_swish", "leaky_relu", "log", "mish",
    "neg", "pow", "reciprocal", "selu", "shrink", "sign", "softplus", "softsign", "sqrt", "tanh", "threshold"]>;
def Accel_FunctionAttr : Accel_EnumAttr<Accel_FunctionEnum, "function">;
def Accel_Function : Accel_Choice<Accel_FunctionAttr>;

/// The host's kernel for a linear layer (choose-kernels). Which kernels there are, and what each takes of `run`, `skip` and
/// `scratch_bytes`, their descriptions say (htvm.backend.kernels); from stage 'tiled' on the operand `scratch` has the
/// scratch memory. The former form, the name as a string, is read too (dialects/modules.py).
def Accel_KernelAttr : AttrDef<Accel_Dialect, "Kernel"> {
  let mnemonic = "kernel";
  let summary = "The host's kernel for a linear layer, by its name";
  let parameters = (ins StringRefParameter<"the name: small letters, digits and underscores">:$value);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` custom<KernelName>($value) `>`";
}
def Accel_Kernel : Attr<CPred<"::htvm::accel::isKernel($_self)">,
    "the host's kernel for a linear layer"> {
  AttrDef current = Accel_KernelAttr;
  let storageType = "::mlir::Attribute";
  let returnType = "::mlir::Attribute";
  let convertFromStorage = "$_self";
}

def Accel_OptimalityEnum : Accel_Enum<"Optimality", "whether a decision is proved to be the best", ["optimal", "bounded"]>;
def Accel_OptimalityAttr : Accel_EnumAttr<Accel_OptimalityEnum, "optimality">;

def Accel_JobKind : Accel_Enum<"JobKind", "what a job computes", ["conv2d", "dense", "add", "matvec", "mul",
    "lookup", "pool2d"]>;
/// `blocked`: blocks of channels, one after the other, each as in nhwc.
def Accel_Layout : Accel_Enum<"Layout", "how a feature map lies in a memory: its axes, outermost first", ["nchw", "nhwc",
    "blocked"]>;

def Accel_Purpose : Accel_Enum<"Purpose", "what a layer was inserted for that no ONNX node asks for", [
    "convert_layout", "copy_result", "keep_rows", "legalize_conv", "refit_scales", "run_again", "split_clamp", "split_rounding", "transpose_spatial_dims"]>;

/// Exact ways to compute a layer, beside the plain one (backend/targets/forms):
///   rows_as_channels   a depthwise layer whose rows are the channels of a convolution with Toeplitz matrices
///   some_rows_as_channels   that for some of the channels, the others in the plain form, where constants have no room for all
///   corrected_average  an average of any number of pixels: nearly, and what is then missing
///   channel_blocks     a 1x1 convolution of a map in the layout 'blocked', whose blocks are rows of its kernel
def Accel_FormKind : Accel_Enum<"FormKind", "one of several exact ways to compute a layer", ["rows_as_channels",
    "some_rows_as_channels", "corrected_average", "channel_blocks"]>;

def Accel_Objective : Accel_Enum<"Objective", "what tilings are chosen for", ["latency", "energy", "memory"]>;
def Accel_Numbers : Accel_Enum<"Numbers", "whose numbers are computed: the model's, or those of scales that are powers of two",
    ["exact", "pow2"]>;
def Accel_Mapping : I32Enum<"Mapping", "how layers are mapped on accelerators: the fastest way found, or HTVM's",
    [I32EnumCase<"Default", 0, "default">, I32EnumCase<"Htvm", 1, "htvm">]> {
  let cppNamespace = "::htvm::accel";
}

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

    With `double_round` the product is rounded as TOSA's DOUBLE_ROUND does, and not before: 2^(shift - 1) is added, and
    where shift is above 31 also 2^30 if the sum is at least 0, -2^30 if it is not.
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
    Accel_OptionalIntegers<"addends of the exact dividend, modulo 2^64">:$rest,
    Accel_Flag<"the product is rounded to nearest in two steps, away from 0 in the first; shifts are 1 to 62, and neither "
               "a tie nor a quotient is asked for">:$double_round);
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
  let summary = "How many accumulators of a layer its constants give another output than exact arithmetic, and one";
  let parameters = (ins
    Accel_Integer<"number of accumulators, of all channels">:$count,
    Accel_Integer<"output channel of the one">:$channel,
    Accel_Integer<"the one">:$accumulator);
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
    Accel_OptionalInteger<"buffers that weights which are fetched again go through in turn; 0: each tile's have their "
                          "own">:$weight_buffers,
    Accel_OptionalInteger<"input channels of a launch, if those of several are summed; 0: all">:$channels,
    Accel_OptionalInteger<"number of the layers whose tiles flow through several units together; 0: none">:$group,
    Accel_Flag<"inputs come from another memory">:$loads,
    Accel_Flag<"outputs go to another memory">:$stores,
    Accel_Flag<"output channels are the outer loop">:$outputs_first,
    Accel_Flag<"the host waits for each command">:$blocking);
}

def Accel_FormAttr : Accel_Attr<"Form", "form"> {
  let summary = "The exact way in which an accelerator computes a layer, if it is not the plain one";
  let description = [{
    On a layer as `accel.form`, beside its `engine`. The sizes are those of the tiles that launches compute.

    ```mlir
    #accel.form<kind = rows_as_channels, outputs = 12, rows = 5>
    ```
  }];
  let parameters = (ins
    AttrParameter<"::htvm::accel::FormKind", "which way it is">:$kind,
    Accel_Integer<"output channels of a tile">:$outputs,
    Accel_Integer<"output rows of a tile">:$rows,
    Accel_OptionalIntegers<"constants of the form, in its own order">:$constants);
}

def Accel_PredictedAttr : Accel_Attr<"Predicted", "predicted"> {
  let summary = "What a cost model says of a layer alone, in cycles";
  let parameters = (ins
    Accel_Integer<"cycles with its tiling">:$cycles,
    Accel_Integer<"what no tiling of the layer can beat">:$bound);
}

def Accel_PinAttr : Accel_Attr<"Pin", "pin"> {
  let summary = "What a plan wants for a layer";
  let description = [{
    The layer is the one of the first ONNX node and of the operation that are named, of several the `number`-th. What is
    left out, later passes decide. The module's `accel.plan` is a list of pins.

    ```mlir
    #accel.pin<node = "conv1", op = "conv2d", engine = "npu", tiling = <outputs = 16, rows = 8, columns = 8>>
    ```
  }];
  let parameters = (ins
    StringRefParameter<"the first ONNX node of the layer">:$node,
    StringRefParameter<"the layer's operation, without the dialect's name">:$op,
    DefaultValuedParameter<"int64_t", "1", "which of the layers with both, from 1">:$number,
    StringRefParameter<"the engine that runs it; empty: any", "\"\"">:$engine,
    OptionalParameter<"TilingAttr", "its tiling">:$tiling,
    OptionalParameter<"TilingAttr", "its tiling where it runs once more, for the other layout of its result">:$again,
    OptionalParameter<"FormAttr", "the form in which an engine computes it; with a tiling and without a form, the plain one">:$form,
    StringRefParameter<"the host's kernel for it; empty: any", "\"\"">:$kernel);
}

def Accel_OptionsAttr : Accel_Attr<"Options", "options"> {
  let summary = "How a module is compiled, as far as passes decide by it";
  let description = [{
    The module's `accel.options`; without it, or without a parameter, the first choice of each holds.

    ```mlir
    module attributes {accel.options = #accel.options<objective = energy, constants = 2.4 : f64>} {..}
    ```
  }];
  let parameters = (ins
    DefaultValuedParameter<"::htvm::accel::Objective", "::htvm::accel::Objective::latency",
                           "what tilings are chosen for">:$objective,
    DefaultValuedParameter<"::htvm::accel::Numbers", "::htvm::accel::Numbers::exact",
                           "whose numbers are computed">:$requant,
    DefaultValuedParameter<"::htvm::accel::Mapping", "::htvm::accel::Mapping::Default",
                           "how layers are mapped on accelerators">:$mapping,
    OptionalParameter<"::mlir::TypedAttr", "the budget for constants of the host's kernels: f64, a factor of the bytes "
                                          "of the weights, or i64, bytes">:$constants);
}

def Accel_InsertedAttr : Accel_Attr<"Inserted", "inserted"> {
  let summary = "What a layer is for that no ONNX node asks for";
  let description = [{
    On the layer, and on the first launch of it, as `accel.inserted`. A layer that refit-scales inserts has the quantised
    element types before and after it.

    ```mlir
    #accel.inserted<purpose = split_clamp>
    ```
  }];
  let parameters = (ins
    AttrParameter<"::htvm::accel::Purpose", "what it is for">:$purpose,
    OptionalParameter<"::mlir::TypeAttr", "the quantised element type of its input">:$before,
    OptionalParameter<"::mlir::TypeAttr", "the quantised element type of its result">:$after);
}

//===----------------------------------------------------------------------===//
// Accelerators
//===----------------------------------------------------------------------===//

def Accel_PoolAttr : Accel_Attr<"Pool", "pool"> {
  let summary = "A pool that a job computes of its results";
  let description = [{
    ```mlir
    #accel.pool<kind = max, size = [8, 8], kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0]>
    ```
  }];
  let parameters = (ins
    AttrParameter<"::htvm::accel::PoolKind", "what it makes of a window">:$kind,
    Accel_Integers<"rows and columns of the results that it reads">:$size,
    Accel_Integers<"rows and columns of a window">:$kernel,
    Accel_Integers<"rows and columns from one window to the next">:$strides,
    Accel_Integers<"padding at the top, left, bottom and right">:$pads);
}

def Accel_JobAttr : Accel_Attr<"Job", "job"> {
  let summary = "What an accelerator is asked to do: a layer, or a tile of one, in plain numbers";
  let description = [{
    The geometry is what all engines share; feature maps are dense, sizes are rows and columns. `own` are the
    engine's own fields: a shift, the ends of a clip. Their names are the engine's (`job_fields` of its class in
    backend/targets), which an engine outside the tree chooses as well. Which engine it is, the launch says.

    ```mlir
    #accel.job<kind = conv2d, channels = 16, outputs = 16, size = [8, 8], out_size = [8, 8], kernel = [3, 3],
               strides = [1, 1], pads = [1, 1, 1, 1], own = {high = 127 : i64, low = -128 : i64, shift = 8 : i64}>
    ```
  }];
  let parameters = (ins
    AttrParameter<"::htvm::accel::JobKind", "what it computes">:$kind,
    Accel_Integer<"input channels">:$channels,
    Accel_Integer<"output channels">:$outputs,
    Accel_Integers<"rows and columns of the input">:$size,
    Accel_Integers<"rows and columns of the output">:$out_size,
    Accel_Integers<"rows and columns of the kernel">:$kernel,
    Accel_Integers<"rows and columns from one window to the next">:$strides,
    Accel_Integers<"padding at the top, left, bottom and right">:$pads,
    DefaultValuedParameter<"int64_t", "1", "1, or the channels of a depthwise layer">:$groups,
    DefaultValuedParameter<"::htvm::accel::Layout", "::htvm::accel::Layout::nchw", "how the output lies">:$layout,
    Accel_Flag<"it adds to the sums that a job before has kept">:$adds,
    Accel_Flag<"it keeps its sums for a job behind, and writes no output">:$keeps,
    OptionalParameter<"::mlir::DictionaryAttr", "the engine's own fields by name, i64">:$own,
    Accel_Flag<"a second input, as large as its sums, is added to them">:$residual,
    OptionalParameter<"PoolAttr", "the pool that it computes of its results; `out_size` is the pool's then">:$pool);
}

/// The job of a launch; the former form, a dictionary, is read as a choice's string is (Accel_Choice).
def Accel_Job : Attr<CPred<"::htvm::accel::isJob($_self)">, "#accel.job<..>"> {
  AttrDef current = Accel_JobAttr;
  let storageType = "::mlir::Attribute";
  let returnType = "::mlir::Attribute";
  let convertFromStorage = "$_self";
}

#endif // ACCEL_ATTRIBUTES_TD
