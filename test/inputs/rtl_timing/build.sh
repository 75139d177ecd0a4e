#!/bin/sh
# Build the RTL simulator. Usage: build.sh RTL_DIR OUT_DIR
# RTL_DIR is the folder `system_verilog` of the Python package pythondata-cpu-cv32e40p; nothing of it is copied here.
set -eu
rtl=$1/rtl
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
units="if_stage cs_registers register_file_ff load_store_unit id_stage aligner decoder
compressed_decoder fifo prefetch_buffer hwloop_regs mult int_controller ex_stage alu_div alu ff_one
popcnt apu_disp controller obi_interface prefetch_controller sleep_unit core top"
files="$rtl/include/cv32e40p_apu_core_pkg.sv $rtl/include/cv32e40p_fpu_pkg.sv $rtl/include/cv32e40p_pkg.sv"
for unit in $units; do files="$files $rtl/cv32e40p_$unit.sv"; done
# BLKANDNBLK: constant and clocked elements of one performance-counter array; COMBDLY: clock-gate latch.
verilator --cc --exe --build -sv -O3 -CFLAGS -O2 --x-assign 0 --x-initial 0 \
  -Wno-fatal -Wno-lint -Wno-style -Wno-COMBDLY -Wno-BLKANDNBLK -Wno-WIDTHCONCAT \
  --top-module tb --Mdir "$out" -I"$rtl/include" \
  $files "$1/bhv/cv32e40p_sim_clock_gate.sv" "$here/tb.sv" "$here/tb.cpp"
