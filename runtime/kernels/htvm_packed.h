/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution with two multiplications in one, for inputs and weights of 8 bits. The sums are those of htvm_conv2d.h.
 *
 * A word holds one tap of two pixels, x_a + x_b * 2^16. Its product with a weight has both products, so that one
 * multiplication and one addition do for two pixels, as long as the lower sum fits 16 bits. Therefore the taps are
 * taken in runs. In each run and for every input, both sums fit 16 bits: the compiler has proved it for these weights
 * (htvm.dialects.packed_weights). Of a run only three instructions are not multiplications and additions:
 *
 *     acc = 2^15 + sum of word * weight        modulo 2^32; the 2^15 keeps the lower half from borrowing
 *     high += acc >> 16                        exactly the sum of pixel b
 *     all += acc
 *
 * and at the end the sum of pixel a is all - high * 2^16 - runs * 2^15, modulo 2^32 and therefore exactly. The last
 * term is subtracted from the channel's offset, once for three pixels.
 *
 * Windows of six pixels are collected, with their padding, in three words for each tap. A block is those six pixels
 * and two channels: per tap 2 loads of weights, 3 loads of words, 6 multiplications and 6 additions for 12 products.
 * It takes 26 registers: 6 acc, 6 high, 6 all, 2 weights, 1 word, 1 product, 2 pointers, the end, 2^15.
 * RV32 has 28 for a compiler, which is why no block is larger.
 *
 * Weights, for each two channels of a group (the last one may be alone, beside zeros):
 *   - in `weights`, `runs` runs of `unit` taps each, 3, 4 or 6: [run][tap][2]. Taps beyond the last have weight 0;
 *   - in `rest`, taps one by one, for what does not fit the runs: layers that are mostly zeros have no runs at all,
 *     and a weight too large for its run leaves its excess here. In bytes: runs, each 3 * its number of taps and the
 *     taps; then 0. A tap is 3 * its distance from the tap before, and two weights.
 */
#ifndef HTVM_PACKED_H
#define HTVM_PACKED_H

#include "htvm_requant.h"

enum { HTVM_PACKED_PIXELS = 6, HTVM_PACKED_WORDS = 3, HTVM_PACKED_CHANNELS = 2 };

typedef struct {
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
    int32_t in_height, in_width;
    int32_t out_height, out_width; /* at least 6 pixels in all */
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t pad_value;
    int32_t x_c, x_h, x_w; /* strides of the input, in elements */
    int32_t y_c, y_h, y_w; /* strides of the output, in elements; y_h = out_width * y_w */
    htvm_requant requant;
    int32_t unit, runs; /* a unit is 3, 4 or 6 taps */
} htvm_packed_layer;

/* Two channels of what one word gives. */
typedef struct {
    uint32_t k0, k1;
} htvm_pair;

/* What the three words of a tap give. */
typedef struct {
    htvm_pair w0, w1, w2;
} htvm_block;

/* Finish with this word before the next one is loaded: compilers that load ahead run out of registers. */
#if defined(__riscv)
#define HTVM_FINISH_PAIR(pair) __asm__ volatile("" : "+r"((pair).k0), "+r"((pair).k1) : : "memory")
/* Keep two values in registers up to here: gcc would put sums in their place, and move them where they belong. */
#define HTVM_KEEP(a, b) __asm__ volatile("" : : "r"(a), "r"(b))
#else
#define HTVM_FINISH_PAIR(pair) (void)(pair)
#define HTVM_KEEP(a, b) (void)(a), (void)(b)
#endif

HTVM_KERNEL htvm_block htvm_block_of(uint32_t value)
{
    const htvm_block block = {{value, value}, {value, value}, {value, value}};
    return block;
}

HTVM_KERNEL htvm_pair htvm_pair_multiply_add(htvm_pair acc, int32_t word, uint32_t weight0, uint32_t weight1)
{
    acc.k0 += (uint32_t)word * weight0;
    acc.k1 += (uint32_t)word * weight1;
    HTVM_FINISH_PAIR(acc);
    return acc;
}

/* Add one tap: three words times two weights. */
HTVM_KERNEL htvm_block htvm_packed_tap(htvm_block acc, const int32_t *words, const int8_t *weights)
{
    const uint32_t weight0 = (uint32_t)weights[0];
    const uint32_t weight1 = (uint32_t)weights[1];

    acc.w0 = htvm_pair_multiply_add(acc.w0, words[0], weight0, weight1);
    acc.w1 = htvm_pair_multiply_add(acc.w1, words[1], weight0, weight1);
    acc.w2 = htvm_pair_multiply_add(acc.w2, words[2], weight0, weight1);
    HTVM_KEEP(weight0, weight1);
    return acc;
}

