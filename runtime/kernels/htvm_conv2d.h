/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution, and everything that is one: pointwise and dense layers.
 *
 *     acc[k, h, w] = sum over c, r, s of x[c, h*stride_h - pad_top + r*dilation_h, w*stride_w - pad_left + s*dilation_w]
 *                                        * weights[k, c, r, s]
 *
 * x reads `pad_value` outside the map. Each accumulator lives in a register until it is requantised.
 *
 * The outputs are made in blocks: 4 channels of 2 neighbouring pixels, where both windows lie inside the map, else 8
 * channels of 1 pixel. One pass over the window loads 4 weights and 2 inputs for 8 multiplications, or 8 and 1.
 *
 * The window of a pixel is read in place when each of its rows is one run of neighbouring elements (channels
 * innermost, no gaps, no dilation along w, one group). Taps outside the map are then clipped away and
 * their share, pad_value * sum of weights, is the start of the accumulator. Otherwise the caller gives a
 * `window` in which the kernel collects the elements of two pixels: right for any layout, cheap
 * when there are many output channels, and quick for a row-major input of few channels.
 *
 * Weights: in blocks of 4 output channels of a group, the last block filled up with zeros. In a block
 * [r][s][c][4], for collected windows [c][r][s][4]. Constants: [groups * K], see htvm_requant.h.
 */
#ifndef HTVM_CONV2D_H
#define HTVM_CONV2D_H

#include "htvm_requant.h"

typedef struct {
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
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
} htvm_conv2d_layer;

/* Taps that a pixel reads: rows of neighbouring elements, and where their weights are. */
typedef struct {
    int32_t rows;            /* rows inside the map */
    int32_t row_length;      /* elements of each that are inside */
    int32_t x_first;         /* the first element inside */
    int32_t x_row_step;      /* elements from one row to the next */
    int32_t first_weight;    /* taps of the window before the first one inside */
    int32_t weight_row_step; /* taps from one row of the window to the next */
} htvm_taps;

/* Four accumulators: of 4 neighbouring output channels at one pixel. */
typedef struct {
    int32_t k0, k1, k2, k3;
} htvm_quad;

/* Finish this tap's sums before the next tap's loads. One tap of a block fills the registers of RV32; compilers that
 * load ahead spill. */
#if defined(__riscv)
#define HTVM_FINISH(quad)                                                                                            \
    __asm__ volatile("" : "+r"((quad).k0), "+r"((quad).k1), "+r"((quad).k2), "+r"((quad).k3) : : "memory")
#else
#define HTVM_FINISH(quad) (void)(quad)
#endif

HTVM_KERNEL htvm_quad htvm_quad_load(const void *weights, htvm_type type, int32_t tap)
{
    const htvm_quad w = {
        htvm_load(weights, type, 4 * tap),
        htvm_load(weights, type, 4 * tap + 1),
        htvm_load(weights, type, 4 * tap + 2),
        htvm_load(weights, type, 4 * tap + 3),
    };
    return w;
}

HTVM_KERNEL htvm_quad htvm_quad_multiply_add(htvm_quad acc, htvm_quad w, int32_t x)
{
    acc.k0 += w.k0 * x;
    acc.k1 += w.k1 * x;
    acc.k2 += w.k2 * x;
    acc.k3 += w.k3 * x;
    return acc;
}

/* Return the sums of `taps` weights each of 4 channels. */
HTVM_KERNEL htvm_quad htvm_quad_sum(htvm_quad sum, const void *weights, htvm_type type, int32_t taps)
{
    for (int32_t tap = 0; tap < taps; tap++) {
        sum = htvm_quad_multiply_add(sum, htvm_quad_load(weights, type, tap), 1);
    }
    return sum;
}

/* Return pad_value times the sum of the weights of all taps outside the map.
 *
 * weights: of a block. all: taps of the whole window. Rows outside lie before the first and after the last row inside;
 * of each row inside, the taps outside lie before and after the run.
 */
