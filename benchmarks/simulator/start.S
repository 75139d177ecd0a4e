  .globl _start, htvm_done
_start:
  la sp, htvm_stack_top
  call main
htvm_done:
  j htvm_done
