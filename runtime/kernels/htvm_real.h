/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers that round what other layers left unrounded, such as accumulators of 32 bits.
 *
 * threshold     y = values[number of starts that are at most x]
 * weighted sum  y = clamp(floor((sum of x[i] * numerator[i] + rest) / divisor) + zero_point, min, max)
 *
 * Tensors have HTVM_RANK axes, as in htvm_elementwise.h.
 */
#ifndef HTVM_REAL_H
#define HTVM_REAL_H

#include "htvm_elementwise.h"

#define HTVM_MOST_TERMS 4

typedef struct {
    int32_t size[HTVM_RANK];
    int32_t x0[HTVM_RANK], x1[HTVM_RANK], x2[HTVM_RANK], x3[HTVM_RANK];
    int32_t y[HTVM_RANK];
    int32_t zero_point, min, max;
} htvm_weighted_sum_layer;

/* Replace each element by the value of a step function. starts: `count` numbers in rising order; values: one more. */
HTVM_KERNEL void htvm_threshold(const htvm_unary_shape *shape, const void *x, htvm_type x_type, const int32_t *starts,
                                const void *values, int32_t count, void *y, htvm_type y_type)
{
    const int32_t x_step = shape->x[3], y_step = shape->y[3];

    HTVM_FOR_EACH_ROW (shape->size) {
        const void *from = htvm_at(x, x_type, htvm_row_start(shape->x, i, j, k));
        void *to = htvm_at_mutable(y, y_type, htvm_row_start(shape->y, i, j, k));

        for (int32_t left = shape->size[3]; left > 0; left--) {
            const int32_t element = htvm_load(from, x_type, 0);
            int32_t low = 0, high = count; /* the result is one of values[low..high] */

            while (low < high) {
                const int32_t middle = (low + high) >> 1;

                if (starts[middle] <= element) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            htvm_store(to, y_type, 0, htvm_load(values, y_type, low));
            from = htvm_at(from, x_type, x_step);
            to = htvm_at_mutable(to, y_type, y_step);
        }
    }
}

/* Add up to 4 tensors times numbers and divide, rounding exactly.
 *
 * constants: `count` multipliers, `count` numerators, offset, shift, divisor, rest. The sum with multipliers and offset,
 * shifted, is at most 1 beside the quotient. even: a quotient without remainder was a tie and becomes even.
 */
HTVM_KERNEL void htvm_weighted_sum(const htvm_weighted_sum_layer *layer, int32_t count, int even,
                                   const void *const x[HTVM_MOST_TERMS], const htvm_type types[HTVM_MOST_TERMS],
                                   const int64_t *constants, void *y, htvm_type y_type)
{
    const int32_t *const strides[HTVM_MOST_TERMS] = {layer->x0, layer->x1, layer->x2, layer->x3};
    const int64_t *numerators = constants + count, *rest = constants + 2 * count;
    const htvm_requant requant = {0, 0, layer->min, layer->max, layer->zero_point, even ? 1 : 0};

    HTVM_FOR_EACH_ROW (layer->size) {
        const void *from[HTVM_MOST_TERMS] = {0, 0, 0, 0};
        void *to = htvm_at_mutable(y, y_type, htvm_row_start(layer->y, i, j, k));

        for (int32_t n = 0; n < count; n++) {
            from[n] = htvm_at(x[n], types[n], htvm_row_start(strides[n], i, j, k));
        }
        for (int32_t left = layer->size[3]; left > 0; left--) {
            uint64_t dividend = (uint64_t)rest[3];
            int64_t sum = rest[0];

            for (int32_t n = 0; n < count; n++) {
                const int64_t element = htvm_load(from[n], types[n], 0);

                sum += element * constants[n];
                dividend += (uint64_t)element * (uint64_t)numerators[n];
                from[n] = htvm_at(from[n], types[n], strides[n][3]);
            }
            htvm_store(to, y_type, 0,
                       htvm_requantize_corrected(dividend, rest[2],
                                                 (int32_t)htvm_shift_right_64(sum, (int32_t)rest[1]), requant));
            to = htvm_at_mutable(to, y_type, layer->y[3]);
        }
    }
}

/* Define functions of these types. */
#define HTVM_DEFINE_THRESHOLD(name, x_type, y_type)                                                                  \
    HTVM_SHARED void name(const htvm_unary_shape *shape, const void *x, const int32_t *starts, const void *values,   \
                          int32_t count, void *y)                                                                    \
    {                                                                                                                \
        htvm_threshold(shape, x, x_type, starts, values, count, y, y_type);                                          \
    }
#define HTVM_DEFINE_WEIGHTED_SUM(name, count, even, type_0, type_1, type_2, type_3, y_type)                          \
    HTVM_SHARED void name(const htvm_weighted_sum_layer *layer, const void *x0, const void *x1, const void *x2,      \
                          const void *x3, const int64_t *constants, void *y)                                         \
    {                                                                                                                \
        const void *const x[HTVM_MOST_TERMS] = {x0, x1, x2, x3};                                                     \
        const htvm_type types[HTVM_MOST_TERMS] = {type_0, type_1, type_2, type_3};                                   \
                                                                                                                     \
        htvm_weighted_sum(layer, count, even, x, types, constants, y, y_type);                                       \
    }

#endif
