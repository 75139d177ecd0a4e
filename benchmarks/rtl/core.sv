// SPDX-License-Identifier: Apache-2.0
//
// CV32E40P as plain RV32IMC, its two memory ports, and a tap on the ID stage: `issue` is high for one cycle for each
// instruction executed, in the cycle in which it leaves ID; `issue_pc` is its address then.
module core (
    input  logic        clk,
    input  logic        rst_n,
    input  logic [31:0] boot,
    output logic        i_req,
    output logic [31:0] i_addr,
    input  logic        i_rvalid,
    input  logic [31:0] i_rdata,
    output logic        d_req,
    output logic        d_we,
    output logic [ 3:0] d_be,
    output logic [31:0] d_addr,
    output logic [31:0] d_wdata,
    input  logic        d_rvalid,
    input  logic [31:0] d_rdata,
    output logic        issue,
    output logic [31:0] issue_pc
);

  cv32e40p_top #(
      .COREV_PULP(0), .COREV_CLUSTER(0), .FPU(0), .ZFINX(0), .NUM_MHPMCOUNTERS(1)
  ) dut (
      .clk_i(clk), .rst_ni(rst_n), .pulp_clock_en_i(1'b0), .scan_cg_en_i(1'b0),
      .boot_addr_i(boot), .mtvec_addr_i(32'h0), .dm_halt_addr_i(32'h0),
      .hart_id_i(32'h0), .dm_exception_addr_i(32'h0),
      .instr_req_o(i_req), .instr_gnt_i(1'b1), .instr_rvalid_i(i_rvalid),
      .instr_addr_o(i_addr), .instr_rdata_i(i_rdata),
      .data_req_o(d_req), .data_gnt_i(1'b1), .data_rvalid_i(d_rvalid), .data_we_o(d_we),
      .data_be_o(d_be), .data_addr_o(d_addr), .data_wdata_o(d_wdata), .data_rdata_i(d_rdata),
      .irq_i(32'h0), .irq_ack_o(), .irq_id_o(),
      .debug_req_i(1'b0), .debug_havereset_o(), .debug_running_o(), .debug_halted_o(),
      .fetch_enable_i(1'b1), .core_sleep_o()
  );

  assign issue    = dut.core_i.id_stage_i.minstret;
  assign issue_pc = dut.core_i.pc_id;
endmodule