HTVM_KERNEL void htvm_pair_end_run(htvm_pair acc, htvm_pair *all, htvm_pair *high)
{
    all->k0 += acc.k0;
    all->k1 += acc.k1;
    high->k0 += (uint32_t)((int32_t)acc.k0 >> 16);
    high->k1 += (uint32_t)((int32_t)acc.k1 >> 16);
    HTVM_FINISH_PAIR(*all);
    HTVM_FINISH_PAIR(*high);
}

HTVM_KERNEL void htvm_end_run(htvm_block acc, htvm_block *all, htvm_block *high)
{
    htvm_pair_end_run(acc.w0, &all->w0, &high->w0);
    htvm_pair_end_run(acc.w1, &all->w1, &high->w1);
    htvm_pair_end_run(acc.w2, &all->w2, &high->w2);
}

/* Return what one run gives; `unit` is constant. */
HTVM_KERNEL htvm_block htvm_run_sums(int32_t unit, const int32_t *words, const int8_t *weights, uint32_t half)
{
    htvm_block acc = htvm_block_of(half);

#define HTVM_TAP(tap)                                                                                                \
    if ((tap) < unit) {                                                                                              \
        acc = htvm_packed_tap(acc, words + HTVM_PACKED_WORDS * (tap), weights + HTVM_PACKED_CHANNELS * (tap));       \
    }
    HTVM_TAP(0)
    HTVM_TAP(1)
    HTVM_TAP(2)
    HTVM_TAP(3)
    HTVM_TAP(4)
    HTVM_TAP(5)
#undef HTVM_TAP
    return acc;
}

/* Compute all runs of a block, one at least; `unit` is constant. The first run has its own code: nothing is added. */
HTVM_KERNEL void htvm_sum_runs(int32_t unit, const int32_t *words, const int32_t *end, const int8_t *weights,
                               uint32_t half, htvm_block *all, htvm_block *high)
{
    const htvm_block zero = htvm_block_of(0);
    const htvm_block first = htvm_run_sums(unit, words, weights, half);

    *all = zero, *high = zero;
    htvm_end_run(first, all, high);
    for (words += HTVM_PACKED_WORDS * unit; words != end; words += HTVM_PACKED_WORDS * unit) {
        weights += HTVM_PACKED_CHANNELS * unit;
        htvm_end_run(htvm_run_sums(unit, words, weights, half), all, high);
    }
}

/* Requantise and write one channel of six pixels. All are computed before one is stored: constants are loaded once.
 *
 * excess: what is too much in each `low`.
 */
HTVM_KERNEL void htvm_write_six(htvm_output output, htvm_requant requant, const void *constants, uint32_t excess,
                                uint32_t low0, uint32_t low1, uint32_t low2, uint32_t high0, uint32_t high1,
                                uint32_t high2, void *y, htvm_type y_type, int32_t y_w)
{
    const uint32_t shifted = (0 - excess) << (output == HTVM_RAW ? 0 : requant.pre_shift);
    const htvm_channel low = htvm_channel_at(constants, output, shifted);
    const uint32_t rest = htvm_holds_start(output) ? 0 : excess;
    const int32_t y0 = htvm_requantize((int32_t)(low0 - (high0 << 16) - rest), &low, 0, output, requant);
    const int32_t y1 = htvm_requantize((int32_t)(low1 - (high1 << 16) - rest), &low, 0, output, requant);
    const int32_t y2 = htvm_requantize((int32_t)(low2 - (high2 << 16) - rest), &low, 0, output, requant);
    const int32_t y3 = htvm_requantize((int32_t)high0, constants, 0, output, requant);
    const int32_t y4 = htvm_requantize((int32_t)high1, constants, 0, output, requant);
    const int32_t y5 = htvm_requantize((int32_t)high2, constants, 0, output, requant);

    htvm_store(y, y_type, 0, y0);
    y = htvm_at_mutable(y, y_type, y_w);
    htvm_store(y, y_type, 0, y1);
    y = htvm_at_mutable(y, y_type, y_w);
    htvm_store(y, y_type, 0, y2);
    y = htvm_at_mutable(y, y_type, y_w);
    htvm_store(y, y_type, 0, y3);
    y = htvm_at_mutable(y, y_type, y_w);
    htvm_store(y, y_type, 0, y4);
    y = htvm_at_mutable(y, y_type, y_w);
    htvm_store(y, y_type, 0, y5);
}

