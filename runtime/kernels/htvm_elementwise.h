/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers that make each output element from one element of each operand.
 *
 * add      y = clamp((a * a_multiplier + b * b_multiplier + offset) >> shift, min, max)
 * multiply y = requantised (a - a_zero_point) * (b - b_zero_point), see htvm_requant.h
 * extreme  y = max(a, b), or min(a, b)
 * lookup   y = table[x - lowest]
 * flip     y = x with its highest bit turned, in bytes: int8 + 128 as uint8, or uint8 - 128 as int8
 * copy     y = x
 * fill     y = value
 *
 * Tensors have HTVM_RANK axes; a smaller one has sizes 1 in front. A stride of 0 broadcasts an operand. y may be one of
 * the operands if their strides and element sizes are the same.
 */
#ifndef HTVM_ELEMENTWISE_H
#define HTVM_ELEMENTWISE_H

#include "htvm_requant.h"

#define HTVM_RANK 4

/* Sizes, and for each tensor the elements between neighbours, outermost axis first. */
typedef struct {
    int32_t size[HTVM_RANK];
    int32_t a[HTVM_RANK];
    int32_t b[HTVM_RANK];
    int32_t y[HTVM_RANK];
} htvm_binary_shape;

typedef struct {
    int32_t size[HTVM_RANK];
    int32_t x[HTVM_RANK];
    int32_t y[HTVM_RANK];
} htvm_unary_shape;

typedef struct {
    htvm_binary_shape shape;
    int32_t a_multiplier, b_multiplier;
    int64_t offset;
    htvm_requant requant;                            /* pre_shift is not used; shift is whole */
    int64_t a_numerator, b_numerator, divisor, rest; /* HTVM_CORRECTED, see htvm_requant.h */
} htvm_add_layer;

typedef struct {
    htvm_binary_shape shape;
    int32_t a_zero_point, b_zero_point;
    htvm_requant requant;
} htvm_multiply_layer;

/* Return the sum of index[i] * strides[i] over all axes but the last. */
HTVM_KERNEL int32_t htvm_row_start(const int32_t strides[HTVM_RANK], int32_t i, int32_t j, int32_t k)
{
    return i * strides[0] + j * strides[1] + k * strides[2];
}

/* Repeat a statement for all rows; i, j and k are the indices of all axes but the last. */
#define HTVM_FOR_EACH_ROW(size)                                                                                      \
    for (int32_t i = 0; i < (size)[0]; i++)                                                                          \
        for (int32_t j = 0; j < (size)[1]; j++)                                                                      \
            for (int32_t k = 0; k < (size)[2]; k++)

/* Elements, or words of them, that are moved and looked up at a time: a load is not waited for. */
#define HTVM_TOGETHER 4
#define HTVM_LOOKED_UP 8

/* Add two tensors. HTVM_NARROW: the sum fits 32 bits; HTVM_WIDE, HTVM_HALF_EVEN and HTVM_CORRECTED: 64. */
HTVM_KERNEL void htvm_add(const htvm_add_layer *layer, const void *a, htvm_type a_type, const void *b,
                          htvm_type b_type, htvm_output output, void *y, htvm_type y_type)
{
    const htvm_binary_shape *shape = &layer->shape;
    const htvm_requant requant = layer->requant;
    const int32_t a_multiplier = layer->a_multiplier, b_multiplier = layer->b_multiplier;
    const int32_t a_step = shape->a[3], b_step = shape->b[3], y_step = shape->y[3];
    const int64_t offset = layer->offset;

    HTVM_FOR_EACH_ROW (shape->size) {
        const void *from_a = htvm_at(a, a_type, htvm_row_start(shape->a, i, j, k));
        const void *from_b = htvm_at(b, b_type, htvm_row_start(shape->b, i, j, k));
        void *to = htvm_at_mutable(y, y_type, htvm_row_start(shape->y, i, j, k));

        for (int32_t left = shape->size[3]; left > 0; left--) {
            const int32_t element_a = htvm_load(from_a, a_type, 0), element_b = htvm_load(from_b, b_type, 0);
            int32_t element;

            if (output == HTVM_NARROW) {
                const int32_t sum = element_a * a_multiplier + element_b * b_multiplier + (int32_t)offset;
                element = htvm_clamp(sum >> requant.shift, requant.min, requant.max);
            } else {
                const int64_t sum = (int64_t)element_a * a_multiplier + (int64_t)element_b * b_multiplier + offset;
                if (output == HTVM_CORRECTED) {
                    const uint64_t dividend = (uint64_t)(int64_t)element_a * (uint64_t)layer->a_numerator +
                                              (uint64_t)(int64_t)element_b * (uint64_t)layer->b_numerator +
                                              (uint64_t)layer->rest;
                    element = htvm_requantize_corrected(dividend, layer->divisor,
                                                        (int32_t)htvm_shift_right_64(sum, requant.shift), requant);
                } else {
                    element = htvm_requantize_wide(sum, requant.shift, output, requant);
                }
            }
            htvm_store(to, y_type, 0, element);
            from_a = htvm_at(from_a, a_type, a_step);
            from_b = htvm_at(from_b, b_type, b_step);
            to = htvm_at_mutable(to, y_type, y_step);
        }
    }
}

