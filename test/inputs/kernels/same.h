#ifndef SAME_H
#define SAME_H

#include "htvm_argmax.h"
#include "htvm_elementwise.h"
#include "htvm_matmul.h"
#include "htvm_pool2d.h"
#include "htvm_softmax.h"

/* Kernels that do what htvm's do, for signed bytes. */
HTVM_KERNEL void same_add(const htvm_add_layer *layer, const int8_t *a, const int8_t *b, int8_t *y, htvm_output output)
{
    htvm_add(layer, a, HTVM_INT8, b, HTVM_INT8, output, y, HTVM_INT8);
}

HTVM_KERNEL void same_mul(const htvm_multiply_layer *layer, const int8_t *a, const int8_t *b, const void *scales,
                          int8_t *y, htvm_output output)
{
    htvm_multiply(layer, a, HTVM_INT8, b, HTVM_INT8, scales, output, y, HTVM_INT8);
}

HTVM_KERNEL void same_extreme(const htvm_binary_shape *shape, const int8_t *a, const int8_t *b, int8_t *y,
                              int32_t maximum)
{
    htvm_extreme(shape, maximum, a, b, y, HTVM_INT8);
}

HTVM_KERNEL void same_lookup(const htvm_unary_shape *shape, const int8_t *x, const int8_t *table, int32_t lowest,
                             int8_t *y, int32_t x_near, int32_t y_near)
{
    htvm_lookup(shape, x, HTVM_INT8, table, lowest, y, HTVM_INT8, x_near, y_near);
}

HTVM_KERNEL void same_copy(const htvm_unary_shape *shape, const int8_t *x, int8_t *y)
{
    htvm_copy_elements(shape, x, y, HTVM_INT8);
}

HTVM_KERNEL void same_largest(const htvm_pool2d_layer *layer, const int8_t *x, int8_t *y, htvm_pool kind)
{
    htvm_pool2d_extreme(layer, kind, x, y, HTVM_INT8);
}

HTVM_KERNEL void same_sum(const htvm_pool2d_layer *layer, const int8_t *x, const int32_t *counts, const void *scales,
                          int8_t *y, htvm_output output)
{
    htvm_pool2d_sum(layer, x, HTVM_INT8, counts, scales, output, y, HTVM_INT8);
}

HTVM_KERNEL void same_argmax(const htvm_argmax_layer *layer, const int8_t *x, int32_t *y)
{
    htvm_argmax(layer, x, HTVM_INT8, y, HTVM_INT32);
}

HTVM_KERNEL void same_softmax(const htvm_softmax_layer *layer, const int8_t *x, const uint64_t *table, int8_t *y)
{
    htvm_softmax(layer, x, HTVM_INT8, table, y, HTVM_INT8);
}

HTVM_KERNEL void same_matmul(const htvm_matmul_layer *layer, const int8_t *a, const int8_t *b, const void *scales,
                             int8_t *y, htvm_output output)
{
    htvm_matmul(layer, a, HTVM_INT8, b, HTVM_INT8, scales, output, y, HTVM_INT8);
}

#endif
