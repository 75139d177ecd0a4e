"""NAME_float.h: conversions between floats and the integers of a network, for callers that have floats."""

from __future__ import annotations

import numpy as np

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


def float_header(program: Program) -> str:
    """Return NAME_float.h, with one function for each input and output that is float32 in ONNX.

    Raises ValueError if there is none, or one has no scale.
    """
    ports = [port for port in program.ports if port.onnx_type == "float32"]
    if not ports:
        found = ", ".join(f"'{port.onnx_name}' {port.onnx_type}" for port in program.ports)
        raise ValueError(f"interface is 'float', but no input or output is float32 in ONNX: {found}")
    for port in ports:
        if port.scale is None:
            raise ValueError(f"interface is 'float', but '{port.onnx_name}' has no scale")
    guard = f"{program.name.upper()}_FLOAT_H"
    functions = [dequantizer(program, port) if port.is_result else quantizer(program, port) for port in ports]
    rounding = [] if all(port.is_result for port in ports) else [ROUNDING.format(name=program.name)]
    opening = (
        f"/* Floats for {program.name}, on a host that has them: what its ONNX file's inputs and outputs are. */\n"
        f'#ifndef {guard}\n#define {guard}\n\n#include <stdbool.h>\n\n#include "{program.name}.h"\n'
    )
    return "\n".join([opening, *rounding, *functions, "#endif\n"])


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


def dequantizer(program: Program, port: Port) -> str:
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
