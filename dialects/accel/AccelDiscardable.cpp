//===- AccelDiscardable.cpp - accel.* attributes of other operations ------------===//
// SPDX-License-Identifier: Apache-2.0
//
// What passes write on layers, functions, their arguments and the module. Whoever reads such an attribute relies on
// its kind, so a wrong one is an error where it stands. Every message says the value found and the value wanted.
//===----------------------------------------------------------------------===//

#include "Accel.h"

using namespace mlir;
using namespace htvm::accel;

namespace {

/// An attribute by its name after "accel.": what is wanted of it, in words, and whether a value is that.
struct Rule {
  StringRef name;
  StringRef wanted;
  bool (*holds)(Attribute);
};

bool isString(Attribute value) { return isa<StringAttr>(value); }
bool isUnit(Attribute value) { return isa<UnitAttr>(value); }
bool isElements(Attribute value) { return isa<DenseElementsAttr>(value); }
bool isInteger(Attribute value) { return isa<IntegerAttr>(value) && !isa<BoolAttr>(value); }

/// A number that is not negative: bytes, cycles or operations.
bool isCount(Attribute value) {
  auto number = dyn_cast<IntegerAttr>(value);
  return number && isInteger(value) && !number.getValue().isNegative();
}

bool isScale(Attribute value) {
  auto number = dyn_cast<FloatAttr>(value);
  return number && number.getType().isF64() && number.getValueAsDouble() > 0;
}

bool isNumbers(Attribute value) { return isa<DenseF64ArrayAttr>(value); }

bool isRange(Attribute value) {
  auto ends = dyn_cast<DenseI64ArrayAttr>(value);
  return ends && ends.size() == 2 && ends[0] <= ends[1];
}

bool isPair(Attribute value) {
  auto numbers = dyn_cast<DenseI64ArrayAttr>(value);
  return numbers && numbers.size() == 2;
}

bool isShape(Attribute value) {
  auto sizes = dyn_cast<DenseI64ArrayAttr>(value);
  return sizes && llvm::all_of(sizes.asArrayRef(), [](int64_t size) { return size >= 1; });
}

bool isInexact(Attribute value) { return isa<InexactAttr>(value); }
bool isPrediction(Attribute value) { return isa<PredictedAttr>(value); }
bool isTiling(Attribute value) { return isa<TilingAttr>(value); }
bool isForm(Attribute value) { return isa<FormAttr>(value); }

bool isOptions(Attribute value) { return isa<OptionsAttr>(value); }

/// A word of an enum; what were attributes of a module is in its options now.
template <typename Choice, std::optional<Choice> (*symbolize)(StringRef)>
bool isWord(Attribute value) {
  auto word = dyn_cast<StringAttr>(value);
  return word && symbolize(word.getValue());
}

bool isInserted(Attribute value) { return isa<InsertedAttr>(value) || isWord<Purpose, symbolizePurpose>(value); }

bool isElementType(Attribute value) {
  auto name = dyn_cast<StringAttr>(value);
  return name && llvm::is_contained({"bool", "int4", "uint4", "int8", "uint8", "int16", "uint16", "int32", "uint32",
                                     "int64", "uint64", "float16", "bfloat16", "float32", "float64"},
                                    name.getValue());
}

bool isOperationName(Attribute value) {
  auto name = dyn_cast<StringAttr>(value);
  return name && name.getValue().starts_with("accel.");
}

bool isName(Attribute value) { return isString(value) && !cast<StringAttr>(value).empty(); }

bool isPlan(Attribute value) {
  auto pins = dyn_cast<ArrayAttr>(value);
  return pins && llvm::all_of(pins, [](Attribute pin) { return isa<PinAttr, DictionaryAttr>(pin); });
}

bool isNames(Attribute value) {
  auto names = dyn_cast<ArrayAttr>(value);
  return names && llvm::all_of(names, isName);
}

bool isNameOfKernel(Attribute value) { return isString(value) && isKernelName(cast<StringAttr>(value)); }

/// Two types, that before and that behind a layer of refit-scales: what #accel.inserted has now.
bool isScales(Attribute value) {
  auto types = dyn_cast<ArrayAttr>(value);
  return types && types.size() == 2 && llvm::all_of(types, [](Attribute type) { return isa<TypeAttr>(type); });
}

template <bool (*holds)(Attribute)>
bool isEach(Attribute value) {
  auto entries = dyn_cast<DictionaryAttr>(value);
  return entries && llvm::all_of(entries, [](NamedAttribute entry) { return holds(entry.getValue()); });
}

/// Of operations: layers, launches, functions, the module.
constexpr Rule ofOperations[] = {
    {"channels_first", "the name alone", isUnit},
    {"unsigned", "the name alone", isUnit},
    {"capacity", "bytes by memory, integers of at least 0", isEach<isCount>},
    {"arena", "bytes by memory, integers of at least 0", isEach<isCount>},
    {"arena_room", "bytes by memory, integers of at least 0", isEach<isCount>},
    {"data_bytes", "an integer of at least 0", isCount},
    {"descriptor_room", "an integer of at least 0", isCount},
    {"effort", "an integer of at least 0", isCount},
    {"form", "#accel.form<..>", isForm},
    {"again", "#accel.tiling<..>", isTiling},
    {"host_kernel", "the name of a kernel (a string)", isNameOfKernel},
    {"inexact", "#accel.inexact<..>", isInexact},
    {"inner", "the name alone", isUnit},
    {"inserted", "#accel.inserted<..>", isInserted},
    {"instructions", "an integer of at least 0", isCount},
    {"kernels", "an array of names (strings)", isNames},
    {"lower_bound", "bytes by memory, integers of at least 0", isEach<isCount>},
    {"macs", "an integer of at least 0", isCount},
    {"memory", "the name of a memory (a string)", isName},
    {"op", "the name of a layer's operation (a string), such as \"accel.conv2d\"", isOperationName},
    {"options", "#accel.options<..>", isOptions},
    {"order", "#accel.optimality<optimal> or <bounded>", isChoice<OptimalityAttr>},
    {"order_bound", "an integer of at least 0", isCount},
    {"peak", "nodes by memory, strings", isEach<isString>},
    {"pinned_kernel", "the name of a kernel (a string)", isNameOfKernel},
    {"placement", "#accel.optimality<optimal> or <bounded>", isChoice<OptimalityAttr>},
    {"plan", "an array of #accel.pin<..>", isPlan},
    {"predicted", "#accel.predicted<..>", isPrediction},
    {"predicted_cycles", "an integer of at least 0", isCount},
    {"range", "array<i64> of the lowest and the highest integer", isRange},
    {"shape", "array<i64> of sizes of at least 1", isShape},
    {"tiling", "#accel.tiling<..>", isTiling},
    {"trail", "array<i64> of the least distance in bytes, and what more is a multiple of", isPair},
    {"weights_memory", "the name of a memory (a string)", isName},
    // What version 0.1 wrote; dialects/modules.py makes #accel.options and #accel.inserted of it.
    {"constants", "bytes (an integer of at least 0) or a factor (f64 above 0)", isBudget},
    {"mapping", "\"default\" or \"htvm\"; #accel.options has it now", isWord<Mapping, symbolizeMapping>},
    {"objective", "\"latency\", \"energy\" or \"memory\"; #accel.options has it now",
     isWord<Objective, symbolizeObjective>},
    {"refitted_scales", "an array of two types; #accel.inserted has them now", isScales},
    {"requant", "\"exact\" or \"pow2\"; #accel.options has it now", isWord<Numbers, symbolizeNumbers>},
};

/// Of a function's arguments and results.
constexpr Rule ofValues[] = {
    {"axis", "an integer of at least 0", isCount},
    {"constant", "the numbers of a constant (dense<..>)", isElements},
    {"interface", "an ONNX element type (a string), such as \"float32\"", isElementType},
    {"name", "the ONNX name (a string)", isString},
    {"nearest", "the name alone", isUnit},
    {"offset", "an integer of at least 0", isCount},
    {"offsets", "array<f64>", isNumbers},
    {"range", "array<i64> of the lowest and the highest integer", isRange},
    {"result", "the name alone", isUnit},
    {"rounding", "#accel.rounding<half_even> or <floor>", isChoice<RoundingAttr>},
    {"scale", "f64 above 0", isScale},
    {"scales", "array<f64>", isNumbers},
    {"zero_point", "an integer", isInteger},
};

LogicalResult check(Operation *op, ArrayRef<Rule> rules, NamedAttribute attribute, const Twine &owner) {
  StringRef name = attribute.getName().getValue();
  for (const Rule &rule : rules)
    if (name == ("accel." + rule.name).str() && !rule.holds(attribute.getValue()))
      return op->emitError() << "'" << name << "' of " << owner << " is " << attribute.getValue() << ", expected "
                             << rule.wanted;
  return success();
}

} // namespace

LogicalResult AccelDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  return check(op, ofOperations, attribute, "'" + op->getName().getStringRef() + "'");
}

LogicalResult AccelDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned number,
                                                     NamedAttribute attribute) {
  return check(op, ofValues, attribute, "argument " + Twine(number));
}

LogicalResult AccelDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned number,
                                                        NamedAttribute attribute) {
  return check(op, ofValues, attribute, "result " + Twine(number));
}
