/* SPDX-License-Identifier: Apache-2.0
 *
 * The first and the last instructions of a program on a bare RV32 host.
 *
 * Sets up stack and global pointer, clears .bss, calls main, and stays at htvm_done. The arena is not cleared: the
 * network's inputs are in it. memcpy and memset are here because a C compiler may call them for a plain loop, and
 * there is no C library.
 */
    .section .text.start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, htvm_stack_top
    la t0, htvm_bss_start
    la t1, htvm_bss_end
clear_word:
    bgeu t0, t1, run
    sw zero, 0(t0)
    addi t0, t0, 4
    j clear_word
run:
    call main
    .globl htvm_done
htvm_done:
    j htvm_done
    .size _start, . - _start

    /* void *memcpy(void *to, const void *from, size_t bytes) */
    .section .text.memcpy, "ax", @progbits
    .weak memcpy
    .type memcpy, @function
memcpy:
    add a2, a2, a0
    mv a3, a0
copy_byte:
    beq a3, a2, copied
    lbu a4, 0(a1)
    sb a4, 0(a3)
    addi a1, a1, 1
    addi a3, a3, 1
    j copy_byte
copied:
    ret
    .size memcpy, . - memcpy

    /* void *memset(void *to, int value, size_t bytes) */
    .section .text.memset, "ax", @progbits
    .weak memset
    .type memset, @function
memset:
    add a2, a2, a0
    mv a3, a0
set_byte:
    beq a3, a2, set
    sb a1, 0(a3)
    addi a3, a3, 1
    j set_byte
set:
    ret
    .size memset, . - memset
