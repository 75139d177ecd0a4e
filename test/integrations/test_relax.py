"""htvm inside TVM: what htvm computes of a Relax module is exact, what it leaves to TVM is named with the reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import pytest
from machine import machine
from onnx import TensorProto, helper, numpy_helper

if not machine().has_tvm:
    pytest.skip("no apache-tvm", allow_module_level=True)

import tvm
import tvm_ffi
from random_networks import random_network
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from htvm import CompileError
from htvm.integrations.relax import Partition, codegen, partition, partition_for_htvm, write_c
from htvm.options import DEFAULTS
from htvm.project import Project
from htvm.reference import evaluate

MODELS = Path(__file__).parents[1] / "inputs" / "models"
MLPERF_TINY = ("resnet8", "ds_cnn", "mobilenet_v1", "toyadmos")
TAILS = {
    "resnet8": ("mean", "nn.softmax"),
    "ds_cnn": ("mean", "nn.softmax"),
    "mobilenet_v1": ("mean", "nn.softmax"),
    "toyadmos": ("lv67",),
}
"""What TVM is to keep of each network: operators, or the product of a layer."""

NUMBERS = count()


def network(name: str) -> onnx.ModelProto:
    return onnx.load(MODELS / "mlperf_tiny" / f"{name}.onnx")


def relaxed(model: onnx.ModelProto) -> tvm.ir.IRModule:
    return from_onnx(model, keep_params_in_input=False)


def library(module: tvm.ir.IRModule, folder: Path) -> tvm.runtime.Module:
    """Build a module into a library, with nothing but what TVM's users call, and load that."""
    file = folder / f"network{next(NUMBERS)}.so"
    relax.build(module, target="llvm").export_library(str(file))
    return tvm.runtime.load_module(str(file))


def run(loaded: tvm.runtime.Module, *inputs: np.ndarray) -> np.ndarray:
    return relax.VirtualMachine(loaded, tvm.cpu())["main"](*map(tvm.runtime.tensor, inputs)).numpy()


def samples(model: onnx.ModelProto, number: int) -> list[np.ndarray]:
    generator = np.random.default_rng(7)
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    return [generator.integers(-128, 128, shape).astype(np.int8) for _ in range(number)]


def meaning(model: onnx.ModelProto, given: np.ndarray) -> np.ndarray:
    return evaluate(model, {model.graph.input[0].name: given})[model.graph.output[0].name]


def with_reference(partitioned: Partition, folder: Path) -> tvm.runtime.Module:
    """Build the module with each subgraph computed by the reference, in Python; what TVM computes is the same."""
    for subgraph in partitioned.subgraphs:
        model = subgraph.compiled.proto

        def computed(*tensors: object, model: onnx.ModelProto = model) -> None:
            names = [port.name for port in model.graph.input]
            results = evaluate(model, {name: tensor.numpy() for name, tensor in zip(names, tensors)})
            for port, tensor in zip(model.graph.output, tensors[len(names) :]):
                tensor.copyfrom(results[port.name])

        tvm_ffi.register_global_func(subgraph.symbol, computed, override=True)
    tvm_ffi.register_global_func("relax.ext.htvm", lambda functions, options, names: [], override=True)
    try:
        return library(relax.transform.RunCodegen()(partitioned.module), folder)
    finally:
        tvm_ffi.register_global_func("relax.ext.htvm", codegen.codegen, override=True)


@pytest.mark.parametrize("name", MLPERF_TINY)
def test_a_whole_network_is_exact(name: str, tmp_path: Path) -> None:
    model = network(name)
    partitioned = partition(relaxed(model))
    assert partitioned.is_whole, str(partitioned)
    loaded = library(relax.transform.RunCodegen()(partitioned.module), tmp_path)
    for given in samples(model, 3):
        np.testing.assert_array_equal(run(loaded, given), meaning(model, given))


@pytest.mark.parametrize("name", MLPERF_TINY)
def test_with_its_tail_left_to_tvm_every_subgraph_is_exact(name: str, tmp_path: Path) -> None:
    model = network(name)
    partitioned = partition(relaxed(model), leave=TAILS[name])
    assert len(partitioned.subgraphs) == 2 and partitioned.staying
    loaded = library(relax.transform.RunCodegen()(partitioned.module), tmp_path)
    reference = with_reference(partitioned, tmp_path)
    for given in samples(model, 3):
        np.testing.assert_array_equal(run(loaded, given), run(reference, given))


def partitioned_random_networks(wanted: int) -> Mapping[int, Partition]:
    """Return the first random networks of which htvm takes something."""
    found: dict[int, Partition] = {}
    for seed in count():
        partitioned = partition(relaxed(random_network(seed)[0]))
        if partitioned.subgraphs:
            found[seed] = partitioned
        if len(found) == wanted:
            return found
    raise AssertionError


