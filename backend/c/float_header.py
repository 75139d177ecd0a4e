"""NAME_float.h: conversions between floats and the integers of a network, for callers that have floats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import frexp

import numpy as np

from htvm.dialects.semantics.float_conversion import LIMB_BITS, Conversion, conversion

from .names import comment_text
from .program import Port, Program

ROUNDING = """\
/* Return value / scale + zero_point as an integer, clamped: the nearest one, ties to even, which is exactly what
 * QuantizeLinear means, or with `to_floor` the largest one not above it.
 * (k + 0.5) * scale is exact in double for a float scale and the integers of 8 and 16 bits. NaN becomes the lowest. */
static inline int32_t {name}_quantize(float value, double scale, int32_t zero_point, int32_t lowest, int32_t highest,
                                      bool to_floor)
{{
    const double real = (double)value;
    int32_t k;

    if (!(real > (double)(lowest - zero_point) * scale)) {{
        return lowest;
    }}
    if (real >= (double)(highest - zero_point) * scale) {{
        return highest;
    }}
    k = (int32_t)(real / scale);
    while ((double)k * scale > real) {{
        k--;
    }}
    while ((double)(k + 1) * scale <= real) {{
        k++;
    }}
    if (to_floor) {{
        return k + zero_point;
    }}
    if (real > ((double)k + 0.5) * scale || (real >= ((double)k + 0.5) * scale && k % 2 != 0)) {{
        k++;
    }}
    return k + zero_point;
}}
"""

REAL = """\
/* How an integer becomes a float: (integer * factor + term) * unit, which is exact; both have 32 lower bits. */
typedef struct {{
    int32_t factor_high;
    uint32_t factor_low;
    int64_t term_high;
    uint32_t term_low;
    double unit;
}} {name}_conversion;

