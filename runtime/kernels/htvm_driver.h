/* SPDX-License-Identifier: Apache-2.0
 *
 * Accelerators whose jobs are calls of a function: their driver.
 *
 *     driver(&layer, x, weights, scales, scratch, y, output)
 *
 * It computes a tile of a layer, or all of it, and returns when the result is there: the layer is htvm_conv2d.h's, x, y
 * and scratch are in the accelerator's memory, weights and scales where it has weights. A job is what htvm_launch of
 * htvm_soc.h takes, its own fields are those of htvm_driver_layer.
 *
 * The simulator executes the driver as it is. It looks for the functions NAME_begins and NAME_ends, which do nothing:
 * what happens between them takes the cycles that the target's cost model says, and may write y and scratch, nothing else.
 */
#ifndef HTVM_DRIVER_H
#define HTVM_DRIVER_H

#include "htvm_conv2d.h"
#include "htvm_soc.h"

typedef enum { HTVM_NCHW, HTVM_NHWC } htvm_layout;

/* Return a number of 16 bits of a job. */
HTVM_KERNEL int32_t htvm_job_number(const uint32_t *job, int32_t index)
{
    return (int32_t)(job[index / 2] >> 16 * (index % 2) & 0xFFFFu);
}

/* Return a number of 16 bits of a job that has a sign. */
HTVM_KERNEL int32_t htvm_job_signed(const uint32_t *job, int32_t index)
{
    return (int16_t)(uint16_t)htvm_job_number(job, index);
}

/* Return the requantisation form of a job. */
HTVM_KERNEL htvm_output htvm_driver_output(const uint32_t *job)
{
    return (htvm_output)(htvm_job_number(job, 19) & 7);
}

/* Return the bytes of the constants of all channels of a job, which lie before its weights: a multiple of 8. */
HTVM_KERNEL int32_t htvm_driver_scale_bytes(const uint32_t *job)
{
    const htvm_output output = htvm_driver_output(job);
    const int32_t one = output == HTVM_NARROW        ? (int32_t)sizeof(htvm_scale)
                        : output == HTVM_NARROW_EACH ? (int32_t)sizeof(htvm_scale_each)
                                                     : (int32_t)sizeof(htvm_scale_wide);

    return (htvm_job_number(job, 2) * one + 7) / 8 * 8;
}

/* Return the layer that a job is. Its own fields are high, low, pad_value, scaling (form, pre_shift << 3, shift << 9) and
 * zero_point. */
HTVM_KERNEL htvm_conv2d_layer htvm_driver_layer(const uint32_t *job, htvm_layout x_layout)
{
    const int32_t groups = htvm_job_number(job, 15), scaling = htvm_job_number(job, 19);
    const int32_t channels = htvm_job_number(job, 1), outputs = htvm_job_number(job, 2);
    htvm_conv2d_layer layer;

    layer.groups = groups;
    layer.in_channels = channels / groups;
    layer.out_channels = outputs / groups;
    layer.in_height = htvm_job_number(job, 3);
    layer.in_width = htvm_job_number(job, 4);
    layer.out_height = htvm_job_number(job, 5);
    layer.out_width = htvm_job_number(job, 6);
    layer.kernel_h = htvm_job_number(job, 7);
    layer.kernel_w = htvm_job_number(job, 8);
    layer.stride_h = htvm_job_number(job, 9);
    layer.stride_w = htvm_job_number(job, 10);
    layer.dilation_h = 1;
    layer.dilation_w = 1;
    layer.pad_top = htvm_job_number(job, 11);
    layer.pad_left = htvm_job_number(job, 12);
    layer.pad_value = htvm_job_signed(job, 18);
    layer.x_c = x_layout == HTVM_NHWC ? 1 : layer.in_height * layer.in_width;
    layer.x_w = x_layout == HTVM_NHWC ? channels : 1;
    layer.x_h = layer.x_w * layer.in_width;
    layer.y_c = htvm_job_number(job, 22) == HTVM_NHWC ? 1 : layer.out_height * layer.out_width;
    layer.y_w = htvm_job_number(job, 22) == HTVM_NHWC ? outputs : 1;
    layer.y_h = layer.y_w * layer.out_width;
    layer.requant.pre_shift = scaling >> 3 & 63;
    layer.requant.shift = scaling >> 9;
    layer.requant.min = htvm_job_signed(job, 17);
    layer.requant.max = htvm_job_signed(job, 16);
    layer.requant.zero_point = htvm_job_signed(job, 20);
    layer.requant.tie_below = 0;
    return layer;
}

/* Define the function `name` of a job that calls the driver `function`, for elements of these types. */
#define HTVM_DEFINE_DRIVER(name, function, x_type, w_type, y_type, x_layout)                                         \
    HTVM_SHARED void name##_begins(const uint32_t *job) { __asm__ volatile("" : : "r"(job) : "memory"); }            \
    HTVM_SHARED void name##_ends(void) { __asm__ volatile("" : : : "memory"); }                                      \
    HTVM_SHARED void name(const uint32_t *job, const void *x, const void *constants, void *scratch, void *y)         \
    {                                                                                                                \
        const htvm_conv2d_layer layer = htvm_driver_layer(job, x_layout);                                            \
        const w_type *const weights = (const void *)((const char *)constants + htvm_driver_scale_bytes(job));        \
                                                                                                                     \
        name##_begins(job);                                                                                          \
        function(&layer, (const x_type *)x, weights, constants, scratch, (y_type *)y, htvm_driver_output(job));      \
        name##_ends();                                                                                               \
    }

typedef void htvm_driver(const uint32_t *job, const void *x, const void *constants, void *scratch, void *y);

/* Return what an address on the SoC's bus is to the host. */
HTVM_KERNEL void *htvm_host_address(uint32_t address) { return (void *)(uintptr_t)address; }

/* Compute a job whose operands are where its last five words say. */
HTVM_KERNEL void htvm_drive(htvm_driver *driver, const uint32_t *job)
{
    const uint32_t *const at = job + HTVM_JOB_WORDS - 5;

    driver(job, htvm_host_address(at[0]), htvm_host_address(at[2]), htvm_host_address(at[3]),
           htvm_host_address(at[4]));
}

/* Compute a job whose operands are elsewhere than its words say, which are changed. */
HTVM_KERNEL void htvm_drive_at(htvm_driver *driver, uint32_t *job, uint32_t input, uint32_t second, uint32_t weights,
                               uint32_t sums, uint32_t output)
{
    htvm_place_job(job, input, second, weights, sums, output);
    htvm_drive(driver, job);
}

#endif
