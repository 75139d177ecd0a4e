/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution 3x3 of stride 1 with a quarter of the multiplications: Winograd's F(4x4, 3x3), exact in integers. The sums
 * are those of htvm_conv2d.h, for inputs and weights of 8 bits.
 *
 * A tile of 4x4 outputs Y of one channel is made from 6x6 inputs D and 3x3 weights W, with the integer matrices B, G, A:
 *
 *     576 * Y = A' * (sum over c of (G * W * G') . (B' * D * B)) * A           . is element by element
 *
 * Their fractions are gone: each side is multiplied by 24, so that what comes out is 576 = 9 * 64 times the sum. All
 * is computed modulo 2^32. Multiplied by the inverse of 9 it is 64 * Y modulo 2^32; and that is 64 * Y itself if
 * |Y| < 2^25, which the compiler has proved for these weights and all inputs (htvm.dialects.winograd_weights). So a
 * shift by 6 ends it, or none where requantisation would shift to the left by as much.
 *
 *          4  0 -5  0  1  0            6   0   0            1  1  1  1  1  0
 *          0 -4 -4  1  1  0           -4  -4  -4            0  1 -1  2 -2  0
 *     B' = 0  4 -4 -1  1  0      G =  -4   4  -4       A' = 0  1  1  4  4  0
 *          0 -2 -1  2  1  0            1   2   4            0  1 -1  8 -8  2
 *          0  2 -1 -2  1  0            1  -2   4
 *          0  4  0 -5  0  1            0   0  12
 *
 * G * W * G' is made by the compiler and fits 16 bits, as B' * D * B does, which has at most 100 times an input.
 *
 * Four tiles are taken at a time, row by row of tiles; what is left at the end are fewer. Their inputs are transformed
 * into `scratch`, all channels; then for four output channels after the other 36 products of matrices are summed, whose
 * block is 4 channels of 4 tiles: for each input channel 8 loads, 16 multiplications and 16 additions. On RV32 this inner
 * loop is assembly, as it takes 26 registers: compilers spill. Taps outside the map are read from a run of `pad_value`.
 * Outputs outside the map are written where their tile's first column is, before that.
 *
 * Weights: [ceil(K / 4)][36][channels][4], channels beyond the last of weight 0. Constants: [K], see htvm_requant.h.
 * x: channels are neighbours. Scratch: 16-bit [36][channels][4], 32-bit [4][36][4], and in_channels elements of x.
 * All inputs of four tiles are read before their first output is written, see `trails` in passes/analysis.
 */
#ifndef HTVM_WINOGRAD_H
#define HTVM_WINOGRAD_H

#include "htvm_requant.h"

enum {
    HTVM_WINOGRAD_TILE = 4,   /* outputs of a side */
    HTVM_WINOGRAD_WINDOW = 6, /* inputs of a side */
    HTVM_WINOGRAD_POINTS = 36,
    HTVM_WINOGRAD_TILES = 4,   /* of a block */
    HTVM_WINOGRAD_CHANNELS = 4 /* of a block, of the output */
};

typedef struct {
    int32_t in_channels;
    int32_t channels; /* of weights and scratch: in_channels rounded up to a multiple of 4 */
    int32_t out_channels;
    int32_t in_height, in_width;
    int32_t out_height, out_width;
    int32_t pad_top, pad_left, pad_value;
    int32_t x_h, x_w;      /* strides of the input, in elements; channels are neighbours */
    int32_t y_c, y_h, y_w; /* strides of the output, in elements */
    htvm_requant requant;
} htvm_winograd_layer;

/* Where a tile's outputs go: its first element, the rows inside the map, and the distances of columns 1 to 3 from
 * column 0, which are 0 for columns outside the map. */
typedef struct {
    void *y;
    int32_t rows;
    int32_t column1, column2, column3;
} htvm_winograd_tile;

/* Write six elements multiplied by B', `step` elements apart. */
HTVM_KERNEL void htvm_winograd_input(int32_t d0, int32_t d1, int32_t d2, int32_t d3, int32_t d4, int32_t d5,
                                     int16_t *to0, int16_t *to1, int16_t *to2, int16_t *to3, int16_t *to4,
                                     int16_t *to5)
{
    const int32_t even = d4 - 4 * d2, odd = d3 - 4 * d1;
    const int32_t near_even = d4 - d2, near_odd = 2 * (d3 - d1);

    *to0 = (int16_t)(near_even + 4 * (d0 - d2));
    *to1 = (int16_t)(even + odd);
    *to2 = (int16_t)(even - odd);
    *to3 = (int16_t)(near_even + near_odd);
    *to4 = (int16_t)(near_even - near_odd);
    *to5 = (int16_t)(d5 - d3 - 2 * near_odd);
}

/* Transform a column of a tile's window, all channels. x: its six elements. to: of the column's first point, channel 0,
 * of one tile; point_step: from one point to the next, in elements. */
HTVM_KERNEL void htvm_winograd_column(const void *const *x, htvm_type x_type, int32_t channels, int16_t *to,
                                      int32_t point_step)
{
    const int32_t row_step = HTVM_WINOGRAD_WINDOW * point_step;
    const void *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3], *x4 = x[4], *x5 = x[5];
    int16_t *to0 = to, *to1 = to0 + row_step, *to2 = to1 + row_step;
    int16_t *to3 = to2 + row_step, *to4 = to3 + row_step, *to5 = to4 + row_step;
    const void *const end_of_fours = htvm_at(x0, x_type, channels & ~3), *const end = htvm_at(x0, x_type, channels);

#define HTVM_CHANNEL(c)                                                                                              \
    htvm_winograd_input(htvm_load(x0, x_type, c), htvm_load(x1, x_type, c), htvm_load(x2, x_type, c),                \
                        htvm_load(x3, x_type, c), htvm_load(x4, x_type, c), htvm_load(x5, x_type, c),                \
                        to0 + HTVM_WINOGRAD_TILES * (c), to1 + HTVM_WINOGRAD_TILES * (c),                            \
                        to2 + HTVM_WINOGRAD_TILES * (c), to3 + HTVM_WINOGRAD_TILES * (c),                            \
                        to4 + HTVM_WINOGRAD_TILES * (c), to5 + HTVM_WINOGRAD_TILES * (c))
#define HTVM_STEP(count)                                                                                             \
    x0 = htvm_at(x0, x_type, count), x1 = htvm_at(x1, x_type, count), x2 = htvm_at(x2, x_type, count);               \
    x3 = htvm_at(x3, x_type, count), x4 = htvm_at(x4, x_type, count), x5 = htvm_at(x5, x_type, count);               \
    to0 += HTVM_WINOGRAD_TILES * (count), to1 += HTVM_WINOGRAD_TILES * (count),                                      \
        to2 += HTVM_WINOGRAD_TILES * (count);                                                                        \
    to3 += HTVM_WINOGRAD_TILES * (count), to4 += HTVM_WINOGRAD_TILES * (count), to5 += HTVM_WINOGRAD_TILES * (count)
    while (x0 != end_of_fours) {
        HTVM_CHANNEL(0);
        HTVM_CHANNEL(1);
        HTVM_CHANNEL(2);
        HTVM_CHANNEL(3);
        HTVM_STEP(4);
    }
    while (x0 != end) {
        HTVM_CHANNEL(0);
        HTVM_STEP(1);
    }
#undef HTVM_CHANNEL
#undef HTVM_STEP
}