HTVM_KERNEL htvm_quad htvm_quad_outside(const void *weights, htvm_type type, htvm_taps inside, int32_t all,
                                        int32_t pad_value)
{
    htvm_quad sum = {0, 0, 0, 0};
    int32_t next = 0;

    for (int32_t row = 0; row < inside.rows; row++) {
        const int32_t first = inside.first_weight + row * inside.weight_row_step;

        sum = htvm_quad_sum(sum, htvm_at(weights, type, 4 * next), type, first - next);
        next = first + inside.row_length;
    }
    sum = htvm_quad_sum(sum, htvm_at(weights, type, 4 * next), type, all - next);
    const htvm_quad zero = {0, 0, 0, 0};
    return htvm_quad_multiply_add(zero, sum, pad_value);
}

/* One tap of a block: two sets of weights for one input, or one set for two inputs. */
HTVM_KERNEL void htvm_tap_two_pixels(htvm_quad *a, htvm_quad *b, const void *x_a, const void *x_b, htvm_type x_type,
                                     const void *weights, htvm_type w_type, int32_t tap)
{
    const htvm_quad w = htvm_quad_load(weights, w_type, tap);

    *a = htvm_quad_multiply_add(*a, w, htvm_load(x_a, x_type, tap));
    *b = htvm_quad_multiply_add(*b, w, htvm_load(x_b, x_type, tap));
    HTVM_FINISH(*a);
    HTVM_FINISH(*b);
}

HTVM_KERNEL void htvm_tap_two_blocks(htvm_quad *a, htvm_quad *b, const void *x, htvm_type x_type,
                                     const void *weights_a, const void *weights_b, htvm_type w_type, int32_t tap)
{
    const int32_t element = htvm_load(x, x_type, tap);

    *a = htvm_quad_multiply_add(*a, htvm_quad_load(weights_a, w_type, tap), element);
    HTVM_FINISH(*a);
    *b = htvm_quad_multiply_add(*b, htvm_quad_load(weights_b, w_type, tap), element);
    HTVM_FINISH(*b);
}

/* Add to `a` and `b` what one block of 4 channels gives for the pixels whose first taps are x_a and x_b. */
HTVM_KERNEL void htvm_block_two_pixels(htvm_quad *a, htvm_quad *b, const void *x_a, const void *x_b, htvm_type x_type,
                                       const void *weights, htvm_type w_type, htvm_taps taps)
{
    const int32_t x_skip = taps.x_row_step - taps.row_length;
    const int32_t w_skip = 4 * (taps.weight_row_step - taps.row_length);

    weights = htvm_at(weights, w_type, 4 * taps.first_weight);
    for (int32_t row = taps.rows; row > 0; row--) {
        const void *end_of_fours = htvm_at(x_a, x_type, taps.row_length & ~3);
        const void *end = htvm_at(x_a, x_type, taps.row_length);

        while (x_a != end_of_fours) {
            htvm_tap_two_pixels(a, b, x_a, x_b, x_type, weights, w_type, 0);
            htvm_tap_two_pixels(a, b, x_a, x_b, x_type, weights, w_type, 1);
            htvm_tap_two_pixels(a, b, x_a, x_b, x_type, weights, w_type, 2);
            htvm_tap_two_pixels(a, b, x_a, x_b, x_type, weights, w_type, 3);
            x_a = htvm_at(x_a, x_type, 4);
            x_b = htvm_at(x_b, x_type, 4);
            weights = htvm_at(weights, w_type, 16);
        }
        while (x_a != end) {
            htvm_tap_two_pixels(a, b, x_a, x_b, x_type, weights, w_type, 0);
            x_a = htvm_at(x_a, x_type, 1);
            x_b = htvm_at(x_b, x_type, 1);
            weights = htvm_at(weights, w_type, 4);
        }
        x_a = htvm_at(x_a, x_type, x_skip);
        x_b = htvm_at(x_b, x_type, x_skip);
        weights = htvm_at(weights, w_type, w_skip);
    }
}

