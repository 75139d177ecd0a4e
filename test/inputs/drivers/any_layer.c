#include "any_layer.h"

/* Return the sum of an output element. x: the first channel of the group. weights: of the output channel. */
static int32_t sum_at(const htvm_conv2d_layer *layer, const int8_t *x, const int8_t *weights, int32_t row, int32_t column)
{
    int32_t sum = 0;

    for (int32_t c = 0; c < layer->in_channels; c++) {
        for (int32_t r = 0; r < layer->kernel_h; r++) {
            for (int32_t s = 0; s < layer->kernel_w; s++) {
                const int32_t h = row * layer->stride_h + r - layer->pad_top;
                const int32_t w = column * layer->stride_w + s - layer->pad_left;
                const int inside = h >= 0 && h < layer->in_height && w >= 0 && w < layer->in_width;

                sum += *weights++ * (inside ? x[c * layer->x_c + h * layer->x_h + w * layer->x_w] : layer->pad_value);
            }
        }
    }
    return sum;
}

void any_layer(const htvm_conv2d_layer *layer, const int8_t *x, const int8_t *weights, const void *scales, void *scratch,
               int8_t *y, htvm_output output)
{
    const int32_t outputs = layer->out_channels, taps = layer->in_channels * layer->kernel_h * layer->kernel_w;
    int32_t *const sums = scratch;

    for (int32_t place = 0; place < layer->groups * layer->out_height * layer->out_width; place++) {
        const int32_t column = place % layer->out_width, row = place / layer->out_width % layer->out_height;
        const int32_t group = place / layer->out_width / layer->out_height;

        for (int32_t k = 0; k < outputs; k++) {
            const int8_t *const own = x + group * layer->in_channels * layer->x_c;

            sums[k] = sum_at(layer, own, weights + (group * outputs + k) * taps, row, column);
        }
        for (int32_t k = 0; k < outputs; k++) {
            const int32_t channel = group * outputs + k;
            const int32_t value = htvm_requantize(sums[k], scales, channel, output, layer->requant);

            y[row * layer->y_h + column * layer->y_w + channel * layer->y_c] = (int8_t)value;
        }
    }
}
