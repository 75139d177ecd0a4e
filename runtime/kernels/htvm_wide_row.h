/* SPDX-License-Identifier: Apache-2.0
 *
 * A dense layer of one row, with twice the constants: y[k] = sum over c of x[c] * weights[k, c].
 *
 * A word holds one tap of two channels, w_a + w_b * 2^16, so that one multiplication and one addition do for both, as
 * long as the sums of a run of taps fit 16 bits for every input. The compiler has proved that; htvm_packed.h says how
 * the two sums are taken apart after each run, and why that is exact. Here the weights are packed, and before the
 * program runs: one row has nobody to share the work of packing inputs with.
 *
 * A block is eight channels: a tap is 1 load of an input, 4 of words, 4 multiplications and 4 additions for 8 products.
 * It takes 20 registers.
 *
 * Weights: [block][tap][4 words], the last block filled up with zeros. Excess: for each block a head, with the length of
 * its runs in units of 8 taps as `channel` and the number of entries as `tap`; then the entries: by what a weight is
 * too large for its run.
 */
#ifndef HTVM_WIDE_ROW_H
#define HTVM_WIDE_ROW_H

#include "htvm_requant.h"

enum { HTVM_WIDE_CHANNELS = 8, HTVM_WIDE_WORDS = 4, HTVM_WIDE_UNIT = 8 };

typedef struct {
    int32_t in_channels; /* a multiple of 8 */
    int32_t out_channels;
    int32_t y_c; /* stride of the output, in elements */
    htvm_requant requant;
} htvm_wide_row_layer;

/* What a weight is more than its run can hold; or the head of a block. */
typedef struct {
    uint16_t tap;
    uint8_t channel; /* of the block */
    int8_t weight;
} htvm_excess;

/* Sums of the four words of a tap. */
typedef struct {
    uint32_t w0, w1, w2, w3;
} htvm_wide;

#if defined(__riscv)
/* Finish this tap's sums before the next tap's loads, see htvm_conv2d.h. */
#define HTVM_FINISH_WIDE(sum) \
    __asm__ volatile("" : "+r"((sum).w0), "+r"((sum).w1), "+r"((sum).w2), "+r"((sum).w3) : : "memory")
#else
#define HTVM_FINISH_WIDE(sum) (void)(sum)
#endif

HTVM_KERNEL htvm_wide htvm_wide_of(uint32_t value)
{
    const htvm_wide sum = {value, value, value, value};
    return sum;
}

HTVM_KERNEL htvm_wide htvm_wide_tap(htvm_wide acc, const void *x, htvm_type x_type, const int32_t *words, int32_t tap)
{
    const uint32_t element = (uint32_t)htvm_load(x, x_type, tap);

    words += HTVM_WIDE_WORDS * tap;
    acc.w0 += (uint32_t)words[0] * element;
    acc.w1 += (uint32_t)words[1] * element;
    acc.w2 += (uint32_t)words[2] * element;
    acc.w3 += (uint32_t)words[3] * element;
    HTVM_FINISH_WIDE(acc);
    return acc;
}

/* Compute one row. x and y may not overlap. */
HTVM_KERNEL void htvm_wide_row(const htvm_wide_row_layer *layer, const void *x, htvm_type x_type, const int32_t *words,
                               const htvm_excess *excess, const void *constants, htvm_output output, void *y,
                               htvm_type y_type)
{
    const htvm_requant requant = layer->requant;
    const void *const x_end = htvm_at(x, x_type, layer->in_channels);
    const int32_t y_c = layer->y_c;

    for (int32_t left = layer->out_channels; left > 0; left -= HTVM_WIDE_CHANNELS) {
        const int32_t run_taps = HTVM_WIDE_UNIT * excess->channel;
        int32_t entries = excess->tap;
        htvm_wide all = htvm_wide_of(0), high = htvm_wide_of(0);
        const void *from = x;

        while (from != x_end) {
            const void *const end_of_run = htvm_at(from, x_type, run_taps);
            htvm_wide acc = htvm_wide_of(1 << 15);

            do {
                acc = htvm_wide_tap(acc, from, x_type, words, 0);
                acc = htvm_wide_tap(acc, from, x_type, words, 1);
                acc = htvm_wide_tap(acc, from, x_type, words, 2);
                acc = htvm_wide_tap(acc, from, x_type, words, 3);
                acc = htvm_wide_tap(acc, from, x_type, words, 4);
                acc = htvm_wide_tap(acc, from, x_type, words, 5);
                acc = htvm_wide_tap(acc, from, x_type, words, 6);
                acc = htvm_wide_tap(acc, from, x_type, words, 7);
                from = htvm_at(from, x_type, HTVM_WIDE_UNIT);
                words += HTVM_WIDE_WORDS * HTVM_WIDE_UNIT;
            } while (from != end_of_run);
            all.w0 += acc.w0, high.w0 += (uint32_t)((int32_t)acc.w0 >> 16);
            all.w1 += acc.w1, high.w1 += (uint32_t)((int32_t)acc.w1 >> 16);
            all.w2 += acc.w2, high.w2 += (uint32_t)((int32_t)acc.w2 >> 16);
            all.w3 += acc.w3, high.w3 += (uint32_t)((int32_t)acc.w3 >> 16);
        }
        const uint32_t halves = (uint32_t)(layer->in_channels / run_taps) << 15;
        uint32_t sums[HTVM_WIDE_CHANNELS] = {
            all.w0 - halves - (high.w0 << 16), high.w0,
            all.w1 - halves - (high.w1 << 16), high.w1,
            all.w2 - halves - (high.w2 << 16), high.w2,
            all.w3 - halves - (high.w3 << 16), high.w3,
        };

        for (excess++; entries > 0; entries--, excess++) {
            sums[excess->channel] += (uint32_t)excess->weight * (uint32_t)htvm_load(x, x_type, excess->tap);
        }
#define HTVM_WRITE(k)                                                                                                \
    if ((k) < left) {                                                                                                \
        htvm_store(y, y_type, 0, htvm_requantize((int32_t)sums[k], constants, k, output, requant));                  \
        y = htvm_at_mutable(y, y_type, y_c);                                                                         \
    }
        HTVM_WRITE(0)
        HTVM_WRITE(1)
        HTVM_WRITE(2)
        HTVM_WRITE(3)
        HTVM_WRITE(4)
        HTVM_WRITE(5)
        HTVM_WRITE(6)
        HTVM_WRITE(7)
#undef HTVM_WRITE
        constants = htvm_constants_at(constants, HTVM_WIDE_CHANNELS, output);
    }
}

/* Define the function `name` that computes dense layers of these types. */
#define HTVM_DEFINE_WIDE_ROW(name, x_type, y_type, output)                                                           \
    HTVM_SHARED void name(const htvm_wide_row_layer *layer, const void *x, const int32_t *words,                     \
                          const htvm_excess *excess, const void *constants, void *y)                                 \
    {                                                                                                                \
        htvm_wide_row(layer, x, x_type, words, excess, constants, output, y, y_type);                                \
    }

#endif
