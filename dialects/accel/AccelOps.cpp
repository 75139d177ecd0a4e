//===- AccelOps.cpp - verifiers and folders of the accel operations ------------===//
// SPDX-License-Identifier: Apache-2.0
//
// Every message says the value found and the value wanted.
//===----------------------------------------------------------------------===//

#include "Accel.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <optional>

using namespace mlir;
using namespace htvm::accel;

//===----------------------------------------------------------------------===//
// What all layers share
//===----------------------------------------------------------------------===//

void htvm::accel::addDestinationEffects(Operation *layer, MutableOperandRange out,
                                        SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  OperandRange destinations = out;
  Value scratch = llvm::TypeSwitch<Operation *, Value>(layer)
                      .Case<Conv2dOp, DenseOp, CallOp>([](auto scratched) { return scratched.getScratch(); })
                      .Default(Value());
  for (OpOperand &operand : layer->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    bool isDestination = !destinations.empty() && destinations.front() == operand.get() &&
                         operand.getOperandNumber() == destinations.getBeginOperandIndex();
    if (isDestination || operand.get() == scratch)
      effects.emplace_back(MemoryEffects::Write::get(), &operand, SideEffects::DefaultResource::get());
    if (!isDestination)
      effects.emplace_back(MemoryEffects::Read::get(), &operand, SideEffects::DefaultResource::get());
  }
}

/// "1x16x32x32", as types print their shape.
static std::string shapeText(ArrayRef<int64_t> shape) {
  return shape.empty() ? "scalar"
                       : llvm::join(llvm::map_range(shape, [](int64_t n) { return std::to_string(n); }), "x");
}

static ShapedType shaped(Value value) { return cast<ShapedType>(value.getType()); }

/// A layer either has a result, on tensors, or writes a memref; and then all its values are of that kind.
template <typename Layer>
static LogicalResult verifyForm(Layer layer) {
  bool onTensors = static_cast<bool>(layer.getResult());
  bool onMemrefs = static_cast<bool>(layer.getOut());
  if (onTensors == onMemrefs)
    return layer.emitOpError() << "has " << (onTensors ? "both" : "neither") << " a result "
                               << (onTensors ? "and" : "nor")
                               << " a destination; expected a result on tensors, a destination ('into') on memrefs";
  for (OpOperand &operand : layer->getOpOperands())
    if (isa<MemRefType>(operand.get().getType()) != onMemrefs)
      return layer.emitOpError() << "operand " << operand.getOperandNumber() << " is a "
                                 << (onMemrefs ? "tensor" : "memref") << ", expected a "
                                 << (onMemrefs ? "memref" : "tensor") << " like the "
                                 << (onMemrefs ? "destination" : "result");
  return success();
}

template <typename Layer>
static LogicalResult verifyOutputShape(Layer layer, ArrayRef<int64_t> wanted) {
  ArrayRef<int64_t> found = layer.getOutputType().getShape();
  if (found != wanted)
    return layer.emitOpError() << "result has shape " << shapeText(found) << ", expected " << shapeText(wanted);
  return success();
}

static LogicalResult verifyRank(Operation *layer, StringRef what, ShapedType type, int64_t wanted) {
  if (type.getRank() != wanted)
    return layer->emitOpError() << what << " has rank " << type.getRank() << " (" << shapeText(type.getShape())
                                << "), expected " << wanted;
  return success();
}

/// Check an array attribute of `count` numbers that are at least `least`.
static LogicalResult verifyNumbers(Operation *layer, StringRef what, ArrayRef<int64_t> numbers, size_t count,
                                   int64_t least) {
  if (numbers.size() != count)
    return layer->emitOpError() << what << " has " << numbers.size() << " numbers, expected " << count;
  for (int64_t number : numbers)
    if (number < least)
      return layer->emitOpError() << what << " holds " << number << ", expected at least " << least;
  return success();
}

/// Check that `axis` names one of `rank` axes.
static LogicalResult verifyAxis(Operation *layer, int64_t axis, int64_t rank) {
  if (axis < 0 || axis >= rank)
    return layer->emitOpError() << "axis is " << axis << ", expected 0 to " << rank - 1;
  return success();
}

/// Check how many entries an array has: 1, or as many as there are `what`.
static LogicalResult verifyEntries(Operation *layer, StringRef attribute, StringRef name, DenseI64ArrayAttr numbers,
                                   int64_t count, StringRef what) {
  if (!numbers || numbers.size() == 1 || numbers.size() == count)
    return success();
  return layer->emitOpError() << attribute << " '" << name << "' has " << numbers.size() << " entries, expected "
                              << (count == 1 ? "1" : "1 or " + std::to_string(count)) << " (" << what << ")";
}

