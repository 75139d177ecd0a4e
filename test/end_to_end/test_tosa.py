"""Modules of tosa through the whole compiler: the C, executed, gives what TOSA says.

TOSA's meaning is htvm's own (dialects/semantics/tosa); where Arm's reference model is installed, that is compared as
well. The modules are made in test/tosa: operations in many forms, and networks.
"""

import shutil
import subprocess

import numpy as np
import pytest
from mlir import ir
from tosa import reference
from tosa.cases import inputs
from tosa.every_case import CASES
from tosa.networks import NETWORKS, network
from tosa.samples import samples
from tosa.text import Function

import htvm
from htvm import dialects
from htvm.dialects.semantics import tosa
from htvm.dialects.semantics.interpreter import interpret
from htvm.sources import source_of

SAMPLES = 20
TOGETHER = 13
"""Cases in one program: a proof that the memory plan of many results is the best takes long."""
needs_reference = pytest.mark.skipif(not reference.is_installed(), reason=reference.MISSING)


def cases(names) -> Function:
    """Return a function with one result for each of some cases."""
    f = inputs()
    for name in names:
        f.result(CASES[name](f))
    return f


def meant(f, arrays) -> list[np.ndarray]:
    module = ir.Module.parse(f.text(), dialects.context())
    return tosa.interpret(module.body.operations[0], arrays)


def named(arrays) -> dict[str, np.ndarray]:
    return {f"arg{number}": each for number, each in enumerate(arrays)}


def executed(f, tmp_path, target="rv32", count=SAMPLES) -> None:
    """Compile a function, run all samples, and compare every value with what TOSA says."""
    (tmp_path / "net.mlir").write_text(f.text())
    compiled = htvm.compile(tmp_path / "net.mlir", target)
    every = samples(f, count)
    if is_batch_of_one(f):
        found = compiled.run({name: np.concatenate(each) for name, each in zip(named(every[0]), zip(*every))}).outputs
        compare(found, [np.concatenate(each) for each in zip(*(meant(f, each) for each in every))])
    else:
        for arrays in every:
            compare(compiled.run(named(arrays)).outputs, meant(f, arrays))


def is_batch_of_one(f: Function) -> bool:
    """Say whether axis 0 of all inputs is that of the samples."""
    return all(f.shape(name)[:1] == (1,) for name in f.inputs)


def compare(found, wanted) -> None:
    for number, each in enumerate(wanted):
        differing = np.argwhere(found[f"result{number}"] != each)
        assert not len(differing), f"result {number}: {differing[:3].tolist()}"


def test_there_are_forms_of_all_families():
    assert len(CASES) >= 150


def programs() -> list[list[str]]:
    """Return the names of all cases, some together; apart those with larger batches, whose samples run one by one."""
    lists: dict[bool, list[str]] = {False: [], True: []}
    for name in CASES:
        lists[is_batch_of_one(cases([name]))].append(name)
    return [names[first : first + TOGETHER] for names in lists.values() for first in range(0, len(names), TOGETHER)]


@pytest.mark.parametrize("number", range(len(programs())))
def test_operations_are_computed_exactly(number, tmp_path):
    executed(cases(programs()[number]), tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_exact(name, tmp_path):
    executed(network(name), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["diana", "gap9"])
@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_exact_on_accelerators(name, target, tmp_path):
    executed(network(name), tmp_path, target)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_operation_alone_is_computed_exactly(name, tmp_path):
    executed(cases([name]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_converted_module_means_the_same(name, tmp_path):
    f = cases([name])
    (tmp_path / "case.mlir").write_text(f.text())
    module = source_of(tmp_path / "case.mlir")._entry()
    for arrays in samples(f, 3):
        with module.context:
            found = interpret(module, named(arrays))
        assert np.array_equal(found["result0"], meant(f, arrays)[0])


OTHER_DIALECTS = """
#same = affine_map<(i) -> (i)>
func.func @net(%x: tensor<4xi32>, %y: tensor<4xi8>) -> (tensor<4xi32>, tensor<4xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c3 = arith.constant 3 : i8
  %squares = scf.for %i = %c0 to %c4 step %c1 iter_args(%t = %x) -> tensor<4xi32> {
    %v = tensor.extract %t[%i] : tensor<4xi32>
    %w = arith.muli %v, %v : i32
    %n = tensor.insert %w into %t[%i] : tensor<4xi32>
    scf.yield %n : tensor<4xi32>
  }
  %empty = tensor.empty() : tensor<4xi8>
  %more = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]}
      ins(%y : tensor<4xi8>) outs(%empty : tensor<4xi8>) {
  ^bb0(%a: i8, %b: i8):
    %s = arith.addi %a, %c3 : i8
    linalg.yield %s : i8
  } -> tensor<4xi8>
  TOSA
  return %squares, %last : tensor<4xi32>, tensor<4xi8>
}
"""


@pytest.mark.parametrize("op", ["tosa.clamp %more {min_val = -50 : i8, max_val = 90 : i8}", "arith.maxsi %more, %y"])
def test_functions_of_other_dialects_are_computed_as_mlir_does(op, tmp_path):
    kind = "(tensor<4xi8>) -> tensor<4xi8>" if op.startswith("tosa") else "tensor<4xi8>"
    (tmp_path / "net.mlir").write_text(OTHER_DIALECTS.replace("TOSA", f"%last = {op} : {kind}"))
    x, y = np.array([3, -40000, 0, 9], np.int32), np.array([127, -128, 60, -60], np.int8)
    found = htvm.compile(tmp_path / "net.mlir").run({"arg0": x, "arg1": y}).outputs
    more = y + np.int8(3)
    assert np.array_equal(found["result0"], x * x)
    assert np.array_equal(found["result1"], np.clip(more, -50, 90) if "clamp" in op else np.maximum(more, y))
    assert htvm.verify(tmp_path / "net.mlir").exact


@needs_reference
@pytest.mark.parametrize("count", [3, pytest.param(SAMPLES, marks=pytest.mark.slow)])
def test_operations_mean_what_the_reference_model_computes(count, tmp_path):
    f = cases(CASES)
    for arrays in samples(f, count):
        wanted = meant(f, arrays)
        for name, found, each in zip(CASES, reference.outputs(f.text(), arrays, tmp_path), wanted):
            assert np.array_equal(found, each), name


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_mean_what_the_reference_model_computes(name, tmp_path):
    f = network(name)
    for arrays in samples(f, SAMPLES):
        (found,) = reference.outputs(f.text(), arrays, tmp_path)
        assert np.array_equal(found, meant(f, arrays)[0])


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_c_of_called_functions_gives_a_compiler_nothing_to_say(tmp_path):
    (tmp_path / "net.mlir").write_text(network("attention").text())
    htvm.compile(tmp_path / "net.mlir", output=tmp_path / "c")
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    words = ["gcc", *warnings, "-O2", "-c", "net.c", "-o", "net.o"]
    done = subprocess.run(words, cwd=tmp_path / "c", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