/* Add to `a` and `b` what two blocks of 4 channels give for the pixel whose first tap is x. */
HTVM_KERNEL void htvm_two_blocks_one_pixel(htvm_quad *a, htvm_quad *b, const void *x, htvm_type x_type,
                                           const void *weights_a, const void *weights_b, htvm_type w_type,
                                           htvm_taps taps)
{
    const int32_t x_skip = taps.x_row_step - taps.row_length;
    const int32_t w_skip = 4 * (taps.weight_row_step - taps.row_length);

    weights_a = htvm_at(weights_a, w_type, 4 * taps.first_weight);
    weights_b = htvm_at(weights_b, w_type, 4 * taps.first_weight);
    for (int32_t row = taps.rows; row > 0; row--) {
        const void *end_of_fours = htvm_at(x, x_type, taps.row_length & ~3);
        const void *end = htvm_at(x, x_type, taps.row_length);

        while (x != end_of_fours) {
            htvm_tap_two_blocks(a, b, x, x_type, weights_a, weights_b, w_type, 0);
            htvm_tap_two_blocks(a, b, x, x_type, weights_a, weights_b, w_type, 1);
            htvm_tap_two_blocks(a, b, x, x_type, weights_a, weights_b, w_type, 2);
            htvm_tap_two_blocks(a, b, x, x_type, weights_a, weights_b, w_type, 3);
            x = htvm_at(x, x_type, 4);
            weights_a = htvm_at(weights_a, w_type, 16);
            weights_b = htvm_at(weights_b, w_type, 16);
        }
        while (x != end) {
            htvm_tap_two_blocks(a, b, x, x_type, weights_a, weights_b, w_type, 0);
            x = htvm_at(x, x_type, 1);
            weights_a = htvm_at(weights_a, w_type, 4);
            weights_b = htvm_at(weights_b, w_type, 4);
        }
        x = htvm_at(x, x_type, x_skip);
        weights_a = htvm_at(weights_a, w_type, w_skip);
        weights_b = htvm_at(weights_b, w_type, w_skip);
    }
}

/* Write one block of `channels` channels, of two pixels at y_a and y_b. */
HTVM_KERNEL void htvm_write_two_pixels(htvm_quad a, htvm_quad b, int32_t channels, const void *constants,
                                       htvm_output output, htvm_requant requant, void *y_a, void *y_b,
                                       htvm_type y_type, int32_t y_c)
{
    /* Both elements are computed before one is stored: the constants are loaded once. */
#define HTVM_WRITE(k, acc_a, acc_b)                                                                                  \
    do {                                                                                                             \
        const int32_t element_a = htvm_requantize(acc_a, constants, k, output, requant);                             \
        const int32_t element_b = htvm_requantize(acc_b, constants, k, output, requant);                             \
                                                                                                                     \
        htvm_store(y_a, y_type, (k) * y_c, element_a);                                                               \
        htvm_store(y_b, y_type, (k) * y_c, element_b);                                                               \
    } while (0)

    if (channels >= 4 && y_c == 1) {
        HTVM_WRITE(0, a.k0, b.k0);
        HTVM_WRITE(1, a.k1, b.k1);
        HTVM_WRITE(2, a.k2, b.k2);
        HTVM_WRITE(3, a.k3, b.k3);
    } else {
        for (int32_t k = 0; k < 4 && k < channels; k++) {
            HTVM_WRITE(k, a.k0, b.k0);
            a.k0 = a.k1, a.k1 = a.k2, a.k2 = a.k3;
            b.k0 = b.k1, b.k1 = b.k2, b.k2 = b.k3;
        }
    }
#undef HTVM_WRITE
}

/* Write one block of `channels` channels of one pixel. */
HTVM_KERNEL void htvm_write_one_pixel(htvm_quad acc, int32_t channels, const void *constants, htvm_output output,
                                      htvm_requant requant, void *y, htvm_type y_type, int32_t y_c)
{
    for (int32_t k = 0; k < 4 && k < channels; k++) {
        htvm_store(y, y_type, k * y_c, htvm_requantize(acc.k0, constants, k, output, requant));
        acc.k0 = acc.k1, acc.k1 = acc.k2, acc.k2 = acc.k3;
    }
}

