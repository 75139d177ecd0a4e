//===- AccelAttributes.cpp - verifiers of the accel attributes ------------------===//
// SPDX-License-Identifier: Apache-2.0
//
// What an attribute must be whatever layer has it. Every message says the value found and the value wanted.
//===----------------------------------------------------------------------===//

#include "Accel.h"

#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace htvm::accel;

#include "AccelEnums.cpp.inc"

/// Parse and print the name of a kernel, a bare word.
static ParseResult parseKernelName(AsmParser &parser, std::string &name) { return parser.parseKeywordOrString(&name); }

static void printKernelName(AsmPrinter &printer, StringRef name) { printer.printKeywordOrString(name); }

#define GET_ATTRDEF_CLASSES
#include "AccelAttributes.cpp.inc"

void AccelDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "AccelAttributes.cpp.inc"
      >();
}

using Report = llvm::function_ref<InFlightDiagnostic()>;

/// Check the numbers of an array: how many there are at least, and where they lie.
static LogicalResult verifyEach(Report report, StringRef what, DenseI64ArrayAttr numbers, int64_t least, int64_t most) {
  if (numbers.empty())
    return report() << what << " is empty, expected at least 1 entry";
  for (int64_t number : numbers.asArrayRef())
    if (number < least || number > most)
      return report() << what << " holds " << number << ", expected " << least << " to " << most;
  return success();
}

/// Check that of arrays that belong together all are there, or none.
static LogicalResult verifyTogether(Report report, ArrayRef<std::pair<StringRef, DenseI64ArrayAttr>> arrays) {
  const auto *present = llvm::find_if(arrays, [](const auto &array) { return static_cast<bool>(array.second); });
  if (present == arrays.end())
    return success();
  for (const auto &[name, numbers] : arrays)
    if (!numbers)
      return report() << "requant has '" << present->first << "' without '" << name << "'";
  return success();
}

bool htvm::accel::isKernelName(StringRef name) {
  auto isSmallLetter = [](char each) { return each >= 'a' && each <= 'z'; };
  return !name.empty() && isSmallLetter(name.front()) &&
         llvm::all_of(name, [&](char each) { return isSmallLetter(each) || llvm::isDigit(each) || each == '_'; });
}

bool htvm::accel::isKernel(Attribute attribute) {
  auto name = dyn_cast<StringAttr>(attribute);
  return isa<KernelAttr>(attribute) || (name && isKernelName(name));
}

LogicalResult KernelAttr::verify(Report report, StringRef name) {
  if (!isKernelName(name))
    return report() << "kernel is '" << name << "', expected small letters, digits and underscores, a letter first";
  return success();
}

LogicalResult RequantAttr::verify(Report report, DenseI64ArrayAttr multiplier, DenseI64ArrayAttr offset,
                                  DenseI64ArrayAttr shift, int64_t preShift, int64_t, int64_t tieBelow, int64_t min,
                                  int64_t max, bool narrow, DenseI64ArrayAttr numerator, DenseI64ArrayAttr divisor,
                                  DenseI64ArrayAttr rest, bool doubleRound) {
  constexpr int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  if (failed(verifyEach(report, "requant 'multiplier'", multiplier, std::numeric_limits<int32_t>::min(),
                        std::numeric_limits<int32_t>::max())) ||
      failed(verifyEach(report, "requant 'offset'", offset, least, most)) ||
      failed(verifyEach(report, "requant 'shift'", shift, 0, 62)))
    return failure();
  if (preShift < 0 || preShift > 62)
    return report() << "requant 'pre_shift' is " << preShift << ", expected 0 to 62";
  if (tieBelow < 0)
    return report() << "requant 'tie_below' is " << tieBelow << ", expected at least 0";
  if (min > max)
    return report() << "requant 'min' is " << min << ", above 'max', which is " << max;
  if (failed(verifyTogether(report, {{"numerator", numerator}, {"divisor", divisor}, {"rest", rest}})))
    return failure();
  if (doubleRound && (narrow || tieBelow || divisor))
    return report() << "requant has 'double_round' beside '"
                    << (narrow     ? "narrow"
                        : tieBelow ? "tie_below"
                                   : "divisor")
                    << "', expected it alone";
  if (doubleRound && failed(verifyEach(report, "requant 'shift'", shift, 1, 62)))
    return failure();
  if (divisor && (failed(verifyEach(report, "requant 'numerator'", numerator, least, most)) ||
                  failed(verifyEach(report, "requant 'divisor'", divisor, 1, most)) ||
                  failed(verifyEach(report, "requant 'rest'", rest, least, most))))
    return failure();
  return success();
}

