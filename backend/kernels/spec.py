"""The description of a kernel: what it computes, what it costs, how its weights lie, and where its C is.

A file describes one kernel, or few that share a header, in variables that hold a KernelSpec. htvm's own are in
built_in/; those from outside are loaded by the package (`load`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Any, TypeAlias, TypeVar

import numpy as np

from .convolution import Convolution
from .elements import ELEMENT_TYPES, Array, ElementType
from .fields import Field, Fields
from .requant import Requant, requant_fields
from .trails import Trail, Walk

LINEAR_OPS = ("conv2d", "dense")
"""The operations that are sums of products with constant weights; conv2d also with groups, or depthwise."""

OTHER_OPS = (
    "add", "argmax", "concat", "convert_layout", "layer_norm", "lookup", "matmul", "maximum", "minimum", "mul", "pad",
    "pool2d", "reshape", "softmax", "take", "threshold", "transpose", "weighted_sum", "windows",
)  # fmt: skip
"""The other operations that the host computes."""

RANGES = {"i8": (-128, 127), "ui8": (0, 255)}
"""The values of inputs of 8 bits, by type."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A conv2d layer, or a dense one: then each row is a pixel.

    weights: [K, C, R, S]. size, in_size: rows and columns of the output and of the input. pads: top and left. x, y:
    strides (C, H, W) of input and output in elements; (1, ..) if dense. Types are MLIR's: "i8", "ui8", "i16", "i32".
    has_words: whether four channels of the input are always one aligned word.
    skip: the element that many inputs are; None if there is none.
    """

    weights: np.ndarray
    groups: int
    batch: int
    size: tuple[int, int]
    in_type: str
    weights_type: str
    strides: tuple[int, int]
    dilations: tuple[int, int]
    is_inside: bool
    fits_depthwise_3x3: bool
    has_words: bool
    x: tuple[int, int, int]
    activation_bytes: int
    skip: int | None = None
    op: str = "conv2d"
    in_size: tuple[int, int] = (1, 1)
    out_type: str = "i8"
    pads: tuple[int, int] = (0, 0)
    y: tuple[int, int, int] = (1, 1, 1)

    @property
    def pixels(self) -> int:
        return prod(self.size)

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns under the weights of a channel."""
        return self.weights.shape[2], self.weights.shape[3]

    @property
    def in_channels(self) -> int:
        """Of one group."""
        return self.weights.shape[1]

    @property
    def macs(self) -> int:
        return self.outputs * self.taps

    @property
    def is_pointwise(self) -> bool:
        """Whether each pixel is a row of neighbouring channels times the matrix of all weights.

        Pixels follow each other in both feature maps: in C the layer has one row, with all pixels.
        """
        in_line = self.x[1] == self.in_size[1] * self.x[2] and self.y[1] == self.size[1] * self.y[2]
        is_plain = self.window == self.strides == (1, 1) and self.is_inside and self.groups == 1
        return self.op == "conv2d" and is_plain and self.x[0] == 1 and in_line

    @property
    def taps(self) -> int:
        """Elements under the window of one output."""
        return prod(self.weights.shape[1:])

    @property
    def out_channels(self) -> int:
        """Of one group."""
        return len(self.weights) // self.groups

    @property
    def outputs(self) -> int:
        return self.batch * self.pixels * len(self.weights)

    @property
    def has_bytes(self) -> bool:
        """Whether inputs and weights have 8 bits, as kernels want them that put two products in a word."""
        return self.in_type in RANGES and self.weights_type == "i8"

    @property
    def is_row(self) -> bool:
        """Whether the layer is one row times a matrix."""
        return self.batch == self.pixels == 1 and self.taps == self.weights.shape[1]

    @property
    def windows_are_rows(self) -> bool:
        """Whether each row of a window is one run of neighbouring elements, so that it can be read in place."""
        _, channels, _, columns = self.weights.shape
        x_c, _, x_w = self.x
        one_run = channels == 1 or x_c == 1
        gapless = columns == 1 or (x_w == channels and self.dilations[1] == 1)
        return self.groups == 1 and one_run and gapless


