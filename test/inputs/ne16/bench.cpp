// Plays commands on the RTL of NE16 (build.sh): a memory that grants an access of 9 words in the cycle of its request
// and answers one cycle later, and the configuration port, which takes an access a cycle.
//
// Commands on the standard input, one a line; numbers are hexadecimal:
//   reset                  reset NE16; the memory keeps its bytes
//   fill ADDRESS BYTES     bytes to memory, two digits each
//   write REGISTER VALUE   one access to the configuration port; REGISTER is a word index
//   wait COUNT LIMIT       until COUNT events have come since the last wait, at most LIMIT cycles
//   run CYCLES             let cycles pass
//   dump ADDRESS SIZE      print bytes of the memory
// `wait` prints, for each event, its cycle minus that of the last write to TRIGGER: "event CYCLES"; at the limit "hang".
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>
#include "Vne16_top_wrap.h"
#include "verilated.h"

namespace {

const uint32_t size = 1u << 21, words = 9, trigger = 0;
std::vector<uint8_t> memory(size, 0);
Vne16_top_wrap top;
uint64_t now = 0, triggered = 0;
bool answered = false;
uint32_t answer[words];
std::vector<uint64_t> events;

uint32_t word(uint32_t address) {
  uint32_t value = 0;
  for (int byte = 3; byte >= 0; --byte) value = value << 8 | (address + byte < size ? memory[address + byte] : 0);
  return value;
}

void cycle() {
  top.clk_i = 0;
  top.tcdm_gnt = 0;
  top.tcdm_r_valid = answered ? (1 << words) - 1 : 0;
  for (uint32_t n = 0; n < words; ++n) top.tcdm_r_data[n] = answer[n];
  top.eval();
  const bool asked = top.rst_ni && (top.tcdm_req & 1);
  top.tcdm_gnt = asked ? (1 << words) - 1 : 0;  // a grant without a request would lose an answer
  top.eval();
  answered = asked;
  for (uint32_t n = 0; asked && n < words; ++n) {
    const uint32_t address = top.tcdm_add[n];
    answer[n] = word(address);
    if (top.tcdm_wen >> n & 1) continue;
    const uint32_t enabled = uint32_t(top.tcdm_be >> 4 * n) & 15;
    for (int byte = 0; byte < 4; ++byte)
      if ((enabled >> byte & 1) && address + byte < size) memory[address + byte] = top.tcdm_data[n] >> 8 * byte & 255;
  }
  if (top.rst_ni && top.evt_o & 1) events.push_back(now);
  top.clk_i = 1;
  top.eval();
  ++now;
}

void reset() {
  top.rst_ni = 0;
  top.periph_req = 0;
  for (int n = 0; n < 4; ++n) cycle();
  top.rst_ni = 1;
  for (int n = 0; n < 4; ++n) cycle();
  events.clear();
}

void write(uint32_t reg, uint32_t value) {
  top.periph_req = 1;
  top.periph_add = 4 * reg;
  top.periph_wen = 0;
  top.periph_be = 15;
  top.periph_data = value;
  top.periph_id = 1;
  if (reg == trigger) triggered = now;
  cycle();
  top.periph_req = 0;
}

}  // namespace

int main() {
  std::string line;
  reset();
  while (std::getline(std::cin, line)) {
    std::istringstream in(line);
    std::string command, bytes;
    uint64_t first = 0, second = 0;
    in >> command >> std::hex;
    if (command == "reset") {
      reset();
    } else if (command == "fill" && in >> first >> bytes) {
      for (size_t n = 0; n + 1 < bytes.size(); n += 2) memory.at(first + n / 2) = std::stoi(bytes.substr(n, 2), nullptr, 16);
    } else if (command == "write" && in >> first >> second) {
      write(uint32_t(first), uint32_t(second));
    } else if (command == "wait" && in >> first >> second) {
      for (; events.size() < first && second; --second) cycle();
      for (uint64_t event : events) printf("event %lld\n", (long long)(event - triggered));
      if (events.size() < first) printf("hang\n");
      events.clear();
    } else if (command == "run" && in >> first) {
      for (; first; --first) cycle();
    } else if (command == "dump" && in >> first >> second) {
      for (; second; --second) printf("%02x", memory.at(first++));
      printf("\n");
    } else {
      fprintf(stderr, "unknown command: %s\n", line.c_str());
      return 2;
    }
  }
  return 0;
}
