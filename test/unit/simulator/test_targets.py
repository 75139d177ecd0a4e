"""Finding targets by name and by file."""

from dataclasses import replace

import numpy as np
import pytest
from small_soc import Adder, Summer

from htvm.backend import targets
from htvm.backend.targets.soc import Dma, Host, Memory, Operand, Route, Soc
from htvm.backend.targets.validation import validate

CUSTOM = """
from dataclasses import replace
from htvm.backend.targets.socs.rv32 import SOC as RV32
SOC = replace(RV32, name="custom")
"""


@pytest.mark.parametrize("name", targets.BUILT_IN)
def test_a_target_has_the_name_it_is_loaded_by(name):
    soc = targets.load(name)
    assert soc.name == name in targets.names()
    assert soc.memory(soc.program_memory) and soc.memory(soc.arena_memory)


def test_a_file_is_a_target(tmp_path):
    (tmp_path / "custom.py").write_text(CUSTOM)
    soc = targets.load(str(tmp_path / "custom.py"))
    assert isinstance(soc, Soc) and soc.name == "custom"


@pytest.mark.parametrize("memory", ["one", "other"])
def test_a_file_may_import_its_neighbours_and_put_off_its_annotations(tmp_path, memory):
    """Two folders may have neighbours of one name. Dataclasses look for the module of what they annotate."""
    folder = tmp_path / memory
    folder.mkdir()
    (folder / "neighbour.py").write_text(f"NAME = '{memory}'")
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom neighbour import NAME\n"
    text = head + CUSTOM.replace('"custom"', "NAME") + "@dataclass\nclass Figures:\n    name: str = NAME\n"
    (folder / "custom.py").write_text(text)
    assert targets.load(str(folder / "custom.py")).name == memory


def test_a_route_that_data_needs_is_missed_when_the_target_is_loaded():
    diana = targets.load("diana")
    load, store = diana.dmas
    assert validate(replace(diana, dmas=(replace(load, routes=load.routes[:1]),))) == [
        "dmas: found routes l2_to_l1, wanted l2_to_digital_weights too, for the weights of engine 'digital'",
        "dmas: found routes l2_to_l1, wanted l1_to_l2 too, for the output of engine 'digital'",
        "dmas: found routes l2_to_l1, wanted l2_to_analog_array too, for the weights of engine 'analog'",
        "dmas: found routes l2_to_l1, wanted l1_to_l2 too, for the output of engine 'analog'",
    ]


def test_an_operand_that_is_none_is_refused():
    diana = targets.load("diana")
    digital, *others = diana.engines
    wrong = replace(digital, input="l1", output=replace(digital.output, layouts=()))
    assert validate(replace(diana, engines=(wrong, *others))) == [
        "engines[0].input: found str, wanted a soc.Operand",
        "engines[0].output: found no element type or no layout, wanted one of each at least",
    ]


DIGITAL, *OTHERS = targets.load("diana").engines


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"clock_hz": "fast"}, "clock_hz: found str, wanted int"),
        ({"clock_hz": 0}, "clock_hz: found 0, wanted 1 at least"),
        ({"program_memory": ["l2"]}, "program_memory: found list, wanted str"),
        ({"power_w": {"host": "much"}}, "power_w: found dict, wanted Mapping[str, float] | None"),
        ({"host": Host("rv32imc", "ilp32", copy_cycles="x")}, "host.copy_cycles: found str, wanted int"),
        ({"memories": (Memory("l2", 0, -4),)}, "memories[0].size_bytes: found -4, wanted 1 at least"),
        ({"memories": (Memory(None, 0, 4),)}, "memories[0].name: found NoneType, wanted str"),
        (
            {"dmas": (Dma("dma", 0, (("l2", "l1"),), 1),)},
            "dmas[0].routes: found (('l2', 'l1'),), wanted tuple[Route, ...]",
        ),
        ({"dmas": (Dma("dma", 0, (Route("l2", "l1"),), 0),)}, "dmas[0].queue_depth: found 0, wanted 1 at least"),
        ({"engines": (replace(DIGITAL, name=5),)}, "engines[0].name: found int, wanted str"),
        ({"engines": (replace(DIGITAL, base="0"),)}, "engines[0].base: found str, wanted int"),
        (
            {"engines": (replace(DIGITAL, job_fields=("a", 1)),)},
            "engines[0].job_fields: found ('a', 1), wanted tuple[str, ...]",
        ),
        (
            {"engines": (replace(DIGITAL, input=Operand("l1", elements="i8")),)},
            "engines[0].input.elements: found str, wanted tuple[str, ...]",
        ),
        (
            {"engines": (replace(DIGITAL, input=Operand("l1", limit_bytes=0)),)},
            "engines[0].input.limit_bytes: found 0, wanted 1 at least",
        ),
    ],
)
def test_facts_of_other_types_are_refused(changes, problem):
    assert validate(replace(targets.load("diana"), **changes)) == [problem]