/* Return the float nearest to what an integer stands for, ties to even. */
static inline float {name}_nearest(int32_t integer, const {name}_conversion *to)
{{
    const uint64_t size = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    uint64_t low = size * to->factor_low;
    uint64_t high = size * (uint64_t)to->factor_high + (low >> 32);
    bool negative = false;
    double unit = to->unit;

    low &= 0xffffffffu;
    if (integer < 0) {{ /* two's complement of 64 + 32 bits */
        low = (0 - low) & 0xffffffffu;
        high = ~high + (low == 0 ? 1 : 0);
    }}
    low += to->term_low;
    high += (uint64_t)to->term_high + (low >> 32);
    low &= 0xffffffffu;
    if (high >> 63) {{
        negative = true;
        low = (0 - low) & 0xffffffffu;
        high = ~high + (low == 0 ? 1 : 0);
    }}
    /* Up to 52 bits in `high`, of which the last says whether anything is behind it: a double holds that, and its
     * rounding to float is that of the whole. */
    for (int i = 0; i < 32 && high < ((uint64_t)1 << 51); i++) {{
        low <<= 1;
        high = high << 1 | low >> 32;
        low &= 0xffffffffu;
        unit /= 2;
    }}
    while (high >= ((uint64_t)1 << 52)) {{
        low |= high & 1;
        high >>= 1;
        unit *= 2;
    }}
    high |= low != 0;
    return (float)((negative ? -(double)high : (double)high) * unit);
}}
"""


def float_header(program: Program) -> str | None:
    """Return NAME_float.h, a function for each input and output that is float32 in ONNX; None without any."""
    ports = [
        port
        for port in program.ports
        if port.onnx_type == "float32" and (port.scale is not None or port.channels is not None)
    ]
    if not ports:
        return None
    guard = f"{program.name.upper()}_FLOAT_H"
    functions = [dequantizer(program, port) if port.is_result else quantizer(program, port) for port in ports]
    shared = [] if all(port.is_result for port in ports) else [ROUNDING.format(name=program.name)]
    if any(port.is_result and conversions(port) for port in ports):
        shared.append(REAL.format(name=program.name))
    opening = (
        f"/* Floats for {program.name}, on a host that has them: what its ONNX file's inputs and outputs are. */\n"
        f'#ifndef {guard}\n#define {guard}\n\n#include <stdbool.h>\n\n#include "{program.name}.h"\n'
    )
    return "\n".join([opening, *shared, *functions, "#endif\n"])


def quantizer(program: Program, port: Port) -> str:
    macro = f"{program.name.upper()}_{port.name.upper()}"
    limits = np.iinfo(port.type.numpy)
    lowest, highest = port.range or (int(limits.min), int(limits.max))
    return (
        f"/* Convert the input '{comment_text(port.onnx_name)}'. */\n"
        f"static inline void {program.name}_{port.name}_from_float(const float *from, {port.type.c} *to)\n"
        "{\n"
        f"    for (int32_t i = 0; i < {macro}_ELEMENTS; i++) {{\n"
        f"        to[i] = ({port.type.c}){program.name}_quantize(from[i], {macro}_SCALE, {macro}_ZERO_POINT, "
        f"{lowest}, {highest}, {str(port.rounding == 'floor').lower()});\n"
        "    }\n"
        "}\n"
    )


def conversions(port: Port) -> list[Conversion]:
    """Return how the integers of each channel become floats; none where one float multiplication is exact."""
    if port.channels is not None:
        pairs = [*zip(map(Fraction, port.channels.scales), map(Fraction, port.channels.offsets), strict=True)]
    else:
        scale, zero_point = Fraction(port.scale or 1), port.zero_point or 0
        is_short = port.type.size_bytes < 4 and float(np.float32(scale)) == scale
        if is_short or (not zero_point and frexp(float(scale))[0] == 0.5):
            return []
        pairs = [(scale, -scale * zero_point)]
    found = [conversion(scale, offset) for scale, offset in pairs]
    if None in found:
        raise ValueError(f"'{port.onnx_name}' has a scale and an offset of different sizes")
    return [each for each in found if each is not None]


def exact_dequantizer(program: Program, port: Port, found: Sequence[Conversion]) -> str:
    """Return the function for an output whose floats 32 bits and one multiplication do not give."""
    macro = f"{program.name.upper()}_{port.name.upper()}"
    rows: list[str] = []
    for each in found:
        factor_high, factor_low, term_high, term_low = each.limbs()
        unit = float.hex(2.0 ** (each.exponent + LIMB_BITS))
        rows.append(f"        {{{factor_high}, {factor_low}u, INT64_C({term_high}), {term_low}u, {unit}}},\n")
    stride = f"i / {macro}_CHANNEL_STRIDE % {macro}_CHANNELS" if port.channels is not None else "0"
    return (
        f"/* Convert the output '{comment_text(port.onnx_name)}': the floats nearest to its numbers. */\n"
        f"static inline void {program.name}_{port.name}_to_float(const {port.type.c} *from, float *to)\n"
        "{\n"
        f"    static const {program.name}_conversion channels[] = {{\n{''.join(rows)}    }};\n\n"
        f"    for (int32_t i = 0; i < {macro}_ELEMENTS; i++) {{\n"
        f"        to[i] = {program.name}_nearest(from[i], &channels[{stride}]);\n"
        "    }\n"
        "}\n"
    )


def dequantizer(program: Program, port: Port) -> str:
    if found := conversions(port):
        return exact_dequantizer(program, port, found)
    macro = f"{program.name.upper()}_{port.name.upper()}"
    return (
        f"/* Convert the output '{comment_text(port.onnx_name)}'. */\n"
        f"static inline void {program.name}_{port.name}_to_float(const {port.type.c} *from, float *to)\n"
        "{\n"
        f"    for (int32_t i = 0; i < {macro}_ELEMENTS; i++) {{\n"
        f"        to[i] = (float)(from[i] - {macro}_ZERO_POINT) * (float){macro}_SCALE;\n"
        "    }\n"
        "}\n"
    )
