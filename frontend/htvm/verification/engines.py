"""Is an engine what it says? Layers that it accepts, whole and in tiles, against what they mean; and recorded jobs.

For each layer the engine's own methods are asked as passes and simulator ask them: the job, its tiles, packed weights,
descriptors, results. Tiles are put together and compared with the interpreter's result, on random maps and on extremes.
"""

from __future__ import annotations

import reprlib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from math import prod
from operator import index as as_integer
from pathlib import Path
from typing import SupportsIndex, TypeVar, cast

import numpy as np
from mlir import ir

from htvm import dialects
from htvm.backend.kernels import KernelError
from htvm.backend.targets.engines import launches
from htvm.backend.targets.forms import channel_blocks
from htvm.backend.targets.jobs import FORM, OPERANDS, Form, Job, Layout, Place, has_form
from htvm.backend.targets.soc import (
    Accelerator,
    OffersForms,
    Soc,
    fuses,
    has_launcher,
    is_driven,
    keeps_sums,
    sums_bytes,
)
from htvm.backend.targets.violations import Violation
from htvm.dialects import accel
from htvm.dialects.accel import FormKind
from htvm.dialects.semantics import interpreter, value_ranges
from htvm.passes.analysis.acceptance import violations
from htvm.passes.analysis.layout import ALIGNMENT_BYTES
from htvm.passes.analysis.placement import layouts_written, pixels_are_channels
from htvm.passes.analysis.residency import whole_job
from htvm.passes.analysis.tiles import Tile, Tiling, input_layout, tiles
from htvm.passes.analysis.tiling import Search
from htvm.passes.mapping.fuse_patterns import as_fused
from htvm.verification.launchers import LauncherError, LauncherLibrary
from htvm.verification.sample_layers import KINDS, sample, several

Answer = TypeVar("Answer")

TILINGS = 5
"""The most ways that a layer is cut in."""


@dataclass
class EngineCheck:
    """What was tried and found. Numbers are by operation; problems are texts that name the layer.

    refused: how many layers broke a rule, by the rule's subject. compared: how many values of results. forms: how many
    layers were tried in forms beside the plain one, by the form's kind.
    """

    engine: str
    tried: Counter[str] = field(default_factory=Counter[str])
    accepted: Counter[str] = field(default_factory=Counter[str])
    tiles: Counter[str] = field(default_factory=Counter[str])
    compared: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    forms: Counter[str] = field(default_factory=Counter[str])
    problems: list[str] = field(default_factory=list[str])

    @property
    def is_sound(self) -> bool:
        """Whether nothing was wrong with the layers that it accepts, and it accepts some."""
        return not self.problems and bool(self.accepted)


class Wrong(Exception):
    """What an engine does wrong with a layer."""


def check_engine(
    soc: Soc, engine: Accelerator, seeds: Sequence[int], progress: Callable[[int, int], None] | None = None
) -> EngineCheck:
    """Try an engine with the sample layers of some seeds. progress: is called with how many of all are done."""
    found = EngineCheck(engine.name)
    context = dialects.context()
    try:
        library = LauncherLibrary(soc, engine) if has_launcher(engine) else None
    except LauncherError as error:
        found.problems.append(str(error))
        return found
    for done, seed in enumerate(seeds, 1):
        with context, ir.Location.unknown():
            for text in offered(engine, seed):
                module = ir.Module.parse(text, context)
                layer = as_one(module)
                try:
                    offer(soc, engine, module, layer, np.random.default_rng(seed), found, library)
                except Wrong as wrong:
                    found.problems.append(f"layer {seed}, {described(layer)}: {wrong}")
        if progress:
            progress(done, len(seeds))
    return found


def offered(engine: Accelerator, seed: int) -> Iterator[str]:
    """Yield the modules of a seed: a layer, and from time to time the layers of one of an engine's patterns."""
    yield sample(seed)
    turn, kind = divmod(seed, len(KINDS))
    if kind == 0 and fuses(engine) and engine.patterns:
        yield several(seed, engine.patterns[turn % len(engine.patterns)])