/* Multiply two tensors. constants: one entry, see htvm_requant.h. */
HTVM_KERNEL void htvm_multiply(const htvm_multiply_layer *layer, const void *a, htvm_type a_type, const void *b,
                               htvm_type b_type, const void *constants, htvm_output output, void *y, htvm_type y_type)
{
    const htvm_binary_shape *shape = &layer->shape;
    const htvm_requant requant = layer->requant;
    const int32_t a_zero_point = layer->a_zero_point, b_zero_point = layer->b_zero_point;
    const int32_t a_step = shape->a[3], b_step = shape->b[3], y_step = shape->y[3];

    HTVM_FOR_EACH_ROW (shape->size) {
        const void *from_a = htvm_at(a, a_type, htvm_row_start(shape->a, i, j, k));
        const void *from_b = htvm_at(b, b_type, htvm_row_start(shape->b, i, j, k));
        void *to = htvm_at_mutable(y, y_type, htvm_row_start(shape->y, i, j, k));

        for (int32_t left = shape->size[3]; left > 0; left--) {
            const int32_t acc =
                (htvm_load(from_a, a_type, 0) - a_zero_point) * (htvm_load(from_b, b_type, 0) - b_zero_point);

            htvm_store(to, y_type, 0, htvm_requantize(acc, constants, 0, output, requant));
            from_a = htvm_at(from_a, a_type, a_step);
            from_b = htvm_at(from_b, b_type, b_step);
            to = htvm_at_mutable(to, y_type, y_step);
        }
    }
}

/* Take the larger, or the smaller, of two tensors' elements. */
HTVM_KERNEL void htvm_extreme(const htvm_binary_shape *shape, int maximum, const void *a, const void *b, void *y,
                              htvm_type type)
{
    const int32_t a_step = shape->a[3], b_step = shape->b[3], y_step = shape->y[3];

    HTVM_FOR_EACH_ROW (shape->size) {
        const void *from_a = htvm_at(a, type, htvm_row_start(shape->a, i, j, k));
        const void *from_b = htvm_at(b, type, htvm_row_start(shape->b, i, j, k));
        void *to = htvm_at_mutable(y, type, htvm_row_start(shape->y, i, j, k));

        for (int32_t left = shape->size[3]; left > 0; left--) {
            const int32_t element_a = htvm_load(from_a, type, 0), element_b = htvm_load(from_b, type, 0);

            htvm_store(to, type, 0, maximum ? htvm_max(element_a, element_b) : htvm_min(element_a, element_b));
            from_a = htvm_at(from_a, type, a_step);
            from_b = htvm_at(from_b, type, b_step);
            to = htvm_at_mutable(to, type, y_step);
        }
    }
}

/* Replace each element by its entry in a table of y_type. x_near, y_near: the distance of neighbours in a tensor, where
 * a caller knows it, so that it is in the instructions; else 0. */
HTVM_KERNEL void htvm_lookup(const htvm_unary_shape *shape, const void *x, htvm_type x_type, const void *table,
                             int32_t lowest, void *y, htvm_type y_type, int32_t x_near, int32_t y_near)
{
    const int32_t x_step = x_near ? x_near : shape->x[3], y_step = y_near ? y_near : shape->y[3];

    HTVM_FOR_EACH_ROW (shape->size) {
        const void *from = htvm_at(x, x_type, htvm_row_start(shape->x, i, j, k));
        void *to = htvm_at_mutable(y, y_type, htvm_row_start(shape->y, i, j, k));

        int32_t left = shape->size[3];

        for (; left >= HTVM_LOOKED_UP; left -= HTVM_LOOKED_UP) {
            int32_t elements[HTVM_LOOKED_UP];

            for (int32_t n = 0; n < HTVM_LOOKED_UP; n++, from = htvm_at(from, x_type, x_step)) {
                elements[n] = htvm_load(from, x_type, 0);
            }
            for (int32_t n = 0; n < HTVM_LOOKED_UP; n++) {
                elements[n] = htvm_load(table, y_type, elements[n] - lowest);
            }
            for (int32_t n = 0; n < HTVM_LOOKED_UP; n++, to = htvm_at_mutable(to, y_type, y_step)) {
                htvm_store(to, y_type, 0, elements[n]);
            }
        }
        for (; left > 0; left--) {
            htvm_store(to, y_type, 0, htvm_load(table, y_type, htvm_load(from, x_type, 0) - lowest));
            from = htvm_at(from, x_type, x_step);
            to = htvm_at_mutable(to, y_type, y_step);
        }
    }
}

/* Turn the highest bit of each byte; neighbours of x lie side by side. y_near: the distance of neighbours in y, where a
 * caller knows it, else 0. Words are read from the first multiple of 4 on, in which no row has to begin. */
