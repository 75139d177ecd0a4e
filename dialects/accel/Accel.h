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
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace htvm::accel {

/// Report what a layer does to memory: nothing on tensors; on memrefs it reads its operands and writes `out`.
void addDestinationEffects(
    mlir::Operation *layer, mlir::MutableOperandRange out,
    llvm::SmallVectorImpl<mlir::SideEffects::EffectInstance<mlir::MemoryEffects::Effect>> &effects);

/// Return how many parameters a function of accel.unary has, -1 if there is no such function.
int functionParameters(llvm::StringRef function);

} // namespace htvm::accel

#include "AccelDialect.h.inc"

#include "AccelEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "AccelAttributes.h.inc"

#define GET_TYPEDEF_CLASSES
#include "AccelTypes.h.inc"

#define GET_OP_CLASSES
#include "AccelOps.h.inc"

#endif // HTVM_ACCEL_H
