// Runs a program on the RTL of tb.sv with memories that never wait: an access is granted in the cycle of its request,
// and answered one cycle later. Usage: Vtb IMAGE.bin [MAX_CYCLES]
//
// Prints "CYCLE INSTRUCTIONS" for each store to 0x10000000: the cycle in which the store leaves the ID stage, and how
// many instructions have left it before. A store to 0x10000004 ends the run.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "Vtb.h"
#include "verilated.h"

int main(int argc, char **argv) {
  const uint32_t size = 1u << 21, boot = 0x80, marker = 0x10000000, end = 0x10000004;
  std::vector<uint32_t> memory(size / 4, 0);
  FILE *image = argc > 1 ? fopen(argv[1], "rb") : nullptr;
  if (!image || !fread(reinterpret_cast<char *>(memory.data()) + boot, 1, size - boot, image)) return 2;
  fclose(image);
  const uint64_t limit = argc > 2 ? strtoull(argv[2], nullptr, 0) : 200000000;

  Vtb top;
  top.i_gnt = top.d_gnt = 1;
  bool fetched = false, answered = false;
  uint32_t fetched_word = 0, answer = 0;
  uint64_t instructions = 0;
  for (uint64_t cycle = 0; cycle < limit; ++cycle) {
    top.rst_n = cycle >= 4;
    top.i_rvalid = fetched;
    top.i_rdata = fetched_word;
    top.d_rvalid = answered;
    top.d_rdata = answer;
    top.clk = 0;
    top.eval();
    if (top.rst_n && top.issue) {
      const uint32_t insn = top.issue_insn, offset = uint32_t(int32_t(insn) >> 25 << 5) | (insn >> 7 & 31);
      if ((insn & 0x7f) == 0x23 && top.issue_a + offset == marker)
        printf("%llu %llu\n", (unsigned long long)cycle, (unsigned long long)instructions);
      ++instructions;
    }
    fetched = top.rst_n && top.i_req;
    if (fetched) fetched_word = top.i_addr < size ? memory[top.i_addr / 4] : 0;
    answered = top.rst_n && top.d_req;
    if (answered && top.d_addr < size) {
      uint32_t &word = memory[top.d_addr / 4];
      answer = word;
      if (top.d_we)
        for (int byte = 0; byte < 4; ++byte)
          if (top.d_be >> byte & 1) word = (word & ~(0xffu << 8 * byte)) | (top.d_wdata & 0xffu << 8 * byte);
    } else if (answered && top.d_addr == end) {
      return 0;
    } else if (answered && top.d_addr != marker) {
      fprintf(stderr, "access to 0x%08x in cycle %llu\n", top.d_addr, (unsigned long long)cycle);
      return 1;
    }
    top.clk = 1;
    top.eval();
  }
  fprintf(stderr, "no end after %llu cycles\n", (unsigned long long)limit);
  return 1;
}