/* Copy the elements under one window, or two neighbouring ones, of a group to `window`: [pixel][c][r][s], with padding.
 *
 * top, left: of the first window. pixels: 1 or 2.
 */
HTVM_KERNEL void htvm_collect(const htvm_conv2d_layer *layer, const void *x, htvm_type x_type, int32_t top,
                              int32_t left, int32_t pixels, void *window)
{
    const int32_t kernel_w = layer->kernel_w, kernel_h = layer->kernel_h, pad_value = layer->pad_value;
    const int32_t in_width = layer->in_width, in_height = layer->in_height;
    const int32_t x_h = layer->x_h, x_w = layer->x_w, dilation_h = layer->dilation_h, dilation_w = layer->dilation_w;
    const int32_t stride_w = layer->stride_w;
    const int32_t all = kernel_h * kernel_w * layer->in_channels;
    const int32_t right = left + (pixels - 1) * stride_w + (kernel_w - 1) * dilation_w;
    const int both_inside = pixels == 2 && left >= 0 && right < in_width;

    for (int32_t c = layer->in_channels; c > 0; c--) {
        int32_t h = top;

        for (int32_t r = kernel_h; r > 0; r--) {
            const int row_inside = h >= 0 && h < in_height;

            if (both_inside && row_inside) {
                const void *from = htvm_at(x, x_type, h * x_h + left * x_w);
                void *end = htvm_at_mutable(window, x_type, kernel_w);

                while (window != end) {
                    htvm_store(window, x_type, 0, htvm_load(from, x_type, 0));
                    htvm_store(window, x_type, all, htvm_load(from, x_type, stride_w * x_w));
                    from = htvm_at(from, x_type, dilation_w * x_w);
                    window = htvm_at_mutable(window, x_type, 1);
                }
            } else {
                for (int32_t s = 0; s < kernel_w; s++) {
                    for (int32_t pixel = 0; pixel < pixels; pixel++) {
                        const int32_t w = left + pixel * stride_w + s * dilation_w;
                        const int inside = row_inside && w >= 0 && w < in_width;

                        htvm_store(window, x_type, pixel * all,
                                   inside ? htvm_load(x, x_type, h * x_h + w * x_w) : pad_value);
                    }
                    window = htvm_at_mutable(window, x_type, 1);
                }
            }
            h += dilation_h;
        }
        x = htvm_at(x, x_type, layer->x_c);
    }
}

/* Return the taps inside the map of a window at (top, left) that is read in place. */
HTVM_KERNEL htvm_taps htvm_clip(const htvm_conv2d_layer *layer, int32_t top, int32_t left)
{
    const int32_t dilation = layer->dilation_h;
    const int32_t c = layer->in_channels;
    const int32_t first_row = top < 0 ? (dilation - 1 - top) / dilation : 0;
    const int32_t end_row = layer->in_height > top ? (layer->in_height - top + dilation - 1) / dilation : 0;
    const int32_t rows = htvm_min(layer->kernel_h, end_row) - first_row;
    const int32_t first = htvm_max(-left, 0);
    const int32_t columns = htvm_min(layer->kernel_w, layer->in_width - left) - first;
    const htvm_taps taps = {
        .rows = columns > 0 ? htvm_max(rows, 0) : 0,
        .row_length = columns * c,
        .x_first = (top + first_row * dilation) * layer->x_h + (left + first) * layer->x_w,
        .x_row_step = dilation * layer->x_h,
        .first_weight = (first_row * layer->kernel_w + first) * c,
        .weight_row_step = layer->kernel_w * c,
    };
    return taps;
}