LogicalResult RescaleAttr::verify(Report report, RequantAttr, DenseI64ArrayAttr weights) {
  return verifyEach(report, "rescale 'weights'", weights, std::numeric_limits<int32_t>::min(),
                    std::numeric_limits<int32_t>::max());
}

LogicalResult InexactAttr::verify(Report report, int64_t count, int64_t channel, int64_t) {
  if (count < 1 || channel < 0)
    return report() << "inexact has count " << count << " and channel " << channel << ", expected at least 1 and 0";
  return success();
}

//===----------------------------------------------------------------------===//
// Decisions
//===----------------------------------------------------------------------===//

LogicalResult TilingAttr::verify(Report report, int64_t outputs, int64_t rows, int64_t columns, int64_t buffers,
                                 int64_t launchOutputs, int64_t weightBuffers, int64_t channels, int64_t group, bool,
                                 bool, bool, bool) {
  for (auto [name, size, least] : {std::tuple<StringRef, int64_t, int64_t>{"outputs", outputs, 1},
                                   {"rows", rows, 1},
                                   {"columns", columns, 1},
                                   {"launch_outputs", launchOutputs, 0},
                                   {"weight_buffers", weightBuffers, 0},
                                   {"channels", channels, 0},
                                   {"group", group, 0}})
    if (size < least)
      return report() << "tiling '" << name << "' is " << size << ", expected at least " << least;
  if (buffers < 1 || buffers > 2)
    return report() << "tiling 'buffers' is " << buffers << ", expected 1 or 2";
  return success();
}

LogicalResult FormAttr::verify(Report report, FormKind, int64_t outputs, int64_t rows, DenseI64ArrayAttr) {
  if (outputs < 1 || rows < 1)
    return report() << "form has " << outputs << " outputs and " << rows << " rows, expected at least 1";
  return success();
}

LogicalResult PredictedAttr::verify(Report report, int64_t cycles, int64_t bound) {
  if (cycles < 0 || bound < 0)
    return report() << "predicted has " << cycles << " cycles and a bound of " << bound << ", expected at least 0";
  return success();
}

LogicalResult PinAttr::verify(Report report, StringRef node, StringRef op, int64_t number, StringRef, TilingAttr,
                              TilingAttr, FormAttr, StringRef) {
  if (node.empty() || op.empty())
    return report() << "pin has node \"" << node << "\" and op \"" << op << "\", expected the names of both";
  if (number < 1)
    return report() << "pin 'number' is " << number << ", expected at least 1";
  return success();
}

LogicalResult OptionsAttr::verify(Report report, Objective, Numbers, Mapping, TypedAttr constants) {
  if (!constants || isBudget(constants))
    return success();
  return report() << "options 'constants' is " << constants
                  << ", expected bytes (an i64 of at least 0) or a factor (f64 above 0)";
}

