// SPDX-License-Identifier: Apache-2.0
//
// Runs a program on CV32E40P: IMAGE BASE SIZE START DONE MOST_CYCLES OUT. The file IMAGE is what memory holds from
// address BASE on, SIZE bytes. Prints the cycles from the issue of the instruction at START to that at DONE, and the
// instructions between; writes the memory to OUT. Memory has no wait states: an answer comes in the cycle after.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "Vcore.h"
#include "verilated.h"

namespace {

struct Port {
    bool valid = false;
    uint32_t word = 0;
};

uint32_t masked(uint32_t old, uint32_t word, uint32_t enables)
{
    uint32_t mask = 0;
    for (int byte = 0; byte < 4; byte++) {
        if (enables >> byte & 1) {
            mask |= 0xFFu << 8 * byte;
        }
    }
    return (old & ~mask) | (word & mask);
}

int failed(const char *what, uint64_t number)
{
    std::fprintf(stderr, "%s 0x%" PRIx64 "\n", what, number);
    return 1;
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 8) {
        return failed("expected 7 arguments, got", static_cast<uint64_t>(argc - 1));
    }
    const auto number = [argv](int i) { return std::strtoull(argv[i], nullptr, 0); };
    const uint32_t base = number(2), size = number(3), start = number(4), done = number(5);
    const uint64_t most = number(6);
    std::vector<uint32_t> memory(size / 4);
    std::FILE *file = std::fopen(argv[1], "rb");
    if (!file || std::fread(memory.data(), 1, size, file) != size) {
        return failed("the image has not", size);
    }
    std::fclose(file);

    Vcore core;
    core.boot = start;
    Port instruction, data;
    uint64_t first = 0, instructions = 0;
    bool has_begun = false;
    for (uint64_t cycle = 0; cycle < most; cycle++) {
        core.rst_n = cycle >= 4;
        core.i_rvalid = instruction.valid, core.i_rdata = instruction.word;
        core.d_rvalid = data.valid, core.d_rdata = data.word;
        core.clk = 0;
        core.eval();
        if (core.rst_n && core.issue) {
            if (!has_begun && core.issue_pc == start) {
                has_begun = true;
                first = cycle;
            }
            if (core.issue_pc == done) {
                std::printf("%" PRIu64 " %" PRIu64 "\n", cycle - first, instructions);
                file = std::fopen(argv[7], "wb");
                return !file || std::fwrite(memory.data(), 1, size, file) != size || std::fclose(file);
            }
            instructions++;
        }
        instruction.valid = core.rst_n && core.i_req;
        if (instruction.valid) {
            const uint32_t at = core.i_addr - base;  // what is fetched ahead may lie outside
            instruction.word = at < size ? memory[at >> 2] : 0;
        }
        data.valid = core.rst_n && core.d_req;
        if (data.valid) {
            const uint32_t at = core.d_addr - base;
            if (at >= size) {
                return failed("access outside memory, at", core.d_addr);
            }
            uint32_t &word = memory[at >> 2];
            data.word = word;
            if (core.d_we) {
                word = masked(word, core.d_wdata, core.d_be);
            }
        }
        core.clk = 1;
        core.eval();
    }
    return failed("not done after so many cycles:", most);
}
