"""What a program can hand to the library by mistake: other types, broken modules, edits that break a stage."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlir import ir
from mlir.dialects import arith

import htvm
from htvm import dialects
from htvm.dialects import accel
from htvm.passes.pipeline import STAGES

Q = "tensor<1x4x!quant.uniform<i8:f32, 0.5>>"
REAL = "tensor<1x4xf32>"
RELU = f"""
func.func @f(%x: {Q}) -> {Q} {{
  %0 = accel.relu %x : ({Q}) -> {REAL}
  %1 = accel.quantize %0 : ({REAL}) -> {Q}
  return %1 : {Q}
}}
"""


def parsed(text: str = RELU, context: ir.Context | None = None) -> ir.Module:
    return ir.Module.parse(text, dialects.context() if context is None else context)


def body(module: ir.Module) -> ir.Block:
    """Return the block of a module's only function."""
    (function,) = accel.functions(module)
    return function.body.blocks[0]


ONE = parsed()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: htvm.compile(None), TypeError, "a model is a path, an onnx.ModelProto, or .*; found NoneType"),
        (lambda: htvm.Pipeline(b"x"), TypeError, "a model is a path, .* found bytes"),
        (lambda: htvm.verify(3), TypeError, "a model is a path, .* found int"),
        (lambda: htvm.compile(body(ONE).operations[0]), TypeError, "found an operation 'accel.relu'"),
        (
            lambda: htvm.compile(ONE, 3),
            TypeError,
            "a target is a name, the path of a .py file, or a Soc; found int",
        ),
        (lambda: htvm.load_target(Path("none.py")), ValueError, "target file 'none.py' does not exist"),
        (lambda: htvm.compile(ONE, options=3), TypeError, "options are a int, expected CompileOptions"),
        (lambda: htvm.compile(ONE, passes="cse"), TypeError, "passes is 'cse', expected pipelines by stage"),
        (lambda: htvm.compile(ONE, passes={"integer": 3}), TypeError, "expected pipelines by stage"),
        (lambda: htvm.compile(ONE, constants=2.4), TypeError, "constants is 2.4, expected a text such as .2.4x. or"),
        (lambda: htvm.compile(ONE, memory=3), TypeError, "memory is 3, expected bytes by memory"),
        (lambda: htvm.compile(ONE, memory={"ram": "64k"}), TypeError, "expected bytes by memory"),
        (lambda: htvm.compile(ONE, shapes={"x": 3}), TypeError, "expected lists of sizes by input"),
        (lambda: htvm.compile(ONE, engines="host"), TypeError, "engines is 'host', expected a list of names"),
        (lambda: htvm.compile(ONE, keep_stages=["done"]), ValueError, "keep_stages: unknown stage 'done'"),
        (lambda: htvm.compile(ONE).run(3), htvm.InputError, "inputs are a int, expected arrays by name"),
        (
            lambda: htvm.compile(ONE).run({"arg0": [[1, 2, 3, 4]]}),
            htvm.InputError,
            "'arg0' is a list, expected an",
        ),
        (lambda: htvm.load_dialect(3), TypeError, "is loaded into a context of MLIR; found int"),
        (lambda: htvm.import_onnx("none.onnx"), htvm.ModelError, "none.onnx: no such file"),
    ],
)
def test_other_types_are_named(wrong: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"func.func private @f({Q}) -> {Q}", "no function has operations of accel"),
        (f"module {{ module {{ {RELU} }} }}", "operations of accel are in no function at the top of the module"),
        (RELU.replace(f"%x: {Q}", f"%x: {Q}, %n: i32"), "argument 1 of 'f' is a 'i32', expected a tensor"),
        (RELU.replace("1x4x", "0x4x"), "argument 0 of 'f' is a 'tensor<0x4x.*, expected a tensor of at"),
        (RELU.replace("i8:f32", "i4:f32"), "node 'relu_0': stage 'imported': .* stored as i4, expected i8, i16, i32"),
        (
            f"func.func @f(%x: {REAL}) -> {REAL} {{ %0 = accel.relu %x : ({REAL}) -> {REAL} return %0 : {REAL} }}",
            "argument 0 of 'f' has elements f32, expected a quantised type",
        ),
        (RELU.replace(f"%x: {Q}", f"%x: {Q} {{accel.name = \"a\"}}, %y: {Q} {{accel.name = \"a\"}}"),
         "module: inputs of 'f': several have accel.name \"a\", expected one each"),
        (RELU.replace("return", "cf.br ^b ^b: return"), "found 'cf.br', expected layers and"),
    ],
)  # fmt: skip
def test_a_module_that_is_no_network_says_why(text: str, message: str) -> None:
    with pytest.raises(htvm.CompileError, match=message):
        htvm.compile(parsed(text))


def erase_terminator(module: ir.Module) -> None:
    body(module).operations[2].operation.erase()


def use_before_definition(module: ir.Module) -> None:
    body(module).operations[1].operation.move_before(body(module).operations[0])