/* Compute all channels of two neighbouring pixels whose first taps are x_a and x_b. */
HTVM_KERNEL void htvm_two_pixels(const htvm_conv2d_layer *layer, const htvm_taps *inside, const void *x_a,
                                 const void *x_b, htvm_type x_type, const void *weights, htvm_type w_type,
                                 const void *constants, htvm_output output, void *y, htvm_type y_type)
{
    const htvm_taps taps = *inside;
    const htvm_requant requant = layer->requant;
    const int32_t all = layer->kernel_h * layer->kernel_w * layer->in_channels;
    const int32_t pad_value = taps.rows * taps.row_length == all ? 0 : layer->pad_value;
    const int32_t y_c = layer->y_c;
    void *y_b = htvm_at_mutable(y, y_type, layer->y_w);

    for (int32_t left = layer->out_channels; left > 0; left -= 4) {
        htvm_quad a = {0, 0, 0, 0};
        if (pad_value != 0) {
            a = htvm_quad_outside(weights, w_type, taps, all, pad_value);
        }
        htvm_quad b = a;

        htvm_block_two_pixels(&a, &b, x_a, x_b, x_type, weights, w_type, taps);
        htvm_write_two_pixels(a, b, left, constants, output, requant, y, y_b, y_type, y_c);
        weights = htvm_at(weights, w_type, 4 * all);
        constants = htvm_constants_at(constants, 4, output);
        y = htvm_at_mutable(y, y_type, 4 * y_c);
        y_b = htvm_at_mutable(y_b, y_type, 4 * y_c);
    }
}

/* Compute all channels of the pixel whose first tap is x. */
HTVM_KERNEL void htvm_one_pixel(const htvm_conv2d_layer *layer, const htvm_taps *inside, const void *x,
                                htvm_type x_type, const void *weights, htvm_type w_type, const void *constants,
                                htvm_output output, void *y, htvm_type y_type)
{
    const htvm_taps taps = *inside;
    const htvm_requant requant = layer->requant;
    const int32_t all = layer->kernel_h * layer->kernel_w * layer->in_channels;
    const int32_t pad_value = taps.rows * taps.row_length == all ? 0 : layer->pad_value;
    const int32_t y_c = layer->y_c;

    for (int32_t left = layer->out_channels; left > 0; left -= 8) {
        /* The last block may be alone: then it is computed twice and written once. */
        const void *weights_b = left > 4 ? htvm_at(weights, w_type, 4 * all) : weights;
        htvm_quad a = {0, 0, 0, 0};
        htvm_quad b = {0, 0, 0, 0};
        if (pad_value != 0) {
            a = htvm_quad_outside(weights, w_type, taps, all, pad_value);
            b = htvm_quad_outside(weights_b, w_type, taps, all, pad_value);
        }

        htvm_two_blocks_one_pixel(&a, &b, x, x_type, weights, weights_b, w_type, taps);
        htvm_write_one_pixel(a, left, constants, output, requant, y, y_type, y_c);
        constants = htvm_constants_at(constants, 4, output);
        y = htvm_at_mutable(y, y_type, 4 * y_c);
        htvm_write_one_pixel(b, left - 4, constants, output, requant, y, y_type, y_c);
        constants = htvm_constants_at(constants, 4, output);
        y = htvm_at_mutable(y, y_type, 4 * y_c);
        weights = htvm_at(weights, w_type, 8 * all);
    }
}

typedef void htvm_two_pixels_function(const htvm_conv2d_layer *layer, const htvm_taps *inside, const void *x_a,
                                      const void *x_b, const void *weights, const void *constants, void *y);
typedef void htvm_one_pixel_function(const htvm_conv2d_layer *layer, const htvm_taps *inside, const void *x,
                                     const void *weights, const void *constants, void *y);

/* Compute one image of a conv2d layer.
 *
 * window: memory for two windows, 2 * in_channels * kernel_h * kernel_w elements of x_type, or NULL to read windows in
 * place. x and y may not overlap.
 */
