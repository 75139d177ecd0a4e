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

/// A budget: a factor, or bytes.
bool isBudget(Attribute value) { return isCount(value) || (isa<FloatAttr>(value) && isScale(value)); }

bool isRange(Attribute value) {
  auto ends = dyn_cast<DenseI64ArrayAttr>(value);
  return ends && ends.size() == 2 && ends[0] <= ends[1];
}

bool isShape(Attribute value) {
  auto sizes = dyn_cast<DenseI64ArrayAttr>(value);
  return sizes && llvm::all_of(sizes.asArrayRef(), [](int64_t size) { return size >= 1; });
}

bool isInexact(Attribute value) { return isa<InexactAttr>(value); }
bool isPrediction(Attribute value) { return isa<PredictedAttr>(value); }
bool isTiling(Attribute value) { return isa<TilingAttr>(value); }

bool isRounding(Attribute value) {
  auto name = dyn_cast<StringAttr>(value);
  return name && llvm::is_contained({"half_even", "floor"}, name.getValue());
}

template <bool (*holds)(Attribute)>
bool isEach(Attribute value) {
  auto entries = dyn_cast<DictionaryAttr>(value);
  return entries && llvm::all_of(entries, [](NamedAttribute entry) { return holds(entry.getValue()); });
}

bool isListOfEntries(Attribute value) {
  auto entries = dyn_cast<ArrayAttr>(value);
  return entries && llvm::all_of(entries, [](Attribute entry) { return isa<DictionaryAttr>(entry); });
}

/// Of operations: layers, launches, functions, the module.
constexpr Rule ofOperations[] = {
    {"capacity", "bytes by memory, integers of at least 0", isEach<isCount>},
    {"arena", "bytes by memory, integers of at least 0", isEach<isCount>},
    {"constants", "bytes (an integer of at least 0) or a factor (f64 above 0)", isBudget},
    {"data_bytes", "an integer of at least 0", isCount},
    {"inexact", "#accel.inexact<..>", isInexact},
    {"inner", "the name alone", isUnit},
    {"inserted", "a string", isString},
    {"lower_bound", "bytes by memory, integers of at least 0", isEach<isCount>},
    {"macs", "an integer of at least 0", isCount},
    {"mapping", "a string", isString},
    {"memory", "the name of a memory (a string)", isString},
    {"objective", "a string", isString},
    {"op", "the name of an operation (a string)", isString},
    {"order", "a string", isString},
    {"peak", "nodes by memory, strings", isEach<isString>},
    {"placement", "a string", isString},
    {"plan", "an array of entries in braces", isListOfEntries},
    {"predicted", "#accel.predicted<..>", isPrediction},
    {"predicted_cycles", "an integer of at least 0", isCount},
    {"range", "array<i64> of the lowest and the highest integer", isRange},
    {"requant", "a string", isString},
    {"shape", "array<i64> of sizes of at least 1", isShape},
    {"tiling", "#accel.tiling<..>", isTiling},
};

/// Of a function's arguments and results.
constexpr Rule ofValues[] = {
    {"interface", "an ONNX element type (a string)", isString},
    {"name", "the ONNX name (a string)", isString},
    {"offset", "an integer of at least 0", isCount},
    {"range", "array<i64> of the lowest and the highest integer", isRange},
    {"result", "the name alone", isUnit},
    {"rounding", "\"half_even\" or \"floor\"", isRounding},
    {"scale", "f64 above 0", isScale},
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
