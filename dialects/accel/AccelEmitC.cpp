//===- AccelEmitC.cpp - MLIR's printer from the emitc dialect to C ---------------===//
// SPDX-License-Identifier: Apache-2.0
//
// The Python package has the dialect and the passes that make it, but not this printer. A library of its own, which
// finds MLIR's symbols in whoever loads it: mlir-opt loads libhtvm_accel.so without it.
//===----------------------------------------------------------------------===//

#include "mlir-c/IR.h"
#include "mlir-c/Support.h"
#include "mlir/CAPI/IR.h"
#include "mlir/Target/Cpp/CppEmitter.h"
#include "llvm/Support/Compiler.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

/// Give the C of an operation of the emitc dialect to `take`. Returns whether there is such C.
extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT bool htvmPrintC(MlirOperation operation,
                                                             void (*take)(const char *text, size_t length)) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (mlir::failed(mlir::emitc::translateToCpp(unwrap(operation), stream)))
    return false;
  take(text.data(), text.size());
  return true;
}