def test_random_networks_are_exact(tmp_path: Path) -> None:
    found = partitioned_random_networks(20)
    assert sum(partitioned.is_whole for partitioned in found.values()) >= 10
    for seed, partitioned in found.items():
        model, inputs = random_network(seed)
        loaded = library(relax.transform.RunCodegen()(partitioned.module), tmp_path)
        given = inputs["x"]
        wanted = meaning(model, given) if partitioned.is_whole else run(with_reference(partitioned, tmp_path), given)
        np.testing.assert_array_equal(run(loaded, given), wanted, str(seed))


def chain(kinds: Collection[str], weights: np.ndarray | None = None) -> onnx.ModelProto:
    """Return a network of element-wise operators between quantisers."""
    nodes, stored = list[onnx.NodeProto](), "x"
    for kind in kinds:
        nodes += [
            helper.make_node("DequantizeLinear", [stored, "scale", "zero"], [f"{kind}_in"]),
            helper.make_node(kind, [f"{kind}_in", *(["factor"] if kind == "Mul" else [])], [f"{kind}_out"]),
            helper.make_node("QuantizeLinear", [f"{kind}_out", "scale", "zero"], [f"{kind}_stored"]),
        ]
        stored = f"{kind}_stored"
    ports = [helper.make_tensor_value_info(name, TensorProto.INT8, (1, 4)) for name in ("x", stored)]
    constants = {"scale": np.float32(0.5), "zero": np.int8(0)} | ({} if weights is None else {"factor": weights})
    arrays = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "chain", ports[:1], ports[1:], arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_stays_is_named_with_the_reason() -> None:
    told = str(partition(relaxed(chain(["Relu", "Cos", "Tanh"])), leave=["tanh"]))
    assert "htvm_0: 3 operators, 1 steps" in told
    assert "(cos): 'lv4' (cos) is no operator that htvm takes" in told
    assert "(tanh): 'lv7' (tanh) is left to TVM, as asked" in told


def test_a_layer_that_htvm_refuses_stays_and_the_others_do_not() -> None:
    """An infinite factor has no meaning in integers: the importer says so, and TVM keeps that layer alone."""
    partitioned = partition(relaxed(chain(["Relu", "Mul", "Sigmoid"], np.float32(np.inf))))
    assert [value.operator for value in partitioned.staying] == ["dequantize", "multiply", "quantize"]
    assert all("inf" in value.reason for value in partitioned.staying)
    assert [subgraph.operators[1] for subgraph in partitioned.subgraphs] == ["nn.relu", "sigmoid"]


def test_no_symbol_is_longer_than_a_file_name_can_be() -> None:
    (subgraph,) = partition(relaxed(network("mobilenet_v1"))).subgraphs
    assert subgraph.symbol == "htvm_0" and len(subgraph.operators) > 200


@pytest.fixture(scope="module")
def resnet8(tmp_path_factory: pytest.TempPathFactory) -> tvm.runtime.Module:
    module = partition_for_htvm(relaxed(network("resnet8")))
    return library(relax.transform.RunCodegen()(module), tmp_path_factory.mktemp("resnet8"))


X = np.zeros((1, 3, 32, 32), np.int8)
Y = np.zeros((1, 10), np.int8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:, :, :31], Y), "htvm_0: 'input0' has shape 1x3x31x32, expected 1x3x32x32"),
        ((X, Y[0]), "htvm_0: 'output0' has shape 10, expected 1x10"),
        ((X.astype(np.uint8), Y), "htvm_0: 'input0' has type uint8, expected int8"),
        ((X, Y.astype(np.float32)), "htvm_0: 'output0' has type float32, expected int8"),
        ((X,), "htvm_0: 1 arguments, expected 2 tensors, or these and an arena"),
        ((X, np.zeros(41759, np.uint8), Y), "htvm_0: the arena has 41759 bytes, expected at least 41760"),
    ],
)
def test_the_border_names_what_does_not_fit(
    resnet8: tvm.runtime.Module, arguments: tuple[np.ndarray, ...], message: str
) -> None:
    tensors = [tvm.runtime.tensor(np.ascontiguousarray(each)) for each in arguments]
    with pytest.raises(ValueError, match=message):
        resnet8.get_function("htvm_0", query_imports=True)(*tensors)


def test_the_border_names_what_is_no_tensor(resnet8: tvm.runtime.Module) -> None:
    with pytest.raises(ValueError, match="htvm_0: 'input0' is no tensor"):
        resnet8.get_function("htvm_0", query_imports=True)(3, tvm.runtime.tensor(Y))


def test_threads_can_run_one_library_at_once(resnet8: tvm.runtime.Module) -> None:
    model = network("resnet8")
    given = samples(model, 8)
    function = resnet8.get_function("htvm_0", query_imports=True)

    def computed(x: np.ndarray) -> np.ndarray:
        tensor, result = tvm.runtime.tensor(x), tvm.runtime.tensor(Y)
        for _ in range(20):
            function(tensor, result)
        return result.numpy()

    with ThreadPoolExecutor(8) as pool:
        for x, found in zip(given, pool.map(computed, given)):
            np.testing.assert_array_equal(found, meaning(model, x))


