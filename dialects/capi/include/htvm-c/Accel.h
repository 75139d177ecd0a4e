//===- htvm-c/Accel.h - the accel dialect for programs in C ------------*- C -*-===//
// SPDX-License-Identifier: Apache-2.0
//===----------------------------------------------------------------------===//

#ifndef HTVM_C_ACCEL_H
#define HTVM_C_ACCEL_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

/// mlirGetDialectHandle__accel__(): registers the dialect in a registry, or loads it into a context.
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(Accel, accel);

#ifdef __cplusplus
}
#endif

#endif // HTVM_C_ACCEL_H