@dataclass(frozen=True)
class Tensor:
    """An activation or constant of a layer. type: MLIR's, such as "i8". strides: in elements."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    type: str


Attribute: TypeAlias = "int | bool | str | tuple[int, ...]"


@dataclass(frozen=True)
class Layer:
    """A layer that is neither conv2d nor dense, such as "add" or "pool2d", on tensors.

    attributes: those of the operation that are numbers, lists of them or words, by name ("kind": "max"); "requant" is
    the form, a name of htvm_output, such as "NARROW".
    """

    op: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    attributes: Mapping[str, Attribute]

    @property
    def elements(self) -> int:
        """Of the output."""
        return prod(self.output.shape)


@dataclass(frozen=True)
class Plan:
    """A kernel for a layer, and what it costs. data_bytes: of weights, in its order.

    skip: the input element that it does not multiply. worst: instructions if no input is that.
    """

    kernel: str
    instructions: int
    data_bytes: int
    scratch_bytes: int = 0
    run: int | None = None
    skip: int | None = None
    worst: int = 0

    @property
    def most_instructions(self) -> int:
        """What it takes for the worst input."""
        return max(self.worst, self.instructions)


@dataclass(frozen=True)
class Site:
    """A layer where its call is written.

    weights: [K, C, R, S]. run, skip: as the plan has them. has_scratch: whether it has scratch memory.
    """

    conv: Convolution
    weights: Array
    requant: Requant
    x: ElementType
    w: ElementType
    y: ElementType
    run: int | None = None
    skip: int | None = None
    has_scratch: bool = False


@dataclass(frozen=True)
class ConstantArray:
    """A constant that a kernel reads: numbers, or structs of a C type. struct_bytes: of a struct; 0 for numbers."""

    role: str
    c_type: str
    numbers: Array | list[tuple[int, int, int]]
    struct_bytes: int = 0


class Window(Enum):
    """What a kernel takes for its scratch memory: no argument, NULL, bytes, or words."""

    NONE = "none"
    NULL = "null"
    BYTES = "bytes"
    WORDS = "words"


@dataclass(frozen=True)
class Macro:
    """HTVM_DEFINE_<kind>(name, arguments) of a header: defines a function. A text X is the enumerator HTVM_X."""

    kind: str
    arguments: tuple[ElementType | str | int, ...]


@dataclass(frozen=True)
class KernelCall:
    """A call of a kernel: function(&layer, x, *arrays, constants of channels, scratch, y) for each image.

    macro: what defines the function; None: the function is that of the description, for elements of `types`.
    helpers: what defines functions that it takes as its last arguments.
    struct, fields: the type and the contents of `layer`.
    """

    fields: Fields
    arrays: tuple[ConstantArray, ...]
    requant: Requant
    struct: str = "htvm_conv2d_layer"
    macro: Macro | None = None
    types: tuple[ElementType, ElementType, ElementType] | None = None
    helpers: tuple[Macro, ...] = ()
    window: Window = Window.NONE


def is_depthwise(layer: Linear) -> bool:
    """Say whether each output channel has one input channel of its own."""
    return layer.groups > 1 and layer.in_channels == 1


class KernelError(ValueError):
    """Kernels that cannot be loaded, that there are not, or whose functions fail; the message says why."""


T = TypeVar("T")


def nothing(_: Any) -> Iterator[str]:
    """Violate no rule."""
    yield from ()


def no_scratch(_: Linear) -> int:
    """Need no memory."""
    return 0


def ten_instructions(layer: Linear | Layer) -> float:
    """Guess a cost: for each product, or each element of inputs and output."""
    if isinstance(layer, Linear):
        return 10.0 * layer.macs
    return 10.0 * (layer.elements + sum(prod(each.shape) for each in layer.inputs))


@dataclass(frozen=True)
class KernelSpec:
    """A kernel of the host: for conv2d and dense layers, or for layers of other operations.

    name: small letters, digits and underscores.
    header: the C header with the function `function`, or with the macro that `call` names.
    function: the C function that computes a layer of one image,
        void function(const htvm_conv2d_layer *layer, const X *x, const W *weights, const void *scales, void *scratch,
                      Y *y, htvm_output output)
        with `scales` and `output` for htvm_requantize (htvm_requant.h). If it is HTVM_KERNEL in the header, it is
        specialised for each value of `output`.
        Of other operations it takes the place of the function that htvm has: with its arguments, then those of its
        macro that are no element types, such as the form of requantisation (HTVM_DEFINE_ADD and the like).
    ops: the operations of accel that it computes: of LINEAR_OPS, or of OTHER_OPS.
    types: of input, weights and output; None for any that kernels know. Of other operations the first is that of all
        inputs, the second means nothing.
    violations: yields why the kernel does not compute a layer, beyond `ops` and `types`; a sentence each. It and `cost`
        are given a Linear, of other operations a Layer.
    in_place: of other operations, whether it reads each element before it writes that in its place of the output, so
        that this may be where an input is.
    cost: estimated instructions for a layer. Right in comparison with the other kernels' is enough.
    pack: weights [K, C, R, S] in the order in which the kernel reads them, of the type that it reads.
    scratch_bytes: memory that the kernel uses beside its operands, aligned to 4 bytes; what it holds before is random.
    trail: how far writes stay behind reads, so that the output may lie over the input; None: never.
    sources: files of C (.c) or assembly (.S) that are compiled with the project; names relative to the description's.
    headers: more headers that the project needs.
    flags: options of the compiler for `sources`.
    code_bytes: code of one more function with other types. stack_bytes: the most that a call takes of the stack.
    is_general: computes every layer of its kind, whatever scratch memory it takes.
    orders_weights: computes convolutions whose weights are computed as well, which are put in its order before.
    least_pixels: pixels of a feature map from which on it computes one that has fewer rows, and other padding, in the
        same way, so that a layer can be cut into patches of rows; None: a layer is never cut.
    run, skip: whether a plan has these attributes: always, never or (None) both.
    plans, call: in place of `violations`, `cost`, `pack`, `scratch_bytes` and `function`: several ways in one kernel.
    origin: the file that describes it; empty for htvm's own.
    """

    name: str
    header: str
    function: str = ""
    ops: tuple[str, ...] = LINEAR_OPS
    types: tuple[str, str, str] | None = ("i8", "i8", "i8")
    violations: Callable[[Any], Iterable[str]] = nothing
    cost: Callable[[Any], float] = ten_instructions
    pack: Callable[[Array], Array] = np.ravel
    scratch_bytes: Callable[[Linear], int] = no_scratch
    trail: Callable[[Walk], Trail | None] = lambda _: None
    sources: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    code_bytes: int = 1000
    stack_bytes: int = 256
    in_place: bool = False
    is_general: bool = False
    orders_weights: bool = False
    least_pixels: int | None = None
    run: bool | None = False
    skip: bool | None = False
    plans: Callable[[Linear], Iterable[Plan]] | None = field(default=None)
    call: Callable[[Site], KernelCall] | None = field(default=None)
    origin: str = ""

    def why_not(self, layer: Linear | Layer) -> list[str]:
        """Return why the kernel does not compute a layer; nothing if it does."""
        if layer.op not in self.ops:
            return [f"op is {layer.op}, expected {' or '.join(self.ops)}"]
        if self.plans is not None and isinstance(layer, Linear):
            return [] if any(True for _ in self.plans(layer)) else ["it has no way to compute such a layer"]
        reasons = [
            f"{what} is {one}, expected {wanted}"
            for what, one, wanted in zip(("input", "weights", "output"), types_of(layer), self.types or (None,) * 3)
            if wanted is not None and one != wanted and not (what == "weights" and isinstance(layer, Layer))
        ]
        return reasons or self._asked("violations", lambda: [*self.violations(layer)])

    def plans_of(self, layer: Linear) -> list[Plan]:
        """Return the ways in which the kernel computes a layer; none if it does not."""
        if self.plans is not None:
            return [*self.plans(layer)]
        if self.why_not(layer):
            return []
        return [Plan(self.name, self.estimate(layer), self.packed(layer.weights).nbytes, self.scratch_of(layer))]

    def packed(self, weights: Array) -> Array:
        """Return weights [K, C, R, S] as the function reads them, one axis. Raises KernelError for another type."""
        packed = self._asked("pack", lambda: np.ascontiguousarray(self.pack(weights))).reshape(-1)
        if packed.dtype.name not in PACKED_TYPES:
            wanted = f"expected one of {', '.join(PACKED_TYPES)}"
            raise KernelError(f"{self.origin}: kernel '{self.name}': pack gives elements of {packed.dtype}, {wanted}")
        return packed

    def estimate(self, layer: Linear | Layer) -> int:
        """Return the cost of a layer, 1 at least."""
        return self._asked("cost", lambda: max(1, round(float(self.cost(layer)))))

    def scratch_of(self, layer: Linear) -> int:
        """Return the bytes of the scratch memory of a layer."""
        return self._asked("scratch_bytes", lambda: int(self.scratch_bytes(layer)))

    def _asked(self, field_name: str, answer: Callable[[], T]) -> T:
        """Return what a function of the description answers. Raises KernelError that names it if it fails."""
        if not self.origin:
            return answer()
        try:
            return answer()
        except Exception as error:  # whatever a description does
            what = f"{self.origin}: kernel '{self.name}': {field_name} fails"
            raise KernelError(f"{what}: {type(error).__name__}: {error}") from error

    def trail_of(self, walk: Walk) -> Trail | None:
        """Return the trail of a walk; None if it is not known, or if nothing is gained by it."""
        if min(walk.x_bytes, walk.y_bytes) != 1:  # a compiler may take wider elements of two types to be apart
            return None
        return self._asked("trail", lambda: self.trail(walk))

    def call_of(self, site: Site) -> KernelCall:
        """Return the call of a layer."""
        if self.call is not None:
            return self.call(site)
        packed = self.packed(site.weights)
        weights = ConstantArray("weights", PACKED_TYPES[packed.dtype.name].c, packed)
        return KernelCall(
            fields=linear_fields(site.conv, site.requant),
            arrays=(weights,),
            requant=site.requant,
            types=(site.x, PACKED_TYPES[packed.dtype.name], site.y),
            window=Window.BYTES if site.has_scratch else Window.NULL,
        )


def types_of(layer: Linear | Layer) -> tuple[str, str, str]:
    """Return the element types of input, weights and output; of a layer with several inputs all that there are."""
    if isinstance(layer, Linear):
        return layer.in_type, layer.weights_type, layer.out_type
    return " and ".join(dict.fromkeys(each.type for each in layer.inputs)), "", layer.output.type


PACKED_TYPES = {each.numpy: each for each in ELEMENT_TYPES.values()}
"""The types of packed weights, by what numpy calls them."""


def linear_fields(conv: Convolution, requant: Requant) -> dict[str, Field]:
    """Return the fields of htvm_conv2d_layer."""
    return {
        "groups in_channels out_channels": (conv.groups, conv.channels, conv.out_channels),
        **map_fields(conv),
        "requant": requant_fields(requant),
    }


def row_fields(site: Site) -> dict[str, Field]:
    """Return the fields of kernels for one row of bytes."""
    return {
        "in_channels out_channels": (site.conv.channels, site.conv.out_channels),
        "y_c skip": (site.conv.y[1], site.skip or 0),
        "requant": requant_fields(site.requant),
    }


def map_fields(conv: Convolution) -> dict[str, Field]:
    """Return the fields about feature maps and windows."""
    return {
        "in_height in_width": (conv.height, conv.width),
        "out_height out_width": (conv.out_height, conv.out_width),
        "kernel_h kernel_w": conv.kernel,
        "stride_h stride_w": conv.strides,
        "dilation_h dilation_w": conv.dilations,
        "pad_top pad_left pad_value": (conv.pad_top, conv.pad_left, conv.pad_value),
        "x_c x_h x_w": conv.x[1:],
        "y_c y_h y_w": conv.y[1:],
    }