def drop_argument_from_type(module: ir.Module) -> None:
    next(accel.functions(module)).attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get([], []))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (erase_terminator, "block with no terminator"),
        (use_before_definition, "does not dominate this use"),
        (drop_argument_from_type, "entry block must have 0 arguments"),
    ],
)
def test_a_module_that_is_broken_in_memory_is_verified(break_it: Callable[[ir.Module], None], message: str) -> None:
    module = parsed()
    with module.context, ir.Location.unknown():
        break_it(module)
    with pytest.raises(htvm.CompileError, match=message):
        htvm.compile(module)


def erase_functions(module: ir.Module) -> None:
    for function in list(accel.functions(module)):
        function.operation.erase()


def use_unknown_engine(module: ir.Module) -> None:
    for layer in accel.layers(module):
        layer.operation.attributes["engine"] = ir.StringAttr.get("npu")


def use_no_engine(module: ir.Module) -> None:
    for layer in accel.layers(module):
        del layer.operation.attributes["engine"]


def insert_a_number(module: ir.Module) -> None:
    with ir.InsertionPoint(body(module).operations[0]):
        arith.ConstantOp(ir.F32Type.get(), 1.0)


FROM_DISPATCHED = STAGES[2:]


@pytest.mark.parametrize(
    ("stages", "edit", "message"),
    [
        (STAGES, erase_functions, "module: no function has operations of accel any more"),
        (STAGES, drop_argument_from_type, "function arguments"),
        (STAGES[:4], insert_a_number, "'arith.constant' has a value of 'f32', expected a tensor"),
        (STAGES[4:], insert_a_number, "found 'arith.constant', expected layers"),
        (FROM_DISPATCHED, use_no_engine, "'accel.lookup' has no engine"),
        (FROM_DISPATCHED, use_unknown_engine, "'accel.lookup' is on engine 'npu', expected one of 'rv32': host"),
    ],
)
def test_an_edit_that_breaks_a_stage_is_found_before_the_next(
    stages: tuple[str, ...], edit: Callable[[ir.Module], None], message: str
) -> None:
    way = htvm.Pipeline(parsed())
    for stage in stages:
        module = way.to(stage)
        kept = way.module = ir.Module.parse(way.text(), module.context)
        with module.context, ir.Location.unknown():
            edit(kept)
        with pytest.raises(htvm.CompileError, match=message):
            way.compiled()
        way.module = module


def test_names_that_are_dropped_on_the_way_are_given_again() -> None:
    way = htvm.Pipeline(parsed())
    function = next(accel.functions(way.to("integer")))
    with way.module.context:
        for attribute in ("arg_attrs", "res_attrs"):
            del function.attributes[attribute]
    assert htvm.verify(way.compiled()).exact


@pytest.mark.parametrize(
    ("results", "text", "scale"),
    [
        (f"{REAL}, {REAL}", f"%1 = accel.add %0, %0 : ({REAL}, {REAL}) -> {REAL} return %0, %1 : {REAL}, {REAL}", 0.5),
        ("tensor<4xf32>", f"%1 = accel.reshape %x : ({Q}) -> tensor<4xf32> return %1 : tensor<4xf32>", 0.5),
        (
            "tensor<1x2xf32>",
            "%w = arith.constant dense<3> : tensor<2x4xi8>"
            " %q = quant.scast %w : tensor<2x4xi8> to tensor<2x4x!quant.uniform<i8:f32, 0.5>>"
            f" %1 = accel.dense %x, %q : ({Q}, tensor<2x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2xf32>"
            " return %1 : tensor<1x2xf32>",
            0.25,
        ),
    ],
)
def test_real_results_are_returned_as_real_numbers(results: str, text: str, scale: float) -> None:
    """A result that nothing quantises is float32, and its integers have the scale that they have by themselves."""
    relu = f"%0 = accel.relu %x : ({Q}) -> {REAL}"
    compiled = htvm.compile(parsed(f"func.func @f(%x: {Q}) -> ({results}) {{ {relu} {text} }}"))
    assert htvm.verify(compiled).exact
    assert {str(port.dtype) for port in compiled.project.outputs} == {"float32"}
    assert compiled.project.outputs[0].scale == scale
    found = compiled.run({"arg0": np.array([[1, 2, 3, -4]], np.int8)}).outputs["result0"]
    wanted = {4: [0.5, 1, 1.5, 0 if "reshape" not in text else -2], 2: [1.5, 1.5]}[found.size]
    assert found.ravel().tolist() == wanted


def test_contexts_and_threads_do_not_meet() -> None:
    shared = dialects.context()
    modules = [parsed(), parsed(), parsed(context=shared), parsed(context=shared)]
    wanted, found = htvm.compile(parsed()).files, dict[int, Any]()

    def compile_one(number: int) -> None:
        found[number] = htvm.compile(modules[number]).project.sources

    with ir.Context():  # another one is current
        threads = [threading.Thread(target=compile_one, args=(number,)) for number in range(len(modules))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert htvm.verify(modules[0]).exact
    assert all(wanted[name] == text for each in found.values() for name, text in each.items()) and len(found) == 4
