/* SPDX-License-Identifier: Apache-2.0
 *
 * From an accumulator to an output element, in registers.
 *
 *     y = clamp(((((acc << pre_shift) + offset) * multiplier) >> shift) + zero_point, min, max)
 *
 * The product has 64 bits, the shift rounds towards minus infinity. Zero points, bias and the half of rounding to
 * nearest are inside `offset`.
 */
#ifndef HTVM_REQUANT_H
#define HTVM_REQUANT_H

#include "htvm_element.h"

/* The forms that a kernel can be specialised for, and the constants of a channel in each. */
typedef enum {
    HTVM_RAW,         /* y = acc + bias                                                       int32_t bias */
    HTVM_NARROW,      /* the sum fits 32 bits, shift >= 32 and is the layer's: `mulh`, `sra`   htvm_scale */
    HTVM_NARROW_EACH, /* as HTVM_NARROW, with a shift for each channel; zero_point is added last  htvm_scale_each */
    HTVM_WIDE,        /* a sum of 64 bits                                                     htvm_scale_wide */
    HTVM_HALF_EVEN,   /* as HTVM_WIDE; where what is shifted out is less than tie_below the value was a tie, and the
                         even one is taken; zero_point is added last                          htvm_scale_wide */
    HTVM_CORRECTED,   /* floor((acc * numerator + rest) / divisor), of which HTVM_WIDE is at most 1 wrong; even where
                         less than tie_below remains; zero_point is added last           htvm_scale_corrected */
    HTVM_DOUBLE_ROUND, /* the sum fits 32 bits; rounded as TOSA's DOUBLE_ROUND; zero_point is added last  htvm_scale_wide */
} htvm_output;

typedef struct {
    int32_t offset;
    int32_t multiplier;
} htvm_scale;

typedef struct {
    int32_t offset;
    int32_t multiplier;
    int32_t shift; /* less 32 */
} htvm_scale_each;

typedef struct {
    int64_t offset;
    int32_t multiplier;
    int32_t shift;
} htvm_scale_wide;

typedef struct {
    int64_t offset;
    int32_t multiplier;
    int32_t shift;
    int64_t numerator, divisor, rest;
} htvm_scale_corrected;

/* What is the same for all channels of a layer. */
typedef struct {
    int32_t pre_shift;
    int32_t shift; /* HTVM_NARROW: less 32 */
    int32_t min;
    int32_t max;
    int32_t zero_point; /* HTVM_NARROW_EACH, HTVM_HALF_EVEN, HTVM_CORRECTED, HTVM_DOUBLE_ROUND; in the other forms the
                           offset holds it */
    uint64_t tie_below;
} htvm_requant;

/* Return value * 2^shift, also for a negative value. */
HTVM_KERNEL int32_t htvm_shift_left(int32_t value, int32_t shift) { return (int32_t)((uint32_t)value << shift); }

/* Return value * 2^shift modulo 2^64, 0 <= shift <= 63, in 32-bit operations: RV32 calls a library for 64-bit shifts. */
HTVM_KERNEL uint64_t htvm_shift_left_64(uint64_t value, int32_t shift)
{
    const uint32_t low = (uint32_t)(value & 0xFFFFFFFFu);
    const uint32_t high = (uint32_t)(value >> 32);

    if (shift >= 32) {
        return (uint64_t)(low << (shift - 32)) << 32;
    }
    if (shift == 0) {
        return value;
    }
    return (uint64_t)(high << shift | low >> (32 - shift)) << 32 | low << shift;
}

/* Return floor(value / 2^shift), 0 <= shift <= 63, in 32-bit operations. */
HTVM_KERNEL int64_t htvm_shift_right_64(int64_t value, int32_t shift)
{
    const uint32_t low = (uint32_t)((uint64_t)value & 0xFFFFFFFFu);
    const int32_t high = (int32_t)(value >> 32);

    if (shift >= 32) {
        return high >> (shift - 32);
    }
    if (shift == 0) {
        return value;
    }
    return (int64_t)((uint64_t)(uint32_t)(high >> shift) << 32 | ((uint32_t)high << (32 - shift) | low >> shift));
}