HTVM_KERNEL void htvm_conv2d(const htvm_conv2d_layer *layer, const void *x, htvm_type x_type, const void *weights,
                             htvm_type w_type, const void *constants, htvm_output output, void *window, void *y,
                             htvm_type y_type, htvm_two_pixels_function *two_pixels,
                             htvm_one_pixel_function *one_pixel)
{
    const int32_t all = layer->kernel_h * layer->kernel_w * layer->in_channels;
    const htvm_taps collected = {.rows = 1, .row_length = all};
    const int32_t group_weights = (layer->out_channels + 3) / 4 * 4 * all;

    for (int32_t group = 0; group < layer->groups; group++) {
        for (int32_t h = 0; h < layer->out_height; h++) {
            const int32_t top = h * layer->stride_h - layer->pad_top;
            int32_t pixels;

            for (int32_t w = 0; w < layer->out_width; w += pixels) {
                const int32_t left = w * layer->stride_w - layer->pad_left;
                void *y_pixel = htvm_at_mutable(y, y_type, h * layer->y_h + w * layer->y_w);
                const void *x_pixel = window;
                htvm_taps taps = collected;
                int32_t x_next = all;

                pixels = htvm_min(layer->out_width - w, 2);
                if (window) {
                    htvm_collect(layer, x, x_type, top, left, pixels, window);
                } else {
                    taps = htvm_clip(layer, top, left);
                    x_pixel = taps.rows > 0 ? htvm_at(x, x_type, taps.x_first) : x;
                    x_next = layer->stride_w * layer->x_w;
                    if (left < 0 || left + layer->stride_w + layer->kernel_w > layer->in_width) {
                        pixels = 1;
                    }
                }
                if (pixels == 2) {
                    two_pixels(layer, &taps, x_pixel, htvm_at(x_pixel, x_type, x_next), weights, constants, y_pixel);
                } else {
                    one_pixel(layer, &taps, x_pixel, weights, constants, y_pixel);
                }
            }
        }
        x = htvm_at(x, x_type, layer->in_channels * layer->x_c);
        y = htvm_at_mutable(y, y_type, layer->out_channels * layer->y_c);
        weights = htvm_at(weights, w_type, group_weights);
        constants = htvm_constants_at(constants, layer->out_channels, output);
    }
}

/* Define the function `name` that computes conv2d layers of these types. */
#define HTVM_DEFINE_CONV2D(name, x_type, w_type, y_type, output)                                                     \
    HTVM_SHARED void name##_two_pixels(const htvm_conv2d_layer *layer, const htvm_taps *inside, const void *x_a,     \
                                       const void *x_b, const void *weights, const void *constants, void *y)         \
    {                                                                                                                \
        htvm_two_pixels(layer, inside, x_a, x_b, x_type, weights, w_type, constants, output, y, y_type);             \
    }                                                                                                                \
    HTVM_SHARED void name##_one_pixel(const htvm_conv2d_layer *layer, const htvm_taps *inside, const void *x,        \
                                      const void *weights, const void *constants, void *y)                           \
    {                                                                                                                \
        htvm_one_pixel(layer, inside, x, x_type, weights, w_type, constants, output, y, y_type);                     \
    }                                                                                                                \
    HTVM_SHARED void name(const htvm_conv2d_layer *layer, const void *x, const void *weights, const void *constants, \
                          void *window, void *y)                                                                     \
    {                                                                                                                \
        htvm_conv2d(layer, x, x_type, weights, w_type, constants, output, window, y, y_type, name##_two_pixels,      \
                    name##_one_pixel);                                                                               \
    }

/* Define the function `name` that computes dense layers of one row of neighbouring elements, of these types. */
#define HTVM_DEFINE_ROW(name, x_type, w_type, y_type, output)                                                        \
    HTVM_SHARED void name(const htvm_conv2d_layer *layer, const void *x, const void *weights, const void *constants, \
                          void *y)                                                                                   \
    {                                                                                                                \
        const htvm_taps taps = {.rows = 1, .row_length = layer->in_channels};                                        \
                                                                                                                     \
        htvm_one_pixel(layer, &taps, x, x_type, weights, w_type, constants, output, y, y_type);                      \
    }

#endif
