/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution: one input channel for each output channel.
 *
 *     acc[k, h, w] = sum over r, s of x[k / multiplier, h*stride - pad_top + r*dilation_h, w*stride - pad_left + s*dilation_w]
 *                                     * weights[k, r, s]
 *
 * x reads `pad_value` outside the map. Weights: [K][R][S]. Constants: [K], see htvm_requant.h. Any layout of x and y.
 *
 * htvm_depthwise3x3 is for 3x3 kernels, strides 1 and 2, paddings 0 and 1, no dilation. It holds the 9 weights
 * of a channel in registers and walks along a row, loading each input column once: a column of 3 inputs ends one output,
 * continues the next (stride 1) and begins the one after. A row of the kernel outside the map has weights of 0 and
 * reads what the middle row reads; its share, padding times its weights, is added to the channel's offset. A column
 * outside was multiplied beforehand. The inner loop takes 27 registers of the 28 that RV32 has for a compiler.
 *
 * htvm_depthwise is for everything else.
 */
#ifndef HTVM_DEPTHWISE_H
#define HTVM_DEPTHWISE_H

#include "htvm_requant.h"

typedef struct {
    int32_t channels;   /* of the output */
    int32_t multiplier; /* output channels per input channel */
    int32_t in_height, in_width;
    int32_t out_height, out_width;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t pad_value;
    int32_t x_c, x_h, x_w; /* strides of the input, in elements */
    int32_t y_c, y_h, y_w; /* strides of the output, in elements */
    htvm_requant requant;
} htvm_depthwise_layer;

/* Where the next elements of the three rows of inputs under the kernel are. */
typedef struct {
    const void *row0, *row1, *row2;
} htvm_rows;

/* Three weights of a column of the kernel, or three inputs under it. Sums are modulo 2^32: the whole sum fits, whatever
 * its parts do. */
typedef struct {
    uint32_t r0, r1, r2;
} htvm_column;

HTVM_KERNEL uint32_t htvm_column_dot(htvm_column a, htvm_column b) { return a.r0 * b.r0 + a.r1 * b.r1 + a.r2 * b.r2; }

HTVM_KERNEL uint32_t htvm_column_sum(htvm_column a) { return a.r0 + a.r1 + a.r2; }

/* Return column `s` of a 3x3 kernel, times 2^shift. */
HTVM_KERNEL htvm_column htvm_column_weights(const void *weights, htvm_type type, int32_t s, int32_t shift)
{
    const htvm_column column = {
        (uint32_t)htvm_load(weights, type, s) << shift,
        (uint32_t)htvm_load(weights, type, 3 + s) << shift,
        (uint32_t)htvm_load(weights, type, 6 + s) << shift,
    };
    return column;
}

/* Return the next column of inputs and step over it. */
HTVM_KERNEL htvm_column htvm_column_next(htvm_rows *rows, int32_t step, htvm_type type)
{
    const htvm_column column = {
        (uint32_t)htvm_load(rows->row0, type, 0),
        (uint32_t)htvm_load(rows->row1, type, 0),
        (uint32_t)htvm_load(rows->row2, type, 0),
    };
    rows->row0 = htvm_at(rows->row0, type, step);
    rows->row1 = htvm_at(rows->row1, type, step);
    rows->row2 = htvm_at(rows->row2, type, step);
    return column;
}

