"""Files that no exporter writes: damaged, contradictory, absurd, or meant to harm.

`python hostile_files.py DIR` writes them.

More than 400 lines: a list of files, which is read entry by entry.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAMES = {
    "quotes": """a"b'c`d""",
    "newline": 'a\nint evil = 1;\r\n#error "evil"\n',
    "comment_end": "*/ int evil = 1; /*",
    "line_comment": "// a \\",
    "format": "%s%n%n%999999999d{0}{evil}",
    "trigraph": "a??/\nint evil = 1; ??'??/",
    "non_ascii": "\u7db2\u7d61 \u00e9 \U0001f642 \u202e\u0000end",
    "long": "n" * 200_000,
    "keyword": "int",
    "reserved": "__attribute__((noreturn))",
    "own": "htvm_step_0",
    "arena": "arena",
    "base": "base",
    "path": "../../../../tmp/evil/../x",
    "script": "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "mlir": '") {evil = 1} loc("x"): !quant.uniform<i8:f32, 1.0>',
    "shell": "$(touch evil); `touch evil` && touch evil | make",
    "make": "a: b\n\ttouch evil\n$(shell touch evil)",
    "digits": "0123",
    "blank": "   ",
}
"""What an attacker calls things."""


def model(nodes: str, more: str = "", given: str = "int8[1,3,4,4] x", made: str = "int8[n,c,h,w] y", opset: int = 17):
    """Return a graph of some nodes, between int8 x, dequantised as a, and the quantised b."""
    return onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>
    g ({given}) => ({made}) <float s = {{0.5}}, int8 z = {{3}}{more}> {{
      a = DequantizeLinear(x, s, z)
      {nodes}
      y = QuantizeLinear(b, s, z)
    }}""")


CONV = "k = DequantizeLinear(w, ws) \n b = Conv{attributes}(a, k)"
WEIGHTS = ", int8[2,3,1,1] w = {1, 2, 3, 4, 5, 6}, float ws = {0.25}"


def conv(attributes: str = "") -> onnx.ModelProto:
    return model(CONV.format(attributes=attributes), WEIGHTS)


def edited(edit: Callable[[onnx.ModelProto], object], of: onnx.ModelProto | None = None) -> onnx.ModelProto:
    made = of or model("b = Relu(a)")
    edit(made)
    return made


def with_scale(number: float, name: str = "s") -> onnx.ModelProto:
    return edited(lambda m: tensor(m, name).CopyFrom(numpy_helper.from_array(np.float32(number), name)), conv())


def tensor(of: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in of.graph.initializer if tensor.name == name)


def with_dims(*dims: int) -> onnx.ModelProto:
    def edit(m: onnx.ModelProto) -> None:
        m.graph.input[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.INT8, dims))

    return edited(edit)


def called(name: str) -> onnx.ModelProto:
    """Return a network of two inputs whose tensors, nodes and graph are called after `name`."""
    made = model("c = DequantizeLinear(w, s, z) \n b = Add(a, c)", given="int8[1,4] x, int8[1,4] w", made="int8[1,4] y")
    new = {old: f"{name}{'' if old == 'x' else old}" for old in ("x", "w", "a", "c", "b", "y", "s", "z")}
    for node in made.graph.node:
        node.name = name + node.output[0]
        for names in (node.input, node.output):
            names[:] = [new.get(old, old) for old in names]
    for value in (*made.graph.input, *made.graph.output, *made.graph.initializer):
        value.name = new[value.name]
    made.graph.name = name
    return made


def external(**entries: str) -> onnx.ModelProto:
    def edit(m: onnx.ModelProto) -> None:
        weights = tensor(m, "w")
        weights.ClearField("int32_data")
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            weights.external_data.add(key=key, value=value)

    return edited(edit, conv())


def nested(depth: int) -> onnx.ModelProto:
    """Return an If in an If in an If .."""
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["o"])], "leaf", [], [])
    for level in range(depth):
        node = helper.make_node("If", ["c"], ["o"], name=f"if{level}", then_branch=graph)
        graph = helper.make_graph([node], f"level{level}", [], [])
    return edited(lambda m: m.graph.node.insert(1, graph.node[0]))


def chain(operator: str, count: int) -> onnx.ModelProto:
    nodes = "\n".join(f"c{i + 1} = {operator}(c{i})" for i in range(count))
    return model(f"c0 = Relu(a) \n {nodes} \n b = Relu(c{count})")


def layers_in_a_row(operator: str, count: int) -> onnx.ModelProto:
    """Return layers whose results are all quantised."""
    nodes = "\n".join(
        f"q{i} = QuantizeLinear(c{i}, s, z)\n d{i} = DequantizeLinear(q{i}, s, z)\n c{i + 1} = {operator}(d{i})"
        for i in range(count)
    )
    return model(f"c0 = Sigmoid(a) \n {nodes} \n b = Relu(c{count})")


def functions() -> onnx.ModelProto:
    """Return a model with a function that calls itself."""

    def edit(m: onnx.ModelProto) -> None:
        body = [helper.make_node("F", ["i"], ["o"], domain="evil")]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
        m.functions.append(helper.make_function("evil", "F", ["i"], ["o"], body, opsets))
        m.opset_import.append(helper.make_opsetid("evil", 1))
        m.graph.node[1].op_type, m.graph.node[1].domain = "F", "evil"

    return edited(edit)


def attribute(name: str, value: object) -> onnx.ModelProto:
    return edited(lambda m: m.graph.node[2].attribute.append(helper.make_attribute(name, value)), conv())


def structures() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield models that parse, each with something wrong."""
    yield "cycle", model("b = Add(a, c) \n c = Relu(b)")
    yield "self_loop", model("b = Add(a, b)")
    yield "duplicate_output", model("b = Relu(a) \n b = Sigmoid(a)")
    yield "duplicate_initialiser", edited(lambda m: m.graph.initializer.append(m.graph.initializer[0]))
    yield "duplicate_input", edited(lambda m: m.graph.input.append(m.graph.input[0]))
    yield "duplicate_node_name", edited(lambda m: [setattr(node, "name", "same") for node in m.graph.node])
    yield "duplicate_result", edited(lambda m: m.graph.output.append(m.graph.output[0]))
    yield "undefined_input", edited(lambda m: m.graph.node[1].input.__setitem__(0, "nowhere"))
    yield "undefined_result", edited(lambda m: setattr(m.graph.output[0], "name", "nowhere"))
    yield "result_is_input", edited(lambda m: m.graph.output[0].CopyFrom(m.graph.input[0]))
    yield "no_nodes", edited(lambda m: m.graph.ClearField("node"))
    yield "no_results", edited(lambda m: m.graph.ClearField("output"))
    yield "no_inputs", edited(lambda m: m.graph.ClearField("input"))
    yield "no_graph", edited(lambda m: m.ClearField("graph"))
    yield "no_opset", edited(lambda m: m.ClearField("opset_import"))
    yield "opset_999", edited(lambda m: setattr(m.opset_import[0], "version", 999))
    yield "opset_negative", edited(lambda m: setattr(m.opset_import[0], "version", -(2**63)))
    yield "opset_twice", edited(lambda m: m.opset_import.append(helper.make_opsetid("", 9)))
    yield "ir_version", edited(lambda m: setattr(m, "ir_version", 2**62))
    yield "no_outputs_of_node", edited(lambda m: m.graph.node[1].ClearField("output"))
    yield "thousand_inputs", edited(lambda m: m.graph.node[1].input.extend(["a"] * 1000))
    yield "no_operator", edited(lambda m: setattr(m.graph.node[1], "op_type", ""))
    yield (
        "optional_input",
        edited(lambda m: m.graph.input[0].type.CopyFrom(helper.make_optional_type_proto(m.graph.input[0].type))),
    )
    yield (
        "sequence_input",
        edited(lambda m: m.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(m.graph.input[0].type))),
    )
    yield "no_type", edited(lambda m: m.graph.input[0].ClearField("type"))
    yield "type_999", edited(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 999))
    for name in ("string", "complex64", "bfloat16", "float8e4m3fn"):
        kind = TensorProto.DataType.Value(name.upper())
        yield f"type_{name}", edited(lambda m, kind=kind: setattr(m.graph.input[0].type.tensor_type, "elem_type", kind))
    yield "result_shape", model("b = Relu(a)", made="int8[1,3,4,5] y")
    yield "result_type", model("b = Relu(a)", made="float[1,3,4,4] y")
    yield "nested_10", nested(10)
    yield "nested_28", nested(28)
    yield "recursive_function", functions()
    yield "relu_chain", chain("Relu", 15_000)
    yield "sigmoid_chain", chain("Sigmoid", 15_000)
    yield "too_many_nodes", chain("Identity", 25_000)
    yield "sigmoid_layers", layers_in_a_row("Sigmoid", 250)
    yield "pool_layers", layers_in_a_row("GlobalAveragePool", 3_000)
    yield (
        "concat_doubling",
        model(
            "\n".join(
                ["c0 = Relu(a)", *(f"c{i + 1} = Concat<axis = 1>(c{i}, c{i})" for i in range(60)), "b = Relu(c60)"]
            )
        ),
    )
    yield (
        "constant_doubling",
        model(
            "\n".join([*(f"c{i + 1} = Concat<axis = 0>(c{i}, c{i})" for i in range(60)), "b = Reshape(a, c60)"]),
            ", int64[1] c0 = {1}",
        ),
    )
    yield "constant_of_shape", model("c = ConstantOfShape(n) \n b = Add(a, c)", f", int64[1] n = {{{2**40}}}")
    yield "range", model("c = Range(n, m, n) \n b = Reshape(a, c)", f", int64 n = {{1}}, int64 m = {{{2**62}}}")
    yield "expand", model("b = Expand(a, n)", f", int64[4] n = {{{2**31}, 3, {2**31}, 4}}")
    yield "tile", model("b = Tile(a, n)", f", int64[4] n = {{{2**31}, 1, {2**31}, 1}}")
    yield "reshape_huge", model("b = Reshape(a, n)", f", int64[3] n = {{{2**62}, {2**62}, 16}}")
    yield "pad_huge", model("b = Pad(a, n)", f", int64[8] n = {{0, 0, {2**62}, {2**62}, 0, 0, {2**62}, {2**62}}}")
    yield "resize_huge", model("b = Resize(a, , n)", ", float[4] n = {1, 1, 1e30, 1e30}")
    for name, text in (
        ("strides", f"<strides = [{2**40}, {2**40}]>"),
        ("output_padding", f"<output_padding = [{2**40}, 0]>"),
        ("output_shape", f"<output_shape = [{2**31}, {2**31}]>"),
    ):
        weights = ", int8[3,2,1,1] w = {1, 2, 3, 4, 5, 6}, float ws = {0.25}"
        yield f"transposed_{name}", model(f"k = DequantizeLinear(w, ws) \n b = ConvTranspose{text}(a, k)", weights)
    yield (
        "transposed_dilations",
        model(
            "k = DequantizeLinear(w, ws) \n b = ConvTranspose<dilations = [20000, 20000]>(a, k)",
            ", int8[3,1,2,2] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2}, float ws = {0.25}",
        ),
    )
    yield "gather_outside", model("b = Gather(a, n)", f", int64[2] n = {{0, {2**40}}}")
    yield "gather_many", model("b = Gather<axis = 1>(a, n)", f", int64[40000] n = {{{', '.join(['0'] * 40_000)}}}")
    yield (
        "slice_huge",
        model("b = Slice(a, n, m, k)", f", int64[1] n = {{{-(2**62)}}}, int64[1] m = {{9}}, int64[1] k = {{1}}"),
    )
    yield (
        "split_many",
        model(
            f"{', '.join(f'c{i}' for i in range(900))} = Split<axis = 3>(a) \n b = Relu(c0)", given="int8[1,1,1,900] x"
        ),
    )
    yield "tile_many", model("b = Tile(a, n)", ", int64[4] n = {1, 1, 20000, 20000}")
    yield "expand_many", model("b = Expand(a, n)", ", int64[5] n = {20000, 1, 3, 4, 4}", made="int8[k,n,c,h,w] y")
    yield (
        "leaky_infinite",
        edited(
            lambda m: m.graph.node[1].attribute.append(helper.make_attribute("alpha", float("inf"))),
            model("b = LeakyRelu(a)"),
        ),
    )
    yield "pow_huge", model("b = Pow(a, n)", ", float n = {1e30}")
    yield "log_of_negative", model("b = Log(a)")
    yield (
        "exp_huge",
        edited(lambda m: tensor(m, "s").CopyFrom(numpy_helper.from_array(np.float32(1e30), "s")), model("b = Exp(a)")),
    )
    yield "layer_norm_axis", model("b = LayerNormalization<axis = 99>(a, n)", ", float[4] n = {1, 1, 1, 1}")
    yield "layer_norm_epsilon", model("b = LayerNormalization<epsilon = -1.0>(a, n)", ", float[4] n = {1, 1, 1, 1}")
    yield (
        "resize_nan",
        edited(
            lambda m: tensor(m, "n").CopyFrom(numpy_helper.from_array(np.full(4, np.nan, np.float32), "n")),
            model("b = Resize(a, , n)", ", float[4] n = {1, 1, 1, 1}"),
        ),
    )