/// Check that the constants that turn accumulators into outputs fit a layer: their arrays have 1 entry, or as many as
/// there are `what`.
static LogicalResult verifyRequant(Operation *layer, std::optional<RequantAttr> requant, int64_t count, StringRef what,
                                   StringRef name = "requant") {
  if (!requant)
    return success();
  for (auto [key, numbers] : {std::pair<StringRef, DenseI64ArrayAttr>{"multiplier", requant->getMultiplier()},
                              {"offset", requant->getOffset()},
                              {"shift", requant->getShift()},
                              {"numerator", requant->getNumerator()},
                              {"divisor", requant->getDivisor()},
                              {"rest", requant->getRest()}})
    if (failed(verifyEntries(layer, name, key, numbers, count, what)))
      return failure();
  // The high half of a product is taken first.
  for (int64_t bits : requant->getShift().asArrayRef())
    if (requant->getNarrow() && bits < 32)
      return layer->emitOpError() << name << " 'shift' holds " << bits << ", expected 32 to 62 with 'narrow'";
  return success();
}

/// Check the constants of an addition, which has one multiplier for each operand, and shifts a sum.
static LogicalResult verifyRequantOfSum(AddOp layer) {
  std::optional<RequantAttr> requant = layer.getRequant();
  if (!requant)
    return success();
  for (auto [key, numbers] : {std::pair<StringRef, DenseI64ArrayAttr>{"multiplier", requant->getMultiplier()},
                              {"numerator", requant->getNumerator()}})
    if (numbers && numbers.size() != 2)
      return layer.emitOpError() << "requant '" << key << "' has " << numbers.size()
                                 << " entries, expected 2 (operands)";
  for (auto [key, numbers] : {std::pair<StringRef, DenseI64ArrayAttr>{"offset", requant->getOffset()},
                              {"shift", requant->getShift()},
                              {"divisor", requant->getDivisor()},
                              {"rest", requant->getRest()}})
    if (failed(verifyEntries(layer, "requant", key, numbers, 1, "operands")))
      return failure();
  return success();
}

/// Find the shape that two shapes broadcast to, as in numpy.
static LogicalResult broadcast(Operation *layer, ArrayRef<int64_t> lhs, ArrayRef<int64_t> rhs,
                               SmallVectorImpl<int64_t> &shape) {
  shape.resize(std::max(lhs.size(), rhs.size()));
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t a = i < lhs.size() ? lhs[lhs.size() - 1 - i] : 1, b = i < rhs.size() ? rhs[rhs.size() - 1 - i] : 1;
    if (a != b && a != 1 && b != 1)
      return layer->emitOpError() << "operands have shapes " << shapeText(lhs) << " and " << shapeText(rhs)
                                  << ", which do not broadcast";
    shape[shape.size() - 1 - i] = a == 1 ? b : a;
  }
  return success();
}

/// Fold a layer on tensors to an operand that already has the result's type.
template <typename Layer>
static LogicalResult foldToInput(Layer layer, Value input, SmallVectorImpl<OpFoldResult> &results) {
  // A layer that names its engine is there for something: it moves its input to another memory, say.
  if (!layer.getResult() || input.getType() != layer.getResult().getType() || layer.getEngine())
    return failure();
  results.push_back(input);
  return success();
}

/// How many of the parameters `alpha` and `beta` a function of accel.unary has.
static int functionParameters(Function function) {
  switch (function) {
  case Function::celu:
  case Function::elu:
  case Function::leaky_relu:
  case Function::pow:
  case Function::shrink:
  case Function::threshold:
    return 1;
  case Function::hard_sigmoid:
  case Function::hard_swish:
  case Function::selu:
    return 2;
  default:
    return 0;
  }
}

/// Parse a function of accel.unary: its word, which the former form has in quotes.
static ParseResult parseFunction(OpAsmParser &parser, Attribute &function) {
  SMLoc place = parser.getCurrentLocation();
  std::string word;
  if (parser.parseKeywordOrString(&word))
    return failure();
  std::optional<Function> known = symbolizeFunction(word);
  if (!known)
    return parser.emitError(place) << "'" << word << "' is no function of accel.unary, expected one of abs, exp, tanh "
                                   << "and others that its description lists";
  function = FunctionAttr::get(parser.getContext(), *known);
  return success();
}

static void printFunction(OpAsmPrinter &printer, Operation *, Attribute function) {
  printer << stringifyFunction(*chosen<FunctionAttr>(function));
}

/// Elements that fit under a window along one axis, or the reason why there are none.
static FailureOr<int64_t> windowCount(Operation *layer, StringRef axis, int64_t size, int64_t padBefore,
                                      int64_t padAfter, int64_t kernel, int64_t dilation, int64_t stride) {
  int64_t span = (kernel - 1) * dilation + 1, padded = size + padBefore + padAfter;
  if (span > padded)
    return layer->emitOpError() << "kernel spans " << span << " " << axis << ", input has " << padded
                                << " with padding";
  return (padded - span) / stride + 1;
}

//===----------------------------------------------------------------------===//
// Linear layers
//===----------------------------------------------------------------------===//

