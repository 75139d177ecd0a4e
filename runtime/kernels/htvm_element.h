/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements of tensors, whatever their type.
 *
 * A kernel is one function for all element types: it takes `const void *` and an htvm_type, and is always inlined
 * into a function that passes constants, so that each load becomes one instruction of the right width.
 */
#ifndef HTVM_ELEMENT_H
#define HTVM_ELEMENT_H

#include <stddef.h>
#include <stdint.h>

/* A kernel: no call remains of it, and its constant arguments specialise it. Without optimisation it is an ordinary
 * function: inlined, its copies of arguments would fill the stack. */
#if defined(__OPTIMIZE__)
#define HTVM_KERNEL static inline __attribute__((always_inline))
#else
#define HTVM_KERNEL static inline
#endif

/* A function that stays one function, shared by all its callers. */
#if defined(__GNUC__) && !defined(__clang__)
#define HTVM_SHARED static __attribute__((noinline, noclone))
#else
#define HTVM_SHARED static __attribute__((noinline))
#endif

/* Type of the elements of a tensor. */
typedef enum { HTVM_INT8, HTVM_UINT8, HTVM_INT16, HTVM_INT32 } htvm_type;

/* Sizes and strides are in this order of axes, strides in elements. */
enum { HTVM_N, HTVM_C, HTVM_H, HTVM_W, HTVM_AXES };

/* Return element `index` of `tensor`. */
HTVM_KERNEL int32_t htvm_load(const void *tensor, htvm_type type, int32_t index)
{
    switch (type) {
    case HTVM_INT8: return ((const int8_t *)tensor)[index];
    case HTVM_UINT8: return ((const uint8_t *)tensor)[index];
    case HTVM_INT16: return ((const int16_t *)tensor)[index];
    default: return ((const int32_t *)tensor)[index];
    }
}

/* Set element `index` of `tensor` to `value`, which the type holds. */
HTVM_KERNEL void htvm_store(void *tensor, htvm_type type, int32_t index, int32_t value)
{
    switch (type) {
    case HTVM_INT8: ((int8_t *)tensor)[index] = (int8_t)value; break;
    case HTVM_UINT8: ((uint8_t *)tensor)[index] = (uint8_t)value; break;
    case HTVM_INT16: ((int16_t *)tensor)[index] = (int16_t)value; break;
    default: ((int32_t *)tensor)[index] = value; break;
    }
}

/* Return the size of an element in bytes. */
HTVM_KERNEL int32_t htvm_element_bytes(htvm_type type)
{
    return type == HTVM_INT32 ? 4 : type == HTVM_INT16 ? 2 : 1;
}

/* Return the address of element `index` of a tensor that is read. */
HTVM_KERNEL const void *htvm_at(const void *tensor, htvm_type type, int32_t index)
{
    return (const unsigned char *)tensor + index * htvm_element_bytes(type);
}

/* Return the address of element `index` of a tensor that is written. */
HTVM_KERNEL void *htvm_at_mutable(void *tensor, htvm_type type, int32_t index)
{
    return (unsigned char *)tensor + index * htvm_element_bytes(type);
}

HTVM_KERNEL int32_t htvm_min(int32_t a, int32_t b) { return a < b ? a : b; }
HTVM_KERNEL int32_t htvm_max(int32_t a, int32_t b) { return a > b ? a : b; }
HTVM_KERNEL int32_t htvm_clamp(int32_t value, int32_t low, int32_t high)
{
    return htvm_min(htvm_max(value, low), high);
}

#endif
