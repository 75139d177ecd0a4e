#!/bin/sh
# Build the simulator of NE16's RTL. Usage: build.sh SOURCES OUT_DIR
# SOURCES holds checkouts of pulp-platform's ne16 (6bd7272), hwpe-stream (v1.6.4), hwpe-ctrl (v1.6.1) and hci (v1.0.6),
# one folder each; nothing of them is copied here. Verilator 5.006.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sources=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
stream=$sources/hwpe-stream/rtl ctrl=$sources/hwpe-ctrl/rtl hci=$sources/hci/rtl ne16=$sources/ne16/rtl
files="$stream/hwpe_stream_package.sv $ctrl/hwpe_ctrl_package.sv $hci/common/hci_package.sv $ne16/ne16_package.sv
$stream/hwpe_stream_interfaces.sv $ctrl/hwpe_ctrl_interfaces.sv $hci/common/hci_interfaces.sv
$stream/basic/*.sv $stream/fifo/*.sv $stream/streamer/*.sv
$ctrl/hwpe_ctrl_regfile.sv $ctrl/hwpe_ctrl_regfile_latch.sv $ctrl/hwpe_ctrl_regfile_latch_test_wrap.sv
$ctrl/hwpe_ctrl_seq_mult.sv $ctrl/hwpe_ctrl_slave.sv $ctrl/hwpe_ctrl_uloop.sv
$hci/core/hci_core_assign.sv $hci/core/hci_core_fifo.sv $hci/core/hci_core_mux_static.sv $hci/core/hci_core_r_valid_filter.sv
$hci/core/hci_core_sink.sv $hci/core/hci_core_source.sv
$ne16/accumulator/*.sv $ne16/input_buffer/*.sv $ne16/array/*.sv $ne16/ctrl/*.sv
$ne16/ne16_engine.sv $ne16/ne16_streamer.sv $ne16/ne16_top.sv $ne16/ne16_top_wrap.sv"
# shellcheck disable=SC2086
verilator --cc --exe --build -sv -O3 -CFLAGS -O2 --x-assign 0 --x-initial 0 --no-assert --no-timing \
  -Wno-fatal -Wno-lint -Wno-style -Wno-COMBDLY -Wno-BLKANDNBLK -Wno-WIDTHCONCAT -Wno-MULTIDRIVEN \
  --top-module ne16_top_wrap --Mdir "$out" -I"$stream" -I"$ctrl" -I"$hci/common" \
  $files "$here/clock_gates.sv" "$here/bench.cpp"
