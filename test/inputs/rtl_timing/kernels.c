// Compiled kernels, the kinds of code that a network and its surroundings consist of. Region n of the measurement is
// what runs between the functions htvm_step_<2n> and htvm_step_<2n+1>; operands are filled outside.
#include <stdint.h>
void htvm_step_0(void), htvm_step_1(void), htvm_step_2(void), htvm_step_3(void), htvm_step_4(void), htvm_step_5(void);
void htvm_step_6(void), htvm_step_7(void), htvm_step_8(void), htvm_step_9(void), htvm_step_10(void), htvm_step_11(void);
void htvm_step_12(void), htvm_step_13(void), htvm_step_14(void), htvm_step_15(void), htvm_step_16(void), htvm_step_17(void);
void htvm_step_18(void), htvm_step_19(void), htvm_step_20(void), htvm_step_21(void);
#define KERNEL __attribute__((noinline, noclone))

void *memset(void *to, int value, uint32_t n) {  // gcc -Os calls it
  for (uint8_t *p = to; n--; ++p) { *p = (uint8_t)value; __asm__ volatile("" ::: "memory"); }
  return to;
}

static uint32_t seed = 12345;
static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u; }
static void fill(void *to, int n) { int8_t *p = to; while (n--) *p++ = (int8_t)(next() >> 24); }

static int8_t a[4096], b[8192], w[4096], out[8192];
static int32_t wide[1024], bias[64];
static uint32_t table[256];
static uint16_t shorts[2048];

// 4 rows by 2 columns of accumulators.
KERNEL void matmul_4x2(const int8_t *x, const int8_t *y, int32_t *z, int m, int n, int k) {
  for (int i = 0; i < m; i += 4)
    for (int j = 0; j < n; j += 2) {
      int32_t s[8] = {0};
      const int8_t *x0 = x + i * k, *x1 = x0 + k, *x2 = x1 + k, *x3 = x2 + k;
      const int8_t *y0 = y + j * k, *y1 = y0 + k;
      for (int l = 0; l < k; ++l) {
        int32_t u = y0[l], v = y1[l];
        s[0] += x0[l] * u; s[1] += x0[l] * v; s[2] += x1[l] * u; s[3] += x1[l] * v;
        s[4] += x2[l] * u; s[5] += x2[l] * v; s[6] += x3[l] * u; s[7] += x3[l] * v;
      }
      for (int r = 0; r < 4; ++r) { z[(i + r) * n + j] = s[2 * r]; z[(i + r) * n + j + 1] = s[2 * r + 1]; }
    }
}

static inline int8_t requantize(int32_t v, int32_t factor, int shift) {
  int64_t product = (int64_t)v * factor + (1ll << 30);
  int32_t high = (int32_t)(product >> 31);
  int32_t rounded = (high + (1 << (shift - 1))) >> shift;
  return rounded > 127 ? 127 : rounded < -128 ? -128 : rounded;
}

// 3x3, padding 1, HWC.
KERNEL void conv_3x3(const int8_t *x, const int8_t *k, int8_t *z, int h, int wd, int ci, int co) {
  for (int y = 0; y < h; ++y)
    for (int c = 0; c < wd; ++c)
      for (int o = 0; o < co; ++o) {
        int32_t s = bias[o];
        for (int dy = -1; dy <= 1; ++dy) {
          if (y + dy < 0 || y + dy >= h) continue;
          for (int dx = -1; dx <= 1; ++dx) {
            if (c + dx < 0 || c + dx >= wd) continue;
            const int8_t *p = x + ((y + dy) * wd + c + dx) * ci;
            const int8_t *q = k + ((o * 3 + dy + 1) * 3 + dx + 1) * ci;
            for (int i = 0; i < ci; ++i) s += p[i] * q[i];
          }
        }
        z[(y * wd + c) * co + o] = requantize(s, 1518500250, 7);
      }
}

