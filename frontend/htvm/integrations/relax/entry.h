/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the tensors that TVM gives to a network: what they are is compared with what the network was compiled for.
 */
#ifndef HTVM_ENTRY_H
#define HTVM_ENTRY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tvm/ffi/c_api.h>

enum { HTVM_RANKS = 8, HTVM_TEXT_BYTES = 512 };

/* What an input or output must be. code: of the type, as DLPack has it. */
typedef struct {
  const char *name;
  int32_t code;
  int32_t bits;
  int32_t rank;
  int64_t shape[HTVM_RANKS];
} htvm_port;

/* Raise ValueError in TVM; return -1. */
static int htvm_raise(const char *text) {
  TVMFFIErrorSetRaisedFromCStr("ValueError", text);
  return -1;
}

/* Write a shape as 1x3x32x32. */
static const char *htvm_shape_text(char *text, size_t size, const int64_t *shape, int32_t rank) {
  size_t used = 0;
  text[0] = 0;
  if (rank == 0)
    snprintf(text, size, "scalar");
  for (int32_t axis = 0; axis < rank && used < size; axis++)
    used += (size_t)snprintf(text + used, size - used, axis ? "x%lld" : "%lld", (long long)shape[axis]);
  return text;
}

/* Return the tensor that an argument is, NULL if it is none. */
static const DLTensor *htvm_tensor(const TVMFFIAny *any) {
  if (any->type_index == kTVMFFIDLTensorPtr)
    return (const DLTensor *)any->v_ptr;
  if (any->type_index == kTVMFFITensor) /* it lies behind the header of the object */
    return (const DLTensor *)(const void *)((const char *)any->v_obj + sizeof(TVMFFIObject));
  return NULL;
}

/* Whether elements lie row by row without gaps. */
static int htvm_is_dense(const DLTensor *tensor) {
  int64_t step = 1;
  if (tensor->strides == NULL)
    return 1;
  for (int32_t axis = tensor->ndim - 1; axis >= 0; axis--) {
    if (tensor->shape[axis] != 1 && tensor->strides[axis] != step)
      return 0;
    step *= tensor->shape[axis];
  }
  return 1;
}

/* Take one tensor; raise what is wrong with it and return NULL. */
static void *htvm_data(const char *symbol, const htvm_port *port, const TVMFFIAny *any) {
  char text[HTVM_TEXT_BYTES], found[96], wanted[96];
  const DLTensor *tensor = htvm_tensor(any);
  int same = tensor != NULL && tensor->ndim == port->rank;
  char *data;
  if (tensor == NULL) {
    snprintf(text, sizeof text, "%s: '%s' is no tensor (type index %d)", symbol, port->name, (int)any->type_index);
    return htvm_raise(text), NULL;
  }
  if (tensor->device.device_type != kDLCPU) {
    snprintf(text, sizeof text, "%s: '%s' is on device type %d, expected the CPU, %d", symbol, port->name,
             (int)tensor->device.device_type, (int)kDLCPU);
    return htvm_raise(text), NULL;
  }
  if (tensor->dtype.code != port->code || tensor->dtype.bits != port->bits || tensor->dtype.lanes != 1) {
    const char *kinds[] = {"int", "uint", "float"};
    snprintf(text, sizeof text, "%s: '%s' has type %s%d, expected %s%d", symbol, port->name,
             tensor->dtype.code < 3 ? kinds[tensor->dtype.code] : "another, of bits ", (int)tensor->dtype.bits,
             kinds[port->code], (int)port->bits);
    return htvm_raise(text), NULL;
  }
  for (int32_t axis = 0; same && axis < port->rank; axis++)
    same = tensor->shape[axis] == port->shape[axis];
  if (!same) {
    snprintf(text, sizeof text, "%s: '%s' has shape %s, expected %s", symbol, port->name,
             htvm_shape_text(found, sizeof found, tensor->shape, tensor->ndim),
             htvm_shape_text(wanted, sizeof wanted, port->shape, port->rank));
    return htvm_raise(text), NULL;
  }
  data = (char *)tensor->data + tensor->byte_offset;
  if (!htvm_is_dense(tensor) || (uintptr_t)data % ((size_t)port->bits / 8) != 0) {
    snprintf(text, sizeof text, "%s: '%s' is a view with strides or not aligned, expected rows without gaps", symbol,
             port->name);
    return htvm_raise(text), NULL;
  }
  return data;
}

/* Take all arguments: inputs, then the arena if there is one more than tensors, then outputs.
 *
 * data: gets where each tensor is. arena: gets where the network may work; own: what to free afterwards, NULL if the
 * caller gave the arena. Return 0, or -1 with an error raised.
 */
static int htvm_take(const char *symbol, const htvm_port *ports, int32_t inputs, int32_t outputs, size_t arena_bytes,
                     size_t alignment, const TVMFFIAny *args, int32_t count, void **data, void **arena, void **own) {
  char text[HTVM_TEXT_BYTES];
  const int32_t tensors = inputs + outputs, given = count - tensors;
  *own = NULL;
  if (given != 0 && given != 1) {
    snprintf(text, sizeof text, "%s: %d arguments, expected %d tensors, or these and an arena", symbol, (int)count,
             (int)tensors);
    return htvm_raise(text);
  }
  for (int32_t port = 0; port < tensors; port++) {
    data[port] = htvm_data(symbol, &ports[port], &args[port < inputs ? port : port + given]);
    if (data[port] == NULL)
      return -1;
  }
  if (given) {
    const DLTensor *tensor = htvm_tensor(&args[inputs]);
    size_t size = tensor != NULL ? (size_t)tensor->dtype.bits / 8 : 0;
    for (int32_t axis = 0; tensor != NULL && axis < tensor->ndim; axis++)
      size *= (size_t)tensor->shape[axis];
    *arena = tensor != NULL ? (char *)tensor->data + tensor->byte_offset : NULL;
    if (size < arena_bytes || (uintptr_t)*arena % alignment != 0) {
      snprintf(text, sizeof text, "%s: the arena has %llu bytes, expected at least %llu, aligned to %llu", symbol,
               (unsigned long long)size, (unsigned long long)arena_bytes, (unsigned long long)alignment);
      return htvm_raise(text);
    }
    return 0;
  }
  if (posix_memalign(own, alignment < sizeof(void *) ? sizeof(void *) : alignment, arena_bytes ? arena_bytes : 1)) {
    snprintf(text, sizeof text, "%s: no memory for its arena of %llu bytes", symbol, (unsigned long long)arena_bytes);
    return htvm_raise(text);
  }
  *arena = *own;
  return 0;
}

#endif
