// The clock gates that NE16's RTL expects from a technology library, as latches.
module cluster_clock_gating (input logic clk_i, input logic en_i, input logic test_en_i, output logic clk_o);
  logic open;
  always_latch if (!clk_i) open = en_i | test_en_i;
  assign clk_o = clk_i & open;
endmodule

module tc_clk_gating (input logic clk_i, input logic en_i, input logic test_en_i, output logic clk_o);
  cluster_clock_gating gate (.clk_i, .en_i, .test_en_i, .clk_o);
endmodule
