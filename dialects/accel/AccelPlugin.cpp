//===- AccelPlugin.cpp - the entry points of the dialect's shared library ------===//
// SPDX-License-Identifier: Apache-2.0
//
// One shared library, loaded by `mlir-opt --load-dialect-plugin` and by the stock Python package. MLIR's own
// symbols stay undefined here and are resolved by whoever loads the file, so that there is only one MLIR.
//===----------------------------------------------------------------------===//

#include "Accel.h"

#include "mlir-c/IR.h"
#include "mlir/CAPI/IR.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"

/// Entry point of mlir-opt's --load-dialect-plugin.
extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "accel", "1",
          [](mlir::DialectRegistry *registry) { registry->insert<htvm::accel::AccelDialect>(); }};
}

/// Entry point of the Python package: load the dialect into a context.
extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT void htvmLoadAccelDialect(MlirContext context) {
  unwrap(context)->getOrLoadDialect<htvm::accel::AccelDialect>();
}

/// For htvm-opt --show-dialects: hand over the name of each dialect that a context has loaded or can load.
extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT void htvmAvailableDialects(MlirContext context,
                                                                        void (*take)(const char *name, size_t length)) {
  for (llvm::StringRef name : unwrap(context)->getAvailableDialects())
    take(name.data(), name.size());
  for (mlir::Dialect *dialect : unwrap(context)->getLoadedDialects())
    take(dialect->getNamespace().data(), dialect->getNamespace().size());
}
