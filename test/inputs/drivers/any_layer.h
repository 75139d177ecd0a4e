#ifndef ANY_LAYER_H
#define ANY_LAYER_H

#include "htvm_conv2d.h"

/* Compute a conv2d or dense layer of bytes. scratch: 4 bytes for each output channel of a group. weights: [K][C][R][S]. */
void any_layer(const htvm_conv2d_layer *layer, const int8_t *x, const int8_t *weights, const void *scales, void *scratch,
               int8_t *y, htvm_output output);

#endif
