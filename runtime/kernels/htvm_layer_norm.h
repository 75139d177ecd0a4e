/* SPDX-License-Identifier: Apache-2.0
 *
 * Layer normalisation along an axis of N elements, rounded exactly.
 *
 *     d = N * x - sum of x,  v = N * sum of x^2 - (sum of x)^2,  q = variance_scale * v + variance_offset
 *     k = the largest integer with factor * d * 2^(shift / 2) >= ((2k - 1) * half_step - term) * sqrt(q); on equality
 *         the even one of k and k - 1
 *     y = clamp(k + zero_point, min, max)
 *
 * An estimate in 64 bits decides: for each element d * slope * (1 / sqrt(q)) + offset, which is 2k + 1 halves with
 * HTVM_NORM_BITS bits behind the point, and less than HTVM_NORM_DOUBT wrong. Where that could matter, in about one of 500
 * elements, the squares of both sides are compared, in integers of up to HTVM_NORM_LIMBS * 32 bits.
 */
#ifndef HTVM_LAYER_NORM_H
#define HTVM_LAYER_NORM_H

#include "htvm_requant.h"

#define HTVM_NORM_LIMBS 12
#define HTVM_NORM_BITS 24
#define HTVM_NORM_DOUBT ((int64_t)1 << (HTVM_NORM_BITS - 10))

typedef struct {
    int64_t factor, term; /* exact */
    int64_t offset;       /* term over two half steps, and a half, in 2^-HTVM_NORM_BITS */
    int32_t slope;        /* factor over two half steps, in 2^-slope_bits */
} htvm_norm_channel;

typedef struct {
    int32_t rows, length;
    int32_t x_row, x_step, y_row, y_step; /* strides, in elements */
    int32_t slope_bits, half_shift;       /* half_shift: half of `shift` */
    int64_t half_step, variance_scale;
    uint32_t variance_offset[3]; /* limbs, the lowest first */
    int32_t zero_point, min, max;
} htvm_layer_norm_layer;

/* An integer of many bits, the lowest 32 first. */
typedef struct {
    uint32_t limb[HTVM_NORM_LIMBS];
} htvm_wide;

HTVM_KERNEL htvm_wide htvm_wide_of(uint64_t value)
{
    htvm_wide wide = {{(uint32_t)(value & 0xFFFFFFFFu), (uint32_t)(value >> 32)}};

    return wide;
}

HTVM_SHARED htvm_wide htvm_wide_product(const htvm_wide *a, const htvm_wide *b)
{
    htvm_wide product = {{0}};

    for (int32_t i = 0; i < HTVM_NORM_LIMBS; i++) {
        uint64_t carry = 0;

        if (a->limb[i] == 0) {
            continue;
        }
        for (int32_t j = 0; i + j < HTVM_NORM_LIMBS; j++) {
            carry += (uint64_t)a->limb[i] * b->limb[j] + product.limb[i + j];
            product.limb[i + j] = (uint32_t)(carry & 0xFFFFFFFFu);
            carry >>= 32;
        }
    }
    return product;
}

HTVM_SHARED htvm_wide htvm_wide_sum(const htvm_wide *a, const htvm_wide *b)
{
    htvm_wide sum = {{0}};
    uint64_t carry = 0;

    for (int32_t i = 0; i < HTVM_NORM_LIMBS; i++) {
        carry += (uint64_t)a->limb[i] + b->limb[i];
        sum.limb[i] = (uint32_t)(carry & 0xFFFFFFFFu);
        carry >>= 32;
    }
    return sum;
}

/* Return a * 2^bits, bits >= 0; what leaves the limbs is lost. */
HTVM_SHARED htvm_wide htvm_wide_shift_left(const htvm_wide *a, int32_t bits)
{
    htvm_wide shifted = {{0}};
    const int32_t limbs = bits / 32, rest = bits % 32;

    for (int32_t i = HTVM_NORM_LIMBS - 1; i >= limbs; i--) {
        shifted.limb[i] = a->limb[i - limbs] << rest;
        if (rest != 0 && i > limbs) {
            shifted.limb[i] |= a->limb[i - limbs - 1] >> (32 - rest);
        }
    }
    return shifted;
}

