/* SPDX-License-Identifier: Apache-2.0
 *
 * A dense layer of one row, two channels in each multiplication: y[k] = sum over c of x[c] * weights[k, c].
 *
 * A word w_a + w_b * 2^16 holds one tap of two channels, so that one multiplication and one addition do for both, as
 * long as the sums of a run of taps fit 16 bits for every input. The compiler has proved that for each run
 * (htvm.dialects.packed_weights); htvm_packed.h says how the two sums are taken apart at its end, and why that is exact.
 * Here the weights share words: one row has nobody to share the work of packing inputs with.
 *
 * HTVM_WORDS: such words are in memory, twice the bytes of the weights. A tap of 8 channels: 1 load of an input, 4 of
 * words, 4 multiplications and 4 additions.
 *
 * HTVM_QUADS: four channels are in a word, each as a byte u = w + 128, so the weights take no more than their bytes. With
 * a word's bytes u0 u1 u2 u3 from the lowest, and all sums over a run and modulo 2^32,
 *
 *     even = sum of x * (word & 0x00FF00FF) = U0 + U2 * 2^16
 *     odd  = sum of x * (word >> 8)         = U1 + U2 * 2^8 + U3 * 2^16       U_i = sum of x * u_i = S_i + 128 * X
 *
 * where X is the sum of x. At the run's end 128 * X is taken off: even - 128 * X * (1 + 2^16) = S0 + S2 * 2^16 is taken
 * apart, then S2 is known, and so is what is left of odd, S1 + S3 * 2^16. A tap of 8 channels: 1 load of an input, 2
 * of words, 2 masks, 2 shifts, 4 multiplications and 5 additions.
 *
 * `skips`: inputs equal to layer->skip, the zero of most activations after a relu, are worth one comparison for each
 * block of 8 channels and no product. x is then counted from `skip`, and the channels' constants hold skip * sum of
 * weights. The part of a run that is left satisfies what is proved of the whole. The time depends on the data.
 *
 * Weights: [block of 8 channels][tap][words], the last block filled up with zeros. Word i of HTVM_WORDS: channels 2i and
 * 2i + 1. Quad i: channels 4i, 4i + 2, 4i + 1 and 4i + 3 from the lowest byte. Runs: for each block the lengths of its runs
 * in units of 4 taps, which together are all taps. Excess: for each block a head with the number of entries as `tap`;
 * then the entries: by what a weight is too large for its run.
 */
#ifndef HTVM_PAIRED_ROW_H
#define HTVM_PAIRED_ROW_H

#include "htvm_requant.h"

enum { HTVM_PAIRED_CHANNELS = 8, HTVM_PAIRED_UNIT = 4 };

/* How weights lie in words. */
typedef enum { HTVM_WORDS, HTVM_QUADS } htvm_word_form;

typedef struct {
    int32_t in_channels; /* a multiple of 4 */
    int32_t out_channels;
    int32_t y_c;  /* stride of the output, in elements */
    int32_t skip; /* what inputs are counted from: 0 if none is skipped */
    htvm_requant requant;
} htvm_paired_row_layer;

/* What a weight is more than its run can hold; or the head of a block. */
typedef struct {
    uint16_t tap;
    uint8_t channel; /* of the block */
    int8_t weight;
} htvm_excess;

/* Sums of two channels each, of four pairs; x: of the inputs, for HTVM_QUADS. */
typedef struct {
    uint32_t w0, w1, w2, w3, x;
} htvm_paired;

HTVM_KERNEL htvm_paired htvm_paired_of(uint32_t value)
{
    const htvm_paired sum = {value, value, value, value, 0};
    return sum;
}

HTVM_KERNEL int32_t htvm_words_of_tap(htvm_word_form form)
{
    return form == HTVM_WORDS ? HTVM_PAIRED_CHANNELS / 2 : HTVM_PAIRED_CHANNELS / 4;
}

/* Add one tap of an input. even: the mask of a quad's even bytes, held in a register. */
HTVM_KERNEL htvm_paired htvm_paired_tap(htvm_paired acc, int32_t stored, const uint32_t *words, htvm_word_form form,
                                        int skips, int32_t skip, uint32_t even)
{
    if (skips && stored == skip) {
        return acc;
    }
    const uint32_t element = (uint32_t)(skips ? htvm_late_difference(stored, skip) : stored);

    if (form == HTVM_WORDS) {
        htvm_add_two(&acc.w0, &acc.w1, words[0] * element, words[1] * element);
        htvm_add_two(&acc.w2, &acc.w3, words[2] * element, words[3] * element);
    } else {
        const uint32_t quad0 = words[0], quad1 = words[1];

        acc.x += element;
        htvm_add_two(&acc.w0, &acc.w1, (quad0 & even) * element, (quad0 >> 8) * element);
        htvm_add_two(&acc.w2, &acc.w3, (quad1 & even) * element, (quad1 >> 8) * element);
    }
    return acc;
}

/* Add two taps. Both inputs are loaded before the first is compared: a comparison would have to wait for its own load. */
HTVM_KERNEL htvm_paired htvm_two_paired_taps(htvm_paired acc, const void *x, htvm_type x_type, const uint32_t *words,
                                             htvm_word_form form, int skips, int32_t skip, uint32_t even)
{
    const int32_t x0 = htvm_load(x, x_type, 0);
    const int32_t x1 = skips ? htvm_load(x, x_type, 1) : 0;

    acc = htvm_paired_tap(acc, x0, words, form, skips, skip, even);
    return htvm_paired_tap(acc, skips ? x1 : htvm_load(x, x_type, 1), words + htvm_words_of_tap(form), form, skips,
                           skip, even);
}

