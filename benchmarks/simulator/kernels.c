/* Loops like those of a network: what the simulator spends its time on. KERNEL picks one, ROUNDS says how often. */
#include <stdint.h>

int8_t image[32 * 32 * 16], weights[16 * 3 * 3 * 16], result[32 * 32 * 16];
int32_t wide[1024], more[1024], products[16];

/* int8 dot products, two by two, as in a matrix product. */
__attribute__((unused)) static void matmul(void) {
  for (int row = 0; row < 64; row += 2)
    for (int column = 0; column < 16; column += 2) {
      const int8_t *x = image + row * 64, *y = weights + column * 64;
      int32_t a = 0, b = 0, c = 0, d = 0;
      for (int k = 0; k < 64; ++k) {
        a += x[k] * y[k];
        b += x[k] * y[k + 64];
        c += x[k + 64] * y[k];
        d += x[k + 64] * y[k + 64];
      }
      products[column] = a + d;
      products[column + 1] = b + c;
    }
}

/* 3x3 convolution of 16 channels with requantisation, the plain loop nest. */
__attribute__((unused)) static void conv2d(void) {
  for (int y = 1; y < 31; ++y)
    for (int x = 1; x < 31; ++x)
      for (int k = 0; k < 16; ++k) {
        int32_t sum = 0;
        for (int r = 0; r < 3; ++r)
          for (int s = 0; s < 3; ++s)
            for (int c = 0; c < 16; ++c)
              sum += image[((y + r - 1) * 32 + x + s - 1) * 16 + c] * weights[((k * 3 + r) * 3 + s) * 16 + c];
        int32_t scaled = (int32_t)(((int64_t)sum * 1318500250) >> 32) >> 4;
        result[(y * 32 + x) * 16 + k] = (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
      }
}

/* 3x3 depthwise convolution: short inner loops. */
__attribute__((unused)) static void depthwise(void) {
  for (int y = 1; y < 31; ++y)
    for (int x = 1; x < 31; ++x)
      for (int c = 0; c < 16; ++c) {
        int32_t sum = 0;
        for (int r = 0; r < 3; ++r)
          for (int s = 0; s < 3; ++s) sum += image[((y + r - 1) * 32 + x + s - 1) * 16 + c] * weights[(r * 3 + s) * 16 + c];
        result[(y * 32 + x) * 16 + c] = (int8_t)(sum >> 7);
      }
}

/* Words through several pointers: each of them is looked at for alignment. */
__attribute__((unused)) static void words(void) {
  for (int k = 0; k < 1024; ++k) wide[k] = wide[k] * 3 + more[k];
}

/* A division per element. */
__attribute__((unused)) static void divide(void) {
  for (int k = 0; k < 1024; ++k) wide[k] = more[k] / (k + 1);
}

int main(void) {
  for (int round = 0; round < ROUNDS; ++round) {
    KERNEL();
    __asm__ volatile("" ::: "memory");
  }
  return result[0] + (int)wide[0] + (int)products[0];
}
