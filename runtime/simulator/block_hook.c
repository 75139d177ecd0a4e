/* Counts instructions and cycles while Unicorn runs RISC-V code: two of its hooks, in C because they are called up to
 * a hundred million times a second.
 *
 * What a block costs is worked out by timing.py, once per block and carried instruction, and kept in records here.
 * This file only adds up: it finds the record of the block that is entered, settles the one that was left, and reads
 * the registers that cycles depend on. counter.py has the same structures in ctypes.
 *
 * Nothing is linked: Unicorn's functions come in as pointers.
 */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_ENTRY, AT_EXIT };                        /* of a term; else an address */
enum { SPLIT, BRANCHES, BRANCHES_TO_NEXT, JUMPS }; /* how a block ends */
enum { RUNNING, PAUSED, OUT_OF_CYCLES };

/* Cycles that depend on registers: of a division if `divisor` is not 0, else of accesses whose addresses share a residue
 * modulo 4, the sum of factor[k] * register[k]. */
struct term {
  uint32_t when;
  uint16_t cycles[4];
  uint8_t tail[4];
  uint8_t registers, reg[3], factor[3];
  uint8_t divisor, is_signed;
};

struct block {
  struct block *next; /* another one at the same address */
  uint32_t address, size, carry_in;
  uint32_t instructions, cycles;
  uint32_t ends;
  uint32_t carry_out[2]; /* by tail_misaligned */
  uint8_t taken[2][2];   /* by tail_misaligned, and by whether the target is unaligned */
  uint8_t unaligned;
  uint8_t condition, rs1, rs2; /* of BRANCHES_TO_NEXT: funct3 and the registers compared */
  int32_t step;                /* that starts here, or -1 */
  uint32_t terms;
  const struct term *term; /* by `when`, in ascending order */
};

struct account {
  uint64_t instructions, cycles;
};

struct counter {
  /* Set once. */
  int (*reg_read)(void *machine, int reg, void *value);
  int (*emu_stop)(void *machine);
  struct block *(*analyse)(uint32_t address, uint32_t size, uint32_t carry); /* NULL: pause before the block */
  int x0;                                                                    /* Unicorn's number of register x0 */
  uint32_t code_base, code_bytes;
  struct block **table;     /* of the code, by half word */
  struct account *accounts; /* start-up, then one per step */
  /* Of a run. */
  struct account *account;
  const struct block *current;
  uint64_t max_cycles;   /* of the run; no block is entered after more */
  uint64_t other_cycles; /* of all accounts but the one that is charged */
  uint32_t carry;        /* 0: entered by a jump */
  uint32_t next_term;    /* of the current block: those before it are added */
  uint8_t settled, taken, tail_misaligned;
  int32_t status;
};

/* The signal that has arrived since htvm_hold_interrupts, or 0: the machine stops before its next block. */
static volatile sig_atomic_t held;
static struct sigaction held_action; /* what the signal did before */

static void hold(int number) { held = number; }

/* Keep SIGINT from Python while a machine runs, whose callbacks no exception may leave. */
void htvm_hold_interrupts(void) {
  struct sigaction action = {0};
  action.sa_handler = hold;
  sigemptyset(&action.sa_mask);
  held = 0;
  sigaction(SIGINT, &action, &held_action);
}

/* Give SIGINT back. Returns the signal that has arrived meanwhile, or 0. */
int htvm_release_interrupts(void) {
  sigaction(SIGINT, &held_action, NULL);
  int number = held;
  held = 0;
  return number;
}

static uint32_t read_register(const struct counter *counter, void *machine, unsigned number) {
  uint32_t value = 0;
  counter->reg_read(machine, counter->x0 + (int)number, &value);
  return value;
}

static uint32_t leading_zeros(uint32_t value) { return value ? (uint32_t)__builtin_clz(value) : 32; }

