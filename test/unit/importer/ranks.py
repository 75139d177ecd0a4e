"""Models of one operator whose inputs have ranks 0, 1, 2 and 6, quantised, constant or plain, for each operator family.

    python test/unit/importer/ranks.py [PATTERN]

compiles all of them (several thousand), in children that may die, and counts how it ends.
"""

import collections
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPES = {0: (), 1: (6,), 2: (2, 3), 6: (1, 2, 1, 3, 1, 2)}

ALONE: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("Relu", "Sigmoid", "Tanh", "Identity", "Abs", "Neg", "Floor", "Round", "Sqrt", "Exp")},
    **{name: {} for name in ("LeakyRelu", "HardSigmoid", "HardSwish", "Elu", "Erf", "Softplus", "Gelu", "Clip")},
    **{name: {} for name in ("Softmax", "LogSoftmax", "Flatten", "Squeeze", "Transpose", "Shape", "Dropout", "Max")},
    **{name: {} for name in ("GlobalAveragePool", "ReduceMean", "ReduceSum", "ReduceMax", "ArgMax", "Sum", "Mean")},
    "MaxPool": {"kernel_shape": [1]},
    "AveragePool": {"kernel_shape": [1]},
    "DepthToSpace": {"blocksize": 1},
}
TOGETHER: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "MatMul", "Gemm", "Pow", "PRelu", "Where")},
    **{name: {} for name in ("Gather", "Conv", "ConvTranspose", "Expand", "Reshape", "Tile", "Unsqueeze", "Slice")},
    **{name: {} for name in ("Pad", "Split", "Resize", "LayerNormalization")},
    "Concat": {"axis": 0},
}
KINDS = ("stored", "float", "plain", "constant", "weights", "indices")
"""What an operand is: an int8 input dequantised, a float32 one quantised, one that nothing quantises; constants."""

Make = Callable[[], onnx.ModelProto]


def cases() -> Iterator[tuple[str, Make]]:
    """Yield names and what makes the models."""
    for rank in SHAPES:
        for kind in KINDS[:3]:
            for operator, attributes in ALONE.items():
                yield f"{operator} {rank} {kind}", lambda a=(operator, [(rank, kind)], attributes): model(*a)
    pairs = [(one, other) for one in KINDS[:5] for other in KINDS if {one, other} & {"stored", "plain"}]
    for first in SHAPES:
        for second in SHAPES:
            for kinds in pairs:
                for operator, attributes in TOGETHER.items():
                    operands = list(zip((first, second), kinds))
                    name = f"{operator} {first} {kinds[0]} {second} {kinds[1]}"
                    yield name, lambda a=(operator, operands, attributes): model(*a)


def model(operator: str, operands: Sequence[tuple[int, str]], attributes: dict[str, Any]) -> onnx.ModelProto:
    """Return a model of one node, whose result is quantised."""
    random = np.random.default_rng(1)
    nodes: list[onnx.NodeProto] = []
    inputs: list[onnx.ValueInfoProto] = []
    names: list[str] = []
    constants = {"scale": np.float32(0.5), "zero": np.int8(0), "one": np.float32(1)}
    for number, (rank, kind) in enumerate(operands):
        name, shape = f"x{number}", SHAPES[rank]
        values = random.integers(1, 5, shape)
        if kind in ("constant", "indices", "weights"):
            dtype = {"constant": np.float32, "indices": np.int64, "weights": np.int8}[kind]
            constants[name] = np.asarray(values * (kind != "indices"), dtype)
        else:
            dtype = TensorProto.INT8 if kind == "stored" else TensorProto.FLOAT
            inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        if kind == "float":
            nodes.append(helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_q"], name=f"q{number}"))
            name = f"{name}_q"
        if kind in ("float", "stored", "weights"):
            nodes.append(
                helper.make_node("DequantizeLinear", [name, "scale", "zero"], [f"{name}_r"], name=f"d{number}")
            )
            name = f"{name}_r"
        names.append(name)
    nodes += [
        helper.make_node(operator, names, ["y"], name="op", **attributes),
        helper.make_node("QuantizeLinear", ["y", "one", "zero"], ["y_q"], name="q"),
        helper.make_node("DequantizeLinear", ["y_q", "one", "zero"], ["out"], name="d"),
    ]
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, ())
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    made = helper.make_model(
        helper.make_graph(nodes, "ranks", inputs, [output], tensors),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    output.type.tensor_type.ClearField("shape")
    made.graph.output[0].CopyFrom(output)
    found = onnx.shape_inference.infer_shapes(made).graph.output[0]
    if found.type.tensor_type.HasField("shape"):
        made.graph.output[0].CopyFrom(found)
    return made


def ending(make: Make) -> str:
    """Compile a model and say how that ended: compiled, refused, or the name of an exception that is a bug."""
    import htvm
    from htvm.backend import targets

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            htvm.compile(make(), targets.load("rv32"))
    except htvm.CompileError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "compiled"


def main(pattern: str) -> None:
    ahead = [case for case in cases() if re.search(pattern, case[0])]
    counts: collections.Counter[str] = collections.Counter()
    bugs: list[tuple[str, str]] = []
    at = 0
    while at < len(ahead):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            with os.fdopen(writer, "w", buffering=1) as told:
                for name, make in ahead[at : at + 200]:
                    told.write(" ".join(f"{name}: {ending(make)}".split()) + "\n")
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answers:
            endings = [line.strip().partition(": ")[2] for line in answers]
        if os.waitpid(child, 0)[1]:
            endings.append("died")
        for (name, _), each in zip(ahead[at:], endings):
            counts[each if each in ("compiled", "refused", "died") else "bug"] += 1
            if each not in ("compiled", "refused"):
                bugs.append((name, each))
        at += len(endings)
    print(f"{len(ahead)} models: {dict(counts)}")
    for name, each in bugs:
        print(f"  {name}: {each[:200]}")


if __name__ == "__main__":
    main((sys.argv + [""])[1])