/* Compute all channels of a group for six pixels whose windows are collected. Returns the `rest` of the next group. */
HTVM_KERNEL const uint8_t *htvm_packed_six(const htvm_packed_layer *layer, const int32_t *window,
                                           const int8_t *weights, const uint8_t *rest, const void *constants,
                                           htvm_output output, void *y, htvm_type y_type)
{
    const int32_t *const end = window + HTVM_PACKED_WORDS * layer->unit * layer->runs;
    const int32_t block_weights = HTVM_PACKED_CHANNELS * layer->unit * layer->runs;

    for (int32_t left = layer->out_channels; left > 0; left -= HTVM_PACKED_CHANNELS) {
        uint32_t half = 1 << 15;
        htvm_block all = htvm_block_of(0), high = htvm_block_of(0);
        const int32_t *words = window;

        HTVM_HOLD(half);
        if (layer->unit == 4) {
            htvm_sum_runs(4, window, end, weights, half, &all, &high);
        } else if (layer->unit == 6) {
            htvm_sum_runs(6, window, end, weights, half, &all, &high);
        } else if (layer->unit == 3) {
            htvm_sum_runs(3, window, end, weights, half, &all, &high);
        }
        weights += block_weights;

        uint32_t excess = (uint32_t)layer->runs << 15;

        for (int32_t bytes = *rest++; bytes != 0; bytes = *rest++) {
            const uint8_t *const end_of_run = rest + bytes;
            htvm_block acc = htvm_block_of(half);

            while (rest != end_of_run) {
                words += rest[0];
                acc = htvm_packed_tap(acc, words, (const int8_t *)rest + 1);
                rest += 3;
            }
            htvm_end_run(acc, &all, &high);
            excess += half;
        }
        /* The constants of the layer have no registers while runs are added: they are read again, not saved. */
        const htvm_packed_layer *again = layer;
        HTVM_HOLD(again);
        const htvm_requant requant = again->requant;
        const int32_t y_w = again->y_w, y_c = again->y_c;

        htvm_write_six(output, requant, constants, excess, all.w0.k0, all.w1.k0, all.w2.k0, high.w0.k0, high.w1.k0,
                       high.w2.k0, y, y_type, y_w);
        y = htvm_at_mutable(y, y_type, y_c);
        constants = htvm_constants_at(constants, 1, output);
        if (left > 1) {
            htvm_write_six(output, requant, constants, excess, all.w0.k1, all.w1.k1, all.w2.k1, high.w0.k1,
                           high.w1.k1, high.w2.k1, y, y_type, y_w);
            y = htvm_at_mutable(y, y_type, y_c);
            constants = htvm_constants_at(constants, 1, output);
        }
    }
    return rest;
}

/* Elements of a window that lie at equal distances: all of them, or one padding element at distance 0. */
typedef struct {
    const void *first;
    int32_t step;
} htvm_line;

/* Return the word of one tap of two lines, `tap` elements ahead. */
HTVM_KERNEL int32_t htvm_word(htvm_line a, htvm_line b, htvm_type x_type, int32_t tap)
{
    return (int32_t)((uint32_t)htvm_load(a.first, x_type, tap) + ((uint32_t)htvm_load(b.first, x_type, tap) << 16));
}

/* Write words of `count` taps from two lines; returns where the next tap's word goes. */
HTVM_KERNEL int32_t *htvm_pack(int32_t *words, htvm_line a, htvm_line b, int32_t count, htvm_type x_type)
{
    int32_t *const end = words + HTVM_PACKED_WORDS * count;

    if (a.step == 1 && b.step == 1) {
        int32_t *const end_of_fours = words + HTVM_PACKED_WORDS * (count & ~3);

        while (words != end_of_fours) {
            words[0] = htvm_word(a, b, x_type, 0);
            words[1 * HTVM_PACKED_WORDS] = htvm_word(a, b, x_type, 1);
            words[2 * HTVM_PACKED_WORDS] = htvm_word(a, b, x_type, 2);
            words[3 * HTVM_PACKED_WORDS] = htvm_word(a, b, x_type, 3);
            words += 4 * HTVM_PACKED_WORDS;
            a.first = htvm_at(a.first, x_type, 4);
            b.first = htvm_at(b.first, x_type, 4);
        }
    }
    while (words != end) {
        words[0] = htvm_word(a, b, x_type, 0);
        words += HTVM_PACKED_WORDS;
        a.first = htvm_at(a.first, x_type, a.step);
        b.first = htvm_at(b.first, x_type, b.step);
    }
    return words;
}