/* Return -1, 0 or 1 as a is less than, equal to or more than b. */
HTVM_SHARED int32_t htvm_wide_compare(const htvm_wide *a, const htvm_wide *b)
{
    for (int32_t i = HTVM_NORM_LIMBS - 1; i >= 0; i--) {
        if (a->limb[i] != b->limb[i]) {
            return a->limb[i] < b->limb[i] ? -1 : 1;
        }
    }
    return 0;
}

/* Return the number of bits of a, 0 for 0. */
HTVM_SHARED int32_t htvm_wide_bits(const htvm_wide *a)
{
    int32_t bits = HTVM_NORM_LIMBS * 32;

    while (bits > 0 && !(a->limb[(bits - 1) / 32] >> ((bits - 1) % 32) & 1)) {
        bits--;
    }
    return bits;
}

/* Return the bits of a from `first` on, 64 of them; 0 below the lowest, for a negative `first`. */
HTVM_SHARED uint64_t htvm_wide_window(const htvm_wide *a, int32_t first)
{
    uint64_t window = 0;

    for (int32_t bit = 63; bit >= 0; bit--) {
        const int32_t place = first + bit;
        const int has = place >= 0 && place < HTVM_NORM_LIMBS * 32 && (a->limb[place / 32] >> (place % 32) & 1);

        window = window << 1 | (has ? 1u : 0u);
    }
    return window;
}

HTVM_KERNEL uint64_t htvm_magnitude(int64_t value)
{
    return value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
}

HTVM_KERNEL int32_t htvm_sign(int64_t value) { return (value > 0) - (value < 0); }

/* Return the whole part of the square root. */
HTVM_SHARED uint32_t htvm_root(uint64_t square)
{
    uint64_t root = 0;

    for (int32_t bit = 31; bit >= 0; bit--) {
        const uint64_t tried = root | (uint64_t)1 << bit;

        if (tried * tried <= square) {
            root = tried;
        }
    }
    return (uint32_t)root;
}

/* Return the whole part of 2^62 / divisor, 2^31 <= divisor < 2^32. */
HTVM_SHARED uint32_t htvm_inverse(uint32_t divisor)
{
    uint64_t rest = (uint64_t)1 << 62, quotient = 0;

    for (int32_t bit = 31; bit >= 0; bit--) {
        if (rest >= (uint64_t)divisor << bit) {
            rest -= (uint64_t)divisor << bit;
            quotient |= (uint64_t)1 << bit;
        }
    }
    return (uint32_t)quotient;
}

/* Return how factor * d * 2^half_shift compares with threshold * sqrt(q): -1, 0 or 1. */
HTVM_SHARED int32_t htvm_norm_compare(int64_t factor, int32_t d, int32_t half_shift, int64_t threshold,
                                      const htvm_wide *q)
{
    const int32_t left_sign = htvm_sign(factor) * htvm_sign(d), right_sign = htvm_sign(threshold);
    htvm_wide a, b, left, right;

    if (left_sign != right_sign || left_sign == 0) {
        return htvm_sign(left_sign - right_sign);
    }
    a = htvm_wide_of(htvm_magnitude(factor));
    b = htvm_wide_of(htvm_magnitude(d));
    left = htvm_wide_product(&a, &b);
    left = htvm_wide_product(&left, &left);
    a = htvm_wide_of(htvm_magnitude(threshold));
    right = htvm_wide_product(&a, &a);
    right = htvm_wide_product(&right, q);
    if (half_shift > 0) {
        left = htvm_wide_shift_left(&left, 2 * half_shift);
    } else {
        right = htvm_wide_shift_left(&right, -2 * half_shift);
    }
    return left_sign * htvm_wide_compare(&left, &right);
}

