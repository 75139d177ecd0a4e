//===- htvm-c/Compile.h - htvm's passes and C for programs in C or C++ --*- C -*-===//
// SPDX-License-Identifier: Apache-2.0
//
// htvm's passes are Python. These functions run htvm's commands, `htvm-opt` and `htvm`, as processes of their own: the
// caller needs no interpreter, and no second MLIR in its process. The commands are looked for in the folder that
// htvmSetToolFolder gave, else in that of the environment variable HTVM_TOOLS, else on PATH.
//===----------------------------------------------------------------------===//

#ifndef HTVM_C_COMPILE_H
#define HTVM_C_COMPILE_H

#include "mlir-c/IR.h"
#include "mlir-c/Support.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Say where htvm's commands are. An empty folder takes that back.
void htvmSetToolFolder(MlirStringRef folder);

/// Run a pipeline of htvm-opt, such as "integer,dispatched", on a module. target: a name or a file; may be empty.
///
/// Returns a new module in the same context, which the caller owns; null if that fails. `message`, if it is not null,
/// is called with what the command said.
MlirModule htvmRunPipeline(MlirModule module, MlirStringRef pipeline, MlirStringRef target, MlirStringCallback message,
                           void *userData);

/// Compile a module to C for a target, into a folder, as `htvm compile` does. function: of several, which one; may be
/// empty. Says what htvmRunPipeline says.
MlirLogicalResult htvmCompile(MlirModule module, MlirStringRef target, MlirStringRef function, MlirStringRef folder,
                              MlirStringCallback message, void *userData);

#ifdef __cplusplus
}
#endif

#endif // HTVM_C_COMPILE_H
