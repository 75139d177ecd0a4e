//===- AccelDialect.cpp - what the dialect consists of --------------------------===//
// SPDX-License-Identifier: Apache-2.0
//===----------------------------------------------------------------------===//

#include "Accel.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "AccelDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "AccelTypes.cpp.inc"

void htvm::accel::AccelDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "AccelOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "AccelTypes.cpp.inc"
      >();
}