/* Transform six points in their places, `count` elements of each: all channels of all tiles, a multiple of 4. */
HTVM_KERNEL void htvm_winograd_row(int16_t *points, int32_t count)
{
    int16_t *to0 = points, *to1 = to0 + count, *to2 = to1 + count;
    int16_t *to3 = to2 + count, *to4 = to3 + count, *to5 = to4 + count;
    const int16_t *const end = to1;

    while (to0 != end) {
#define HTVM_ELEMENT(n)                                                                                              \
    htvm_winograd_input(to0[n], to1[n], to2[n], to3[n], to4[n], to5[n], to0 + (n), to1 + (n), to2 + (n), to3 + (n),  \
                        to4 + (n), to5 + (n))
        HTVM_ELEMENT(0);
        HTVM_ELEMENT(1);
        HTVM_ELEMENT(2);
        HTVM_ELEMENT(3);
#undef HTVM_ELEMENT
        to0 += 4, to1 += 4, to2 += 4, to3 += 4, to4 += 4, to5 += 4;
    }
}

/* Sum the products of one point: 4 channels of 4 tiles. end: of the inputs. sums: of channel 0; the others are
 * 4 * HTVM_WINOGRAD_POINTS further, each. */
HTVM_KERNEL void htvm_winograd_point(const int16_t *inputs, const int16_t *end, const int16_t *weights, int32_t *sums)
{
#if defined(__riscv_mul) && __riscv_xlen == 32 && !defined(__riscv_32e)
    /* Weights in a5 to ra, an input in a6, a product in a7; each input is loaded between the last multiplication that
     * needs the one before and the addition of its product, so that nothing waits. The first channel begins the sums. */
#define HTVM_LOADS(at)                                                                                               \
    "lh a6, " #at "+0(%[x])\n\tlh a5, " #at "+0(%[w])\n\tlh s9, " #at "+2(%[w])\n\tlh s10, " #at "+4(%[w])\n\t"      \
    "lh s11, " #at "+6(%[w])\n\t"
#define HTVM_FIRST(k0, k1, k2, k3, next)                                                                             \
    "mul " #k0 ", a6, a5\n\tmul " #k1 ", a6, s9\n\tmul " #k2 ", a6, s10\n\tmul " #k3 ", a6, s11\n\t" next
#define HTVM_ADD(k0, k1, k2, k3, next)                                                                               \
    "mul a7, a6, a5\n\tadd " #k0 ", " #k0 ", a7\n\tmul a7, a6, s9\n\tadd " #k1 ", " #k1 ", a7\n\t"                   \
    "mul a7, a6, s10\n\tadd " #k2 ", " #k2 ", a7\n\tmul a7, a6, s11\n\t" next "add " #k3 ", " #k3 ", a7\n\t"
#define HTVM_TILES(each, at)                                                                                         \
    HTVM_LOADS(at)                                                                                                   \
    each(t0, t1, t2, t3, "lh a6, " #at "+2(%[x])\n\t") each(t4, t5, t6, s1, "lh a6, " #at "+4(%[x])\n\t")            \
        each(s2, s3, s4, s5, "lh a6, " #at "+6(%[x])\n\t") each(s6, s7, s8, ra, "")
#define HTVM_STORE(k0, k1, k2, k3, tile)                                                                             \
    "sw " #k0 ", " #tile "*4+0*576(%[y])\n\tsw " #k1 ", " #tile "*4+1*576(%[y])\n\t"                                 \
    "sw " #k2 ", " #tile "*4+2*576(%[y])\n\tsw " #k3 ", " #tile "*4+3*576(%[y])\n\t"
    __asm__ volatile(
        HTVM_TILES(HTVM_FIRST,
                   0) "j 2f\n\t"
                      ".balign 4\n"
                      "1:\n\t" HTVM_TILES(HTVM_ADD, 0) "2:\n\t" HTVM_TILES(HTVM_ADD, 8) HTVM_TILES(HTVM_ADD, 16)
                          HTVM_TILES(HTVM_ADD, 24) "addi %[x], %[x], 32\n\t"
                                                   "addi %[w], %[w], 32\n\t"
                                                   "bne %[x], %[end], 1b\n\t" HTVM_STORE(t0, t1, t2, t3, 0)
                                                       HTVM_STORE(t4, t5, t6, s1, 1) HTVM_STORE(s2, s3, s4, s5, 2)
                                                           HTVM_STORE(s6, s7, s8, ra, 3)
        : [x] "+r"(inputs), [w] "+r"(weights)
        : [end] "r"(end), [y] "r"(sums)
        : "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
          "s11", "ra", "a5", "a6", "a7", "memory");
#else
    const int32_t count = (int32_t)(end - inputs);

    for (int32_t k = 0; k < HTVM_WINOGRAD_CHANNELS; k++) {
        for (int32_t tile = 0; tile < HTVM_WINOGRAD_TILES; tile++) {
            uint32_t sum = 0;

            for (int32_t c = 0; c < count; c += HTVM_WINOGRAD_TILES) {
                sum += (uint32_t)inputs[c + tile] * (uint32_t)weights[c + k];
            }
            sums[k * HTVM_WINOGRAD_POINTS * HTVM_WINOGRAD_TILES + tile] = (int32_t)sum;
        }
    }
#endif
}

/* Sum the products of all points. weights: of four output channels. */
HTVM_KERNEL void htvm_winograd_points(const int16_t *inputs, const int16_t *weights, int32_t channels, int32_t *sums)
{
    const int32_t count = HTVM_WINOGRAD_TILES * channels;
    int32_t *const last = sums + HTVM_WINOGRAD_POINTS * HTVM_WINOGRAD_TILES;

    while (sums != last) {
        htvm_winograd_point(inputs, inputs + count, weights, sums);
        inputs += count;
        weights += count;
        sums += HTVM_WINOGRAD_TILES;
    }
}

/* Finish a column before the next one's loads: compilers that load ahead run out of registers. */
#if defined(__riscv)
#define HTVM_FINISH_COLUMN __asm__ volatile("" : : : "memory")
#else
#define HTVM_FINISH_COLUMN (void)0
#endif

/* Four results of A' times six sums. */
typedef struct {
    uint32_t y0, y1, y2, y3;
} htvm_winograd_four;

/* Multiply six sums, `step` apart, by A'. */
HTVM_KERNEL htvm_winograd_four htvm_winograd_output(const int32_t *sums, int32_t step)
{
    const uint32_t m1 = (uint32_t)sums[step], m2 = (uint32_t)sums[2 * step];
    const uint32_t m3 = (uint32_t)sums[3 * step], m4 = (uint32_t)sums[4 * step];
    const uint32_t near_sum = m1 + m2, near_difference = m1 - m2, far_sum = m3 + m4, far_difference = m3 - m4;
    const htvm_winograd_four four = {
        (uint32_t)sums[0] + near_sum + far_sum,
        near_difference + 2 * far_difference,
        near_sum + 4 * far_sum,
        near_difference + 8 * far_difference + 2 * (uint32_t)sums[5 * step],
    };
    return four;
}

/* Make the outputs of `channels` channels of `count` tiles from their sums, which are lost. y_c: from one channel to
 * the next. */
HTVM_KERNEL void htvm_winograd_outputs(const htvm_winograd_layer *layer, const htvm_winograd_tile *tiles,
                                       int32_t count, int32_t channels, int32_t y_first, int32_t *sums,
                                       const void *constants, htvm_output output, htvm_type y_type)
{
    enum { STEP = HTVM_WINOGRAD_TILES, ROW = HTVM_WINOGRAD_WINDOW * HTVM_WINOGRAD_TILES };
    htvm_requant requant = layer->requant;
    const int32_t y_h = layer->y_h, y_c = layer->y_c;
    const int is_narrow = output == HTVM_NARROW || output == HTVM_NARROW_EACH;
    const int32_t to_left = is_narrow ? requant.pre_shift : 0;
    uint32_t ninth = 954437177u << (to_left > 6 ? to_left - 6 : 0); /* times 9 it is a power of 2 */
    const int32_t to_right = to_left > 6 ? 0 : 6 - to_left;

    requant.pre_shift -= to_left;
    for (int32_t k = 0; k < channels; k++) {
        const htvm_channel channel = htvm_channel_at(constants, output, 0);

        for (int32_t tile = 0; tile < count; tile++) {
            int32_t *const first = sums + tile, *const end = first + ROW;
            const int32_t column1 = tiles[tile].column1, column2 = tiles[tile].column2, column3 = tiles[tile].column3;
            void *y = htvm_at_mutable(tiles[tile].y, y_type, y_first);

            for (int32_t *column = first; column != end; column += STEP) {
                const htvm_winograd_four four = htvm_winograd_output(column, ROW);

                column[0] = (int32_t)four.y0;
                column[ROW] = (int32_t)four.y1;
                column[2 * ROW] = (int32_t)four.y2;
                column[3 * ROW] = (int32_t)four.y3;
                HTVM_FINISH_COLUMN;
            }
            const int32_t *row = first;

            for (int32_t left = tiles[tile].rows; left > 0; left--) {
                const htvm_winograd_four four = htvm_winograd_output(row, STEP);

#define HTVM_ELEMENT(n) htvm_requantize((int32_t)(four.n * ninth) >> to_right, &channel, 0, output, requant)
                htvm_store(y, y_type, column3, HTVM_ELEMENT(y3));
                htvm_store(y, y_type, column2, HTVM_ELEMENT(y2));
                htvm_store(y, y_type, column1, HTVM_ELEMENT(y1));
                htvm_store(y, y_type, 0, HTVM_ELEMENT(y0));
#undef HTVM_ELEMENT
                row += ROW;
                y = htvm_at_mutable(y, y_type, y_h);
            }
        }
        sums += HTVM_WINOGRAD_POINTS * HTVM_WINOGRAD_TILES;
        y_first += y_c;
        constants = htvm_constants_at(constants, 1, output);
    }
}

typedef void htvm_winograd_column_function(const void *const *x, int32_t channels, int16_t *to, int32_t point_step);
typedef void htvm_winograd_row_function(int16_t *points, int32_t count);
typedef void htvm_winograd_points_function(const int16_t *inputs, const int16_t *weights, int32_t channels,
                                           int32_t *sums);
typedef void htvm_winograd_outputs_function(const htvm_winograd_layer *layer, const htvm_winograd_tile *tiles,
                                            int32_t count, int32_t channels, int32_t y_first, int32_t *sums,
                                            const void *constants);

/* Transform the window of one tile, column by column. padding: in_channels elements of pad_value. */
HTVM_KERNEL void htvm_winograd_window(const htvm_winograd_layer *layer, const void *x, htvm_type x_type,
                                      const void *padding, int32_t top, int32_t left, int16_t *to, int32_t point_step,
                                      htvm_winograd_column_function *column)
{
    for (int32_t s = 0; s < HTVM_WINOGRAD_WINDOW; s++) {
        const int inside = left + s >= 0 && left + s < layer->in_width;
        const void *elements[HTVM_WINOGRAD_WINDOW];
        int32_t at = top * layer->x_h + (left + s) * layer->x_w;

        for (int32_t r = 0; r < HTVM_WINOGRAD_WINDOW; r++) {
            elements[r] = inside && top + r >= 0 && top + r < layer->in_height ? htvm_at(x, x_type, at) : padding;
            at += layer->x_h;
        }
        column(elements, layer->in_channels, to + s * point_step, point_step);
    }
}

/* Compute one image. y may overlap x where it trails, see above; scratch may not. */
HTVM_KERNEL void htvm_winograd(const htvm_winograd_layer *layer, const void *x, htvm_type x_type,
                               const int16_t *weights, const void *constants, htvm_output output, void *scratch,
                               void *y, htvm_type y_type, htvm_winograd_column_function *column,
                               htvm_winograd_row_function *row, htvm_winograd_points_function *points,
                               htvm_winograd_outputs_function *outputs)
{
    const int32_t point_step = HTVM_WINOGRAD_TILES * layer->channels;
    const int32_t across = (layer->out_width + HTVM_WINOGRAD_TILE - 1) / HTVM_WINOGRAD_TILE;
    const int32_t down = (layer->out_height + HTVM_WINOGRAD_TILE - 1) / HTVM_WINOGRAD_TILE;
    int16_t *const inputs = (int16_t *)scratch;
    int32_t *const sums = (int32_t *)(void *)(inputs + HTVM_WINOGRAD_POINTS * point_step);
    void *const padding = sums + HTVM_WINOGRAD_POINTS * HTVM_WINOGRAD_TILES * HTVM_WINOGRAD_CHANNELS;
    int32_t h = 0, w = 0;

    for (int32_t c = 0; c < layer->in_channels; c++) {
        htvm_store(padding, x_type, c, layer->pad_value);
    }
    for (int32_t remaining = across * down; remaining > 0; remaining -= HTVM_WINOGRAD_TILES) {
        const int32_t count = htvm_min(remaining, HTVM_WINOGRAD_TILES);
        htvm_winograd_tile tiles[HTVM_WINOGRAD_TILES];

        for (int32_t tile = 0; tile < count; tile++) {
            const int32_t columns = layer->out_width - w;

            tiles[tile].y = htvm_at_mutable(y, y_type, h * layer->y_h + w * layer->y_w);
            tiles[tile].rows = htvm_min(layer->out_height - h, HTVM_WINOGRAD_TILE);
            tiles[tile].column1 = columns > 1 ? layer->y_w : 0;
            tiles[tile].column2 = columns > 2 ? 2 * layer->y_w : 0;
            tiles[tile].column3 = columns > 3 ? 3 * layer->y_w : 0;
            htvm_winograd_window(layer, x, x_type, padding, h - layer->pad_top, w - layer->pad_left, inputs + tile,
                                 point_step, column);
            w += HTVM_WINOGRAD_TILE;
            if (w >= layer->out_width) {
                w = 0;
                h += HTVM_WINOGRAD_TILE;
            }
        }
        for (int32_t r = 0; r < HTVM_WINOGRAD_WINDOW; r++) {
            row(inputs + r * HTVM_WINOGRAD_WINDOW * point_step, point_step);
        }
        const int16_t *of_block = weights;
        const void *constants_of_block = constants;

        for (int32_t k = 0; k < layer->out_channels; k += HTVM_WINOGRAD_CHANNELS) {
            const int32_t channels = htvm_min(layer->out_channels - k, HTVM_WINOGRAD_CHANNELS);

            points(inputs, of_block, layer->channels, sums);
            outputs(layer, tiles, count, channels, k * layer->y_c, sums, constants_of_block);
            of_block += HTVM_WINOGRAD_POINTS * point_step;
            constants_of_block = htvm_constants_at(constants_of_block, HTVM_WINOGRAD_CHANNELS, output);
        }
    }
}

/* Define what all layers with inputs of this type share. */
#define HTVM_DEFINE_WINOGRAD_BLOCKS(name, x_type)                                                                    \
    HTVM_SHARED void name##_column(const void *const *x, int32_t channels, int16_t *to, int32_t point_step)          \
    {                                                                                                                \
        htvm_winograd_column(x, x_type, channels, to, point_step);                                                   \
    }                                                                                                                \
    HTVM_SHARED void name##_row(int16_t *points, int32_t count) { htvm_winograd_row(points, count); }                \
    HTVM_SHARED void name##_points(const int16_t *inputs, const int16_t *weights, int32_t channels, int32_t *sums)   \
    {                                                                                                                \
        htvm_winograd_points(inputs, weights, channels, sums);                                                       \
    }

/* Define the function `name` that computes layers of these types. */
#define HTVM_DEFINE_WINOGRAD(name, x_type, y_type, output, blocks)                                                   \
    HTVM_SHARED void name##_outputs(const htvm_winograd_layer *layer, const htvm_winograd_tile *tiles,               \
                                    int32_t count, int32_t channels, int32_t y_first, int32_t *sums,                 \
                                    const void *constants)                                                           \
    {                                                                                                                \
        htvm_winograd_outputs(layer, tiles, count, channels, y_first, sums, constants, output, y_type);              \
    }                                                                                                                \
    HTVM_SHARED void name(const htvm_winograd_layer *layer, const void *x, const int16_t *weights,                   \
                          const void *constants, void *scratch, void *y)                                             \
    {                                                                                                                \
        htvm_winograd(layer, x, x_type, weights, constants, output, scratch, y, y_type, blocks##_column,             \
                      blocks##_row, blocks##_points, name##_outputs);                                                \
    }

#endif
