//===- Accel.h - the accel dialect in C++ -------------------------------------===//
// SPDX-License-Identifier: Apache-2.0
//===----------------------------------------------------------------------===//

#ifndef HTVM_ACCEL_H
#define HTVM_ACCEL_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <optional>

namespace htvm::accel {

/// Report what a layer does to memory: nothing on tensors; on memrefs it reads its operands and writes `out`.
void addDestinationEffects(
    mlir::Operation *layer, mlir::MutableOperandRange out,
    llvm::SmallVectorImpl<mlir::SideEffects::EffectInstance<mlir::MemoryEffects::Effect>> &effects);

/// Say whether a text can be the name of a kernel: small letters, digits and underscores, a letter first.
bool isKernelName(llvm::StringRef name);

/// Say whether an attribute is a kernel: #accel.kernel, or the word that it was.
bool isKernel(mlir::Attribute attribute);

/// Say whether an attribute is a job: #accel.job, or the dictionary that it was.
bool isJob(mlir::Attribute attribute);

/// Say whether an attribute is a budget for constants: a factor (f64) or bytes (i64).
bool isBudget(mlir::Attribute attribute);

} // namespace htvm::accel

/// The families of operations that AccelDialect.td defines: `op->hasTrait<family::Weighted>()`.
namespace htvm::accel::family {
template <typename ConcreteOp>
class Weighted : public mlir::OpTrait::TraitBase<ConcreteOp, Weighted> {};
template <typename ConcreteOp>
class ElementWise : public mlir::OpTrait::TraitBase<ConcreteOp, ElementWise> {};
template <typename ConcreteOp>
class Arithmetic : public mlir::OpTrait::TraitBase<ConcreteOp, Arithmetic> {};
template <typename ConcreteOp>
class Additive : public mlir::OpTrait::TraitBase<ConcreteOp, Additive> {};
template <typename ConcreteOp>
class Extremum : public mlir::OpTrait::TraitBase<ConcreteOp, Extremum> {};
template <typename ConcreteOp>
class Bounds : public mlir::OpTrait::TraitBase<ConcreteOp, Bounds> {};
template <typename ConcreteOp>
class Monotone : public mlir::OpTrait::TraitBase<ConcreteOp, Monotone> {};
template <typename ConcreteOp>
class Moves : public mlir::OpTrait::TraitBase<ConcreteOp, Moves> {};
template <typename ConcreteOp>
class Reduction : public mlir::OpTrait::TraitBase<ConcreteOp, Reduction> {};
template <typename ConcreteOp>
class Normalising : public mlir::OpTrait::TraitBase<ConcreteOp, Normalising> {};
template <typename ConcreteOp>
class RealOnly : public mlir::OpTrait::TraitBase<ConcreteOp, RealOnly> {};
template <typename ConcreteOp>
class Command : public mlir::OpTrait::TraitBase<ConcreteOp, Command> {};
} // namespace htvm::accel::family

#include "AccelDialect.h.inc"

#include "AccelEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "AccelAttributes.h.inc"

namespace htvm::accel {

/// The enum that an attribute class holds a case of.
template <typename Choice>
using EnumOf = decltype(std::declval<Choice>().getValue());

/// Return the case that an attribute holds, which may be the former form: its word as a string.
template <typename Choice>
std::optional<EnumOf<Choice>> chosen(mlir::Attribute attribute) {
  if (auto choice = llvm::dyn_cast_or_null<Choice>(attribute))
    return choice.getValue();
  auto word = llvm::dyn_cast_or_null<mlir::StringAttr>(attribute);
  return word ? symbolizeEnum<EnumOf<Choice>>(word.getValue()) : std::nullopt;
}

template <typename Choice>
bool isChoice(mlir::Attribute attribute) {
  return chosen<Choice>(attribute).has_value();
}

} // namespace htvm::accel

#define GET_TYPEDEF_CLASSES
#include "AccelTypes.h.inc"

#define GET_OP_CLASSES
#include "AccelOps.h.inc"

#endif // HTVM_ACCEL_H
