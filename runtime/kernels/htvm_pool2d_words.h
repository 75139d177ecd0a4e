/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums and extremes under a window as in htvm_pool2d.h, of four channels at a time: a word has one byte of each.
 *
 * x_c is 1; channels, x_h and x_w are multiples of 4, and the map begins at one. Where sums are taken no window has more
 * than HTVM_POOL2D_WORDS elements inside the map: they stay in 16 bits.
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

/* Return the larger, or smaller, one of each two bytes of words without sign. */
HTVM_KERNEL uint32_t htvm_extreme_bytes(uint32_t a, uint32_t b, htvm_pool kind)
{
    /* The highest bit of each byte: where those of a and b are the same, whether the others of a are at least b's. */
    const uint32_t others = (a | 0x80808080u) - (b & 0x7F7F7F7Fu);
    const uint32_t at_least = ((a & ~b) | (~(a ^ b) & others)) & 0x80808080u;
    const uint32_t mask = (at_least << 1) - (at_least >> 7); /* all bits of these bytes */

    return (kind == HTVM_MAXIMUM ? b : a) ^ ((a ^ b) & mask);
}

/* Take the maxima, or minima, of one image; every window has an element inside. */
HTVM_KERNEL void htvm_pool2d_extreme_words(const htvm_pool2d_layer *layer, htvm_pool kind, const void *x,
                                           htvm_bytes bytes, void *y)
{
    const int32_t x_w = layer->x_w * layer->dilation_w, x_h = layer->x_h * layer->dilation_h;

    for (int32_t h = 0; h < layer->out_height; h++) {
        for (int32_t w = 0; w < layer->out_width; w++) {
            const htvm_pool2d_window window = htvm_pool2d_clip(layer, h, w);
            const unsigned char *start =
                (const unsigned char *)x + window.first_h * layer->x_h + window.first_w * layer->x_w;
            unsigned char *to = (unsigned char *)y + h * layer->y_h + w * layer->y_w;

            for (int32_t c = 0; c < layer->channels; c += 4, start += 4) {
                const unsigned char *row = start;
                uint32_t result = htvm_unsigned_bytes(start, bytes);

                for (int32_t r = window.rows; r > 0; r--, row += x_h) {
                    const unsigned char *from = row;

                    for (int32_t s = window.columns; s > 0; s--, from += x_w) {
                        result = htvm_extreme_bytes(result, htvm_unsigned_bytes(from, bytes), kind);
                    }
                }
                result ^= bytes == HTVM_SIGNED ? 0x80808080u : 0;
                for (int32_t i = 0; i < 4; i++, to += layer->y_c) {
                    *to = (unsigned char)(result >> 8 * i);
                }
            }
        }
    }
}

/* Define functions of these types. */
#define HTVM_DEFINE_POOL2D_SUM_WORDS(name, bytes, y_type, output)                                                    \
    HTVM_SHARED void name(const htvm_pool2d_layer *layer, const void *x, const int32_t *counts,                      \
                          const void *constants, void *y)                                                            \
    {                                                                                                                \
        htvm_pool2d_sum_words(layer, x, bytes, counts, constants, output, y, y_type);                                \
    }
#define HTVM_DEFINE_POOL2D_EXTREME_WORDS(name, bytes, kind)                                                          \
    HTVM_SHARED void name(const htvm_pool2d_layer *layer, const void *x, void *y)                                    \
    {                                                                                                                \
        htvm_pool2d_extreme_words(layer, kind, x, bytes, y);                                                         \
    }

#endif