class Misfit(type(OTHERS[-1])):
    """A host whose method takes other arguments."""

    def violations(self):
        return ()


DMA_LOAD, DMA_STORE = targets.load("diana").dmas
HOST, L2_PRIVATE = OTHERS[-1], targets.load("diana").memories[0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"program_memory": "l1"},
            "program_memory: found 'l1', which has host_visible=False, wanted one of the host's: l2_private, l2",
        ),
        ({"arena_memory": "analog_array"}, "arena_memory: found 'analog_array', which has host_visible=False, wanted"),
        ({"engines": (DIGITAL, type(HOST))}, "engines[1]: found the class HostEngine, wanted an object, such as Host"),
        ({"engines": (DIGITAL, Misfit())}, "engines[1].violations: found a method (), wanted one of (op)"),
        (
            {"engines": (replace(DIGITAL, input=Operand("l1", elements=("int8",))), HOST)},
            "engines[0].input.elements: found 'int8', wanted one that MLIR prints, such as i8, ui8",
        ),
        (
            {"engines": (replace(DIGITAL, name="16x16 array"), HOST)},
            "engines: found the name '16x16 array', wanted letters, digits and _, as names of C",
        ),
        (
            {"engines": (replace(DIGITAL, job_fields=("shift", "low", "low")), HOST)},
            "job_fields of engine 'digital': found 'low' 2 times, wanted each name once",
        ),
        (
            {"dmas": (DMA_LOAD, replace(DMA_STORE, routes=(*DMA_STORE.routes, *DMA_LOAD.routes[:1])))},
            "dmas: found the route l2_to_l1 2 times, wanted each route once",
        ),
        (
            {"dmas": (DMA_LOAD, replace(DMA_STORE, routes=(*DMA_STORE.routes, Route("l1", "l1"))))},
            "dmas: found the route l1_to_l1, wanted one from a memory to another one",
        ),
        (
            {"dmas": (DMA_LOAD, replace(DMA_STORE, base=DMA_LOAD.base))},
            "base of transfer engine 'store': found 0x1a100000, where transfer engine 'load' is, wanted 4,096 bytes",
        ),
        (
            {"dmas": (DMA_LOAD, replace(DMA_STORE, base=0x1A10_1010))},
            "base of transfer engine 'store': found 0x1a101010, wanted a multiple of 0x1000 of 32 bits",
        ),
        (
            {"dmas": (DMA_LOAD, replace(DMA_STORE, base=L2_PRIVATE.base))},
            "base of transfer engine 'store': found 0x1c000000, where memory 'l2_private' is, wanted 4,096 bytes",
        ),
        (
            {"memories": (*targets.load("diana").memories, Memory("rom", 0xFFFF_F000, 8192))},
            "memories: found 'rom' up to 0x100001000, wanted addresses of 32 bits",
        ),
    ],
)
def test_what_no_pass_could_use_is_refused(changes, problem):
    (found,) = validate(replace(targets.load("diana"), **changes))
    assert found.startswith(problem)


