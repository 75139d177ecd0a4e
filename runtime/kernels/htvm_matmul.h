/* SPDX-License-Identifier: Apache-2.0
 *
 * The product of two matrices that are both computed.
 *
 *     acc[m, k] = sum over c of (a[m, c] - a_zero_point) * (b[c, k] - b_zero_point)
 *     y[m, k]   = requantised acc, see htvm_requant.h (constants: one entry)
 *
 * Any strides. Two rows and two columns are made at once: four elements are loaded for four multiplications. y may
 * not overlap a or b.
 */
#ifndef HTVM_MATMUL_H
#define HTVM_MATMUL_H

#include "htvm_requant.h"

typedef struct {
    int32_t rows, inner, columns;
    int32_t a_row, a_inner; /* strides, in elements */
    int32_t b_inner, b_column;
    int32_t y_row, y_column;
    int32_t a_zero_point, b_zero_point;
    htvm_requant requant;
} htvm_matmul_layer;

/* Multiply one pair of matrices. */
HTVM_KERNEL void htvm_matmul(const htvm_matmul_layer *layer, const void *a, htvm_type a_type, const void *b,
                             htvm_type b_type, const void *constants, htvm_output output, void *y, htvm_type y_type)
{
    const htvm_requant requant = layer->requant;
    const int32_t a_zero_point = layer->a_zero_point, b_zero_point = layer->b_zero_point;
    const int32_t a_inner = layer->a_inner, b_inner = layer->b_inner;

    for (int32_t m = 0; m < layer->rows; m += 2) {
        /* Where there is no second row or column, the first is computed twice and stored once. */
        const int32_t next_m = m + 1 < layer->rows ? 1 : 0;

        for (int32_t k = 0; k < layer->columns; k += 2) {
            const int32_t next_k = k + 1 < layer->columns ? 1 : 0;
            const void *a_0 = htvm_at(a, a_type, m * layer->a_row);
            const void *a_1 = htvm_at(a, a_type, (m + next_m) * layer->a_row);
            const void *b_0 = htvm_at(b, b_type, k * layer->b_column);
            const void *b_1 = htvm_at(b, b_type, (k + next_k) * layer->b_column);
            int32_t acc_00 = 0, acc_01 = 0, acc_10 = 0, acc_11 = 0;

            for (int32_t left = layer->inner; left > 0; left--) {
                const int32_t from_a_0 = htvm_load(a_0, a_type, 0) - a_zero_point;
                const int32_t from_a_1 = htvm_load(a_1, a_type, 0) - a_zero_point;
                const int32_t from_b_0 = htvm_load(b_0, b_type, 0) - b_zero_point;
                const int32_t from_b_1 = htvm_load(b_1, b_type, 0) - b_zero_point;

                acc_00 += from_a_0 * from_b_0;
                acc_01 += from_a_0 * from_b_1;
                acc_10 += from_a_1 * from_b_0;
                acc_11 += from_a_1 * from_b_1;
                a_0 = htvm_at(a_0, a_type, a_inner);
                a_1 = htvm_at(a_1, a_type, a_inner);
                b_0 = htvm_at(b_0, b_type, b_inner);
                b_1 = htvm_at(b_1, b_type, b_inner);
            }
            const int32_t first = m * layer->y_row + k * layer->y_column;
            const int32_t second = first + next_m * layer->y_row;

            htvm_store(y, y_type, first, htvm_requantize(acc_00, constants, 0, output, requant));
            htvm_store(y, y_type, first + next_k * layer->y_column,
                       htvm_requantize(next_k ? acc_01 : acc_00, constants, 0, output, requant));
            if (next_m) {
                htvm_store(y, y_type, second, htvm_requantize(acc_10, constants, 0, output, requant));
                htvm_store(y, y_type, second + next_k * layer->y_column,
                           htvm_requantize(next_k ? acc_11 : acc_10, constants, 0, output, requant));
            }
        }
    }
}

/* Define the function `name` that multiplies matrices of these types. */
#define HTVM_DEFINE_MATMUL(name, a_type, b_type, y_type, output)                                                     \
    HTVM_SHARED void name(const htvm_matmul_layer *layer, const void *a, const void *b, const void *constants,       \
                          void *y)                                                                                   \
    {                                                                                                                \
        htvm_matmul(layer, a, a_type, b, b_type, constants, output, y, y_type);                                      \
    }

#endif