/* x and y may be the same tensor in the same layout. */
HTVM_KERNEL void htvm_layer_norm(const htvm_layer_norm_layer *layer, const void *x, htvm_type x_type,
                                 const htvm_norm_channel *channels, void *y, htvm_type y_type)
{
    const int32_t length = layer->length;

    for (int32_t row = 0; row < layer->rows; row++) {
        const void *from = htvm_at(x, x_type, row * layer->x_row);
        void *to = htvm_at_mutable(y, y_type, row * layer->y_row);
        int32_t sum = 0, largest = 1;
        int64_t squares = 0;

        for (int32_t i = 0; i < length; i++) {
            const int32_t element = htvm_load(from, x_type, i * layer->x_step);

            sum += element;
            squares += (int64_t)element * element;
        }
        for (int32_t i = 0; i < length; i++) {
            const int32_t d = length * htvm_load(from, x_type, i * layer->x_step) - sum;

            largest = htvm_max(largest, d < 0 ? -d : d);
        }
        /* q, its 63 or 64 highest bits with an even number below them, and the inverse of its root. */
        htvm_wide q = htvm_wide_of((uint64_t)(squares * length - (int64_t)sum * sum));
        const htvm_wide scale = htvm_wide_of((uint64_t)layer->variance_scale);
        const htvm_wide offset = {
            {layer->variance_offset[0], layer->variance_offset[1], layer->variance_offset[2]},
        };

        q = htvm_wide_product(&q, &scale);
        q = htvm_wide_sum(&q, &offset);
        const int32_t below = (htvm_wide_bits(&q) + 1) / 2 * 2 - 64;
        const uint32_t inverse = htvm_inverse(htvm_root(htvm_wide_window(&q, below)));
        int32_t slope_shift = 0;

        while (largest >> slope_shift != 0) {
            slope_shift++;
        }
        const int32_t shift = 62 + below / 2 + layer->slope_bits - layer->half_shift - slope_shift - HTVM_NORM_BITS;

        for (int32_t i = 0; i < length; i++) {
            const htvm_norm_channel *channel = channels + i;
            const int32_t d = length * htvm_load(from, x_type, i * layer->x_step) - sum;
            const int64_t slope = ((int64_t)d * channel->slope) >> slope_shift;
            const int64_t product = slope * (int64_t)inverse;
            const int64_t estimate = (shift > 62 ? 0 : htvm_shift_right_64(product, shift)) + channel->offset;
            const int64_t near = htvm_shift_right_64(estimate + HTVM_NORM_DOUBT, HTVM_NORM_BITS);
            int64_t k = htvm_shift_right_64(estimate - HTVM_NORM_DOUBT, HTVM_NORM_BITS);

            if (k != near && near + layer->zero_point > layer->min && near + layer->zero_point <= layer->max) {
                const int64_t threshold = (2 * near - 1) * layer->half_step - channel->term;
                const int32_t order = htvm_norm_compare(channel->factor, d, layer->half_shift, threshold, &q);

                k = order > 0 || (order == 0 && near % 2 == 0) ? near : near - 1;
            }
            k += layer->zero_point;
            htvm_store(to, y_type, i * layer->y_step,
                       k < layer->min   ? layer->min
                       : k > layer->max ? layer->max
                                        : (int32_t)k);
        }
    }
}

/* Define the function `name` that computes layers of these types. */
#define HTVM_DEFINE_LAYER_NORM(name, x_type, y_type)                                                                 \
    HTVM_SHARED void name(const htvm_layer_norm_layer *layer, const void *x, const htvm_norm_channel *channels,      \
                          void *y)                                                                                   \
    {                                                                                                                \
        htvm_layer_norm(layer, x, x_type, channels, y, y_type);                                                      \
    }

#endif