def as_one(module: ir.Module) -> accel.Layer:
    """Return the only layer of a module, several of them fused."""
    layer, *others = chain = list(accel.layers(module))
    if not others:
        return layer
    fused = as_fused(chain)
    accel.output(chain[-1]).replace_all_uses_with(accel.output(fused))
    for each in reversed(chain):
        each.operation.erase()
    return fused


def offer(
    soc: Soc,
    engine: Accelerator,
    module: ir.Module,
    layer: accel.Layer,
    rng: np.random.Generator,
    found: EngineCheck,
    library: LauncherLibrary | None,
) -> None:
    """Check a layer if the engine accepts it. library: the engine's launcher, if it has one. Raises Wrong."""
    name = accel.op_name(layer)
    found.tried[name] += 1
    broken = each_of("violations", asked(lambda: violations(soc, engine, layer)), Violation)
    tried = [*([] if broken else [None]), *forms(engine, layer, found)]
    if not tried:
        found.refused.update({str(each.subject) for each in broken})
    else:
        found.accepted[name] += 1
        check_layer(soc, engine, module, layer, tried, rng, found, library)


def check_layer(
    soc: Soc,
    engine: Accelerator,
    module: ir.Module,
    layer: accel.Layer,
    tried: Sequence[Form | None],
    rng: np.random.Generator,
    found: EngineCheck,
    library: LauncherLibrary | None,
) -> None:
    """Compare an accepted layer, in forms, tilings and layouts, with its meaning. Raises Wrong."""
    name = accel.op_name(layer)
    pairs = [(given, interpreted(module, given)) for given in samples(layer, rng)]
    for form in tried:
        if form is not None:
            layer.operation.attributes[FORM] = form.attribute()
        whole = checked_job(engine, layer)
        budgets = {each.name: each.size_bytes for each in soc.memories}
        search = Search(soc, engine, whole, soc.arena_memory, budgets, loads=True, stores=True)
        tilings = asked(lambda search=search: list(islice(spread(search), TILINGS)))
        if library is not None:
            for layout in layouts_written(engine, whole):
                check_launches(library, replace(whole, layout=layout), tilings)
        for given, wanted in pairs:
            for tiling in tilings:
                for layout in layouts_written(engine, whole):
                    job = replace(whole, layout=layout)
                    result = together(engine, layer, job, tiling, given, found.tiles, name)
                    found.compared[name] += result.size
                    if (difference := first_difference(result, wanted.reshape(result.shape))) is not None:
                        raise Wrong(f"{difference} in {tiled(tiling, job)}{f', form {form}' if form else ''}")


def forms(engine: Accelerator, layer: accel.Layer, found: EngineCheck) -> list[Form]:
    """Return the forms to try a layer in, beside the plain one: the first and the last of each kind. Raises Wrong."""
    by_kind: dict[FormKind, list[Form]] = {}
    answer = asked(lambda: engine.forms(layer)) if isinstance(engine, OffersForms) else ()
    for form in each_of("forms", answer, Form):
        by_kind.setdefault(form.kind, []).append(form)
    ends = [form for each in by_kind.values() for form in dict.fromkeys((each[0], each[-1]))]
    found.forms.update(form.kind.value for form in ends)
    return ends


def check_launches(library: LauncherLibrary, job: Job, tilings: Sequence[Tiling]) -> None:
    """Compare what the hardware makes of the descriptors of tiles with their jobs. Raises Wrong."""
    engine = library.engine
    every = dict.fromkeys(tile.job for tiling in tilings for tile in tiles(job, tiling))
    steps = (step.job for each in every for step in asked(partial(launches.steps, engine, each)))
    for lowered in dict.fromkeys(steps):
        has = {
            "weights": asked(partial(engine.weight_bytes, lowered)),
            "sums": asked(partial(sums_bytes, engine, lowered)),
            "output": not lowered.keeps,
        }
        names = [name for name in OPERANDS if has.get(name, name in OPERANDS[: lowered.inputs])]
        addresses = {name: 0x1000 * number for number, name in enumerate(names, 1)}
        if wrong := asked(partial(library.difference, lowered, addresses)):
            raise Wrong(wrong)


