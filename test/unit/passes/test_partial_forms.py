"""Which layers are offered a form for some of their channels."""

from __future__ import annotations

from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.passes.analysis import activations
from htvm.passes.analysis.acceptance import violations
from htvm.passes.analysis.partial_forms import lacking, upgrades_of, with_partial_forms
from htvm.passes.analysis.placement import Placement, Placing
from htvm.passes.analysis.tiles import Tiling
from htvm.passes.analysis.tiling import Search
from htvm.passes.analysis.ways import PARTIAL, Way, in_forms, partial_forms

DIANA = targets.load("diana").with_cost_model("odimo")
MAPS = {8: 48, 32: 24, 128: 6}
"""Channels of depthwise layers, and rows and columns of their maps: matrices of the first save most for each byte."""


def network() -> str:
    """Return a module with the layers, each with an input and an output of its own, those that save least first."""
    layers = dict(reversed(MAPS.items()))
    types = [f"tensor<1x{channels}x{size}x{size}xi8>" for channels, size in layers.items()]
    body = "\n".join(
        f"""%w{n} = arith.constant dense<1> : tensor<{channels}x1x3x3xi8>
        %y{n} = accel.conv2d %x{n}, %w{n} {{strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>,
          dilations = array<i64: 1, 1>, groups = {channels},
          requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>}}
          : ({kind}, tensor<{channels}x1x3x3xi8>) -> {kind}"""
        for n, (channels, kind) in enumerate(zip(layers, types))
    )
    arguments = ", ".join(f"%x{n}: {kind}" for n, kind in enumerate(types))
    results = ", ".join(f"%y{n}" for n in range(len(types)))
    kinds = ", ".join(types)
    return f"func.func @f({arguments}) -> ({kinds}) {{\n{body}\nreturn {results} : {kinds}\n}}"


def placed(soc: Soc, module: ir.Module) -> tuple[Placing, Placement]:
    """Return the program of a module's function, and its solution."""
    (function,) = accel.functions(module)
    candidates: dict[ir.Value, list[Way]] = {}
    for layer in activations.layers(function):
        legal = [engine for engine in soc.engines if not violations(soc, engine, layer)]
        candidates[accel.output(layer)] = in_forms(soc, layer, soc.engines, legal)
    placing = Placing(soc, function, candidates)
    return placing, accel.present(placing.solve(10.0), "placement")


def channels(value: ir.Value) -> int:
    return ir.ShapedType(value.type).shape[1]


def test_what_saves_most_for_a_byte_goes_first_and_the_others_lack_room() -> None:
    with dialects.context() as context, ir.Location.unknown():
        module = ir.Module.parse(network(), context)
        placing, placement = placed(DIANA, module)
        assert not lacking(placing, placement), "there is room for all"
        assert with_partial_forms(placing, placement) is None

        more = {channels(each.output): each.size_bytes for each in upgrades_of(placing)}
        plain = sum(
            placing.price(output, way).constant_bytes
            for output, ways in placing.candidates.items()
            for way in ways
            if way.accelerator and way.form is None
        )
        beside = DIANA.memory("l2").size_bytes - placing.room_bytes
        for room, wanted in ((0, [8, 32, 128]), (more[8], [32, 128]), (more[8] + more[32], [128])):
            small, solution = placed(DIANA.with_memory("l2", beside + plain + room), module)
            assert [channels(each.output) for each in lacking(small, solution)] == wanted
        wider = accel.present(with_partial_forms(small, solution), "more ways")
        offered = {channels(output) for output, ways in wider.items() if any(is_partial(way.form) for way in ways)}
        assert offered == {128}


def is_partial(form: object) -> bool:
    return getattr(form, "kind", None) in PARTIAL


def test_code_is_counted_for_the_tile_with_the_most_launches() -> None:
    """The first tile is plain, of one launch; the one behind has two for each channel that has matrices."""
    with dialects.context() as context, ir.Location.unknown():
        module = ir.Module.parse(network(), context)
        (function,) = accel.functions(module)
        layer = next(each for each in activations.layers(function) if channels(accel.output(each)) == 32)
        engine = DIANA.accelerator("digital")
        budgets = {memory.name: memory.size_bytes for memory in DIANA.memories}
        plain, some = Way(engine), partial_forms(DIANA, layer, engine)[0]
        code, more = (
            Search(DIANA, engine, way.job(layer), "l2", budgets, loads=True, stores=True).code_bytes(
                Tiling(16, MAPS[32], MAPS[32], loads=True, stores=True)
            )
            for way in (plain, some)
        )
        assert code < more
