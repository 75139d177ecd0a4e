/* SPDX-License-Identifier: Apache-2.0
 *
 * How the host gives work to the units beside it, transfer engines and accelerators, and waits for them.
 *
 * A unit is the address of its registers, a place in memory is its address on the SoC's bus: the host may be unable
 * to reach it. Work goes on while the host does something else. A unit does what it is given in order, and counts what
 * it has ended; two units know nothing of each other. So the host must wait, with htvm_wait on the unit that is not
 * ready, before it
 * - gives work that reads what is still being written, or writes what is still being read or written;
 * - reads or writes what is still being written, or writes what is still being read;
 * - launches an accelerator that is at work, or resets a unit's count.
 * Work of one transfer engine needs no wait in between: its copies never overlap in time.
 *
 * On silicon: a vendor gives a header of the same name and functions. A function may do more there, such as reach a
 * unit by other registers, pad a size to what the transfer engine can do, write back or invalidate a cache, or sleep
 * until an event; htvm_launch turns the descriptor (its words are explained there) into what the accelerator is
 * configured with. The counts must be the same: one for each htvm_copy, one for each row of the others, one for each
 * launch. main.c has two hooks for silicon. HTVM_BOOT_ANALOG(), below, is run once before the first inference: an
 * analog array is powered, calibrated and waited for there. A program compiled with -DHTVM_RUN_FOREVER repeats its
 * inference without end, for measuring power.
 */
#ifndef HTVM_SOC_H
#define HTVM_SOC_H

#include <stdint.h>

#ifndef HTVM_BOOT_ANALOG
#define HTVM_BOOT_ANALOG() ((void)0) /* a simulated array is ready */
#endif

/* Byte offsets of a unit's registers; all have 32 bits. */
enum {
    HTVM_DONE = 0x00,       /* read: how much has ended since the last write; written: the count is 0 again */
    HTVM_DMA_SOURCE = 0x04, /* of a transfer engine */
    HTVM_DMA_TARGET = 0x08,
    HTVM_DMA_BYTES = 0x0C, /* written, it gives the command; the host waits if the queue is full */
    HTVM_JOB = 0x04        /* of an accelerator: the address of a descriptor, which is read at once */
};

enum { HTVM_JOB_WORDS = 17 }; /* of a descriptor, the last five of them addresses */

/* Memory is as the program says before what follows and after what precedes: compilers may not move accesses across.
 * A host that reorders them itself needs its fence here. */
static inline void htvm_barrier(void) { __asm__ volatile("" ::: "memory"); }

/* Let the compiler forget how often a loop runs, so that it does not unroll it: its copies take longer than its
 * instructions, and memories for code are small. */
static inline void htvm_uncounted(uint32_t *count) { __asm__("" : "+r"(*count)); }

/* Return how often a loop over commands runs, as htvm_uncounted does. */
static inline uint32_t htvm_times(uint32_t count)
{
    htvm_uncounted(&count);
    return count;
}

static inline volatile uint32_t *htvm_register(uintptr_t unit, unsigned offset)
{
    return (volatile uint32_t *)(unit + offset);
}

/* Return how many copies or jobs of a unit have ended since its count was reset. */
static inline uint32_t htvm_done(uintptr_t unit) { return *htvm_register(unit, HTVM_DONE); }

/* Return when `count` copies or jobs of a unit have ended since its count was reset, at least. */
static inline void htvm_wait(uintptr_t unit, uint32_t count)
{
    while (htvm_done(unit) < count) {
    }
    htvm_barrier();
}

/* Start the count of a unit that has nothing to do at 0 again. */
static inline void htvm_reset(uintptr_t unit) { *htvm_register(unit, HTVM_DONE) = 0; }

/* Give one command, without a barrier. */
static inline void htvm_command(uintptr_t dma, uintptr_t to, uintptr_t from, uint32_t bytes)
{
    *htvm_register(dma, HTVM_DMA_SOURCE) = (uint32_t)from;
    *htvm_register(dma, HTVM_DMA_TARGET) = (uint32_t)to;
    *htvm_register(dma, HTVM_DMA_BYTES) = bytes;
}