def each_of(what: str, found: object, kind: type[Answer]) -> Sequence[Answer]:
    """Return an engine's answer if it is a sequence of objects of a class. Raises Wrong."""
    if not isinstance(found, list | tuple):
        raise Wrong(f"{what} gives {reprlib.repr(found)}, expected a tuple of {kind.__name__}")
    answer = cast("Sequence[object]", found)
    for each in answer:
        if not isinstance(each, kind):
            raise Wrong(f"{what} gives {reprlib.repr(each)} in a tuple, expected a {kind.__name__}")
    return cast("Sequence[Answer]", answer)


def checked_job(engine: Accelerator, layer: accel.Layer) -> Job:
    """Return the job that a layer is to an engine. Raises Wrong if its fields or its numbers of elements are others."""
    job = asked(lambda: whole_job(engine, layer))
    if problem := job.other_fields(engine.job_fields):
        raise Wrong(f"job: {problem}")
    sizes = map(job.bytes_of_input, range(job.inputs))
    ends = [*zip(OPERANDS, sizes, layer.operation.operands), ("output", job.output_bytes, accel.output(layer))]
    for end, found, value in ends:
        if found != (wanted := prod(ir.ShapedType(value.type).shape)):
            raise Wrong(f"{job} has an {end} of {found} bytes, expected {wanted}")
    return job


def bytes_of(what: str, found: object, wanted: int, source: str) -> np.ndarray:
    """Return an engine's answer if it is as many bytes as it must be. Raises Wrong."""
    if not isinstance(found, np.ndarray):
        raise Wrong(f"{what} gives a {type(found).__name__}, expected an array of uint8")
    array = cast("np.ndarray", found)
    if array.dtype != np.uint8 or array.size != wanted:
        raise Wrong(f"{what} gives {array.size} elements of {array.dtype}, {source} {wanted} of uint8")
    return array.reshape(-1)


def checked_size(what: str, found: object) -> int:
    """Return an engine's answer if it is a number of bytes. Raises Wrong."""
    if (
        hasattr(found, "__index__")
        and not isinstance(found, bool)
        and (size := as_integer(cast("SupportsIndex", found))) >= 0
    ):
        return size
    raise Wrong(f"{what} gives {reprlib.repr(found)}, expected an integer of 0 at least")