static LogicalResult verifyBias(Operation *layer, Value bias, int64_t channels, bool hasRequant) {
  if (!bias)
    return success();
  ArrayRef<int64_t> shape = shaped(bias).getShape();
  if (shape != ArrayRef<int64_t>{channels})
    return layer->emitOpError() << "bias has shape " << shapeText(shape) << ", expected " << channels
                                << " (output channels)";
  if (hasRequant)
    return layer->emitOpError() << "has a bias operand beside requant, which holds it in 'offset'";
  return success();
}

/// Check that scratch memory has the bytes that the layer says.
template <typename Layer>
static LogicalResult verifyScratch(Layer layer) {
  if (!layer.getScratch())
    return success();
  auto type = cast<MemRefType>(layer.getScratch().getType());
  int64_t wanted = layer.getScratchBytes().value_or(0);
  if (!type.getElementType().isInteger(8) || type.getNumElements() != wanted)
    return layer.emitOpError() << "scratch is " << type << ", expected " << wanted << " i8 elements ('scratch_bytes')";
  return success();
}

/// Check how the host computes a linear layer: what is said of a kernel needs one, and scratch memory has
/// `scratch_bytes`. Which kernels take which of these, verify-stage checks: kernels are described outside of the
/// dialect.
template <typename Layer>
static LogicalResult verifyKernel(Layer layer) {
  if (!layer.getKernel() && (layer.getRun() || layer.getSkip()))
    return layer.emitOpError() << "has '" << (layer.getRun() ? "run" : "skip") << "' without 'kernel'";
  return verifyScratch(layer);
}

/// Check the step after a converter: its constants, and the weight of each output channel.
static LogicalResult verifyRescale(Conv2dOp layer, int64_t channels) {
  std::optional<RescaleAttr> rescale = layer.getRescale();
  if (!rescale)
    return success();
  if (!layer.getRequant())
    return layer.emitOpError("has rescale without requant, which makes the code that it scales");
  if (failed(verifyRequant(layer, rescale->getRequant(), channels, "output channels", "rescale")))
    return failure();
  if (rescale->getWeights().size() != channels)
    return layer.emitOpError() << "rescale 'weights' has " << rescale->getWeights().size() << " entries, expected "
                               << channels << " (output channels)";
  return success();
}

LogicalResult Conv2dOp::verify() {
  if (failed(verifyForm(*this)) || failed(verifyKernel(*this)))
    return failure();
  ShapedType input = shaped(getInput()), weights = shaped(getWeights());
  if (failed(verifyRank(*this, "input", input, 4)) || failed(verifyRank(*this, "weights", weights, 4)) ||
      failed(verifyNumbers(*this, "strides", getStrides(), 2, 1)) ||
      failed(verifyNumbers(*this, "pads", getPads(), 4, 0)) ||
      failed(verifyNumbers(*this, "dilations", getDilations(), 2, 1)))
    return failure();
  int64_t groups = getGroups(), inputChannels = input.getDimSize(1), outputChannels = weights.getDimSize(0);
  if (groups < 1 || inputChannels % groups != 0 || outputChannels % groups != 0)
    return emitOpError() << "groups is " << groups << ", expected a divisor of " << inputChannels << " input and "
                         << outputChannels << " output channels";
  if (weights.getDimSize(1) != inputChannels / groups)
    return emitOpError() << "weights take " << weights.getDimSize(1) << " input channels, expected "
                         << inputChannels / groups << " (" << inputChannels << " in " << groups << " groups)";
  ArrayRef<int64_t> pads = getPads(), strides = getStrides(), dilations = getDilations();
  FailureOr<int64_t> rows = windowCount(*this, "rows", input.getDimSize(2), pads[0], pads[2], weights.getDimSize(2),
                                        dilations[0], strides[0]);
  FailureOr<int64_t> columns = windowCount(*this, "columns", input.getDimSize(3), pads[1], pads[3],
                                           weights.getDimSize(3), dilations[1], strides[1]);
  if (failed(rows) || failed(columns) ||
      failed(verifyOutputShape(*this, {input.getDimSize(0), outputChannels, *rows, *columns})) ||
      failed(verifyBias(*this, getBias(), outputChannels, getRequant().has_value())))
    return failure();
  if (failed(verifyRequant(*this, getRequant(), outputChannels, "output channels")))
    return failure();
  return verifyRescale(*this, outputChannels);
}

LogicalResult DenseOp::verify() {
  if (failed(verifyForm(*this)) || failed(verifyKernel(*this)))
    return failure();
  ShapedType input = shaped(getInput()), weights = shaped(getWeights());
  if (failed(verifyRank(*this, "weights", weights, 2)))
    return failure();
  if (input.getRank() < 1)
    return emitOpError() << "input is a scalar, expected rank 1 or more";
  int64_t inputs = input.getShape().back(), outputs = weights.getDimSize(0);
  if (weights.getDimSize(1) != inputs)
    return emitOpError() << "weights take " << weights.getDimSize(1) << " inputs, expected " << inputs
                         << " (the input's last axis)";
  SmallVector<int64_t> wanted(input.getShape());
  wanted.back() = outputs;
  if (failed(verifyOutputShape(*this, wanted)) ||
      failed(verifyBias(*this, getBias(), outputs, getRequant().has_value())))
    return failure();
  return verifyRequant(*this, getRequant(), outputs, "outputs");
}