/* A window: the row and column of its first tap, which may be outside the map. */
typedef struct {
    int32_t top, left;
} htvm_window;

/* Return the window of an output pixel, counted row by row. */
HTVM_KERNEL htvm_window htvm_window_of(const htvm_packed_layer *layer, int32_t pixel)
{
    const int32_t h = pixel / layer->out_width;
    const htvm_window window = {
        h * layer->stride_h - layer->pad_top,
        (pixel - h * layer->out_width) * layer->stride_w - layer->pad_left,
    };
    return window;
}

HTVM_KERNEL int htvm_is_inside(const htvm_packed_layer *layer, htvm_window window)
{
    return window.top >= 0 && window.top + (layer->kernel_h - 1) * layer->dilation_h < layer->in_height &&
           window.left >= 0 && window.left + (layer->kernel_w - 1) * layer->dilation_w < layer->in_width;
}

/* A row of a window, which may be outside the map or stick out of it. */
typedef struct {
    int32_t at; /* of the next tap, in elements: outside the map it is no address */
    int32_t column;
    uint32_t width; /* columns there are: 0 outside the map */
} htvm_window_row;

/* Return row `r` of a window. */
HTVM_KERNEL htvm_window_row htvm_window_row_at(const htvm_packed_layer *layer, htvm_window window, int32_t r)
{
    const int32_t h = window.top + r * layer->dilation_h;
    const int inside = h >= 0 && h < layer->in_height;
    const htvm_window_row row = {
        h * layer->x_h + window.left * layer->x_w,
        window.left,
        inside ? (uint32_t)layer->in_width : 0,
    };
    return row;
}

/* Return the line of the next tap of a row; `step` is from one element inside to the next. */
HTVM_KERNEL htvm_line htvm_line_of(htvm_window_row row, const void *x, htvm_type x_type, const void *padding,
                                   int32_t step)
{
    const int inside = (uint32_t)row.column < row.width;
    const htvm_line line = {inside ? htvm_at(x, x_type, row.at) : padding, inside ? step : 0};
    return line;
}

/* Collect the windows of two pixels of one group into every third word, [r][s][c] where channels are neighbours, else
 * [c][r][s]. Inside the map a line is a row of the window, where its elements are at equal distances; elsewhere it
 * is as many channels as are neighbours.
 */
HTVM_KERNEL void htvm_pack_windows(const htvm_packed_layer *layer, const void *x, htvm_type x_type, htvm_window a,
                                   htvm_window b, int32_t *words)
{
    const int by_channels = layer->x_c == 1;
    const int32_t planes = by_channels ? 1 : layer->in_channels;
    const int32_t length = by_channels ? layer->in_channels : 1;
    const int32_t step = by_channels ? 1 : layer->x_w * layer->dilation_w;
    const int rows_are_lines = !by_channels || (layer->x_w == length && layer->dilation_w == 1);
    const int32_t row_step = layer->dilation_h * layer->x_h;
    const int32_t tap_step = layer->dilation_w * layer->x_w;
    int16_t padding;

    if (rows_are_lines && htvm_is_inside(layer, a) && htvm_is_inside(layer, b)) {
        const int32_t first = a.top * layer->x_h + a.left * layer->x_w;
        const int32_t apart = (b.top - a.top) * layer->x_h + (b.left - a.left) * layer->x_w;
        const void *plane = htvm_at(x, x_type, first);

        for (int32_t left = planes; left > 0; left--) {
            const void *row = plane;

            for (int32_t r = layer->kernel_h; r > 0; r--) {
                const htvm_line line_a = {row, step}, line_b = {htvm_at(row, x_type, apart), step};

                words = htvm_pack(words, line_a, line_b, layer->kernel_w * length, x_type);
                row = htvm_at(row, x_type, row_step);
            }
            plane = htvm_at(plane, x_type, layer->x_c);
        }
        return;
    }
    htvm_store(&padding, x_type, 0, layer->pad_value);
    for (int32_t left = planes; left > 0; left--) {
        for (int32_t r = 0; r < layer->kernel_h; r++) {
            htvm_window_row row_a = htvm_window_row_at(layer, a, r), row_b = htvm_window_row_at(layer, b, r);

            for (int32_t s = layer->kernel_w; s > 0; s--) {
                const htvm_line line_a = htvm_line_of(row_a, x, x_type, &padding, step);
                const htvm_line line_b = htvm_line_of(row_b, x, x_type, &padding, step);

                if (length == 1) {
                    *words = htvm_word(line_a, line_b, x_type, 0);
                    words += HTVM_PACKED_WORDS;
                } else {
                    words = htvm_pack(words, line_a, line_b, length, x_type);
                }
                row_a.at += tap_step, row_a.column += layer->dilation_w;
                row_b.at += tap_step, row_b.column += layer->dilation_w;
            }
        }
        x = htvm_at(x, x_type, layer->x_c);
    }
}