def spread(search: Search) -> Iterator[Tiling]:
    """Yield tilings: the largest tile first, then the smallest, then others in between."""
    every = list(search.sizes())
    picked = dict.fromkeys(round(share * (len(every) - 1)) for share in (0, 1, 0.5, 0.25, 0.75))
    cuts = [channels for channels in search.channel_sizes if channels]
    for number, index in enumerate(picked if every else ()):
        # Every other one is cut along input channels too, where the engine adds up sums.
        channels = cuts[number // 2 % len(cuts)] if cuts and number % 2 == 0 else 0
        yield Tiling(*every[index], loads=True, stores=True, channels=channels)


def samples(layer: accel.Layer, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """Yield maps for a layer: random ones, all at their lowest, all at their highest."""
    maps = [value for value in layer.operation.operands if isinstance(value.owner, ir.Block)]
    ranges = [accel.present(value_ranges.held(value), "integers") for value in maps]
    shapes = [tuple(ir.ShapedType(value.type).shape) for value in maps]
    yield [rng.integers(low, high + 1, shape) for (low, high), shape in zip(ranges, shapes)]
    yield [np.full(shape, low) for (low, _), shape in zip(ranges, shapes)]
    yield [np.full(shape, high) for (_, high), shape in zip(ranges, shapes)]


def interpreted(module: ir.Module, given: Sequence[np.ndarray]) -> np.ndarray:
    """Return what a module of one layer means."""
    (function,) = accel.functions(module)
    inputs = {
        f"arg{n}": array.astype(np.uint8 if is_unsigned(argument) else np.int8)
        for n, (argument, array) in enumerate(zip(function.arguments, given, strict=True))
    }
    (result,) = interpreter.interpret(module, inputs).values()
    return np.asarray(result)


def is_unsigned(value: ir.Value) -> bool:
    return ir.IntegerType(ir.ShapedType(value.type).element_type).is_unsigned


def together(
    engine: Accelerator,
    layer: accel.Layer,
    job: Job,
    tiling: Tiling,
    given: Sequence[np.ndarray],
    counts: Counter[str],
    name: str,
) -> np.ndarray:
    """Return the result of a layer [K, rows, columns] from the tiles of a tiling. Raises Wrong."""
    result = np.zeros((job.outputs, *job.out_size), np.int64)
    maps = [as_job_sees(layer, job, array, number) for number, array in enumerate(given)]
    sums = np.empty(0, np.uint8)
    for tile in tiles(job, tiling):
        counts[name] += 1
        size = checked_size("sums_bytes", asked(partial(sums_bytes, engine, tile.job)))
        if not tile.job.adds:
            sums = np.full(size, 0xA5, np.uint8)
        part = computed(engine, layer, job, tile, maps, sums)
        if tile.job.keeps:
            continue
        values = part.view(np.uint8 if is_unsigned(accel.output(layer)) else np.int8)
        (rows, columns), outputs = tile.job.out_size, tile.job.outputs
        laid_out = (
            values.reshape(rows, columns, outputs).transpose(2, 0, 1)
            if job.layout == Layout.NHWC
            else values.reshape(outputs, rows, columns)
        )
        result[slice(*tile.outputs), slice(*tile.rows), slice(*tile.columns)] = laid_out
    return result


def as_job_sees(layer: accel.Layer, job: Job, array: np.ndarray, number: int) -> np.ndarray:
    """Return an input as bytes [C, rows, columns] of the job that a layer is."""
    stored = array.astype(np.int16).astype(np.uint8)
    if pixels_are_channels(layer, job):
        stored = stored.reshape(array.shape[1], -1).T  # [pixels, channels]
    channels, size = job.input_shape(number)
    return stored.reshape(channels, *size)


def computed(
    engine: Accelerator, layer: accel.Layer, job: Job, tile: Tile, maps: Sequence[np.ndarray], sums: np.ndarray
) -> np.ndarray:
    """Return the bytes that the engine makes of a tile. sums: what it keeps in memory, and adds to. Raises Wrong."""
    order = (1, 2, 0) if input_layout(engine, job) == Layout.NHWC else (0, 1, 2)
    parts = [
        each[tuple(slice(*along) for along in tile.part(number))] for number, each in enumerate(maps[: tile.job.inputs])
    ]
    inputs = [np.ascontiguousarray(each.transpose(order)).reshape(-1) for each in parts]
    if has_form(job, FormKind.CHANNEL_BLOCKS):
        blocks = (each.reshape(-1, channel_blocks.block_of(job), *tile.job.size) for each in parts)
        inputs = [np.ascontiguousarray(each.transpose(0, 2, 3, 1)).reshape(-1) for each in blocks]
    size = checked_size("weight_bytes", asked(lambda: engine.weight_bytes(tile.job)))
    weights = np.empty(0, np.uint8)
    if size:
        packed = asked(lambda: packed_weights(engine, layer, tile))
        weights = bytes_of("pack", packed, size, "weight_bytes says")
    scratch = asked(lambda: launches.scratch(engine, tile.job))
    made = np.zeros(tile.job.output_bytes, np.uint8)
    buffers = {name: np.zeros(bytes_, np.uint8) for name, bytes_ in scratch.items()}
    buffers |= {"output": made, **dict(zip(OPERANDS, inputs))}
    for step in asked(lambda: launches.steps(engine, tile.job)):
        own, rest = asked(lambda step=step: engine.weight_bytes(step.job if tile.job.form else tile.job)), step.job
        one = checked_size("weight_bytes", own)
        result = launched(
            engine,
            rest,
            [read(buffers, each, rest.bytes_of_input(number)) for number, each in enumerate(step.inputs)],
            weights[:one],
            sums,
        )
        room = buffers[step.output.buffer][step.output.offset_bytes :]
        if result.size > room.size:
            raise Wrong(f"lowered gives {rest} with {result.size} bytes of output, expected {room.size} at most")
        room[: result.size] = result
        weights = weights[one:]
    return made


def read(buffers: Mapping[str, np.ndarray], place: Place, size_bytes: int) -> np.ndarray:
    """Return the bytes at a place."""
    return buffers[place.buffer][place.offset_bytes :][:size_bytes]


def launched(
    engine: Accelerator, lowered: Job, inputs: Sequence[np.ndarray], weights: np.ndarray, sums: np.ndarray
) -> np.ndarray:
    """Return the bytes that the engine makes in one launch. Raises Wrong."""
    words = [] if has_launcher(engine) else asked(lambda: lowered.words({}, engine.job_fields))
    if words and asked(lambda: Job.of_words(words, engine.job_fields))[0] != lowered:
        raise Wrong(f"{lowered} is not what its descriptor says")
    scratch = sums.copy()
    made = asked(lambda: executed(engine, lowered, inputs, weights, sums))
    made = bytes_of("execute", made, 0 if lowered.keeps else lowered.output_bytes, "expected")
    if is_driven(engine) and (trail := asked(lambda: engine.trail(lowered))) is not None:
        gap = trail.aligned(ALIGNMENT_BYTES).distance
        over = asked(lambda: engine.execute_over(lowered, inputs[0], weights, gap, scratch))
        if (places := np.flatnonzero(over != made)).size:
            where = f"{places.size:,} of {made.size:,} bytes differ, the first at {places[0]}"
            raise Wrong(f"trail is {trail.distance}, but with the output {gap} bytes before the input {where}")
    return made


def packed_weights(engine: Accelerator, layer: accel.Layer, tile: Tile) -> np.ndarray:
    """Return the packed weights of a tile."""
    if keeps_sums(engine) and (tile.job.adds or tile.job.keeps):
        return engine.pack(tile.job, layer, tile.outputs, tile.channels)
    return engine.pack(tile.job, layer, tile.outputs)


def executed(
    engine: Accelerator, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray, sums: np.ndarray
) -> np.ndarray:
    """Return what an engine makes of a lowered job."""
    if keeps_sums(engine) and sums.size:
        return engine.execute(job, inputs, weights, sums)
    return engine.execute(job, inputs, weights)


def first_difference(found: np.ndarray, wanted: np.ndarray) -> str | None:
    """Say where two results differ first; None if they do not."""
    places = np.argwhere(found != wanted)
    if not len(places):
        return None
    place = tuple(int(axis) for axis in places[0])
    return (
        f"{len(places):,} of {found.size:,} values differ, the first at output {place[0]}, row {place[1]}, "
        f"column {place[2]}: found {found[place]}, wanted {wanted[place]}"
    )


def tiled(tiling: Tiling, job: Job) -> str:
    channels = f", {tiling.channels} input channels" if tiling.channels else ""
    size = f"{tiling.outputs} outputs, {tiling.rows} rows, {tiling.columns} columns{channels}"
    return f"tiles of {size}, output {job.layout}"


def described(layer: accel.Layer) -> str:
    """Return a layer's operation and shapes."""
    shapes = ", ".join("x".join(map(str, ir.ShapedType(each.type).shape)) for each in layer.operation.operands)
    return f"{layer.operation.name.removeprefix('accel.')} of {shapes}"


def asked(question: Callable[[], Answer]) -> Answer:
    """Return what an engine answers. Raises Wrong where it fails, with the place in its file."""
    try:
        return question()
    except KernelError as error:  # of a driver: it names the description
        raise Wrong(in_a_line(error)) from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = (
            f"{type(error).__name__}: {in_a_line(error)} ({Path(place.filename).name}:{place.lineno}, in {place.name})"
        )
        raise Wrong(f"fails: {text}") from error


def in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


# Recorded jobs


@dataclass(frozen=True)
class VectorCheck:
    """What recorded jobs and the engine do not agree about. worst: of the cycles, the largest relative difference."""

    jobs: int
    bytes: int
    timed: int
    worst: float
    problems: tuple[str, ...]


def check_vectors(soc: Soc, engine: Accelerator, arrays: Mapping[str, np.ndarray]) -> VectorCheck:
    """Compare recorded jobs with what the engine and the cost model make of them.

    arrays: for each job NAME, `NAME.job`, a text, the attribute `#accel.job<..>`; `NAME.input`, `NAME.rhs`,
    `NAME.weights` and `NAME.output`, bytes, as far as the job has them; `NAME.cycles`, if they are known.
    Raises ValueError for a job that cannot be read.
    """
    names = [key.removesuffix(".job") for key in arrays if key.endswith(".job")]
    if not names:
        raise ValueError("no recorded job: expected arrays 'NAME.job' with the text of an #accel.job")
    problems: list[str] = []
    compared = timed = 0
    worst = 0.0
    for name in names:
        job = read_job(name, arrays)
        try:
            if (wanted := arrays.get(f"{name}.output")) is not None:
                compared += wanted.size
                check_output(engine, job, name, arrays, as_bytes(f"{name}.output", wanted))
            if (cycles := arrays.get(f"{name}.cycles")) is not None:
                timed += 1
                found, recorded = predicted(soc, engine, job), whole_number(f"{name}.cycles", cycles)
                worst = max(worst, abs(found - recorded) / max(recorded, 1))
        except Wrong as wrong:
            problems.append(f"job '{name}': {wrong}")
    return VectorCheck(len(names), compared, timed, worst, tuple(problems))


def predicted(soc: Soc, engine: Accelerator, job: Job) -> int:
    """Return the cycles that the cost model says of a job. Raises Wrong."""
    return asked(lambda: soc.figures.job_cycles(engine.name, job))


def read_job(name: str, arrays: Mapping[str, np.ndarray]) -> Job:
    """Return a recorded job. Raises ValueError."""
    array = arrays[f"{name}.job"]
    if array.dtype.kind != "U" or array.size != 1:
        raise ValueError(f"'{name}.job' is an array of {array.size} {array.dtype}, expected a text")
    text = str(array.reshape(-1)[0])
    if not text.strip():  # MLIR's parser does not come back from nothing
        raise ValueError(f"'{name}.job' is empty, expected an #accel.job<..>")
    context = dialects.context()
    try:
        with context, ir.Location.unknown():
            attribute = ir.Attribute.parse(text, context)
            if not isinstance(attribute, accel.JobAttr):
                raise ValueError(f"'{name}.job' is '{text}', expected an #accel.job<..>")
            return Job.of(attribute)
    except ir.MLIRError as error:
        raise ValueError(f"'{name}.job' is no attribute: {in_a_line(error)}") from error


def as_bytes(name: str, array: np.ndarray) -> np.ndarray:
    """Return an array of bytes, signed or not, as unsigned ones. Raises ValueError for another array."""
    if array.dtype.name not in ("uint8", "int8"):
        raise ValueError(f"'{name}' has type {array.dtype}, expected uint8 or int8")
    return array.reshape(-1).view(np.uint8)


def whole_number(name: str, array: np.ndarray) -> int:
    """Return the number of an array that has one. Raises ValueError for another array, and below 0."""
    if array.dtype.kind not in "iu" or array.size != 1 or array.reshape(-1)[0] < 0:
        raise ValueError(f"'{name}' is an array of {array.size} {array.dtype}, expected one integer from 0")
    return int(array.reshape(-1)[0])


def check_output(
    engine: Accelerator, job: Job, name: str, arrays: Mapping[str, np.ndarray], wanted: np.ndarray
) -> None:
    """Compare the bytes that a job makes with the recorded ones. Raises Wrong."""
    inputs = [as_bytes(key, arrays[key]) for key in (f"{name}.input", f"{name}.rhs") if key in arrays]
    weights = as_bytes(f"{name}.weights", arrays.get(f"{name}.weights", np.empty(0, np.uint8)))
    if problem := job.other_fields(engine.job_fields):
        raise Wrong(problem)
    wanted_sizes = [job.bytes_of_input(number) for number in range(job.inputs)]
    if [each.size for each in inputs] != wanted_sizes:
        found, expected = (", ".join(map(str, each)) or "no" for each in ([x.size for x in inputs], wanted_sizes))
        raise Wrong(f"inputs of {found} bytes are recorded, expected {expected}")
    if wanted.size != job.output_bytes:  # before an output of any size is made
        raise Wrong(f"an output of {wanted.size} bytes is recorded, expected {job.output_bytes}")
    made = asked(lambda: engine.execute(job, inputs, weights))
    found = bytes_of("execute", made, wanted.size, "expected")
    places = np.flatnonzero(found != wanted)
    if len(places):
        first = int(places[0])
        raise Wrong(
            f"{len(places):,} of {wanted.size:,} bytes differ, the first is byte {first}: found {found[first]}, "
            f"recorded {wanted[first]}"
        )
