"""Kernels that do what htvm's do: of each operation beside conv2d and dense that test-kernel has layers for."""

from htvm.kernels import KernelSpec


def of_kind(*kinds):
    def violations(layer):
        if layer.attributes["kind"] not in kinds:
            yield f"kind is {layer.attributes['kind']}"

    return violations


def kernel(name, *ops, out="i8", **fields):
    return KernelSpec(name=name, header="same.h", function=name, ops=ops, types=("i8", "", out), **fields)


KERNELS = (
    kernel("same_add", "add", in_place=True),
    kernel("same_mul", "mul", in_place=True),
    kernel("same_extreme", "maximum", "minimum", in_place=True),
    kernel("same_lookup", "lookup", in_place=True),
    kernel("same_copy", "concat", "pad", "transpose", "windows"),
    kernel("same_largest", "pool2d", violations=of_kind("max", "min")),
    kernel("same_sum", "pool2d", violations=of_kind("sum", "average")),
    kernel("same_argmax", "argmax", out="i32"),
    kernel("same_softmax", "softmax"),
    kernel("same_matmul", "matmul"),
)
