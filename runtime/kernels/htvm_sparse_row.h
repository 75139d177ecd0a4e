/* SPDX-License-Identifier: Apache-2.0
 *
 * A dense layer of one row many of whose inputs are `skip`, which is what most activations after a relu are:
 *
 *     y[k] = sum over c of (x[c] - skip) * weights[k, c]          the channels' constants hold skip * sum of weights
 *
 * An input equal to `skip` is worth one comparison for each block of 16 channels and no product: the time depends on the
 * data. A tap of a block is 1 load of an input, 1 comparison and 1 subtraction; 16 loads of weights, multiplications and
 * additions. It takes 22 registers.
 *
 * Weights: [block of 16 channels][tap][16], the last block filled up with zeros.
 */
#ifndef HTVM_SPARSE_ROW_H
#define HTVM_SPARSE_ROW_H

#include "htvm_requant.h"

enum { HTVM_SPARSE_CHANNELS = 16, HTVM_SPARSE_UNIT = 4 };

typedef struct {
    int32_t in_channels; /* a multiple of 4 */
    int32_t out_channels;
    int32_t y_c; /* stride of the output, in elements */
    int32_t skip;
    htvm_requant requant;
} htvm_sparse_row_layer;

/* Sums of 16 channels. */
typedef struct {
    uint32_t k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14, k15;
} htvm_sixteen;

/* Add one tap of an input. */
HTVM_KERNEL htvm_sixteen htvm_sparse_tap(htvm_sixteen acc, int32_t stored, const int8_t *weights, int32_t skip)
{
    if (stored == skip) {
        return acc;
    }
    const uint32_t element = (uint32_t)htvm_late_difference(stored, skip);

#define HTVM_TWO(a, b, k)                                                                                            \
    htvm_add_two(&acc.a, &acc.b, (uint32_t)weights[k] * element, (uint32_t)weights[(k) + 1] * element);
    HTVM_TWO(k0, k1, 0)
    HTVM_TWO(k2, k3, 2)
    HTVM_TWO(k4, k5, 4)
    HTVM_TWO(k6, k7, 6)
    HTVM_TWO(k8, k9, 8)
    HTVM_TWO(k10, k11, 10)
    HTVM_TWO(k12, k13, 12)
    HTVM_TWO(k14, k15, 14)
#undef HTVM_TWO
    return acc;
}

/* Add two taps. Both inputs are loaded before the first is compared: a comparison would have to wait for its own load. */
HTVM_KERNEL htvm_sixteen htvm_two_sparse_taps(htvm_sixteen acc, const void *x, htvm_type x_type,
                                              const int8_t *weights, int32_t skip)
{
    const int32_t x0 = htvm_load(x, x_type, 0), x1 = htvm_load(x, x_type, 1);

    acc = htvm_sparse_tap(acc, x0, weights, skip);
    return htvm_sparse_tap(acc, x1, weights + HTVM_SPARSE_CHANNELS, skip);
}

/* Compute one row. x and y may not overlap. */
HTVM_KERNEL void htvm_sparse_row(const htvm_sparse_row_layer *layer, const void *x, htvm_type x_type,
                                 const int8_t *weights, const void *constants, htvm_output output, void *y,
                                 htvm_type y_type)
{
    const void *const end = htvm_at(x, x_type, layer->in_channels);
    const int32_t skip = layer->skip;

    for (int32_t left = layer->out_channels; left > 0; left -= HTVM_SPARSE_CHANNELS) {
        htvm_sixteen acc = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

        for (const void *from = x; from != end; from = htvm_at(from, x_type, HTVM_SPARSE_UNIT)) {
            acc = htvm_two_sparse_taps(acc, from, x_type, weights, skip);
            acc =
                htvm_two_sparse_taps(acc, htvm_at(from, x_type, 2), x_type, weights + 2 * HTVM_SPARSE_CHANNELS, skip);
            weights += HTVM_SPARSE_CHANNELS * HTVM_SPARSE_UNIT;
        }
        /* The constants of the layer have no registers while taps are added: they are read again, not saved. */
        const htvm_sparse_row_layer *again = layer;
        HTVM_HOLD(again);
        const htvm_requant requant = again->requant;
        const int32_t y_c = again->y_c;

#define HTVM_WRITE(n) htvm_store(y, y_type, n, htvm_requantize((int32_t)acc.k##n, constants, n, output, requant))
        int32_t count = htvm_min(left, HTVM_SPARSE_CHANNELS);

        HTVM_HOLD(count); /* or gcc makes a copy of the whole loop for the last block */
        if (count == HTVM_SPARSE_CHANNELS && y_c == 1) {
            HTVM_WRITE(0);
            HTVM_WRITE(1);
            HTVM_WRITE(2);
            HTVM_WRITE(3);
            HTVM_WRITE(4);
            HTVM_WRITE(5);
            HTVM_WRITE(6);
            HTVM_WRITE(7);
            HTVM_WRITE(8);
            HTVM_WRITE(9);
            HTVM_WRITE(10);
            HTVM_WRITE(11);
            HTVM_WRITE(12);
            HTVM_WRITE(13);
            HTVM_WRITE(14);
            HTVM_WRITE(15);
        } else {
            const uint32_t sums[HTVM_SPARSE_CHANNELS] = {
                acc.k0, acc.k1, acc.k2,  acc.k3,  acc.k4,  acc.k5,  acc.k6,  acc.k7,
                acc.k8, acc.k9, acc.k10, acc.k11, acc.k12, acc.k13, acc.k14, acc.k15,
            };
            const uint32_t *sum = sums;

            HTVM_HOLD(sum); /* or the loop would be unrolled */
            for (int32_t k = 0; k < count; k++) {
                htvm_store(y, y_type, k * y_c, htvm_requantize((int32_t)sum[k], constants, k, output, requant));
            }
        }
#undef HTVM_WRITE
        y = htvm_at_mutable(y, y_type, HTVM_SPARSE_CHANNELS * y_c);
        constants = htvm_constants_at(constants, HTVM_SPARSE_CHANNELS, output);
    }
}

/* Define the function `name` that computes dense layers of these types. */
#define HTVM_DEFINE_SPARSE_ROW(name, x_type, y_type, output)                                                         \
    HTVM_SHARED void name(const htvm_sparse_row_layer *layer, const void *x, const int8_t *weights,                  \
                          const void *constants, void *y)                                                            \
    {                                                                                                                \
        htvm_sparse_row(layer, x, x_type, weights, constants, output, y, y_type);                                    \
    }

#endif
