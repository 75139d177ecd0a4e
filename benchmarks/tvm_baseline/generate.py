"""The half that runs in TVM's own environment: a quantised ONNX network becomes TVM's C.

Usage: generate.py MODEL.onnx LAYOUT LEGALISE_FOR TARGET FOLDER

LAYOUT is "NCHW", or "NHWC/HWIO" (data and kernel). LEGALISE_FOR is the TVM target whose rules lower quantised
operators: those of "c" subtract zero points ahead of time and multiply in int16, those of "c -device=arm_cpu" stay in
int8 and correct the sums. TARGET is the one whose schedules are used.

FOLDER gets the C (Ahead-of-Time executor, bare pointers, one workspace planned by TVM), the header it includes, and
interface.json: {"input_bytes", "output_bytes"}. Writes nothing else, and needs no network.
"""

import json
import math
import os
import sys
from pathlib import Path

os.environ["TOPHUB_LOCATION"] = "NONE"  # or TVM asks a server for tuned schedules; it has none for this core

import numpy as np
import onnx
import tvm
from onnx import numpy_helper
from tvm import relay
from tvm.relay.backend import Executor, Runtime

NAME = "net"
HEADER = """\
struct tvmgen_{name}_inputs {{ void *{input}; }};
struct tvmgen_{name}_outputs {{ void *output; }};
"""


def main(model_path: str, layout: str, legalise_for: str, target: str, folder: str) -> None:
    model = simplified(onnx.load(model_path))
    sources = generate(relay_module(model, layout, legalise_for), target)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sources):
        (place / f"{NAME}_{number}.c").write_text(source)
    (x,), (y,) = model.graph.input, model.graph.output
    (place / f"tvmgen_{NAME}.h").write_text(HEADER.format(name=NAME, input=x.name))
    interface = {"input_bytes": elements(x), "output_bytes": elements(y)}
    (place / "interface.json").write_text(json.dumps(interface) + "\n")


def elements(value: onnx.ValueInfoProto) -> int:
    """Return the elements of a graph's input or output; they are int8."""
    return math.prod(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network as TVM does best with it; the values of its logits stay what they are.

    Without the softmax (TVM's is in float32, which would need a mathematical library and hundreds of instructions an
    operation); without a Relu whose quantiser cannot store less than zero, which TVM would compute all the same; and
    with one zero for the zero points of all channels' weights, since TVM multiplies by vectors of zeros.
    """
    graph = model.graph
    softmax = next((node for node in graph.node if node.op_type == "Softmax"), None)
    if softmax:
        logits = next(node for node in graph.node if softmax.input[0] in node.output)
        inferred = onnx.shape_inference.infer_shapes(model)
        model = onnx.utils.Extractor(inferred).extract_model([graph.input[0].name], [logits.input[0]])
        graph = model.graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    for node in list(graph.node):
        if node.op_type == "Relu":
            (reader,) = (other for other in graph.node if node.output[0] in other.input)
            if reader.op_type == "QuantizeLinear" and constants[reader.input[2]] == -128:
                reader.input[0] = node.input[0]
                graph.node.remove(node)
    zero_points = {node.input[2] for node in graph.node if node.op_type == "DequantizeLinear"}
    for constant in graph.initializer:
        values = constants[constant.name]
        if constant.name in zero_points and not values.any():
            constant.CopyFrom(numpy_helper.from_array(np.zeros((), values.dtype), constant.name))
    return model


def relay_module(model: onnx.ModelProto, layout: str, legalise_for: str) -> tvm.IRModule:
    """Import a network and lower its quantised operators to integer ones. Raises TVMError if one would be float."""
    module, _ = relay.frontend.from_onnx(model, freeze_params=True)
    transform, layouts = relay.transform, layout.split("/")
    passes = [transform.InferType(), transform.FoldConstant(), transform.FakeQuantizationToInteger(hard_fail=True)]
    if layouts[0] != "NCHW":
        wanted = {"qnn.conv2d": layouts, "nn.conv2d": layouts, "nn.global_avg_pool2d": layouts[:1]}
        passes += [transform.ConvertLayout(wanted), transform.FoldConstant()]
    passes += [transform.InferType(), relay.qnn.transform.Legalize(), relay.qnn.transform.CanonicalizeOps()]
    with tvm.transform.PassContext(opt_level=3), tvm.target.Target(legalise_for, host=legalise_for):
        return tvm.transform.Sequential([*passes, transform.FoldConstant()])(module)


def generate(module: tvm.IRModule, target: str) -> list[str]:
    """Return the C files of a module: its entry with constants and workspace, then its operators."""
    options = {"interface-api": "c", "unpacked-api": True, "workspace-byte-alignment": 4, "constant-byte-alignment": 4}
    config = {"tir.disable_vectorize": True, "tir.usmp.enable": True, "tir.usmp.algorithm": "hill_climb"}
    with tvm.transform.PassContext(opt_level=3, config=config):
        built = relay.build(
            module,
            target=tvm.target.Target(target, host=target),
            executor=Executor("aot", options),
            runtime=Runtime("crt"),
            mod_name=NAME,
        )
    return [library.get_source() for library in (built.lib, *built.lib.imported_modules)]


if __name__ == "__main__":
    main(*sys.argv[1:])
