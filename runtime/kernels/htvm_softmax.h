/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax along one axis, in integers.
 *
 *     d = largest x - x,  e = d < entries ? table[d] : 0,  S = sum of e
 *     k = the largest integer with e * 2^(scale_shift + 1) >= (2k - 1) * scale_multiplier * S; on equality the even
 *         one of k and k - 1
 *     y = clamp(k + zero_point, min, max)
 *
 * table[d] is exp(-scale * d) in fixed point; k is e / S over the output's scale, scale_multiplier * 2^-scale_shift,
 * rounded half to even. Both sides fit 64 bits for every k from min to max.
 */
#ifndef HTVM_SOFTMAX_H
#define HTVM_SOFTMAX_H

#include "htvm_requant.h"

typedef struct {
    int32_t size[3];    /* axes before, the axis, axes after */
    int32_t x[3], y[3]; /* strides, in elements */
    int32_t entries;    /* of the table */
    int32_t scale_multiplier, scale_shift;
    int32_t zero_point, min, max;
} htvm_softmax_layer;

/* Return k for one element: `numerator` is e * 2^(scale_shift + 1), `unit` is scale_multiplier * S. */
HTVM_KERNEL int32_t htvm_softmax_quotient(uint64_t numerator, uint64_t unit, int32_t highest)
{
    int32_t low = 0;                               /* 2k - 1 is negative there: always small enough */
    int32_t high = numerator < unit ? 0 : highest; /* of many classes most are far from the largest */

    while (low < high) {
        const int32_t middle = high - (high - low) / 2;

        if (numerator >= (uint64_t)(uint32_t)(2 * middle - 1) * unit) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if (low > 0 && (low & 1) && numerator == (uint64_t)(uint32_t)(2 * low - 1) * unit) {
        low--;
    }
    return low;
}

/* x and y may be the same tensor in the same layout. */
HTVM_KERNEL void htvm_softmax(const htvm_softmax_layer *layer, const void *x, htvm_type x_type, const uint64_t *table,
                              void *y, htvm_type y_type)
{
    for (int32_t i = 0; i < layer->size[0]; i++) {
        for (int32_t k = 0; k < layer->size[2]; k++) {
            const void *from = htvm_at(x, x_type, i * layer->x[0] + k * layer->x[2]);
            void *to = htvm_at_mutable(y, y_type, i * layer->y[0] + k * layer->y[2]);
            int32_t largest = htvm_load(from, x_type, 0);
            uint64_t sum = 0;

            for (int32_t j = 1; j < layer->size[1]; j++) {
                largest = htvm_max(largest, htvm_load(from, x_type, j * layer->x[1]));
            }
            for (int32_t j = 0; j < layer->size[1]; j++) {
                const int32_t distance = largest - htvm_load(from, x_type, j * layer->x[1]);

                sum += distance < layer->entries ? table[distance] : 0;
            }
            const uint64_t unit = sum * (uint32_t)layer->scale_multiplier;
            const int32_t highest = layer->max - layer->zero_point;

            for (int32_t j = 0; j < layer->size[1]; j++) {
                const int32_t distance = largest - htvm_load(from, x_type, j * layer->x[1]);
                const uint64_t numerator =
                    distance < layer->entries ? htvm_shift_left_64(table[distance], layer->scale_shift + 1) : 0;
                const int32_t quotient = htvm_softmax_quotient(numerator, unit, highest);

                htvm_store(to, y_type, j * layer->y[1],
                           htvm_clamp(quotient + layer->zero_point, layer->min, layer->max));
            }
        }
    }
}

/* Define the function `name` that computes softmax layers of these types. */
#define HTVM_DEFINE_SOFTMAX(name, x_type, y_type)                                                                    \
    HTVM_SHARED void name(const htvm_softmax_layer *layer, const void *x, const uint64_t *table, void *y)            \
    {                                                                                                                \
        htvm_softmax(layer, x, x_type, table, y, y_type);                                                            \
    }

#endif
