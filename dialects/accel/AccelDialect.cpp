//===- AccelDialect.cpp - dialect registration and plugin entry points ---------===//
// SPDX-License-Identifier: Apache-2.0
//
// One shared library, loaded by `mlir-opt --load-dialect-plugin` and by the stock Python package. MLIR's own
// symbols stay undefined here and are resolved by whoever loads the file, so that there is only one MLIR.
//===----------------------------------------------------------------------===//

#include "Accel.h"

#include "mlir-c/IR.h"
#include "mlir/CAPI/IR.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
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

/// Entry point of mlir-opt's --load-dialect-plugin.
extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "accel", "1",
          [](mlir::DialectRegistry *registry) { registry->insert<htvm::accel::AccelDialect>(); }};
}

/// Entry point of the Python package: load the dialect into a context.
extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT void htvmLoadAccelDialect(MlirContext context) {
  unwrap(context)->getOrLoadDialect<htvm::accel::AccelDialect>();
}