/* Take the sums of a run's quads as what its words of two channels would have given: with 2^15, without 128 * X. */
HTVM_KERNEL htvm_paired htvm_pairs_of_quads(htvm_paired acc)
{
    const uint32_t biased = acc.x << 7;
    const uint32_t even = (1u << 15) - biased - (biased << 16);
    const uint32_t odd = even - (biased << 8);

    acc.w0 += even;
    acc.w1 += odd - ((uint32_t)((int32_t)acc.w0 >> 16) << 8);
    acc.w2 += even;
    acc.w3 += odd - ((uint32_t)((int32_t)acc.w2 >> 16) << 8);
    return acc;
}

/* Compute one row. x and y may not overlap. */
HTVM_KERNEL void htvm_paired_row(const htvm_paired_row_layer *layer, const void *x, htvm_type x_type,
                                 const uint32_t *words, htvm_word_form form, int skips, const uint8_t *runs,
                                 const htvm_excess *excess, const void *constants, htvm_output output, void *y,
                                 htvm_type y_type)
{
    const void *const x_end = htvm_at(x, x_type, layer->in_channels);
    const int32_t skip = skips ? layer->skip : 0;
    const int32_t step = htvm_words_of_tap(form);
    uint32_t even = 0x00FF00FF;

    HTVM_HOLD(even);
    for (int32_t left = layer->out_channels; left > 0; left -= HTVM_PAIRED_CHANNELS) {
        const uint8_t *const first_run = runs;
        htvm_paired all = htvm_paired_of(0), high = htvm_paired_of(0);
        const void *from = x;

        do {
            const void *const end_of_run = htvm_at(from, x_type, HTVM_PAIRED_UNIT * *runs++);
            htvm_paired acc = htvm_paired_of(form == HTVM_WORDS ? 1u << 15 : 0);

            do {
                acc = htvm_two_paired_taps(acc, from, x_type, words, form, skips, skip, even);
                acc = htvm_two_paired_taps(acc, htvm_at(from, x_type, 2), x_type, words + 2 * step, form, skips, skip,
                                           even);
                from = htvm_at(from, x_type, HTVM_PAIRED_UNIT);
                words += HTVM_PAIRED_UNIT * step;
            } while (from != end_of_run);
            if (form == HTVM_QUADS) {
                acc = htvm_pairs_of_quads(acc);
            }
            all.w0 += acc.w0, high.w0 += (uint32_t)((int32_t)acc.w0 >> 16);
            all.w1 += acc.w1, high.w1 += (uint32_t)((int32_t)acc.w1 >> 16);
            all.w2 += acc.w2, high.w2 += (uint32_t)((int32_t)acc.w2 >> 16);
            all.w3 += acc.w3, high.w3 += (uint32_t)((int32_t)acc.w3 >> 16);
        } while (from != x_end);
        /* The constants of the layer have no registers while taps are added: they are read again, not saved. */
        const htvm_paired_row_layer *again = layer;
        HTVM_HOLD(again);
        const htvm_requant requant = again->requant;
        const int32_t y_c = again->y_c;
        const uint32_t halves = (uint32_t)(runs - first_run) << 15;
        uint32_t sums[HTVM_PAIRED_CHANNELS] = {
            all.w0 - halves - (high.w0 << 16), high.w0, all.w1 - halves - (high.w1 << 16), high.w1,
            all.w2 - halves - (high.w2 << 16), high.w2, all.w3 - halves - (high.w3 << 16), high.w3,
        };
        int32_t entries = excess->tap;

        for (excess++; entries > 0; entries--, excess++) {
            sums[excess->channel] += (uint32_t)excess->weight * (uint32_t)(htvm_load(x, x_type, excess->tap) - skip);
        }
#define HTVM_WRITE(k)                                                                                                \
    htvm_store(y, y_type, (k) * y_c, htvm_requantize((int32_t)sums[k], constants, k, output, requant))
        int32_t count = htvm_min(left, HTVM_PAIRED_CHANNELS);

        HTVM_HOLD(count); /* or gcc makes a copy of the whole loop for the last block */
        if (count == HTVM_PAIRED_CHANNELS && y_c == 1) {
            HTVM_WRITE(0);
            HTVM_WRITE(1);
            HTVM_WRITE(2);
            HTVM_WRITE(3);
            HTVM_WRITE(4);
            HTVM_WRITE(5);
            HTVM_WRITE(6);
            HTVM_WRITE(7);
        } else {
            const uint32_t *sum = sums;

            HTVM_HOLD(sum); /* or the loop would be unrolled */
            for (int32_t k = 0; k < count; k++) {
                htvm_store(y, y_type, k * y_c, htvm_requantize((int32_t)sum[k], constants, k, output, requant));
            }
        }
#undef HTVM_WRITE
        y = htvm_at_mutable(y, y_type, HTVM_PAIRED_CHANNELS * y_c);
        constants = htvm_constants_at(constants, HTVM_PAIRED_CHANNELS, output);
    }
}

/* Define the function `name` that computes dense layers of these types. form: HTVM_WORDS or HTVM_QUADS; skips: 0 or 1. */
#define HTVM_DEFINE_PAIRED_ROW(name, form, skips, x_type, y_type, output)                                            \
    HTVM_SHARED void name(const htvm_paired_row_layer *layer, const void *x, const uint32_t *words,                  \
                          const uint8_t *runs, const htvm_excess *excess, const void *constants, void *y)            \
    {                                                                                                                \
        htvm_paired_row(layer, x, x_type, words, form, skips, runs, excess, constants, output, y, y_type);           \
    }

#endif