LogicalResult MatMulOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  ArrayRef<int64_t> lhs = shaped(getLhs()).getShape(), rhs = shaped(getRhs()).getShape();
  if (lhs.size() < 2 || rhs.size() < 2)
    return emitOpError() << "operands have shapes " << shapeText(lhs) << " and " << shapeText(rhs)
                         << ", expected rank 2 or more";
  if (lhs.back() != rhs[rhs.size() - 2])
    return emitOpError() << "operands have shapes " << shapeText(lhs) << " and " << shapeText(rhs) << ", expected "
                         << lhs.back() << " rows in the second";
  SmallVector<int64_t> wanted;
  if (failed(broadcast(*this, lhs.drop_back(2), rhs.drop_back(2), wanted)))
    return failure();
  wanted.append({lhs[lhs.size() - 2], rhs.back()});
  if (std::optional<ArrayRef<int64_t>> points = getZeroPoints(); points && points->size() != 2)
    return emitOpError() << "zero_points has " << points->size() << " numbers, expected 2";
  if (failed(verifyOutputShape(*this, wanted)))
    return failure();
  return verifyRequant(*this, getRequant(), 1, "tensors");
}

//===----------------------------------------------------------------------===//
// Element-wise layers
//===----------------------------------------------------------------------===//

/// Check that the operands broadcast, as in numpy, to the output.
template <typename Layer>
static LogicalResult verifyBroadcast(Layer layer) {
  if (failed(verifyForm(layer)))
    return failure();
  SmallVector<int64_t> wanted;
  if (failed(broadcast(layer, shaped(layer.getLhs()).getShape(), shaped(layer.getRhs()).getShape(), wanted)))
    return failure();
  return verifyOutputShape(layer, wanted);
}

template <typename Layer>
static LogicalResult verifySameShape(Layer layer) {
  if (failed(verifyForm(layer)))
    return failure();
  return verifyOutputShape(layer, shaped(layer.getInput()).getShape());
}

LogicalResult AddOp::verify() {
  if (failed(verifyBroadcast(*this)))
    return failure();
  return verifyRequantOfSum(*this);
}

LogicalResult SubOp::verify() { return verifyBroadcast(*this); }

LogicalResult MulOp::verify() {
  if (failed(verifyBroadcast(*this)))
    return failure();
  if (std::optional<ArrayRef<int64_t>> points = getZeroPoints(); points && points->size() != 2)
    return emitOpError() << "zero_points has " << points->size() << " numbers, expected 2";
  return verifyRequant(*this, getRequant(), 1, "tensors");
}

LogicalResult DivOp::verify() { return verifyBroadcast(*this); }
LogicalResult MaximumOp::verify() { return verifyBroadcast(*this); }
LogicalResult MinimumOp::verify() { return verifyBroadcast(*this); }
LogicalResult ReluOp::verify() { return verifySameShape(*this); }
LogicalResult SigmoidOp::verify() { return verifySameShape(*this); }

LogicalResult ClampOp::verify() {
  double low = getMin().convertToDouble(), high = getMax().convertToDouble();
  if (!(low <= high))
    return emitOpError() << "min is " << low << ", expected at most max, which is " << high;
  return verifySameShape(*this);
}

LogicalResult UnaryOp::verify() {
  Function function = *chosen<FunctionAttr>(getFunction());
  int wanted = functionParameters(function), found = getAlpha().has_value() + getBeta().has_value();
  if (found != wanted || (getBeta() && !getAlpha()))
    return emitOpError() << "'" << stringifyFunction(function) << "' has " << found << " parameters, expected "
                         << wanted
                         << (wanted == 2   ? " (alpha, beta)"
                             : wanted == 1 ? " (alpha)"
                                           : "");
  return verifySameShape(*this);
}

LogicalResult LookupOp::verify() {
  ShapedType table = shaped(getTable()), input = shaped(getInput());
  if (failed(verifyRank(*this, "table", table, getAxis() ? 2 : 1)))
    return failure();
  if (getAxis()) {
    if (failed(verifyAxis(*this, *getAxis(), input.getRank())))
      return failure();
    if (table.getDimSize(0) != input.getDimSize(*getAxis()))
      return emitOpError() << "has " << table.getDimSize(0) << " tables, expected " << input.getDimSize(*getAxis())
                           << " (axis " << *getAxis() << ")";
  }
  return verifySameShape(*this);
}

