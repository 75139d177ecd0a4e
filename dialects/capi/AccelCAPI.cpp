//===- AccelCAPI.cpp - the accel dialect for programs in C ----------------------===//
// SPDX-License-Identifier: Apache-2.0
//===----------------------------------------------------------------------===//

#include "htvm-c/Accel.h"

#include "Accel.h"

#include "mlir/CAPI/Registration.h"

MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Accel, accel, htvm::accel::AccelDialect)
