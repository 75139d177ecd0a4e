"""Products of computed matrices against the formula."""

import native
import numpy as np
import pytest
from native import Case
from scaling import limits_of, random_scaling

TYPES = [("int8", "int8", "int8"), ("uint8", "int8", "uint8"), ("int16", "uint8", "int16")]
FORMS = ("NARROW", "WIDE", "HALF_EVEN", "RAW", "CORRECTED")


def matmul_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    types, form = TYPES[seed % len(TYPES)], FORMS[seed // 3 % len(FORMS)]
    types = (*types[:2], "int32") if form == "RAW" else types
    rows, inner, columns = (int(size) for size in generator.integers(1, 8, 3))
    a, b = (
        generator.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        for dtype, shape in zip(types, ((rows, inner), (inner, columns)))
    )
    points = [int(each) for each in generator.integers(-100, 200, 2)]
    acc = (a.astype(np.int64) - points[0]) @ (b.astype(np.int64) - points[1])
    scaling = random_scaling(generator, form, 1, int(np.abs(acc).max()), limits_of(types[2], generator))
    expected = scaling(acc).astype(types[2])
    memories, strides = zip(*(native.laid_out(x, [(0, 1), (1, 0)][generator.integers(2)]) for x in (a, b, expected)))
    fields = {"rows": rows, "inner": inner, "columns": columns}
    names = ("a_row", "a_inner"), ("b_inner", "b_column"), ("y_row", "y_column")
    for pair, steps in zip(names, strides):
        fields |= dict(zip(pair, steps))
    fields |= {"a_zero_point": points[0], "b_zero_point": points[1], "requant": scaling.fields}
    name = f"matmul_{'_'.join(types)}_{form.lower()}"
    enumerators = ", ".join(native.ENUMERATORS[each] for each in types)
    return Case(
        f"matmul {seed}: {rows} {inner} {columns} {types} {form}",
        "htvm_matmul.h",
        f"HTVM_DEFINE_MATMUL({name}, {enumerators}, HTVM_{form})",
        f"    {name}({native.struct('htvm_matmul_layer', fields)}, a, b, scales, y);",
        {"a": memories[0], "b": memories[1], "scales": scaling.constants, "y": memories[2] * 0},
        memories[2],
    )


@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_products_equal_formula(compiler, tmp_path):
    native.check([matmul_case(seed) for seed in range(120)], compiler, tmp_path)