LogicalResult ThresholdOp::verify() {
  ShapedType starts = shaped(getStarts()), values = shaped(getValues()), input = shaped(getInput());
  int64_t rank = getAxis() ? 2 : 1;
  if (failed(verifyRank(*this, "starts", starts, rank)) || failed(verifyRank(*this, "values", values, rank)))
    return failure();
  if (values.getDimSize(rank - 1) != starts.getDimSize(rank - 1) + 1)
    return emitOpError() << "has " << values.getDimSize(rank - 1) << " values for " << starts.getDimSize(rank - 1)
                         << " starts, expected one more";
  if (getAxis()) {
    if (failed(verifyAxis(*this, *getAxis(), input.getRank())))
      return failure();
    for (ShapedType each : {starts, values})
      if (each.getDimSize(0) != input.getDimSize(*getAxis()))
        return emitOpError() << "has " << each.getDimSize(0) << " step functions, expected "
                             << input.getDimSize(*getAxis()) << " (axis " << *getAxis() << ")";
  }
  return verifySameShape(*this);
}

LogicalResult WeightedSumOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  size_t count = getInputs().size();
  if (count < 1 || count > 4)
    return emitOpError() << "has " << count << " inputs, expected 1 to 4";
  SmallVector<int64_t> wanted;
  for (Value input : getInputs()) {
    SmallVector<int64_t> before = wanted;
    wanted.clear();
    if (failed(broadcast(*this, before, shaped(input).getShape(), wanted)))
      return failure();
  }
  ShapedType constants = shaped(getConstants());
  if (failed(verifyRank(*this, "constants", constants, 2)))
    return failure();
  if (getAxis() && failed(verifyAxis(*this, *getAxis(), wanted.size())))
    return failure();
  int64_t rows = getAxis() ? wanted[*getAxis()] : 1, columns = 2 * count + 4;
  if (constants.getDimSize(0) != rows || constants.getDimSize(1) != columns)
    return emitOpError() << "has constants " << constants.getDimSize(0) << "x" << constants.getDimSize(1)
                         << ", expected " << rows << "x" << columns;
  return verifyOutputShape(*this, wanted);
}

LogicalResult QuantizeOp::verify() {
  Type element = getOutputType() ? getOutputType().getElementType() : Type();
  if (element && !isa<quant::QuantizedType>(element))
    return emitOpError() << "result has elements " << element << ", expected a quantised type";
  return verifySameShape(*this);
}

LogicalResult QuantizeOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  // A value that already has the type lies on its grid and in its range.
  return foldToInput(*this, getInput(), results);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

LogicalResult Pool2dOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  ShapedType input = shaped(getInput());
  if (failed(verifyRank(*this, "input", input, 4)) || failed(verifyNumbers(*this, "kernel", getKernel(), 2, 1)) ||
      failed(verifyNumbers(*this, "strides", getStrides(), 2, 1)) ||
      failed(verifyNumbers(*this, "pads", getPads(), 4, 0)))
    return failure();
  ArrayRef<int64_t> pads = getPads(), strides = getStrides(), kernel = getKernel();
  int64_t undilated[] = {1, 1};
  ArrayRef<int64_t> dilations = getDilations().value_or(undilated);
  if (failed(verifyNumbers(*this, "dilations", dilations, 2, 1)))
    return failure();
  SmallVector<int64_t> wanted{input.getDimSize(0), input.getDimSize(1)};
  for (int axis = 0; axis < 2; ++axis) {
    StringRef name = axis ? "columns" : "rows";
    int64_t size = input.getDimSize(2 + axis);
    FailureOr<int64_t> windows =
        windowCount(*this, name, size, pads[axis], pads[axis + 2], kernel[axis], dilations[axis], strides[axis]);
    if (failed(windows))
      return failure();
    for (int64_t window = 0; window < *windows; ++window) {
      int64_t start = window * strides[axis] - pads[axis], tap = 0;
      while (tap < kernel[axis] && start + tap * dilations[axis] < 0)
        ++tap;
      if (tap == kernel[axis] || start + tap * dilations[axis] >= size)
        return emitOpError() << "pads of " << name << " are " << pads[axis] << " and " << pads[axis + 2]
                             << " with a kernel of " << kernel[axis] << ": a window must hold an element";
    }
    wanted.push_back(*windows);
  }
  if (failed(verifyOutputShape(*this, wanted)))
    return failure();
  if (getRequant() && !getCounts())
    return emitOpError() << "has requant without 'counts'";
  return verifyRequant(*this, getRequant(), getCounts() ? getCounts()->size() : 1, "counts");
}

LogicalResult SoftmaxOp::verify() {
  if (failed(verifySameShape(*this)))
    return failure();
  if (getTable())
    for (StringRef key : {"scale_multiplier", "scale_shift", "zero_point", "min", "max"})
      if (!(*this)->hasAttr(key))
        return emitOpError() << "has a table without '" << key << "'";
  return verifyAxis(*this, getAxis(), shaped(getInput()).getRank());
}