HTVM_KERNEL void htvm_flip(const htvm_unary_shape *shape, const unsigned char *x, unsigned char *y, int32_t y_near)
{
    const int32_t y_step = y_near ? y_near : shape->y[3];

    HTVM_FOR_EACH_ROW (shape->size) {
        const unsigned char *from = x + htvm_row_start(shape->x, i, j, k);
        unsigned char *to = y + htvm_row_start(shape->y, i, j, k);

        int32_t left = shape->size[3];

        for (; left > 0 && (uintptr_t)from % 4 != 0; left--, from++, to += y_step) {
            *to = *from ^ 0x80u;
        }
        for (; left >= 4 * HTVM_TOGETHER; left -= 4 * HTVM_TOGETHER) {
            uint32_t words[HTVM_TOGETHER];

            for (int32_t n = 0; n < HTVM_TOGETHER; n++, from += 4) {
                words[n] = htvm_load_word(from) ^ 0x80808080u;
            }
            for (int32_t n = 0; n < HTVM_TOGETHER; n++) {
                for (int32_t byte = 0; byte < 4; byte++, to += y_step) {
                    *to = (unsigned char)(words[n] >> 8 * byte);
                }
            }
        }
        for (; left > 0; left--, from++, to += y_step) {
            *to = *from ^ 0x80u;
        }
    }
}

/* Copy elements between layouts: transpose, take, and each operand of concat and pad. x and y may not overlap. */
HTVM_KERNEL void htvm_copy_elements(const htvm_unary_shape *shape, const void *x, void *y, htvm_type type)
{
    const int32_t x_step = shape->x[3], y_step = shape->y[3];

    HTVM_FOR_EACH_ROW (shape->size) {
        const void *from = htvm_at(x, type, htvm_row_start(shape->x, i, j, k));
        void *to = htvm_at_mutable(y, type, htvm_row_start(shape->y, i, j, k));

        int32_t left = shape->size[3];

        for (; left >= HTVM_TOGETHER; left -= HTVM_TOGETHER) {
            int32_t elements[HTVM_TOGETHER];

            for (int32_t n = 0; n < HTVM_TOGETHER; n++, from = htvm_at(from, type, x_step)) {
                elements[n] = htvm_load(from, type, 0);
            }
            for (int32_t n = 0; n < HTVM_TOGETHER; n++, to = htvm_at_mutable(to, type, y_step)) {
                htvm_store(to, type, 0, elements[n]);
            }
        }
        for (; left > 0; left--) {
            htvm_store(to, type, 0, htvm_load(from, type, 0));
            from = htvm_at(from, type, x_step);
            to = htvm_at_mutable(to, type, y_step);
        }
    }
}

/* Set `count` neighbouring elements to a value. */
HTVM_KERNEL void htvm_fill(int32_t count, int32_t value, void *y, htvm_type type)
{
    int32_t i = 0;

    for (; i + HTVM_TOGETHER <= count; i += HTVM_TOGETHER) {
        for (int32_t n = 0; n < HTVM_TOGETHER; n++) {
            htvm_store(y, type, i + n, value);
        }
    }
    for (; i < count; i++) {
        htvm_store(y, type, i, value);
    }
}

/* Define functions of these types. */
#define HTVM_DEFINE_ADD(name, a_type, b_type, y_type, output)                                                        \
    HTVM_SHARED void name(const htvm_add_layer *layer, const void *a, const void *b, void *y)                        \
    {                                                                                                                \
        htvm_add(layer, a, a_type, b, b_type, output, y, y_type);                                                    \
    }
#define HTVM_DEFINE_MULTIPLY(name, a_type, b_type, y_type, output)                                                   \
    HTVM_SHARED void name(const htvm_multiply_layer *layer, const void *a, const void *b, const void *constants,     \
                          void *y)                                                                                   \
    {                                                                                                                \
        htvm_multiply(layer, a, a_type, b, b_type, constants, output, y, y_type);                                    \
    }
#define HTVM_DEFINE_EXTREME(name, type, maximum)                                                                     \
    HTVM_SHARED void name(const htvm_binary_shape *shape, const void *a, const void *b, void *y)                     \
    {                                                                                                                \
        htvm_extreme(shape, maximum, a, b, y, type);                                                                 \
    }
#define HTVM_DEFINE_LOOKUP(name, x_type, y_type, x_near, y_near)                                                     \
    HTVM_SHARED void name(const htvm_unary_shape *shape, const void *x, const void *table, int32_t lowest, void *y)  \
    {                                                                                                                \
        htvm_lookup(shape, x, x_type, table, lowest, y, y_type, x_near, y_near);                                     \
    }
#define HTVM_DEFINE_FLIP(name, y_near)                                                                               \
    HTVM_SHARED void name(const htvm_unary_shape *shape, const void *x, void *y) { htvm_flip(shape, x, y, y_near); }
#define HTVM_DEFINE_COPY(name, type)                                                                                 \
    HTVM_SHARED void name(const htvm_unary_shape *shape, const void *x, void *y)                                     \
    {                                                                                                                \
        htvm_copy_elements(shape, x, y, type);                                                                       \
    }
#define HTVM_DEFINE_FILL(name, type)                                                                                 \
    HTVM_SHARED void name(int32_t count, int32_t value, void *y) { htvm_fill(count, value, y, type); }

#endif