/* Copy `bytes` bytes, at least 1. Counts as 1. */
static inline void htvm_copy(uintptr_t dma, uintptr_t to, uintptr_t from, uint32_t bytes)
{
    htvm_barrier();
    htvm_command(dma, to, from, bytes);
}

/* Copy `rows` runs of `bytes` bytes.
 *
 * to_step, from_step: bytes from the start of a run to that of the next. Counts as `rows`.
 */
static inline void htvm_copy_rows(uintptr_t dma, uintptr_t to, uint32_t to_step, uintptr_t from, uint32_t from_step,
                                  uint32_t rows, uint32_t bytes)
{
    htvm_barrier();
    htvm_uncounted(&rows);
    for (; rows; --rows, to += to_step, from += from_step)
        htvm_command(dma, to, from, bytes);
}

/* Copy `maps` maps, each of `rows` runs of `bytes` bytes.
 *
 * ..._map_step, ..._row_step: bytes from the start of a map, or run, to that of the next. Counts as `maps` * `rows`.
 */
static inline void htvm_copy_maps(uintptr_t dma, uintptr_t to, uint32_t to_map_step, uint32_t to_row_step,
                                  uintptr_t from, uint32_t from_map_step, uint32_t from_row_step, uint32_t maps,
                                  uint32_t rows, uint32_t bytes)
{
    htvm_uncounted(&maps);
    for (; maps; --maps, to += to_map_step, from += from_map_step)
        htvm_copy_rows(dma, to, to_row_step, from, from_row_step, rows, bytes);
}

/* Start an accelerator on the job that a descriptor describes. Counts as 1.
 *
 * Its fields have 16 bits each, the first of two in the lower half of a word: kind (0 conv2d, 1 dense, 2 add, 3 matvec,
 * 4 mul, 5 lookup, 6 pool2d), channels, outputs, rows and columns of the input, of the output, of the kernel, strides,
 * padding (top, left, bottom, right), groups, six fields of the accelerator's own (of DIANA's: shift, lowest and highest
 * result, lowest and highest code of a converter and the shift of what is made of it), order of the output (0 channels
 * outermost, 1 innermost), sums (1: it adds to those that a job before has kept; 2: it keeps its own for one behind, and
 * writes no output; 4: the second input is added to them; or the sum of these). Then follow five words: the addresses of
 * input, second input, weights, sums and output, 0 for one that the job does not have. Sums are memory that the job may
 * overwrite.
 */
static inline void htvm_launch(uintptr_t engine, const uint32_t *descriptor)
{
    htvm_barrier();
    *htvm_register(engine, HTVM_JOB) = (uint32_t)(uintptr_t)descriptor;
}

/* Copy a descriptor to memory that can be written. */
static inline void htvm_copy_job(uint32_t *job, const uint32_t *descriptor)
{
    for (unsigned word = 0; word < HTVM_JOB_WORDS; ++word)
        job[word] = descriptor[word];
}

/* Let a job's operands be elsewhere than its descriptor says. */
static inline void htvm_place_job(uint32_t *job, uint32_t input, uint32_t second, uint32_t weights, uint32_t sums,
                                  uint32_t output)
{
    uint32_t *const addresses = job + HTVM_JOB_WORDS - 5;
    addresses[0] = input;
    addresses[1] = second;
    addresses[2] = weights;
    addresses[3] = sums;
    addresses[4] = output;
}

/* Start an accelerator on a job whose operands are elsewhere than its descriptor says, which is changed. Counts as 1. */
static inline void htvm_launch_at(uintptr_t engine, uint32_t *job, uint32_t input, uint32_t second, uint32_t weights,
                                  uint32_t sums, uint32_t output)
{
    htvm_place_job(job, input, second, weights, sums, output);
    htvm_launch(engine, job);
    htvm_barrier(); /* the descriptor may change from here on */
}

#endif