LogicalResult LayerNormOp::verify() {
  if (failed(verifySameShape(*this)))
    return failure();
  ShapedType input = shaped(getInput());
  if (input.getRank() < 1)
    return emitOpError() << "input is a scalar, expected rank 1 or more";
  for (auto [what, value] : {std::pair<StringRef, Value>{"scale", getScale()}, {"bias", getBias()}})
    if (value && shaped(value).getShape() != input.getShape().take_back())
      return emitOpError() << what << " has shape " << shapeText(shaped(value).getShape()) << ", expected "
                           << input.getShape().back() << " (the input's last axis)";
  if (!getHalfStep())
    return getEpsilon() ? success() : emitOpError() << "has neither 'epsilon' nor 'half_step'";
  for (StringRef key : {"variance_scale", "variance_offset", "shift", "zero_point", "min", "max"})
    if (!(*this)->hasAttr(key))
      return emitOpError() << "has 'half_step' without '" << key << "'";
  return verifyNumbers(*this, "variance_offset", *getVarianceOffset(), 2, 0);
}

LogicalResult ArgMaxOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  SmallVector<int64_t> wanted(shaped(getInput()).getShape());
  if (failed(verifyAxis(*this, getAxis(), wanted.size())))
    return failure();
  wanted[getAxis()] = 1;
  return verifyOutputShape(*this, wanted);
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

LogicalResult CallOp::verify() {
  if (failed(verifyForm(*this)) || failed(verifyScratch(*this)))
    return failure();
  auto symbol = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(*this, getCalleeAttr());
  if (!symbol || symbol.isExternal())
    return emitOpError() << "calls '" << getCallee() << "', expected a function of this module that has a body";
  SmallVector<ShapedType> wanted(llvm::map_range(getInputs(), shaped));
  wanted.push_back(getOutputType());
  SmallVector<Type> found(symbol.getArgumentTypes());
  llvm::append_range(found, symbol.getResultTypes());
  bool isLowered = symbol.getNumResults() == 0;
  if (found.size() < wanted.size() || (!isLowered && found.size() > wanted.size()))
    return emitOpError() << "has " << getInputs().size() << " inputs, '" << getCallee() << "' has " << found.size()
                         << " arguments and results, expected one for each input, and one for the output";
  for (auto [number, want] : llvm::enumerate(wanted)) {
    auto have = dyn_cast<ShapedType>(found[number]);
    bool isAlike = have && have.hasStaticShape() && have.getNumElements() == want.getNumElements() &&
                   have.getElementTypeBitWidth() == want.getElementTypeBitWidth();
    if (!isAlike || (!isLowered && have.getShape() != want.getShape()))
      return emitOpError() << "value " << number << " is " << want << ", '" << getCallee() << "' has " << found[number];
  }
  return success();
}

LogicalResult ConcatOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  if (getInputs().empty())
    return emitOpError() << "has 0 inputs, expected at least 1";
  int64_t axis = getAxis();
  SmallVector<int64_t> wanted(shaped(getInputs().front()).getShape());
  if (failed(verifyAxis(*this, axis, wanted.size())))
    return failure();
  wanted[axis] = 0;
  for (auto [number, input] : llvm::enumerate(getInputs())) {
    SmallVector<int64_t> shape(shaped(input).getShape());
    int64_t length = static_cast<int64_t>(shape.size()) > axis ? shape[axis] : 0;
    if (static_cast<int64_t>(shape.size()) > axis)
      shape[axis] = wanted[axis];
    if (shape != wanted)
      return emitOpError() << "input " << number << " has shape " << shapeText(shaped(input).getShape())
                           << ", expected that of input 0 (" << shapeText(shaped(getInputs().front()).getShape())
                           << ") but for axis " << axis;
    wanted[axis] += length;
  }
  return verifyOutputShape(*this, wanted);
}

LogicalResult ConcatOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  return getInputs().size() == 1 ? foldToInput(*this, getInputs().front(), results) : failure();
}

LogicalResult PadOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  SmallVector<int64_t> wanted(shaped(getInput()).getShape());
  if (failed(verifyNumbers(*this, "low", getLow(), wanted.size(), 0)) ||
      failed(verifyNumbers(*this, "high", getHigh(), wanted.size(), 0)))
    return failure();
  for (size_t axis = 0; axis < wanted.size(); ++axis)
    wanted[axis] += getLow()[axis] + getHigh()[axis];
  return verifyOutputShape(*this, wanted);
}

LogicalResult PadOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  return foldToInput(*this, getInput(), results);
}

LogicalResult TransposeOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  ArrayRef<int64_t> shape = shaped(getInput()).getShape(), permutation = getPermutation();
  SmallVector<int64_t> sorted(permutation), wanted;
  llvm::sort(sorted);
  if (sorted != llvm::to_vector(llvm::seq<int64_t>(shape.size())))
    return emitOpError() << "permutation is ["
                         << llvm::join(llvm::map_range(permutation, [](int64_t n) { return std::to_string(n); }), ", ")
                         << "], expected each of 0 to " << shape.size() - 1 << " once";
  for (int64_t axis : permutation)
    wanted.push_back(shape[axis]);
  return verifyOutputShape(*this, wanted);
}

