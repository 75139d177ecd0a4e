"""Operations that move elements, and resize, in their other element types, ranks and batches."""

from .cases import case, case_of
from .text import Function
from .typed_cases import BATCH, narrow, short

FIVE = (2, 3, 4, 2, 3)
case_of(
    "transpose",
    "i8, rank 5",
    lambda f: f.op("transpose", [f.input(FIVE)], (3, 4, 2, 2, 3), "i8", "perms = array<i32: 4, 2, 0, 3, 1>"),
)
case_of(
    "transpose",
    "i8, rank 6",
    lambda f: f.op(
        "transpose", [f.input((2, 3, 2, 2, 2, 3))], (3, 2, 2, 2, 3, 2), "i8", "perms = array<i32: 5, 4, 0, 3, 1, 2>"
    ),
)
case_of(
    "transpose", "i32", lambda f: f.op("transpose", [f.input((2, 3), "i32")], (3, 2), "i32", "perms = array<i32: 1, 0>")
)
case_of("reverse", "i8, rank 5", lambda f: f.op("reverse", [f.input(FIVE)], FIVE, "i8", "axis = 1 : i32"))
case_of(
    "slice",
    "i32, rank 5",
    lambda f: f.op(
        "slice", [f.input(FIVE, "i32"), f.sizes([1, 0, 1, 0, 0]), f.sizes([1, 3, 2, 1, 2])], (1, 3, 2, 1, 2), "i32"
    ),
)
case_of(
    "concat",
    "i16, rank 2",
    lambda f: f.op("concat", [f.input((2, 3), "i16"), f.input((2, 4), "i16")], (2, 7), "i16", "axis = 1 : i32"),
)
case_of("reshape", "i16", lambda f: f.op("reshape", [f.input((2, 6), "i16"), f.sizes([3, 4])], (3, 4), "i16"))
case_of("tile", "i32", lambda f: f.op("tile", [f.input((2, 3), "i32"), f.sizes([2, 3])], (4, 9), "i32"))
for kind, value in (("i16", -300), ("i32", 1 << 25)):
    case_of(
        "pad",
        kind,
        lambda f, kind=kind, value=value: f.op(
            "pad", [f.input((2, 3, 4), kind), f.sizes([1, 0, 0, 2, 3, 1]), f.point(value, kind)], (3, 5, 8), kind
        ),
    )
case_of(
    "gather",
    "i8, indices of each batch",
    lambda f: f.op("gather", [f.input((2, 7, 3)), f.const([[0, 6, 2], [1, 1, 5]], "i32")], (2, 3, 3), "i8"),
)
case_of(
    "gather",
    "i32, constant indices",
    lambda f: f.op("gather", [f.input((1, 7, 3), "i32"), f.const([[0, 6, 2, 2]], "i32")], (1, 4, 3), "i32"),
)
case_of("identity", "i8", lambda f: f.rescale(f.op("identity", [f.input((2, 3))], (2, 3), "i8"), (1 << 30, 31)))


@case("gather", "i8, computed indices")
def gather_computed(f: Function) -> str:
    indices = f.op("bitwise_and", [f.input((1, 4), "i32"), f.const([[3]], "i32")], (1, 4), "i32")
    return f.op("gather", [f.input((1, 7, 3)), indices], (1, 4, 3), "i8")


def resized(f: Function, x: str, mode: str, kind: str, scale, shape, offset=(0, 0), border=(0, 0)) -> str:
    return f.op("resize", [x, f.sizes(scale), f.sizes(offset), f.sizes(border)], shape, kind, f"mode = {mode}")


case_of(
    "resize",
    "nearest, i16, batch of 2",
    lambda f: resized(
        f, f.input((2, 4, 3, 5), "i16"), "NEAREST_NEIGHBOR", "i16", (4, 2, 4, 2), (2, 8, 6, 5), border=(2, 2)
    ),
)
case_of(
    "resize",
    "bilinear, i8, batch of 2, half-pixel centres",
    lambda f: resized(f, f.input(BATCH), "BILINEAR", "i32", (4, 2, 4, 2), (2, 12, 10, 4), (-1, -1), (1, 1)),
)
case_of(
    "resize",
    "bilinear, i8, aligned corners",
    lambda f: f.rescale(
        resized(f, f.input((1, 6, 5, 4)), "BILINEAR", "i32", (22, 10, 16, 8), (1, 12, 9, 4)), (1 << 30, 38)
    ),
)
case_of(
    "resize",
    "bilinear, i16",
    lambda f: narrow(f, resized(f, short(f), "BILINEAR", "i48", (4, 2, 4, 2), (1, 8, 6, 5), border=(2, 2)), shift=18),
)
