/* SPDX-License-Identifier: Apache-2.0
 *
 * Where along an axis the largest element is, or the smallest; of equal ones the first, or the last.
 */
#ifndef HTVM_ARGMAX_H
#define HTVM_ARGMAX_H

#include "htvm_element.h"

typedef struct {
    int32_t size[3];    /* axes before, the axis, axes after */
    int32_t x[3], y[3]; /* strides, in elements; y has one element along the axis */
    int32_t smallest, last;
} htvm_argmax_layer;

HTVM_KERNEL void htvm_argmax(const htvm_argmax_layer *layer, const void *x, htvm_type x_type, void *y,
                             htvm_type y_type)
{
    for (int32_t i = 0; i < layer->size[0]; i++) {
        for (int32_t k = 0; k < layer->size[2]; k++) {
            const void *from = htvm_at(x, x_type, i * layer->x[0] + k * layer->x[2]);
            int32_t best = htvm_load(from, x_type, 0), index = 0;

            for (int32_t j = 1; j < layer->size[1]; j++) {
                const int32_t element = htvm_load(from, x_type, j * layer->x[1]);

                if ((layer->smallest ? element < best : element > best) || (layer->last && element == best)) {
                    best = element;
                    index = j;
                }
            }
            htvm_store(y, y_type, i * layer->y[0] + k * layer->y[2], index);
        }
    }
}

/* Define the function `name` that computes layers of these types. */
#define HTVM_DEFINE_ARGMAX(name, x_type, y_type)                                                                     \
    HTVM_SHARED void name(const htvm_argmax_layer *layer, const void *x, void *y)                                    \
    {                                                                                                                \
        htvm_argmax(layer, x, x_type, y, y_type);                                                                    \
    }

#endif