/* Hide what a value is and hold it in a register: compilers would make it anew, or a loop of its own for special values. */
#if defined(__riscv)
#define HTVM_HOLD(value) __asm__("" : "+r"(value))
#else
#define HTVM_HOLD(value) (void)(value)
#endif

/* Return the upper half of the product. Left to itself, clang extends a multiplier that is the same for many sums to 64
 * bits ahead of their loop, and then takes three multiplications for each. */
HTVM_KERNEL int32_t htvm_multiply_high(int32_t a, int32_t b)
{
#if defined(__riscv_mul) && __riscv_xlen == 32
    int32_t high;

    __asm__("mulh %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
#else
    return (int32_t)(((int64_t)a * b) >> 32);
#endif
}

/* Return the output element for what remains to be shifted, in 64 bits. */
HTVM_KERNEL int32_t htvm_requantize_wide(int64_t scaled, int32_t shift, htvm_output output, htvm_requant requant)
{
    int64_t value = htvm_shift_right_64(scaled, shift);

    if (output == HTVM_HALF_EVEN) {
        if ((uint64_t)scaled - htvm_shift_left_64((uint64_t)value, shift) < requant.tie_below) {
            value &= ~(int64_t)1;
        }
        value += requant.zero_point;
    }
    if (value < requant.min) {
        return requant.min;
    }
    return value > requant.max ? requant.max : (int32_t)value;
}

/* Return a + b modulo 2^32: the whole sum fits, whatever its parts do. */
HTVM_KERNEL int32_t htvm_sum(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

/* Return the output element for a quotient, of which `estimate` is at most 1 wrong.
 *
 * What remains of the division is between -divisor and 2 * divisor, so it is right though the products wrap around.
 */
HTVM_KERNEL int32_t htvm_requantize_corrected(uint64_t dividend, int64_t divisor, int32_t estimate,
                                              htvm_requant requant)
{
    int64_t left = (int64_t)(dividend - (uint64_t)(int64_t)estimate * (uint64_t)divisor);
    const int32_t step = left < 0 ? -1 : left >= divisor ? 1 : 0;
    int32_t value = estimate + step;

    left -= step * divisor;
    if ((uint64_t)left < requant.tie_below) {
        value &= ~(int32_t)1;
    }
    return htvm_clamp(value + requant.zero_point, requant.min, requant.max);
}

/* Return the output element for a sum that TOSA's apply_scale_32 scales with double rounding; 1 <= shift <= 62.
 *
 * Above a shift of 32 only the upper half of the product with the first addend counts: in 32-bit operations.
 */
HTVM_KERNEL int32_t htvm_requantize_double_round(int32_t sum, int32_t multiplier, int32_t shift, htvm_requant requant)
{
    const int64_t first = shift <= 31 ? 0 : sum >= 0 ? 1 << 30 : -(1 << 30);
    const int64_t product = (int64_t)sum * multiplier + first;

    if (shift > 32) {
        const int32_t high = (int32_t)(product >> 32) + (1 << (shift - 33));

        return htvm_clamp((high >> (shift - 32)) + requant.zero_point, requant.min, requant.max);
    } else {
        const int64_t half = (int64_t)htvm_shift_left_64(1, shift - 1);
        const int64_t value = htvm_shift_right_64(product + half, shift) + requant.zero_point;

        if (value < requant.min) {
            return requant.min;
        }
        return value > requant.max ? requant.max : (int32_t)value;
    }
}

/* Return the output element for `acc` with the constants of channel `k`. */
HTVM_KERNEL int32_t htvm_requantize(int32_t acc, const void *constants, int32_t k, htvm_output output,
                                    htvm_requant requant)
{
    if (output == HTVM_RAW) {
        return htvm_sum(acc, ((const int32_t *)constants)[k]);
    }
    if (output == HTVM_NARROW || output == HTVM_NARROW_EACH) {
        const htvm_scale *scale = (const htvm_scale *)constants + k;
        const htvm_scale_each *scale_each = (const htvm_scale_each *)constants + k;
        const int32_t offset = output == HTVM_NARROW ? scale->offset : scale_each->offset;
        const int32_t multiplier = output == HTVM_NARROW ? scale->multiplier : scale_each->multiplier;
        const int32_t shift = output == HTVM_NARROW ? requant.shift : scale_each->shift;
        const int32_t sum = htvm_sum(htvm_shift_left(acc, requant.pre_shift), offset);
        const int32_t high = htvm_multiply_high(sum, multiplier);

        const int32_t zero_point = output == HTVM_NARROW ? 0 : requant.zero_point;

        return htvm_clamp((high >> shift) + zero_point, requant.min, requant.max);
    } else if (output == HTVM_DOUBLE_ROUND) {
        const htvm_scale_wide *scale = (const htvm_scale_wide *)constants + k;
        const int32_t sum = htvm_sum(htvm_shift_left(acc, requant.pre_shift), (int32_t)scale->offset);

        return htvm_requantize_double_round(sum, scale->multiplier, scale->shift, requant);
    } else if (output == HTVM_CORRECTED) {
        const htvm_scale_corrected *scale = (const htvm_scale_corrected *)constants + k;
        const int64_t sum = (int64_t)htvm_shift_left_64((uint64_t)(int64_t)acc, requant.pre_shift) + scale->offset;

        const uint64_t dividend = (uint64_t)(int64_t)acc * (uint64_t)scale->numerator + (uint64_t)scale->rest;

        return htvm_requantize_corrected(
            dividend, scale->divisor, (int32_t)htvm_shift_right_64(sum * scale->multiplier, scale->shift), requant);
    } else {
        const htvm_scale_wide *scale = (const htvm_scale_wide *)constants + k;
        const int64_t sum = (int64_t)htvm_shift_left_64((uint64_t)(int64_t)acc, requant.pre_shift) + scale->offset;

        return htvm_requantize_wide(sum * scale->multiplier, scale->shift, output, requant);
    }
}

/* Return the address of the constants of channel `k`. */
HTVM_KERNEL const void *htvm_constants_at(const void *constants, int32_t k, htvm_output output)
{
    const size_t bytes = output == HTVM_RAW           ? sizeof(int32_t)
                         : output == HTVM_NARROW      ? sizeof(htvm_scale)
                         : output == HTVM_NARROW_EACH ? sizeof(htvm_scale_each)
                         : output == HTVM_CORRECTED   ? sizeof(htvm_scale_corrected)
                                                      : sizeof(htvm_scale_wide);

    return (const unsigned char *)constants + (size_t)k * bytes;
}

/* The constants of a channel, held in registers, whatever their form. */
typedef union {
    int32_t bias;
    htvm_scale scale;
    htvm_scale_each scale_each;
    htvm_scale_wide scale_wide;
    htvm_scale_corrected scale_corrected;
} htvm_channel;

/* Say whether the constants can hold what is to be added to each sum; where they cannot, it must be added. */
HTVM_KERNEL int htvm_holds_start(htvm_output output)
{
    return output == HTVM_RAW || output == HTVM_NARROW || output == HTVM_NARROW_EACH;
}

/* Return a channel's constants with `start`, in the unit of sums after their pre_shift, added modulo 2^32 if they can
 * hold it. */
HTVM_KERNEL htvm_channel htvm_channel_at(const void *constants, htvm_output output, uint32_t start)
{
    htvm_channel channel;

    if (output == HTVM_RAW) {
        channel.bias = (int32_t)(*(const uint32_t *)constants + start);
    } else if (output == HTVM_NARROW) {
        channel.scale = *(const htvm_scale *)constants;
        channel.scale.offset = (int32_t)((uint32_t)channel.scale.offset + start);
    } else if (output == HTVM_NARROW_EACH) {
        channel.scale_each = *(const htvm_scale_each *)constants;
        channel.scale_each.offset = (int32_t)((uint32_t)channel.scale_each.offset + start);
    } else if (output == HTVM_CORRECTED) {
        channel.scale_corrected = *(const htvm_scale_corrected *)constants;
    } else {
        channel.scale_wide = *(const htvm_scale_wide *)constants;
    }
    return channel;
}

#endif
