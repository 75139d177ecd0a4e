/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise 3x3 convolution as in htvm_depthwise.h, of four channels at a time: a word has a byte of each.
 *
 * x_c is 1; channels, x_h and x_w are multiples of 4, and the map begins at one; multiplier and dilations are 1, strides
 * 1 or 2, x has elements of 8 bits. The map of four channels is copied to scratch memory, word by word, with its padding
 * around it: an output then takes 3 new inputs (stride 2: 6) at one address, no border is a case of its own, and all
 * that is read of four channels is read before anything of them is written. So y may lie over x, where pixels are equally
 * large and apart in both. Scratch: HTVM_DEPTHWISE_WORDS_SCRATCH bytes at a multiple of 4.
 */
#ifndef HTVM_DEPTHWISE_WORDS_H
#define HTVM_DEPTHWISE_WORDS_H

#include "htvm_depthwise.h"

/* Return how many rows or columns all windows reach over, for this many outputs. */
HTVM_KERNEL int32_t htvm_window_reach(int32_t outputs, int32_t stride) { return (outputs - 1) * stride + 3; }

/* Copy a map of four channels into the scratch memory, whose padding is there already. Columns are `step` bytes apart
 * there, rows a word. */
HTVM_KERNEL void htvm_copy_four_channels(const htvm_depthwise_layer *layer, int32_t rows, int32_t columns,
                                         int32_t step, const unsigned char *x, unsigned char *scratch)
{
    const int32_t inside = htvm_min(layer->in_width, columns - layer->pad_left);
    const int32_t x_h = layer->x_h, x_w = layer->x_w;
    unsigned char *to_row = scratch + layer->pad_left * step + layer->pad_top * 4;

    for (int32_t row = htvm_min(layer->in_height, rows - layer->pad_top); row > 0; row--) {
        const unsigned char *from = x;
        unsigned char *to = to_row;

        for (int32_t column = inside; column > 0; column--) {
            *(htvm_any_word *)(void *)to = *(const htvm_any_word *)(const void *)from;
            from += x_w;
            to += step;
        }
        x += x_h;
        to_row += 4;
    }
}

/* Return a column of inputs of one channel. */
HTVM_KERNEL htvm_column htvm_column_of_four(const unsigned char *from, htvm_type type)
{
    const htvm_column column = {
        (uint32_t)htvm_load(from, type, 0),
        (uint32_t)htvm_load(from, type, 4),
        (uint32_t)htvm_load(from, type, 8),
    };
    return column;
}

/* Compute one image; `stride` is 1 or 2 and constant. */
HTVM_KERNEL void htvm_depthwise_words(const htvm_depthwise_layer *layer, int32_t stride, const void *x,
                                      htvm_type x_type, const void *weights, htvm_type w_type, const void *constants,
                                      htvm_output output, void *scratch, void *y, htvm_type y_type)
{
    htvm_requant requant = layer->requant;
    const int is_narrow = output == HTVM_NARROW || output == HTVM_NARROW_EACH;
    const int32_t weight_shift = is_narrow ? requant.pre_shift : 0;
    const int32_t rows = htvm_window_reach(layer->out_height, stride);
    const int32_t columns = htvm_window_reach(layer->out_width, stride);
    const uint32_t pad_value = (uint32_t)layer->pad_value & 0xFFu;
    htvm_any_word *const words = (htvm_any_word *)scratch;
    int32_t step = 4 * rows, y_w = layer->y_w;

    requant.pre_shift -= weight_shift;
    for (int32_t i = 0; i < rows * columns; i++) {
        words[i] = pad_value * 0x01010101u;
    }
    for (int32_t k = 0; k < layer->channels; k++) {
        if ((k & 3) == 0) {
            htvm_copy_four_channels(layer, rows, columns, step, (const unsigned char *)x + k,
                                    (unsigned char *)scratch);
        }
        htvm_column w0 = htvm_column_weights(weights, w_type, 0, weight_shift);
        htvm_column w1 = htvm_column_weights(weights, w_type, 1, weight_shift);
        htvm_column w2 = htvm_column_weights(weights, w_type, 2, weight_shift);
        const htvm_channel channel = htvm_channel_at(constants, output, 0);
        const unsigned char *from_row = (const unsigned char *)scratch + (k & 3);
        void *y_row = y;

        for (int32_t row = layer->out_height; row > 0; row--) {
            const unsigned char *from = from_row;
            void *to = y_row;
            const void *const end = htvm_at(to, y_type, layer->out_width * y_w);
            /* At column c: `next` is the output whose first tap was column c - 1, `current` the one before. */
            htvm_column column = htvm_column_of_four(from, x_type);
            uint32_t current = 0, next = htvm_column_dot(w0, column);

            from += step;
            if (stride == 1) {
                column = htvm_column_of_four(from, x_type);
                from += step;
                current = next + htvm_column_dot(w1, column);
                next = htvm_column_dot(w0, column);
            }
            do {
                HTVM_HOLD(step);
                HTVM_HOLD(y_w);
                column = htvm_column_of_four(from, x_type);
                from += step;
                if (stride == 2) {
                    current = next + htvm_column_dot(w1, column);
                    column = htvm_column_of_four(from, x_type);
                    from += step;
                }
                current += htvm_column_dot(w2, column);
                htvm_store(to, y_type, 0, htvm_requantize((int32_t)current, &channel, 0, output, requant));
                to = htvm_at_mutable(to, y_type, y_w);
                if (stride == 1) {
                    current = next + htvm_column_dot(w1, column);
                }
                next = htvm_column_dot(w0, column);
            } while (to != end);
            from_row += 4 * stride;
            y_row = htvm_at_mutable(y_row, y_type, layer->y_h);
        }
        weights = htvm_at(weights, w_type, 9);
        constants = htvm_constants_at(constants, 1, output);
        y = htvm_at_mutable(y, y_type, layer->y_c);
    }
}

/* Define the function `name` that computes layers of this stride and these types. */
#define HTVM_DEFINE_DEPTHWISE_WORDS(name, stride, x_type, w_type, y_type, output)                                    \
    HTVM_SHARED void name(const htvm_depthwise_layer *layer, const void *x, const void *weights,                     \
                          const void *constants, void *scratch, void *y)                                             \
    {                                                                                                                \
        htvm_depthwise_words(layer, stride, x, x_type, weights, w_type, constants, output, scratch, y, y_type);      \
    }

#endif