/* Collect the windows of six pixels of one group. */
HTVM_KERNEL void htvm_pack_six(const htvm_packed_layer *layer, const void *x, htvm_type x_type, int32_t pixel,
                               int32_t *window)
{
    for (int32_t word = 0; word < HTVM_PACKED_WORDS; word++, pixel++) {
        htvm_pack_windows(layer, x, x_type, htvm_window_of(layer, pixel),
                          htvm_window_of(layer, pixel + HTVM_PACKED_WORDS), window + word);
    }
}

typedef const uint8_t *htvm_packed_six_function(const htvm_packed_layer *layer, const int32_t *window,
                                                const int8_t *weights, const uint8_t *rest, const void *constants,
                                                void *y);
typedef void htvm_pack_six_function(const htvm_packed_layer *layer, const void *x, int32_t pixel, int32_t *window);

/* Compute one image. window: 3 words for each tap of a window, rounded up to whole runs. x and y may not overlap.
 *
 * The last six pixels end at the map's end: some are then computed twice, and none needs a case of its own.
 */
HTVM_KERNEL void htvm_packed(const htvm_packed_layer *layer, const void *x, htvm_type x_type, const int8_t *weights,
                             const uint8_t *rest, const void *constants, htvm_output output, int32_t *window, void *y,
                             htvm_type y_type, htvm_pack_six_function *pack_six, htvm_packed_six_function *six)
{
    const int32_t pixels = layer->out_height * layer->out_width;
    const int32_t blocks = (layer->out_channels + HTVM_PACKED_CHANNELS - 1) / HTVM_PACKED_CHANNELS;
    const int32_t group_weights = blocks * HTVM_PACKED_CHANNELS * layer->unit * layer->runs;

    for (int32_t next = 0; next < pixels; next += HTVM_PACKED_PIXELS) {
        const int32_t pixel = htvm_min(next, pixels - HTVM_PACKED_PIXELS);
        const uint8_t *group_rest = rest;

        for (int32_t group = 0; group < layer->groups; group++) {
            const void *group_x = htvm_at(x, x_type, group * layer->in_channels * layer->x_c);
            const int32_t k = group * layer->out_channels;

            pack_six(layer, group_x, pixel, window);
            group_rest = six(layer, window, weights + group * group_weights, group_rest,
                             htvm_constants_at(constants, k, output),
                             htvm_at_mutable(y, y_type, pixel * layer->y_w + k * layer->y_c));
        }
    }
}

/* Define the function `name` that packs windows of inputs of this type. */
#define HTVM_DEFINE_PACK_WINDOWS(name, x_type)                                                                       \
    HTVM_SHARED void name(const htvm_packed_layer *layer, const void *x, int32_t pixel, int32_t *window)             \
    {                                                                                                                \
        htvm_pack_six(layer, x, x_type, pixel, window);                                                              \
    }

/* Define the function `name` that computes layers of these types. */
#define HTVM_DEFINE_PACKED(name, x_type, y_type, output, pack_windows)                                               \
    HTVM_SHARED const uint8_t *name##_six(const htvm_packed_layer *layer, const int32_t *window,                     \
                                          const int8_t *weights, const uint8_t *rest, const void *constants,         \
                                          void *y)                                                                   \
    {                                                                                                                \
        return htvm_packed_six(layer, window, weights, rest, constants, output, y, y_type);                          \
    }                                                                                                                \
    HTVM_SHARED void name(const htvm_packed_layer *layer, const void *x, const int8_t *weights, const uint8_t *rest, \
                          const void *constants, int32_t *window, void *y)                                           \
    {                                                                                                                \
        htvm_packed(layer, x, x_type, weights, rest, constants, output, window, y, y_type, pack_windows,             \
                    name##_six);                                                                                     \
    }

#endif
