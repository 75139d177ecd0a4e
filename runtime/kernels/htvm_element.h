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
typedef enum { HTVM_INT8, HTVM_UINT8, HTVM_INT16, HTVM_UINT16, HTVM_INT32 } htvm_type;

/* Sizes and strides are in this order of axes, strides in elements. */
enum { HTVM_N, HTVM_C, HTVM_H, HTVM_W, HTVM_AXES };

/* Return element `index` of `tensor`. */
HTVM_KERNEL int32_t htvm_load(const void *tensor, htvm_type type, int32_t index)
{
    switch (type) {
    case HTVM_INT8: return ((const int8_t *)tensor)[index];
    case HTVM_UINT8: return ((const uint8_t *)tensor)[index];
    case HTVM_INT16: return ((const int16_t *)tensor)[index];
    case HTVM_UINT16: return ((const uint16_t *)tensor)[index];
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
    case HTVM_UINT16: ((uint16_t *)tensor)[index] = (uint16_t)value; break;
    default: ((int32_t *)tensor)[index] = value; break;
    }
}

/* Four bytes that are elements of another type. */
typedef uint32_t __attribute__((may_alias)) htvm_any_word;

/* Return four bytes at a multiple of 4, the first one in the lowest bits. */
HTVM_KERNEL uint32_t htvm_load_word(const void *bytes)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(*(const htvm_any_word *)bytes);
#else
    return *(const htvm_any_word *)bytes;
#endif
}

/* Return the size of an element in bytes. */
HTVM_KERNEL int32_t htvm_element_bytes(htvm_type type)
{
    return type == HTVM_INT32 ? 4 : type == HTVM_INT16 || type == HTVM_UINT16 ? 2 : 1;
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

/* Return a - b, computed here: gcc would do it before a comparison that may make it needless. */
HTVM_KERNEL int32_t htvm_late_difference(int32_t a, int32_t b)
{
#if defined(__riscv)
    int32_t difference;

    __asm__ volatile("sub %0, %1, %2" : "=r"(difference) : "r"(a), "r"(b));
    return difference;
#else
    return a - b;
#endif
}

/* Add to two sums, before anything else is loaded: compilers that load ahead run out of registers. On RISC-V the
 * products are kept up to the end, or gcc would put sums in their place and move them where they belong. */
HTVM_KERNEL void htvm_add_two(uint32_t *a, uint32_t *b, uint32_t to_a, uint32_t to_b)
{
    *a += to_a;
    *b += to_b;
#if defined(__riscv)
    __asm__ volatile("" : "+r"(*a), "+r"(*b) : "r"(to_a), "r"(to_b) : "memory");
#endif
}

#endif