LogicalResult TransposeOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  return llvm::is_sorted(getPermutation()) ? foldToInput(*this, getInput(), results) : failure();
}

/// How a tensor's or memref's elements lie in memory: its encoding, or its layout map.
static Attribute layoutOf(Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.getEncoding();
  return AffineMapAttr::get(cast<MemRefType>(type).getLayout().getAffineMap());
}

/// A layer whose result has the shape and the element type of its input.
template <typename Layer>
static LogicalResult verifySameElements(Layer op) {
  if (failed(verifyForm(op)))
    return failure();
  ShapedType input = shaped(op.getInput()), output = op.getOutputType();
  if (input.getElementType() != output.getElementType())
    return op.emitOpError() << "makes elements of " << output.getElementType() << " from " << input.getElementType()
                            << ", expected the same type";
  return verifyOutputShape(op, SmallVector<int64_t>(input.getShape()));
}

LogicalResult ConvertLayoutOp::verify() {
  if (failed(verifySameElements(*this)))
    return failure();
  if (layoutOf(getInput().getType()) == layoutOf(getOutputType()))
    return emitOpError() << "has one layout for its input and its result, " << getInput().getType() << ", expected two";
  return success();
}

LogicalResult TransferOp::verify() {
  if (failed(verifySameElements(*this)))
    return failure();
  if (layoutOf(getInput().getType()) != layoutOf(getOutputType()))
    return emitOpError() << "changes the layout of " << getInput().getType() << " to that of " << getOutputType()
                         << ", expected the same";
  auto input = dyn_cast<MemRefType>(getInput().getType()), output = dyn_cast<MemRefType>(getOutputType());
  if (input && output && input.getMemorySpace() == output.getMemorySpace())
    return emitOpError() << "stays in the memory of " << input << ", expected another one";
  return success();
}

LogicalResult TakeOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  SmallVector<int64_t> wanted(shaped(getInput()).getShape());
  if (getIndices().size() != wanted.size())
    return emitOpError() << "indices has " << getIndices().size() << " lists, expected " << wanted.size()
                         << " (the input's rank)";
  for (auto [axis, attribute] : llvm::enumerate(getIndices())) {
    ArrayRef<int64_t> indices = cast<DenseI64ArrayAttr>(attribute).asArrayRef();
    for (int64_t index : indices)
      if (index < 0 || index >= wanted[axis])
        return emitOpError() << "indices of axis " << axis << " hold " << index << ", expected 0 to "
                             << wanted[axis] - 1;
    if (!indices.empty())
      wanted[axis] = indices.size();
  }
  return verifyOutputShape(*this, wanted);
}

LogicalResult TakeOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  for (Attribute attribute : getIndices())
    for (auto [place, index] : llvm::enumerate(cast<DenseI64ArrayAttr>(attribute).asArrayRef()))
      if (static_cast<int64_t>(place) != index)
        return failure();
  return foldToInput(*this, getInput(), results);
}

LogicalResult WindowsOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  ShapedType input = shaped(getInput());
  ArrayRef<int64_t> kernel = getKernel(), strides = getStrides();
  if (failed(verifyRank(*this, "input", input, 4)) || failed(verifyNumbers(*this, "kernel", kernel, 2, 1)) ||
      failed(verifyNumbers(*this, "strides", strides, 2, 1)))
    return failure();
  SmallVector<int64_t> wanted{input.getDimSize(0), kernel[0] * kernel[1] * input.getDimSize(1)};
  for (int axis = 0; axis < 2; ++axis) {
    FailureOr<int64_t> windows =
        windowCount(*this, axis ? "columns" : "rows", input.getDimSize(2 + axis), 0, 0, kernel[axis], 1, strides[axis]);
    if (failed(windows))
      return failure();
    wanted.push_back(*windows);
  }
  return verifyOutputShape(*this, wanted);
}

LogicalResult ReshapeOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  ShapedType input = shaped(getInput()), output = getOutputType();
  if (input.getNumElements() != output.getNumElements())
    return emitOpError() << "result has " << output.getNumElements() << " elements (" << shapeText(output.getShape())
                         << "), expected " << input.getNumElements() << " (" << shapeText(input.getShape()) << ")";
  return success();
}

LogicalResult ReshapeOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  if (succeeded(foldToInput(*this, getInput(), results)))
    return success();
  // A reshape of a reshape is one reshape, where the first changed neither the elements' type nor the layout.
  auto previous = getResult() ? getInput().getDefiningOp<ReshapeOp>() : ReshapeOp();
  if (!previous)
    return failure();
  auto source = cast<RankedTensorType>(previous.getInput().getType());
  auto middle = cast<RankedTensorType>(getInput().getType());
  if (source.getElementType() != middle.getElementType() || source.getEncoding() || middle.getEncoding())
    return failure();
  getInputMutable().assign(previous.getInput()); // in place: no results
  return success();
}