KERNEL void depthwise_3x3(const int8_t *x, const int8_t *k, int8_t *z, int h, int wd, int ch) {
  for (int y = 1; y < h - 1; ++y)
    for (int c = 1; c < wd - 1; ++c)
      for (int o = 0; o < ch; ++o) {
        int32_t s = bias[o];
        for (int dy = 0; dy < 3; ++dy)
          for (int dx = 0; dx < 3; ++dx)
            s += x[((y + dy - 1) * wd + c + dx - 1) * ch + o] * k[(dy * 3 + dx) * ch + o];
        z[(y * wd + c) * ch + o] = requantize(s, 1718500250, 6);
      }
}

KERNEL void requantize_all(const int32_t *x, int8_t *z, int n) {
  for (int i = 0; i < n; ++i) z[i] = requantize(x[i], 1318500250, 20);
}

KERNEL void copy_bytes(int8_t *z, const int8_t *x, int n) {
  for (int i = 0; i < n; ++i) { z[i] = x[i]; __asm__ volatile("" ::: "memory"); }
}
// Words at a possibly odd address: the core splits the misaligned ones.
KERNEL void copy_words(int8_t *z, const int8_t *x, int n) {
  for (int i = 0; i + 16 <= n; i += 16) {
    uint32_t v0, v1, v2, v3;
    __asm__ volatile("lw %0,0(%4)\n lw %1,4(%4)\n lw %2,8(%4)\n lw %3,12(%4)"
                     : "=&r"(v0), "=&r"(v1), "=&r"(v2), "=&r"(v3) : "r"(x + i) : "memory");
    uint32_t *to = (uint32_t *)(z + i);
    to[0] = v0; to[1] = v1; to[2] = v2; to[3] = v3;
  }
}
KERNEL void set_words(uint32_t *z, uint32_t v, int n) {
  for (int i = 0; i < n; ++i) { z[i] = v; __asm__ volatile("" ::: "memory"); }
}

KERNEL void softmax_table(const int8_t *x, int8_t *z, int rows, int n) {
  for (int r = 0; r < rows; ++r, x += n, z += n) {
    int max = -128;
    for (int i = 0; i < n; ++i) if (x[i] > max) max = x[i];
    uint32_t sum = 0;
    for (int i = 0; i < n; ++i) sum += table[max - x[i]];
    uint32_t inverse = 0xffffffffu / (sum >> 8);
    for (int i = 0; i < n; ++i) {
      uint32_t p = (uint32_t)(((uint64_t)table[max - x[i]] * inverse) >> 32);
      z[i] = (int8_t)((p > 255 ? 255 : p) - 128);
    }
  }
}

KERNEL void average_pool(const int8_t *x, int8_t *z, int h, int wd, int ch) {
  for (int y = 0; y < h; y += 2)
    for (int c = 0; c < wd; c += 2)
      for (int o = 0; o < ch; ++o) {
        int s = 0, n = 0;
        for (int dy = 0; dy < 3; ++dy)
          for (int dx = 0; dx < 3; ++dx)
            if (y + dy < h && c + dx < wd) { s += x[((y + dy) * wd + c + dx) * ch + o]; ++n; }
        z[(y * wd / 2 + c) / 2 * ch + o] = s >= 0 ? (s + n / 2) / n : -((-s + n / 2) / n);
      }
}

// Control code of CoreMark's three kinds: a linked list, a state machine, a bitwise checksum.
struct node { struct node *next; int16_t key, value; };
static struct node pool[128];
static int by_key(const struct node *p, const struct node *q) { return p->key - q->key; }
static int by_value(const struct node *p, const struct node *q) { return p->value - q->value; }

KERNEL struct node *sort_list(struct node *list, int (*order)(const struct node *, const struct node *)) {
  for (int size = 1;; size *= 2) {
    struct node *p = list, *tail = 0;
    int merges = 0;
    list = 0;
    while (p) {
      ++merges;
      struct node *q = p;
      int left = 0, right = size;
      for (int i = 0; i < size && q; ++i) { ++left; q = q->next; }
      while (left > 0 || (right > 0 && q)) {
        struct node *e;
        if (!left || (right && q && order(p, q) > 0)) { e = q; q = q->next; --right; }
        else { e = p; p = p->next; --left; }
        if (tail) tail->next = e; else list = e;
        tail = e;
      }
      p = q;
    }
    tail->next = 0;
    if (merges <= 1) return list;
  }
}