def layers() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield models with absurd attributes, sizes, scales and data."""
    yield "dims_huge", with_dims(2**62, 2**62)
    yield "dims_overflow", with_dims(2**16, 2**16, 2**16, 2**16)
    yield "dims_negative", with_dims(1, -5, 4, 4)
    yield "dims_zero", with_dims(1, 0, 4, 4)
    yield "dims_2_gib", with_dims(1, 1, 2**15, 2**15)
    yield "rank_1000", with_dims(*[1] * 1000)
    yield "scalar", edited(lambda m: m.graph.output[0].type.tensor_type.ClearField("shape"), with_dims())
    for name, text in {
        "strides_zero": "<strides = [0, 1]>",
        "strides_huge": f"<strides = [{2**62}, {2**62}]>",
        "pads_huge": f"<pads = [{2**62}, {2**62}, {2**62}, {2**62}]>",
        "pads_large": "<pads = [30000, 30000, 30000, 30000]>",
        "pads_negative": "<pads = [-1, -1, -1, -1]>",
        "dilations_huge": f"<dilations = [{2**62}, {2**62}]>",
        "group_zero": "<group = 0>",
        "group_negative": "<group = -3>",
        "group_huge": f"<group = {2**62}>",
        "kernel_shape": f"<kernel_shape = [{2**31}, {2**31}]>",
        "auto_pad": '<auto_pad = "%n">',
        "too_many_strides": f"<strides = {[1] * 5000}>",
    }.items():
        yield f"conv_{name}", conv(text)
    yield "attribute_float", attribute("strides", 1.5)
    yield "attribute_text", attribute("strides", "evil")
    yield "attribute_tensor", attribute("group", numpy_helper.from_array(np.zeros((3, 3), np.float32)))
    yield "attribute_graph", attribute("pads", helper.make_graph([], "evil", [], []))
    yield (
        "attribute_twice",
        edited(
            lambda m: m.graph.node[2].attribute.extend(
                [helper.make_attribute("group", 1), helper.make_attribute("group", 3)]
            ),
            conv(),
        ),
    )
    yield (
        "attribute_reference",
        edited(
            lambda m: m.graph.node[2].attribute.append(onnx.AttributeProto(name="group", ref_attr_name="evil", type=2)),
            conv(),
        ),
    )
    for name, number in {
        "nan": np.nan, "zero": 0, "negative": -1, "infinite": np.inf, "denormal": 1e-45, "largest": 3.4e38,
        "smallest_normal": 1.1754944e-38,
    }.items():  # fmt: skip
        yield f"scale_{name}", with_scale(number)
        yield f"weight_scale_{name}", with_scale(number, "ws")
    yield (
        "scale_of_64_bits",
        edited(lambda m: tensor(m, "s").CopyFrom(numpy_helper.from_array(np.float64(0.5), "s")), conv()),
    )
    yield (
        "zero_point_type",
        edited(lambda m: tensor(m, "z").CopyFrom(numpy_helper.from_array(np.int32(2**31 - 1), "z")), conv()),
    )
    yield (
        "zero_point_vector",
        edited(lambda m: tensor(m, "z").CopyFrom(numpy_helper.from_array(np.zeros(7, np.int8), "z")), conv()),
    )
    yield (
        "clip_nan",
        edited(
            lambda m: tensor(m, "n").CopyFrom(numpy_helper.from_array(np.float32(np.nan), "n")),
            model("b = Clip(a, n)", ", float n = {0}"),
        ),
    )
    yield "clip_inverted", model("b = Clip(a, m, n)", ", float m = {3}, float n = {-3}")
    yield (
        "mul_infinite",
        edited(
            lambda m: tensor(m, "n").CopyFrom(numpy_helper.from_array(np.float32(np.inf), "n")),
            model("b = Mul(a, n)", ", float n = {0}"),
        ),
    )
    yield "div_zero", model("b = Div(a, n)", ", float n = {0}")
    for name, dims in {
        "more": [2, 3, 9, 9],
        "huge": [2**40, 2**20],
        "negative": [-2, -3, 1, 1],
        "rank": [1] * 500,
    }.items():
        yield f"weights_{name}", edited(lambda m, dims=dims: tensor(m, "w").dims.__setitem__(slice(None), dims), conv())
    yield "weights_raw_and_list", edited(lambda m: setattr(tensor(m, "w"), "raw_data", b"123456"), conv())
    yield "weights_too_short", edited(lambda m: tensor(m, "w").ClearField("int32_data"), conv())
    yield "weights_out_of_range", edited(lambda m: tensor(m, "w").int32_data.__setitem__(0, 2**31 - 1), conv())
    yield (
        "weights_of_text",
        edited(lambda m: tensor(m, "w").CopyFrom(helper.make_tensor("w", TensorProto.STRING, [1], [b"evil"])), conv()),
    )
    yield (
        "sums_beyond_32_bits",
        model(
            "k = DequantizeLinear(w, ws) \n d = DequantizeLinear(c, cs) \n b = Conv(a, k, d)",
            ", int8[2,3,1,1] w = {127, 127, 127, -128, -128, -128}, float ws = {0.25}, float cs = {0.125}"
            ", int32[2] c = {2147483647, -2147483648}",
        ),
    )

    for count in (2_000, 100_000):
        yield (
            f"channels_{count}",
            edited(
                lambda m, count=count: tensor(m, "w").CopyFrom(
                    numpy_helper.from_array(np.ones((count, 1, 1, 1), np.int8), "w")
                ),
                model(CONV.format(attributes=""), WEIGHTS, given="int8[1,1,1,1] x"),
            ),
        )


def damaged() -> Iterator[tuple[str, bytes]]:
    """Yield files that are no protobuf of a model."""
    whole = conv().SerializeToString()
    yield "empty", b""
    yield "text", b"#include <stdio.h>\nint main(void) { return 0; }\n"
    yield "zeros", bytes(1 << 20)
    yield "ones", b"\xff" * (1 << 20)
    yield "noise", random.Random(5).randbytes(1 << 16)
    yield "zip", b"PK\x03\x04" + bytes(100)
    yield "length_lies", b"\x3a\xff\xff\xff\xff\x07" + b"x" * 50
    yield "groups", b"\x0b" * 100_000
    yield "nested_fields", b"".join(_wrapped(5000))
    for name, size in {"first_byte": 1, "half": len(whole) // 2, "last_byte": len(whole) - 1}.items():
        yield f"truncated_{name}", whole[:size]
    yield "twice", whole + whole
    yield "name_not_utf8", whole.replace(b"DequantizeLinear", b"Dequantize\xff\xfe\xfd\xfc\xfb\xfa")


def _wrapped(depth: int) -> Iterator[bytes]:
    """Return a message in a message in a message: graph (field 7) of node (1) of attribute (5) of graph (6) .."""
    content, fields = b"", (b"\x3a", b"\x0a", b"\x2a", b"\x32")
    for level in range(depth):
        content = fields[(depth - level) % 4] + _varint(len(content)) + content
    yield content


def _varint(number: int) -> bytes:
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def write(folder: Path) -> list[Path]:
    """Write all files into a folder, with what they refer to; return them."""
    contents = {f"{name}.onnx": content for name, content in damaged()}
    for name, proto in (*structures(), *layers()):
        contents[f"{name}.onnx"] = proto.SerializeToString()
    for name, text in NAMES.items():
        contents[f"name_{name}.onnx"] = called(text).SerializeToString()
    contents["na'me; touch evil #\".onnx"] = called("x").SerializeToString()
    contents["main.onnx"] = called("main").SerializeToString()
    locations = {
        "parent": "../secret.bin", "absolute": "/etc/passwd", "link": "link.bin", "missing": "no.bin", "folder": ".",
        "null": "a\0b", "pipe": "pipe.bin", "device": "/dev/zero", "empty": "", "itself": "external_itself.onnx",
    }  # fmt: skip
    for name, location in locations.items():
        contents[f"external_{name}.onnx"] = external(location=location).SerializeToString()
    for name, entries in {
        "offset": {"offset": str(2**70)},
        "negative": {"offset": "-4", "length": "6"},
        "length": {"length": str(2**70)},
        "words": {"offset": "one", "length": "all"},
    }.items():
        contents[f"external_{name}.onnx"] = external(location="weights.bin", **entries).SerializeToString()
    (folder / "weights.bin").write_bytes(b"\1\2\3\4\5\6")
    (folder.parent / "secret.bin").write_bytes(b"\1\2\3\4\5\6")
    (folder / "link.bin").symlink_to("../secret.bin")
    os.mkfifo(folder / "pipe.bin")
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


if __name__ == "__main__":
    import sys

    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    print(*write(place), sep="\n")