/* Compute one image of a 3x3 depthwise layer; `stride` is 1 or 2 and constant. x and y may not overlap. */
HTVM_KERNEL void htvm_depthwise3x3(const htvm_depthwise_layer *layer, int32_t stride, const void *x, htvm_type x_type,
                                   const void *weights, htvm_type w_type, const void *constants, htvm_output output,
                                   void *y, htvm_type y_type)
{
    htvm_requant requant = layer->requant;
    /* The weights of a channel stay in registers, so that shifting them costs less than shifting each sum. */
    const int is_narrow = output == HTVM_NARROW || output == HTVM_NARROW_EACH;
    const int32_t weight_shift = is_narrow ? requant.pre_shift : 0;
    const int pad_left = layer->pad_left != 0;
    const int pad_right = (layer->out_width - 1) * stride - layer->pad_left + 3 > layer->in_width;
    const int32_t x_h = layer->x_h;
    int32_t x_w = layer->x_w, y_w = layer->y_w;
    const int32_t steps_inside = (layer->out_width - pad_right) * y_w;
    const uint32_t pad_value = (uint32_t)layer->pad_value;
    const int32_t last = (layer->out_height - 1) * stride - layer->pad_top;
    const int below_last = last + 2 >= layer->in_height;

    requant.pre_shift -= weight_shift;
    for (int32_t k = 0, repeats = 0; k < layer->channels; k++) {
        htvm_column w0 = htvm_column_weights(weights, w_type, 0, weight_shift);
        htvm_column w1 = htvm_column_weights(weights, w_type, 1, weight_shift);
        htvm_column w2 = htvm_column_weights(weights, w_type, 2, weight_shift);
        const void *middle = htvm_at(x, x_type, (1 - layer->pad_top) * x_h);
        void *y_row = y;

        for (int32_t top = -layer->pad_top; top <= last; top += stride) {
            const int above = top < 0, below = below_last && top == last;
            htvm_rows rows = {
                above ? middle : htvm_at(middle, x_type, -x_h),
                middle,
                below ? middle : htvm_at(middle, x_type, x_h),
            };
            uint32_t start = 0;

            if (above) {
                start += (w0.r0 + w1.r0 + w2.r0) * pad_value;
                w0.r0 = 0, w1.r0 = 0, w2.r0 = 0;
            }
            if (below) {
                start += (w0.r2 + w1.r2 + w2.r2) * pad_value;
                w0.r2 = 0, w1.r2 = 0, w2.r2 = 0;
            }
            const htvm_channel channel = htvm_channel_at(constants, output, start);
            const uint32_t rest = htvm_holds_start(output) ? 0 : start;
            void *to = y_row;
            const void *const end = htvm_at(to, y_type, steps_inside);
            /* At column c: `next` is the output whose first tap was column c - 1, `current` the one before. */
            uint32_t current = 0, next;
            htvm_column column;

            next = pad_left ? htvm_column_sum(w0) * pad_value
                            : htvm_column_dot(w0, htvm_column_next(&rows, x_w, x_type));
            if (stride == 1) {
                column = htvm_column_next(&rows, x_w, x_type);
                current = next + htvm_column_dot(w1, column);
                next = htvm_column_dot(w0, column);
            }
            while (to != end) {
                HTVM_HOLD(x_w);
                HTVM_HOLD(y_w);
                column = htvm_column_next(&rows, x_w, x_type);
                if (stride == 2) {
                    current = next + htvm_column_dot(w1, column);
                    column = htvm_column_next(&rows, x_w, x_type);
                }
                current += htvm_column_dot(w2, column);
                htvm_store(to, y_type, 0, htvm_requantize((int32_t)(current + rest), &channel, 0, output, requant));
                to = htvm_at_mutable(to, y_type, y_w);
                if (stride == 1) {
                    current = next + htvm_column_dot(w1, column);
                }
                next = htvm_column_dot(w0, column);
            }
            if (pad_right) {
                if (stride == 2) {
                    column = htvm_column_next(&rows, x_w, x_type);
                    current = next + htvm_column_dot(w1, column);
                }
                current += htvm_column_sum(w2) * pad_value + rest;
                htvm_store(to, y_type, 0, htvm_requantize((int32_t)current, &channel, 0, output, requant));
            }
            if (above) {
                w0.r0 = (uint32_t)htvm_load(weights, w_type, 0) << weight_shift;
                w1.r0 = (uint32_t)htvm_load(weights, w_type, 1) << weight_shift;
                w2.r0 = (uint32_t)htvm_load(weights, w_type, 2) << weight_shift;
            }
            middle = htvm_at(middle, x_type, stride * x_h);
            y_row = htvm_at_mutable(y_row, y_type, layer->y_h);
        }
        weights = htvm_at(weights, w_type, 9);
        constants = htvm_constants_at(constants, 1, output);
        y = htvm_at_mutable(y, y_type, layer->y_c);
        if (++repeats == layer->multiplier) {
            repeats = 0;
            x = htvm_at(x, x_type, layer->x_c);
        }
    }
}

/* Compute one image of any depthwise layer. x and y may not overlap. */
HTVM_KERNEL void htvm_depthwise(const htvm_depthwise_layer *layer, const void *x, htvm_type x_type,
                                const void *weights, htvm_type w_type, const void *constants, htvm_output output,
                                void *y, htvm_type y_type)
{
    const htvm_requant requant = layer->requant;
    const int32_t dilation_h = layer->dilation_h, dilation_w = layer->dilation_w;
    const int32_t in_height = layer->in_height, in_width = layer->in_width;
    const int32_t pad_value = layer->pad_value;

    for (int32_t k = 0, repeats = 0; k < layer->channels; k++) {
        for (int32_t h = 0; h < layer->out_height; h++) {
            const int32_t top = h * layer->stride_h - layer->pad_top;

            for (int32_t w = 0; w < layer->out_width; w++) {
                const int32_t left = w * layer->stride_w - layer->pad_left;
                const void *weight = weights;
                int32_t acc = 0;

                for (int32_t r = top; r < top + layer->kernel_h * dilation_h; r += dilation_h) {
                    for (int32_t s = left; s < left + layer->kernel_w * dilation_w; s += dilation_w) {
                        const int inside = r >= 0 && r < in_height && s >= 0 && s < in_width;
                        const int32_t element =
                            inside ? htvm_load(x, x_type, r * layer->x_h + s * layer->x_w) : pad_value;

                        acc += htvm_load(weight, w_type, 0) * element;
                        weight = htvm_at(weight, w_type, 1);
                    }
                }
                htvm_store(y, y_type, h * layer->y_h + w * layer->y_w,
                           htvm_requantize(acc, constants, 0, output, requant));
            }
        }
        weights = htvm_at(weights, w_type, layer->kernel_h * layer->kernel_w);
        constants = htvm_constants_at(constants, 1, output);
        y = htvm_at_mutable(y, y_type, layer->y_c);
        if (++repeats == layer->multiplier) {
            repeats = 0;
            x = htvm_at(x, x_type, layer->x_c);
        }
    }
}

/* Define the function `name` that computes 3x3 depthwise layers of this stride and these types. */
#define HTVM_DEFINE_DEPTHWISE3X3(name, stride, x_type, w_type, y_type, output)                                       \
    HTVM_SHARED void name(const htvm_depthwise_layer *layer, const void *x, const void *weights,                     \
                          const void *constants, void *y)                                                            \
    {                                                                                                                \
        htvm_depthwise3x3(layer, stride, x, x_type, weights, w_type, constants, output, y, y_type);                  \
    }

/* Define the function `name` that computes depthwise layers of these types. */
#define HTVM_DEFINE_DEPTHWISE(name, x_type, w_type, y_type, output)                                                  \
    HTVM_SHARED void name(const htvm_depthwise_layer *layer, const void *x, const void *weights,                     \
                          const void *constants, void *y)                                                            \
    {                                                                                                                \
        htvm_depthwise(layer, x, x_type, weights, w_type, constants, output, y, y_type);                             \
    }

#endif