def test_the_arena_can_be_tvms(tmp_path: Path) -> None:
    """AllocateWorkspace gives all subgraphs one tensor to work in, and TVM plans where that lies."""
    model = network("resnet8")
    partitioned = partition(relaxed(model), leave=["mean"])
    module = relax.transform.AllocateWorkspace()(partitioned.module)
    assert 'R.builtin.alloc_tensor(R.shape([41760]), R.dtype("uint8")' in module.script(show_meta=False)
    loaded = library(relax.transform.RunCodegen()(module), tmp_path)
    reference = with_reference(partitioned, tmp_path)
    for given in samples(model, 2):
        np.testing.assert_array_equal(run(loaded, given), run(reference, given))


def test_of_a_network_for_accelerators_the_c_project_can_be_written(tmp_path: Path) -> None:
    model = chain(["Relu"])
    partitioned = partition(relaxed(model), "diana")
    with pytest.raises(Exception, match="htvm_0: target 'diana' has accelerators .*write_c writes the C project"):
        relax.transform.RunCodegen()(partitioned.module)
    write_c(partitioned, tmp_path / "c")
    assert Project.read(tmp_path / "c").report.target == "diana"


def test_of_a_network_in_which_tvm_computes_something_there_is_no_c_project(tmp_path: Path) -> None:
    partitioned = partition(relaxed(chain(["Relu", "Cos"])), "rv32")
    with pytest.raises(
        CompileError, match="has no runtime of TVM, and htvm computes 1 subgraphs, expected 1 that"
    ) as told:
        write_c(partitioned, tmp_path / "c")
    assert "(cos): 'lv4' (cos) is no operator that htvm takes" in str(told.value)
    assert not (tmp_path / "c").exists()


def test_options_reach_the_subgraphs() -> None:
    module = partition_for_htvm(relaxed(network("ds_cnn")), options=DEFAULTS.having(constants="1x"))
    assert str(module["htvm_0"].attrs["htvm.options"]) == '{"constants": "1x"}'


def test_an_option_of_the_code_generator_that_there_is_not_is_named() -> None:
    module = partition_for_htvm(relaxed(chain(["Relu"])))
    with pytest.raises(Exception, match="htvm: there is no option 'target' of RunCodegen, expected cc"):
        relax.transform.RunCodegen({"htvm": {"target": "diana"}})(module)
    with pytest.raises(Exception, match="there is no C compiler 'no-such-cc'"):
        relax.transform.RunCodegen({"htvm": {"cc": "no-such-cc"}})(module)


def channels_last_network() -> tvm.ir.IRModule:
    """Return a network as TVM's TFLite front end gives one: NHWC, HWIO, zero points of int32, a clip as activation.

    Its scales are powers of two, so that what TVM computes in float32 is exact as well.
    """
    generator = np.random.default_rng(5)
    op, constant = relax.op, relax.const
    zero, step = constant(np.int32(-3)), constant(np.float32(0.25))
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 8, 6, 4), "int8"))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = builder.emit(op.dequantize(x, step, zero, axis=0))
            for shape, groups, kernel in (((3, 3, 4, 8), 1, "HWIO"), ((3, 3, 8, 1), 8, "HWOI")):
                stored = constant(generator.integers(-127, 128, shape).astype(np.int8))
                scales = constant((2.0 ** generator.integers(-9, -6, 8)).astype(np.float32))
                weights = builder.emit(op.dequantize(stored, scales, constant(np.int32(0)), axis=kernel.index("O")))
                bias = constant(generator.integers(-30, 30, 8).astype(np.int32))
                product = builder.emit(
                    op.nn.conv2d(value, weights, padding=1, groups=groups, data_layout="NHWC", kernel_layout=kernel)
                )
                added = builder.emit(op.dequantize(bias, constant(np.float32(2**-8)), constant(np.int32(0)), axis=0))
                result = builder.emit(op.quantize(builder.emit(op.add(product, added)), step, zero, axis=0))
                value = builder.emit(op.dequantize(builder.emit(op.clip(result, -3.0, 100.0)), step, zero, axis=0))
            pooled = builder.emit(op.nn.max_pool2d(value, (2, 2), (2, 2), layout="NHWC"))
            result = builder.emit_output(op.quantize(pooled, step, zero, axis=0))
        builder.emit_func_output(result)
    return builder.get()


def test_a_network_in_nhwc_is_exact(tmp_path: Path) -> None:
    module = channels_last_network()
    partitioned = partition(module)
    assert partitioned.is_whole, str(partitioned)
    loaded = library(relax.transform.RunCodegen()(partitioned.module), tmp_path)
    alone = library(module, tmp_path)
    (subgraph,) = partitioned.subgraphs
    for given in np.random.default_rng(1).integers(-128, 128, (4, 1, 8, 6, 4)).astype(np.int8):
        (meant,) = evaluate(subgraph.compiled.proto, {"input0": given}).values()
        np.testing.assert_array_equal(run(loaded, given), meant)
        np.testing.assert_array_equal(run(loaded, given), run(alone, given))