def test_numbers_of_numpy_are_numbers():
    l1 = Memory("l1", np.int64(0x1000_0000), np.int64(1 << 18))
    assert not validate(replace(targets.load("rv32"), memories=(*targets.load("rv32").memories, l1)))


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown target 'rv64'; known are rv32"):
        targets.load("rv64")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SOC = 5", ": SOC: found int, wanted a htvm.backend.targets.soc.Soc"),
        ("", ": SOC: found NoneType, wanted a htvm.backend.targets.soc.Soc"),
        ("1 / 0", " fails: ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", " fails: SystemExit: 0"),
        ("raise ValueError('two\\nlines')", " fails: ValueError: two lines"),
    ],
)
def test_a_file_that_is_no_target_is_refused(tmp_path, text, problem):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"target file '{path}'{problem}"):
        targets.load(str(path))


def test_what_a_file_describes_wrongly_is_said_when_it_is_loaded(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(CUSTOM.replace('name="custom"', "engines=(RV32.engines[0]), memories=(RV32.memories[0], 3)"))
    with pytest.raises(ValueError) as refused:
        targets.load(str(path))
    assert str(refused.value).splitlines() == [
        f"target file '{path}': memories[1]: found int, wanted a soc.Memory",
        f"target file '{path}': engines: found HostEngine, wanted a tuple; a single element is written (part,)",
    ]


class HalfAnArray:
    name, input, weights, violations, cycles, job = "npu", "l1", "l9", None, None, None


def test_an_engine_that_keeps_sums_says_where_and_how_many():
    diana = targets.load("diana")

    class WithoutBytes(Adder):
        sums = Operand("l1")

    memories = (*diana.memories, Memory("weights", base=0x7000_0000, size_bytes=256, host_visible=False))
    for engine, wanted in (
        (WithoutBytes(), "engines[0]: found WithoutBytes without input_step, sums_bytes, wanted all members"),
        (Summer(input_step=-1), "engines[0].input_step: found -1, wanted 0 at least"),
        (Summer(sums=Operand("l9")), "sums of engine 'adder', memory: found 'l9', wanted one of "),
    ):
        found = validate(replace(diana, engines=(engine,), memories=memories))
        assert any(each.startswith(wanted) for each in found), found


def test_validation_names_what_is_there_and_what_is_wanted():
    diana, rv32 = targets.load("diana"), targets.load("rv32")
    found = validate(replace(rv32, host=None, engines=(HalfAnArray(),), cost_models=(7,)))
    assert found == [
        "host: found NoneType, wanted a soc.Host",
        "engines[0]: found HalfAnArray without base, execute, job_fields, lowered, most_outputs, output, output_step, "
        "pack, weight_bytes, wanted all members of soc.Accelerator",
        "cost_models[0]: found int without copy_cycles, job_cycles, name, source, wanted all members of soc.CostModel",
    ]
    (ram,) = rv32.memories
    later = replace(ram, base=ram.base + 16)
    assert validate(replace(rv32, memories=(ram, later), arena_memory="l2", constant_memory="rom")) == [
        "memories: found 'ram' 2 times, wanted each name once",
        "arena_memory: found 'l2', wanted one of ram",
        "constant_memory: found 'rom', wanted one of ram",
        f"memories: found 'ram' up to {ram.end:#x} and 'ram' from {later.base:#x}, wanted memories apart",
    ]
    assert validate(replace(diana, memories=diana.memories[:2], cost_models=()))[-1] == (
        "cost_models: found none, wanted one, since there are accelerators"
    )
    assert validate(diana) == validate(rv32) == []


def test_a_missing_file_is_refused():
    with pytest.raises(ValueError, match="target file 'nowhere.py' does not exist"):
        targets.load("nowhere.py")


def test_an_unknown_memory_is_named():
    with pytest.raises(KeyError, match="target 'rv32' has no memory 'l1'; it has ram"):
        targets.load("rv32").memory("l1")
