/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling: for each channel the sum, the maximum or the minimum of the elements under a window, those outside the map
 * left out.
 *
 * A sum is requantised with the constants of its number of elements inside: `counts` lists the numbers that occur, and
 * constants has one entry for each (see htvm_requant.h). That makes it an average where the constants divide.
 */
#ifndef HTVM_POOL2D_H
#define HTVM_POOL2D_H

#include "htvm_requant.h"

typedef struct {
    int32_t channels;
    int32_t in_height, in_width;
    int32_t out_height, out_width;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t x_c, x_h, x_w; /* strides of the input, in elements */
    int32_t y_c, y_h, y_w; /* strides of the output, in elements */
    htvm_requant requant;
} htvm_pool2d_layer;

typedef enum { HTVM_SUM, HTVM_MAXIMUM, HTVM_MINIMUM } htvm_pool;

/* The elements of a window that are inside the map. */
typedef struct {
    int32_t first_h, first_w;
    int32_t rows, columns;
} htvm_pool2d_window;

/* Return the first of `kernel` elements, `dilation` apart from `start` on, that is inside. */
HTVM_KERNEL int32_t htvm_pool2d_first(int32_t start, int32_t dilation)
{
    return start >= 0 ? start : dilation == 1 ? 0 : start + (dilation - 1 - start) / dilation * dilation;
}

/* Return how many of them, from `first` on, are inside a map of `size`. */
HTVM_KERNEL int32_t htvm_pool2d_inside(int32_t start, int32_t first, int32_t kernel, int32_t dilation, int32_t size)
{
    const int32_t end = htvm_min(start + (kernel - 1) * dilation, size - 1);

    return dilation == 1 ? end - first + 1 : (end - first) / dilation + 1;
}

HTVM_KERNEL htvm_pool2d_window htvm_pool2d_clip(const htvm_pool2d_layer *layer, int32_t h, int32_t w)
{
    const int32_t top = h * layer->stride_h - layer->pad_top;
    const int32_t left = w * layer->stride_w - layer->pad_left;
    const int32_t first_h = htvm_pool2d_first(top, layer->dilation_h);
    const int32_t first_w = htvm_pool2d_first(left, layer->dilation_w);
    const htvm_pool2d_window window = {
        .first_h = first_h,
        .first_w = first_w,
        .rows = htvm_pool2d_inside(top, first_h, layer->kernel_h, layer->dilation_h, layer->in_height),
        .columns = htvm_pool2d_inside(left, first_w, layer->kernel_w, layer->dilation_w, layer->in_width),
    };
    return window;
}

/* Return the sum, maximum or minimum of one channel's elements in a window. x: the channel's first element. */
HTVM_KERNEL int32_t htvm_pool2d_reduce(const htvm_pool2d_layer *layer, htvm_pool2d_window window, htvm_pool kind,
                                       const void *x, htvm_type x_type)
{
    const int32_t x_w = layer->x_w * layer->dilation_w, x_h = layer->x_h * layer->dilation_h;
    const void *row = htvm_at(x, x_type, window.first_h * layer->x_h + window.first_w * layer->x_w);
    int32_t result = kind == HTVM_SUM ? 0 : htvm_load(row, x_type, 0);

    for (int32_t r = window.rows; r > 0; r--) {
        const void *from = row;

        for (int32_t s = window.columns; s > 0; s--) {
            const int32_t element = htvm_load(from, x_type, 0);

            result = kind == HTVM_SUM       ? result + element
                     : kind == HTVM_MAXIMUM ? htvm_max(result, element)
                                            : htvm_min(result, element);
            from = htvm_at(from, x_type, x_w);
        }
        row = htvm_at(row, x_type, x_h);
    }
    return result;
}

/* Sum one image. counts: in rising order, the number of elements inside of every window is among them. */
HTVM_KERNEL void htvm_pool2d_sum(const htvm_pool2d_layer *layer, const void *x, htvm_type x_type,
                                 const int32_t *counts, const void *constants, htvm_output output, void *y,
                                 htvm_type y_type)
{
    const htvm_requant requant = layer->requant;

    for (int32_t h = 0; h < layer->out_height; h++) {
        for (int32_t w = 0; w < layer->out_width; w++) {
            const htvm_pool2d_window window = htvm_pool2d_clip(layer, h, w);
            const int32_t count = window.rows * window.columns;
            int32_t entry = 0;

            while (counts[entry] < count) {
                entry++;
            }
            for (int32_t c = 0; c < layer->channels; c++) {
                const int32_t sum =
                    htvm_pool2d_reduce(layer, window, HTVM_SUM, htvm_at(x, x_type, c * layer->x_c), x_type);

                htvm_store(y, y_type, c * layer->y_c + h * layer->y_h + w * layer->y_w,
                           htvm_requantize(sum, constants, entry, output, requant));
            }
        }
    }
}

/* Take the maxima, or minima, of one image; every window has an element inside. */
HTVM_KERNEL void htvm_pool2d_extreme(const htvm_pool2d_layer *layer, htvm_pool kind, const void *x, void *y,
                                     htvm_type type)
{
    for (int32_t h = 0; h < layer->out_height; h++) {
        for (int32_t w = 0; w < layer->out_width; w++) {
            const htvm_pool2d_window window = htvm_pool2d_clip(layer, h, w);

            for (int32_t c = 0; c < layer->channels; c++) {
                htvm_store(y, type, c * layer->y_c + h * layer->y_h + w * layer->y_w,
                           htvm_pool2d_reduce(layer, window, kind, htvm_at(x, type, c * layer->x_c), type));
            }
        }
    }
}

/* Define functions of these types. */
#define HTVM_DEFINE_POOL2D_SUM(name, x_type, y_type, output)                                                         \
    HTVM_SHARED void name(const htvm_pool2d_layer *layer, const void *x, const int32_t *counts,                      \
                          const void *constants, void *y)                                                            \
    {                                                                                                                \
        htvm_pool2d_sum(layer, x, x_type, counts, constants, output, y, y_type);                                     \
    }
#define HTVM_DEFINE_POOL2D_EXTREME(name, type, kind)                                                                 \
    HTVM_SHARED void name(const htvm_pool2d_layer *layer, const void *x, void *y)                                    \
    {                                                                                                                \
        htvm_pool2d_extreme(layer, kind, x, y, type);                                                                \
    }

#endif