LogicalResult InsertedAttr::verify(Report report, Purpose purpose, TypeAttr before, TypeAttr after) {
  bool refits = purpose == Purpose::refit_scales;
  for (auto [name, type] : {std::pair<StringRef, TypeAttr>{"before", before}, {"after", after}}) {
    if (static_cast<bool>(type) != refits)
      return report() << "inserted for '" << stringifyPurpose(purpose) << "' " << (refits ? "without '" : "with '")
                      << name << "', expected it of 'refit_scales' alone";
    if (type && !isa<quant::QuantizedType>(type.getValue()))
      return report() << "inserted '" << name << "' is " << type << ", expected a quantised type";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Accelerators
//===----------------------------------------------------------------------===//

/// Check an array of a job: how many numbers it has, and the smallest that each may be.
static LogicalResult verifySizes(Report report, StringRef name, DenseI64ArrayAttr numbers, int64_t count,
                                 int64_t least) {
  if (numbers.size() != count)
    return report() << "job '" << name << "' has " << numbers.size() << " numbers, expected " << count;
  for (int64_t number : numbers.asArrayRef())
    if (number < least)
      return report() << "job '" << name << "' holds " << number << ", expected at least " << least;
  return success();
}

/// Check the engine's own numbers of a job.
static LogicalResult verifyFields(Report report, DictionaryAttr fields) {
  for (NamedAttribute field : fields ? fields.getValue() : ArrayRef<NamedAttribute>())
    if (auto number = dyn_cast<IntegerAttr>(field.getValue()); !number || !number.getType().isSignlessInteger(64))
      return report() << "job field '" << field.getName().getValue() << "' is " << field.getValue()
                      << ", expected an i64";
  return success();
}

/// Check how many windows of a size there are along both axes.
static LogicalResult verifyWindows(Report report, StringRef what, ArrayRef<int64_t> size, ArrayRef<int64_t> kernel,
                                   ArrayRef<int64_t> strides, ArrayRef<int64_t> pads, ArrayRef<int64_t> found) {
  for (int axis = 0; axis < 2; ++axis) {
    int64_t windows = (size[axis] + pads[axis] + pads[axis + 2] - kernel[axis]) / strides[axis] + 1;
    if (size[axis] + pads[axis] + pads[axis + 2] < kernel[axis] || windows != found[axis])
      return report() << what << " has " << found[axis] << (axis ? " columns" : " rows") << ", expected " << windows
                      << ", which its size, kernel, strides and pads give";
  }
  return success();
}

LogicalResult PoolAttr::verify(Report report, PoolKind, DenseI64ArrayAttr size, DenseI64ArrayAttr kernel,
                               DenseI64ArrayAttr strides, DenseI64ArrayAttr pads) {
  return success(succeeded(verifySizes(report, "pool size", size, 2, 1)) &&
                 succeeded(verifySizes(report, "pool kernel", kernel, 2, 1)) &&
                 succeeded(verifySizes(report, "pool strides", strides, 2, 1)) &&
                 succeeded(verifySizes(report, "pool pads", pads, 4, 0)));
}

LogicalResult JobAttr::verify(Report report, JobKind kind, int64_t channels, int64_t outputs, DenseI64ArrayAttr size,
                              DenseI64ArrayAttr outSize, DenseI64ArrayAttr kernel, DenseI64ArrayAttr strides,
                              DenseI64ArrayAttr pads, int64_t groups, Layout, bool adds, bool keeps,
                              DictionaryAttr fields, bool, PoolAttr pool) {
  for (auto [name, number] : {std::pair<StringRef, int64_t>{"channels", channels}, {"outputs", outputs}})
    if (number < 1)
      return report() << "job '" << name << "' is " << number << ", expected at least 1";
  if (failed(verifySizes(report, "size", size, 2, 1)) || failed(verifySizes(report, "out_size", outSize, 2, 1)) ||
      failed(verifySizes(report, "kernel", kernel, 2, 1)) || failed(verifySizes(report, "strides", strides, 2, 1)) ||
      failed(verifySizes(report, "pads", pads, 4, 0)) || failed(verifyFields(report, fields)))
    return failure();
  if (groups != 1 && (groups != channels || groups != outputs))
    return report() << "job 'groups' is " << groups << " with " << channels << " channels and " << outputs
                    << " outputs, expected 1, or all three the same";
  if (groups != 1 && (adds || keeps))
    return report() << "job 'groups' is " << groups << " with '" << (adds ? "adds" : "keeps")
                    << "', expected 1: a depthwise layer has no channels to sum";
  ArrayRef<int64_t> summed = pool ? ArrayRef<int64_t>(pool.getSize()) : ArrayRef<int64_t>(outSize);
  StringRef what = pool ? "pool 'size'" : "job 'out_size'";
  if (failed(verifyWindows(report, what, size, kernel, strides, pads, summed)))
    return failure();
  if (pool)
    return verifyWindows(report, "job 'out_size'", pool.getSize(), pool.getKernel(), pool.getStrides(), pool.getPads(),
                         outSize);
  return success();
}

bool htvm::accel::isJob(Attribute attribute) {
  if (isa<JobAttr>(attribute))
    return true;
  auto former = dyn_cast<DictionaryAttr>(attribute);
  return former && former.contains("kind") && former.contains("channels");
}

bool htvm::accel::isBudget(Attribute attribute) {
  if (auto bytes = dyn_cast<IntegerAttr>(attribute))
    return bytes.getType().isSignlessInteger(64) && !bytes.getValue().isNegative();
  auto factor = dyn_cast<FloatAttr>(attribute);
  return factor && factor.getType().isF64() && factor.getValueAsDouble() > 0;
}

//===----------------------------------------------------------------------===//
// Python
//===----------------------------------------------------------------------===//

// Makes attributes, reads their parameters, names their types; generator/ writes both sides.
#define HTVM_PYTHON extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT
#include "AccelPython.cpp.inc"