static void add_term(struct counter *counter, void *machine, const struct term *term) {
  if (term->divisor) {
    uint32_t divisor = read_register(counter, machine, term->divisor);
    /* A negative signed divisor has its leading ones counted, less 1; the block has the 3 cycles of the shortest. */
    counter->account->cycles += term->is_signed && divisor >> 31 ? leading_zeros(~divisor) - 1 : leading_zeros(divisor);
    return;
  }
  uint32_t sum = 0;
  for (unsigned k = 0; k < term->registers; ++k) sum += term->factor[k] * read_register(counter, machine, term->reg[k]);
  counter->account->cycles += term->cycles[sum & 3];
  counter->tail_misaligned |= term->tail[sum & 3];
}

static void add_terms(struct counter *counter, void *machine, const struct block *block, uint32_t when) {
  for (uint32_t k = 0; k < block->terms && block->term[k].when <= when; ++k)
    if (block->term[k].when == when) add_term(counter, machine, &block->term[k]);
}

static int condition_holds(uint32_t condition, uint32_t a, uint32_t b) {
  int negated = condition & 1;
  switch (condition >> 1) {
    case 0:
      return (a == b) != negated;
    case 2:
      return ((int32_t)a < (int32_t)b) != negated;
    default:
      return (a < b) != negated;
  }
}

/* The block that was left is known to the end: how it went on to `address`, and what it hands on. */
static void settle(struct counter *counter, void *machine, uint32_t address) {
  const struct block *block = counter->current;
  if (!block) {
    counter->taken = 0;
    counter->carry = 0;
    return;
  }
  add_terms(counter, machine, block, AT_EXIT);
  switch (block->ends) {
    case SPLIT:
      counter->taken = 0;
      break;
    case BRANCHES:
      counter->taken = address != block->address + block->size;
      break;
    case BRANCHES_TO_NEXT:
      counter->taken = (uint8_t)condition_holds(block->condition, read_register(counter, machine, block->rs1),
                                                read_register(counter, machine, block->rs2));
      break;
    default:
      counter->taken = 1;
  }
  counter->carry = counter->taken ? 0 : block->carry_out[counter->tail_misaligned];
}

/* Unicorn's block hook. The run's end is entered too, as a block of no instructions. */
void htvm_enter_block(void *machine, uint64_t address64, uint32_t size, struct counter *counter) {
  uint32_t address = (uint32_t)address64;
  if (counter->status != RUNNING) return;
  if (held) {
    counter->status = PAUSED;
    counter->emu_stop(machine);
    return;
  }
  if (!counter->settled) settle(counter, machine, address);
  counter->settled = 1;

  struct block *block = NULL;
  if (address - counter->code_base < counter->code_bytes) block = counter->table[(address - counter->code_base) / 2];
  while (block && (block->carry_in != counter->carry || block->size != size)) block = block->next;
  if (!block) block = counter->analyse(address, size, counter->carry);
  if (!block) {
    counter->status = PAUSED;
    counter->emu_stop(machine);
    return;
  }
  if (counter->other_cycles + counter->account->cycles > counter->max_cycles) {
    counter->status = OUT_OF_CYCLES;
    counter->emu_stop(machine);
    return;
  }

  /* A jump is charged to the step that jumps, what follows it to the step that it may start. */
  if (counter->taken) counter->account->cycles += counter->current->taken[counter->tail_misaligned][block->unaligned];
  if (block->step >= 0) {
    counter->other_cycles += counter->account->cycles;
    counter->account = &counter->accounts[block->step + 1];
    counter->other_cycles -= counter->account->cycles;
  }
  counter->account->instructions += block->instructions;
  counter->account->cycles += block->cycles;
  counter->current = block;
  counter->settled = 0;
  counter->tail_misaligned = 0;
  counter->next_term = 0;
  add_terms(counter, machine, block, AT_ENTRY);
}

/* Unicorn's code hook, from the first to the last instruction of a block whose registers can be read neither before nor
 * after it: also on those between that have no term. Where hooks of two blocks overlap, a term is added by the first. */
void htvm_before_instruction(void *machine, uint64_t address, uint32_t size, struct counter *counter) {
  (void)size;
  const struct block *block = counter->current;
  if (!block || counter->settled) return;
  for (; counter->next_term < block->terms; ++counter->next_term) {
    const struct term *term = &block->term[counter->next_term];
    if (term->when > (uint32_t)address) return;
    if (term->when == (uint32_t)address) add_term(counter, machine, term);
  }
}
