/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums under a window as in htvm_pool2d.h, of four channels at a time: a word has one byte of each.
 *
 * x_c is 1; channels, x_h and x_w are multiples of 4, and the map begins at one. No window has more than
 * HTVM_POOL2D_WORDS elements inside the map: sums stay in 16 bits.
 */
#ifndef HTVM_POOL2D_WORDS_H
#define HTVM_POOL2D_WORDS_H

#include "htvm_pool2d.h"

#define HTVM_POOL2D_WORDS 256

/* What bytes hold: any int8; int8 from 0 to 127, of which two can be added in a byte; any uint8. */
typedef enum { HTVM_SIGNED, HTVM_HALF, HTVM_UNSIGNED } htvm_bytes;

/* Sums of bytes 0 to 3 of some words: those of 0 and 2 in 16 bits each, and 1 + 2 * 2^8 + 3 * 2^16. */
typedef struct {
    uint32_t even, upper;
} htvm_byte_sums;

/* Return the sums with those of a word, whose bytes have no sign. */
HTVM_KERNEL htvm_byte_sums htvm_add_bytes(htvm_byte_sums sums, uint32_t word)
{
    const htvm_byte_sums more = {sums.even + (word & 0x00FF00FFu), sums.upper + (word >> 8)};

    return more;
}

/* Return the word at an address as unsigned bytes: of int8, 128 is added to each. */
HTVM_KERNEL uint32_t htvm_unsigned_bytes(const unsigned char *from, htvm_bytes bytes)
{
    return htvm_load_word(from) ^ (bytes == HTVM_SIGNED ? 0x80808080u : 0);
}

/* Return the sums with those of `count` words, `step` bytes apart. */
HTVM_KERNEL htvm_byte_sums htvm_add_row(htvm_byte_sums sums, const unsigned char *from, int32_t step, int32_t count,
                                        htvm_bytes bytes)
{
    for (; count >= 4; count -= 4) {
        uint32_t words[4];

        for (int32_t i = 0; i < 4; i++, from += step) {
            words[i] = htvm_unsigned_bytes(from, bytes);
        }
        if (bytes == HTVM_HALF) {
            sums = htvm_add_bytes(htvm_add_bytes(sums, words[0] + words[1]), words[2] + words[3]);
        } else {
            for (int32_t i = 0; i < 4; i++) {
                sums = htvm_add_bytes(sums, words[i]);
            }
        }
    }
    for (; count > 0; count--, from += step) {
        sums = htvm_add_bytes(sums, htvm_unsigned_bytes(from, bytes));
    }
    return sums;
}

/* Sum one image. counts: as for htvm_pool2d_sum. */
HTVM_KERNEL void htvm_pool2d_sum_words(const htvm_pool2d_layer *layer, const void *x, htvm_bytes bytes,
                                       const int32_t *counts, const void *constants, htvm_output output, void *y,
                                       htvm_type y_type)
{
    const htvm_requant requant = layer->requant;
    const int32_t x_w = layer->x_w * layer->dilation_w, x_h = layer->x_h * layer->dilation_h;

    for (int32_t h = 0; h < layer->out_height; h++) {
        for (int32_t w = 0; w < layer->out_width; w++) {
            const htvm_pool2d_window window = htvm_pool2d_clip(layer, h, w);
            const int32_t count = window.rows * window.columns;
            const unsigned char *start =
                (const unsigned char *)x + window.first_h * layer->x_h + window.first_w * layer->x_w;
            int32_t entry = 0;

            while (counts[entry] < count) {
                entry++;
            }
            for (int32_t c = 0; c < layer->channels; c += 4) {
                const unsigned char *row = start + c;
                htvm_byte_sums sums = {0, 0};

                for (int32_t r = window.rows; r > 0; r--, row += x_h) {
                    sums = htvm_add_row(sums, row, x_w, window.columns, bytes);
                }
                sums.upper -= sums.even >> 16 << 8;
                for (int32_t i = 0; i < 4; i++) {
                    const uint32_t sum = (i % 2 ? sums.upper : sums.even) >> (i / 2 * 16) & 0xFFFF;

                    htvm_store(y, y_type, (c + i) * layer->y_c + h * layer->y_h + w * layer->y_w,
                               htvm_requantize((int32_t)sum - (bytes == HTVM_SIGNED ? 128 * count : 0), constants,
                                               entry, output, requant));
                }
            }
        }
    }
}

/* Define a function of these types. */
#define HTVM_DEFINE_POOL2D_SUM_WORDS(name, bytes, y_type, output)                                                    \
    HTVM_SHARED void name(const htvm_pool2d_layer *layer, const void *x, const int32_t *counts,                      \
                          const void *constants, void *y)                                                            \
    {                                                                                                                \
        htvm_pool2d_sum_words(layer, x, bytes, counts, constants, output, y, y_type);                                \
    }

#endif