//===----------------------------------------------------------------------===//
// Several layers as one
//===----------------------------------------------------------------------===//

LogicalResult FusedOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  Block &body = getBody().front();
  if (body.getNumArguments() != getInputs().size())
    return emitOpError() << "has a body of " << body.getNumArguments() << " arguments, expected " << getInputs().size()
                         << ": one for each input";
  for (auto [argument, input] : llvm::zip_equal(body.getArguments(), getInputs())) {
    auto inside = dyn_cast<RankedTensorType>(argument.getType());
    ShapedType outside = shaped(input);
    if (!inside || inside.getShape() != outside.getShape() || inside.getElementType() != outside.getElementType())
      return emitOpError() << "argument " << argument.getArgNumber() << " of the body is a " << argument.getType()
                           << ", expected a tensor with shape and elements of " << outside;
  }
  auto output = body.empty() ? OutputOp() : dyn_cast<OutputOp>(body.back());
  if (!output)
    return emitOpError("does not end with 'accel.output'");
  ShapedType result = shaped(output.getValue()), wanted = getOutputType();
  if (result.getShape() != wanted.getShape() || result.getElementType() != wanted.getElementType())
    return emitOpError() << "has a body whose output is a " << result << ", expected shape and elements of " << wanted;
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

LogicalResult BufferOp::verify() {
  auto type = cast<MemRefType>(getMemref().getType());
  if (!isa_and_nonnull<StringAttr>(type.getMemorySpace()))
    return emitOpError() << "has memory space " << type.getMemorySpace()
                         << ", expected the name of a memory (a string)";
  if (std::optional<uint64_t> offset = getOffset(); offset && static_cast<int64_t>(*offset) < 0)
    return emitOpError() << "offset is " << static_cast<int64_t>(*offset) << ", expected at least 0";
  return success();
}

void BufferOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Allocate::get(), cast<OpResult>(getMemref()),
                       SideEffects::DefaultResource::get());
}

//===----------------------------------------------------------------------===//
// Accelerators and transfers
//===----------------------------------------------------------------------===//

/// What an operation that goes on in the background does to its operands. It does so until its token is waited for;
/// effects on the default resource keep it in its place among all others that touch memory.
static void addBackgroundEffects(MutableArrayRef<OpOperand> operands, OpOperand &written,
                                 SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &operand : operands)
    if (&operand != &written)
      effects.emplace_back(MemoryEffects::Read::get(), &operand, SideEffects::DefaultResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), &written, SideEffects::DefaultResource::get());
}

static LogicalResult verifyMemory(Operation *op, StringRef what, Value value) {
  auto type = cast<MemRefType>(value.getType());
  if (isa_and_nonnull<StringAttr>(type.getMemorySpace()))
    return success();
  return op->emitOpError() << what << " has memory space " << type.getMemorySpace()
                           << ", expected the name of a memory (a string)";
}

LogicalResult CopyOp::verify() {
  auto source = cast<MemRefType>(getSource().getType()), target = cast<MemRefType>(getTarget().getType());
  if (failed(verifyMemory(*this, "source", getSource())) || failed(verifyMemory(*this, "target", getTarget())))
    return failure();
  if (source.getShape() != target.getShape() || source.getElementType() != target.getElementType())
    return emitOpError() << "copies " << shapeText(source.getShape()) << " of " << source.getElementType() << " to "
                         << shapeText(target.getShape()) << " of " << target.getElementType()
                         << ", expected one shape and element type";
  if (source.getMemorySpace() == target.getMemorySpace())
    return emitOpError() << "copies within " << source.getMemorySpace() << ", expected two memories";
  return success();
}

void CopyOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  addBackgroundEffects(getOperation()->getOpOperands(), getTargetMutable(), effects);
}

LogicalResult LaunchOp::verify() {
  if (getInputs().empty())
    return emitOpError("has no inputs, expected at least one");
  for (Value operand : getOperands())
    if (failed(verifyMemory(*this, "an operand", operand)))
      return failure();
  return success();
}

void LaunchOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  addBackgroundEffects(getOperation()->getOpOperands(), getOutMutable(), effects);
  for (OpOperand &sums : getSumsMutable())
    effects.emplace_back(MemoryEffects::Write::get(), &sums, SideEffects::DefaultResource::get());
}

/// Nothing that touches memory may cross a wait.
void WaitOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), SideEffects::DefaultResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), SideEffects::DefaultResource::get());
}

LogicalResult StepOp::verify() {
  Block &body = getBody().front();
  auto yield = body.empty() ? YieldOp() : dyn_cast<YieldOp>(body.back());
  if (!yield)
    return emitOpError("does not end with 'accel.yield'");
  if (yield.getTokens().size() != getTokens().size())
    return emitOpError() << "yields " << yield.getTokens().size() << " tokens, expected " << getTokens().size()
                         << ": one for each result";
  return success();
}

#define GET_OP_CLASSES
#include "AccelOps.cpp.inc"