KERNEL int scan_numbers(const char *text, int *counts) {
  int state = 0, changes = 0;
  for (; *text; ++text) {
    int c = *text, was = state;
    if (c == ',') { ++counts[state]; state = 0; continue; }
    switch (state) {
      case 0: state = c == '+' || c == '-' ? 1 : c == '.' ? 3 : c >= '0' && c <= '9' ? 2 : 6; break;
      case 1: state = c == '.' ? 3 : c >= '0' && c <= '9' ? 2 : 6; break;
      case 2: state = c == '.' ? 3 : c >= '0' && c <= '9' ? 2 : 6; break;
      case 3: state = c == 'e' || c == 'E' ? 4 : c >= '0' && c <= '9' ? 3 : 6; break;
      case 4: state = c == '+' || c == '-' ? 5 : 6; break;
      case 5: state = c >= '0' && c <= '9' ? 5 : 6; break;
      default: break;
    }
    changes += state != was;
  }
  return changes;
}

KERNEL uint16_t checksum(const int8_t *x, int n) {
  uint16_t crc = 0xffff;
  for (int i = 0; i < n; ++i) {
    crc ^= (uint8_t)x[i];
    for (int k = 0; k < 8; ++k) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return crc;
}

// Integer work with divisions: digits, greatest common divisors, a sieve with calls.
KERNEL uint32_t gcd(uint32_t p, uint32_t q) { while (q) { uint32_t r = p % q; p = q; q = r; } return p; }
KERNEL int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

volatile int sink;
int main(void) {
  static const char text[] = "+1.5e+3,-12,77,.5,3.e-1,abc,12x,99999,-.25E+10,+,4.4.4,0";
  fill(a, sizeof a); fill(b, sizeof b); fill(w, sizeof w); fill(shorts, sizeof shorts);
  for (int i = 0; i < 64; ++i) bias[i] = (int32_t)next() >> 20;
  for (int i = 0; i < 1024; ++i) wide[i] = (int32_t)next();
  for (int i = 0; i < 256; ++i) table[i] = 0x7fffffu >> (i / 12);

  htvm_step_0(); matmul_4x2(a, b, wide, 16, 16, 64); htvm_step_1();
  htvm_step_2(); conv_3x3(a, w, out, 8, 8, 16, 8); htvm_step_3();
  htvm_step_4(); depthwise_3x3(a, w, out, 10, 10, 16); htvm_step_5();
  htvm_step_6(); requantize_all(wide, out, 1024); htvm_step_7();
  htvm_step_8(); copy_bytes(out, a, 4096); copy_words(out, a, 4096); htvm_step_9();
  htvm_step_10(); copy_words(out, a + 1, 4080); htvm_step_11();
  htvm_step_12(); set_words(table + 200, 0, 56); set_words((uint32_t *)out, 0x01010101, 1024); htvm_step_13();
  for (int i = 0; i < 256; ++i) table[i] = 0x7fffffu >> (i / 12);
  htvm_step_14(); softmax_table(a, out, 16, 64); htvm_step_15();
  htvm_step_16(); average_pool(a, out, 10, 10, 16); htvm_step_17();
  for (int i = 0; i < 128; ++i) { pool[i].next = i < 127 ? pool + i + 1 : 0; pool[i].key = next() >> 16; pool[i].value = next() >> 16; }
  htvm_step_18();
  struct node *list = sort_list(pool, by_key);
  list = sort_list(list, by_value);
  int counts[8] = {0}, total = 0;
  for (int i = 0; i < 20; ++i) total += scan_numbers(text, counts);
  total += checksum(a, 1024);
  htvm_step_19();
  sink = total + list->key;
  htvm_step_20();
  total = fibonacci(15);
  for (int i = 1; i < 60; ++i) total += gcd(shorts[i] + 1, shorts[i + 1] + 1);
  htvm_step_21();
  sink = total;
  return 0;
}
