/* Starts jobs of an array whose registers are not htvm's: for tests. */
#ifndef OWN_START_H
#define OWN_START_H

#include "htvm_soc.h"

enum { OWN_WORDS = HTVM_JOB_WORDS - 5, OWN_FIELDS = 0x40, OWN_PLACES = 0x10, OWN_GO = 0x80 };

static inline void own_start(uintptr_t unit, const uint32_t *descriptor, uint32_t input, uint32_t second,
                             uint32_t weights, uint32_t sums, uint32_t output)
{
    const uint32_t places[] = {input, second, weights, sums, output};

    htvm_barrier();
    for (unsigned word = 0; word < OWN_WORDS; ++word)
        *htvm_register(unit, OWN_FIELDS + 4 * word) = descriptor[word];
    for (unsigned place = 0; place < 5; ++place)
        *htvm_register(unit, OWN_PLACES + 4 * place) = places[place];
    *htvm_register(unit, OWN_GO) = 1;
}

#endif
