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
from tosa.cases import CASES, inputs
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
    found = compiled.run({name: np.concatenate(each) for name, each in zip(named(every[0]), zip(*every))}).outputs
    wanted = [np.concatenate(each) for each in zip(*(meant(f, each) for each in every))]
    for number, each in enumerate(wanted):
        differing = np.argwhere(found[f"result{number}"] != each)
        assert not len(differing), f"result {number}: {differing[:3].tolist()}"


def test_there_are_forms_of_all_families():
    assert len(CASES) >= 70


@pytest.mark.parametrize("first", range(0, len(CASES), TOGETHER))
def test_operations_are_computed_exactly(first, tmp_path):
    executed(cases(list(CASES)[first : first + TOGETHER]), tmp_path)


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
