# Start code of a measured program, and the functions that open its regions.
#
# Each is a store to the marker address, at the function's first instruction: so the cycles from one marker to the
# next are those from entering one function to entering the next. REGIONS is how many there are.
  .section .text.start, "ax"
  .globl _start, htvm_done
_start:
  la sp, htvm_stack_top
  la gp, _start
  li s1, 0x10000000
  call main
  sw s1, 4(s1)
htvm_done:
  j htvm_done

  .altmacro
  .macro region number
  .globl htvm_step_\number
htvm_step_\number:
#ifdef KEEP_REGISTERS
  sw s1, 0(s1)
#else
  lui t0, 0x10000
  sw t0, 0(t0)
#endif
  ret
  .endm

  .text
  .set next, 0
  .rept REGIONS
  region %next
  .set next, next + 1
  .endr
