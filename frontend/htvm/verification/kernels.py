"""Is a kernel what its description says? Layers that it computes, against what they mean, in all kinds of buffers.

The layers become one C project, as any network does, whose steps are called one by one: on the simulator, and natively
under sanitizers where the sources are portable. Buffers are where htvm may place them: unaligned, where the kernel is
not promised words; the output over the input, as far as `trail` says. Scratch memory and outputs hold poison before,
and what is around buffers must be unchanged afterwards. Inputs are random, and at their limits.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mlir import ir

from htvm import dialects
from htvm.backend import kernels, targets
from htvm.backend.c import write_project
from htvm.backend.kernels import KernelSpec, Trail
from htvm.backend.targets.engines.host import CYCLES_PER_INSTRUCTION, INSTRUCTIONS, HostEngine
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.dialects.semantics.interpreter import interpret
from htvm.lowering import Pipeline
from htvm.options import DEFAULTS
from htvm.passes.analysis import in_place, linear_kernels
from htvm.passes.analysis.packing import IN_PLACE
from htvm.passes.analysis.trails import walk_of
from htvm.project import Project
from htvm.runtime.simulator import SimulationError
from htvm.runtime.simulator.host import Execution, Host
from htvm.runtime.simulator.toolchain import BuildError, toolchain
from htvm.verification.kernel_layers import LIMITS, LayerSample, Sample, accepted, module_text

TARGET = "rv32"
POISON = 0xA5
GUARD_BYTES = 16
ROOM_BYTES = 64 << 20
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
COMPILERS = ("clang", "gcc", "cc")

ARENA = "htvm_arena"
BYTES = ("i8", "ui8")
OWN = "htvm's"
"""How a kernel of htvm's is called that no KernelSpec describes."""


@dataclass(frozen=True)
class Facts:
    """What the compiler knows of a layer: whether its inputs are words, how far its output may lie over the first one,
    and the instructions that are predicted."""

    has_words: bool
    trail: Trail | None
    predicted: int


@dataclass(frozen=True)
class Case:
    """A layer in the project: its step, what is known of it, and its buffers in bytes and in their order of axes.

    inputs: by operand; one that the layer reads twice is one.
    """

    sample: Sample
    number: int
    step: int
    facts: Facts
    x_bytes: tuple[int, ...]
    y_bytes: int
    scratch_bytes: int
    x_orders: tuple[tuple[int, ...], ...]
    y_order: tuple[int, ...]

    @property
    def arguments(self) -> int:
        """How many pointers its step takes."""
        return len(self.x_bytes) + 1 + bool(self.scratch_bytes)

    @property
    def x_aligned(self) -> bool:
        """Whether its inputs begin at words."""
        return self.facts.has_words or self.sample.types[0] not in BYTES

    @property
    def y_aligned(self) -> bool:
        return self.sample.types[2] not in BYTES


@dataclass(frozen=True)
class Measured:
    """What a layer takes on the simulator: by the kernel and by htvm's own; and their estimates of instructions.

    macs: or elements, see unit. terms: what its cost may depend on.
    """

    layer: str
    macs: int
    instructions: int
    cycles: int
    own_kernel: str
    own_instructions: int
    own_cycles: int
    own_predicted: int
    predicted: int
    terms: Mapping[str, int]
    unit: str = "MAC"


@dataclass
class KernelCheck:
    """What was found about a kernel. compared: output elements. native: how it ran natively, or why it did not."""

    kernel: str
    layers: int = 0
    compared: int = 0
    native: str = ""
    refused: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])
    measured: list[Measured] = field(default_factory=list[Measured])

    @property
    def is_sound(self) -> bool:
        """Whether nothing was wrong with the layers that it computes, and it computes some."""
        return not self.problems and self.layers > 0


@dataclass(frozen=True)
class Image:
    """The buffers of a case in a variant: where each is in the arena, and what it holds before.

    overlapping: whether the output lies over the input.
    """

    case: Case
    x: tuple[int, ...]
    y: int
    window: int
    overlapping: bool

    @property
    def places(self) -> list[int]:
        """Where the arguments of the step are, in their order."""
        return [*self.x, self.y, *([self.window] if self.case.scratch_bytes else [])]


def check_kernel(
    spec: KernelSpec, count: int, seed: int, named: Sequence[Sample] = (), cc: str | None = None
) -> KernelCheck:
    """Test a kernel with random layers that it computes, or those that are named."""
    found = KernelCheck(spec.name)
    samples = list(named)
    if samples:
        for sample in samples:
            found.problems += [f"{sample}: not computed: {reason}" for reason in spec.why_not(sample.facts())]
        if found.problems:
            return found
    else:
        samples, found.refused = accepted(spec, count, seed)
    if not samples:
        return found
    try:
        tested = Tested(samples, spec, cc)
    except CompileError as error:
        found.problems += error.problems
        return found
    found.layers = len(tested.cases)
    found.problems += tested.problems
    with tempfile.TemporaryDirectory() as folder:
        try:
            found.problems += tested.on_simulator(Path(folder), seed)
            found.native, problems = tested.natively(Path(folder), seed)
            found.problems += problems
        except BuildError as error:
            found.problems.append(str(error))
            return found
        found.compared = tested.compared
        if not found.problems:
            own = Tested(samples, None, cc)
            own.on_simulator(Path(folder) / "own", seed, kinds=("random",))
            found.measured = list(measured(tested, own))
    return found


def measured(tested: Tested, own: Tested) -> Iterator[Measured]:
    """Yield what each layer takes, beside what it takes without the kernel."""
    others = {case.number: case for case in own.cases}
    for case in tested.cases:
        mine, theirs = (
            each.execution.steps[at.step] for each, at in ((tested, case), (own, others[case.number]))
        )  # fmt: skip
        yield Measured(
            str(case.sample),
            case.sample.macs,
            mine.instructions,
            mine.cycles,
            own.kernel_names[case.number],
            theirs.instructions,
            theirs.cycles,
            others[case.number].facts.predicted,
            case.facts.predicted,
            case.sample.terms(),
            case.sample.unit,
        )


class Tested:
    """Layers compiled with a kernel, or by htvm's own."""

    def __init__(self, samples: Sequence[Sample], spec: KernelSpec | None, cc: str | None) -> None:
        self.spec, self.cc, self.compared = spec, cc, 0
        self.problems: list[str] = []
        context = dialects.context()
        with context, ir.Location.unknown():
            self.integer = ir.Module.parse(module_text(samples), context)
        soc = targets.load(TARGET)
        self.soc: Soc = soc.with_memory(soc.arena_memory, ROOM_BYTES)
        pins = [
            {"node": f"layer_{number}", "op": sample.op, "kernel": spec.name} if spec else {}
            for number, sample in enumerate(samples)
        ]
        is_foreign = spec is not None and bool(spec.origin)
        options = DEFAULTS.having(kernels=[spec] if is_foreign else [], plan=pins) if spec else DEFAULTS
        way = Pipeline(self.integer, self.soc, options=options)
        scheduled = way.to("scheduled")
        facts: dict[int, Facts] = {}
        self.kernel_names: dict[int, str] = {}
        with scheduled.context:
            for layer in accel.layers(scheduled):
                number = number_of(accel.node(layer))
                if number is not None and accel.op_name(layer) == samples[number].op:
                    facts[number] = facts_of(layer, spec)
                    kernel = layer.kernel if isinstance(layer, accel.Conv2dOp | accel.DenseOp) else None
                    self.kernel_names[number] = OWN if kernel is None else kernel.value
        self.project: Project = way.compiled().project
        self.cases = [*self._cases(samples, facts)]
        self.execution: Execution

    def _cases(self, samples: Sequence[Sample], facts: Mapping[int, Facts]) -> Iterator[Case]:
        """Yield the case of each layer."""
        report = self.project.report
        for index, step in enumerate(report.steps):
            number = number_of(step.name)
            if number is None or step.op != samples[number].op:
                continue
            read, y = [report.buffers[at] for at in step.reads], report.buffers[step.writes[0]]
            yield Case(
                samples[number], number, index, facts[number], tuple(x.bytes for x in read), y.bytes,
                step.scratch_bytes, tuple(_order(x.strides, x.shape) for x in read), _order(y.strides, y.shape),
            )  # fmt: skip

    def on_simulator(
        self, folder: Path, seed: int, kinds: Sequence[str] = ("random", "lowest", "highest", "alternating")
    ) -> list[str]:
        """Run all layers on the simulator; return what is wrong."""
        images, size = placed(self.cases)
        program = self.built(folder, size)
        host = Host(program, self.soc)
        arena = host.symbol(ARENA)
        problems: list[str] = []
        for kind in kinds:
            for overlapping in (False, True):
                chosen = [image for image in images if image.overlapping == overlapping]
                if not chosen:
                    continue
                if overlapping:  # the others run as well, where they were
                    apart = {image.case.step: image for image in images if not image.overlapping}
                    chosen = list((apart | {image.case.step: image for image in chosen}).values())
                inputs = self.inputs(kind, seed)
                places = [at for image in chosen for at in image.places]
                table = np.array(places, np.uint32)
                memory = np.full(size, POISON, np.uint8)
                memory[: table.nbytes] = table.view(np.uint8)
                for image in chosen:
                    case = image.case
                    for at, size_of, x, order in zip(image.x, case.x_bytes, inputs[case.number], case.x_orders):
                        memory[at : at + size_of] = laid(x, order)
                host.write(arena, memory.tobytes())
                try:
                    execution = host.run(max_cycles=1 << 36)
                except SimulationError as error:
                    at = [image for image in chosen if image.case.step == host.counter.step() - 1]
                    where = f"{at[0].case.sample}: " if at else ""
                    return [*problems, f"{where}{kind} inputs: {error}"]
                if kind == "random" and not overlapping:
                    self.execution = execution
                after = np.frombuffer(host.read(arena, size), np.uint8)
                problems += self.differences(chosen, inputs, memory, after, kind)
        return problems

    def built(self, folder: Path, size: int) -> Path:
        """Build the program that calls the steps one by one."""
        name = self.project.report.name
        calls, first = list[str](), 0
        for case in self.cases:
            at = range(first, first + case.arguments)
            first += case.arguments
            pointers = ", ".join(f"(void *)(htvm_arena + place[{index}])" for index in at)
            calls.append(f"    htvm_step_{case.step}({pointers});\n")
        place = '__attribute__((section(".arena"), aligned(16)))'
        source = (
            f'#include "{name}.c"\n\nunsigned char htvm_arena[{size}] {place};\nint main(void)\n{{\n'
            f"    const uint32_t *place = (const uint32_t *)htvm_arena;\n{''.join(calls)}    return 0;\n}}\n"
        )
        write_project(self.project.files, folder)
        (folder / "harness.c").write_text(source, encoding="utf-8")
        own = {"main.c", f"{name}.c"}
        sources = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".S") and path.name not in own)
        flags = self.project.report.source_flags or {}
        toolchain(self.soc.host, self.cc).build(sources, folder / "link.ld", folder / "test.elf", ("-O3",), flags)
        return folder / "test.elf"

    def inputs(self, kind: str, seed: int) -> dict[int, list[np.ndarray]]:
        """Return the inputs of each layer."""
        found: dict[int, list[np.ndarray]] = {}
        for case in self.cases:
            low, high = LIMITS[case.sample.types[0]]
            rng = np.random.default_rng([seed, case.number])
            found[case.number] = []
            for shape in case.sample.input_shapes:
                numbers = rng.integers(low, high + 1, shape)
                if kind in ("lowest", "highest"):
                    numbers[...] = low if kind == "lowest" else high
                elif kind == "alternating":
                    numbers[...] = np.where(np.arange(numbers.size).reshape(shape) % 2, low, high)
                found[case.number].append(numbers.astype(NUMPY[case.sample.types[0]]))
        return found

    def meant(self, inputs: Mapping[int, Sequence[np.ndarray]]) -> dict[int, np.ndarray]:
        """Return the output of each layer, by the interpreter."""
        given = {f"x{number}_{at}": x for number, each in inputs.items() for at, x in enumerate(each)}
        with self.integer.context:
            results = interpret(self.integer, given)
        return {number: np.asarray(results[f"y{number}"]) for number in inputs}

    def differences(
        self,
        images: Sequence[Image],
        inputs: Mapping[int, Sequence[np.ndarray]],
        before: np.ndarray,
        after: np.ndarray,
        kind: str,
    ) -> Iterator[str]:
        """Yield what is wrong with the memory behind a run."""
        meant = self.meant(inputs)
        untouched = np.ones(len(after), bool)
        for image in images:
            case, wanted = image.case, meant[image.case.number]
            raw = after[image.y : image.y + case.y_bytes]
            self.compared += wanted.size
            place = "output over the input, " if image.overlapping else ""
            yield from wrong_elements(case, inputs[case.number], wanted, raw, f"{place}{kind} inputs, simulator")
            untouched[image.y : image.y + case.y_bytes] = False
            untouched[image.window : image.window + case.scratch_bytes] = False
            if image.overlapping:
                untouched[image.x[0] : image.x[0] + case.x_bytes[0]] = False
        changed = np.flatnonzero((before != after) & untouched)
        for image in images:
            yield from strays(image, changed, kind)

    def natively(self, folder: Path, seed: int) -> tuple[str, list[str]]:
        """Run all layers natively under sanitizers, if the sources are portable; return how, and what is wrong."""
        assembly = [name for name in (self.spec.sources if self.spec else ()) if name.endswith(".S")]
        if assembly:
            return f"not run natively: {', '.join(assembly)} is assembly", []
        compiler = next((each for each in COMPILERS if shutil.which(each)), None)
        if compiler is None:
            return f"not run natively: no {', '.join(COMPILERS)} here", []
        place = folder / "native"
        name = self.project.report.name
        write_project(self.project.files, place)
        (place / "harness.c").write_text(native_text(name, self.cases), encoding="utf-8")
        sources = ["harness.c", *(self.spec.sources if self.spec else ())]
        command = [compiler, "-std=c99", "-O1", "-g", *SANITIZERS, *sources, "-o", "native"]
        built = subprocess.run(command, cwd=place, capture_output=True, text=True)
        if built.returncode:
            return f"not run natively: {compiler} refuses it", [f"{compiler}: {built.stderr.strip()}"]
        problems: list[str] = []
        for kind in ("random", "lowest", "highest"):
            inputs = self.inputs(kind, seed)
            meant = self.meant(inputs)
            data = b"".join(
                laid(x, order).tobytes() for case in self.cases for x, order in zip(inputs[case.number], case.x_orders)
            )
            (place / "inputs.bin").write_bytes(data)
            done = subprocess.run([place / "native", place / "inputs.bin"], capture_output=True)
            if done.returncode:
                said = done.stderr.decode(errors="replace").strip().splitlines()
                at = next((int(line.split()[1]) for line in reversed(said) if line.startswith("layer ")), None)
                where = "" if at is None else f"{self.cases[at].sample}: "
                reason = next((line for line in said if "ERROR:" in line or "runtime error:" in line), "it failed")
                frame = next((line.strip() for line in said if " in " in line and name not in line), "")
                return f"natively by {compiler} under sanitizers", [
                    *problems, f"{where}{kind} inputs, natively: {reason.split('==')[-1].strip()}; {frame}"
                ]  # fmt: skip
            at = 0
            for case in self.cases:
                raw = np.frombuffer(done.stdout[at : at + case.y_bytes], np.uint8)
                at += case.y_bytes
                self.compared += meant[case.number].size
                problems += wrong_elements(
                    case, inputs[case.number], meant[case.number], raw, f"{kind} inputs, natively"
                )
        return f"natively by {compiler} under sanitizers", problems


NUMPY = {"i8": "int8", "ui8": "uint8", "i16": "int16", "i32": "int32"}


def number_of(node: str) -> int | None:
    """Return the number of the sample that a node is; None for another layer."""
    number = node.removeprefix("layer_")
    return int(number) if number != node and number.isdecimal() else None


def facts_of(layer: accel.Layer, spec: KernelSpec | None) -> Facts:
    """Return what the compiler knows of a layer. spec: the kernel that is tested."""
    estimate = accel.attribute(layer, INSTRUCTIONS, ir.IntegerAttr)
    predicted = round(HostEngine().cycles(layer, None) / CYCLES_PER_INSTRUCTION) if estimate is None else estimate.value
    trail: Trail | None = None
    if isinstance(layer, accel.Conv2dOp | accel.DenseOp):
        kernel = accel.present(layer.kernel, "kernel").value
        if isinstance(layer, accel.Conv2dOp) and layer.input.type.shape[0] == 1 and spec is not None:
            trail = kernels.found(kernel).trail_of(walk_of(layer))
        return Facts(linear_kernels.read(layer).has_words, trail, predicted)
    if spec is not None and spec.in_place and layer.operation.operands[0] in in_place.overwritable(layer):
        trail = IN_PLACE
    return Facts(False, trail, predicted)


def _order(strides: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of a tensor, outermost first in memory."""
    return tuple(sorted(range(len(shape)), key=lambda axis: (-strides[axis], shape[axis] != 1, axis)))


def laid(numbers: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Return the bytes of a tensor whose axes lie in memory in an order."""
    return np.ascontiguousarray(numbers.transpose(order)).reshape(-1).view(np.uint8)


def read_back(raw: np.ndarray, wanted: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Return the tensor that bytes are."""
    shape = [wanted.shape[axis] for axis in order]
    return np.ascontiguousarray(raw).view(wanted.dtype).reshape(shape).transpose(np.argsort(order))


def placed(cases: Sequence[Case]) -> tuple[list[Image], int]:
    """Return where the buffers of each case are, apart and (where there is a trail) one over the other; and the end.

    Where the kernel was not promised words, input and output begin at odd addresses.
    """
    at = 4 * sum(case.arguments for case in cases)
    images: list[Image] = []

    def take(size: int, aligned: bool) -> int:
        nonlocal at
        at = -(-(at + 2 * GUARD_BYTES) // 16) * 16 + (0 if aligned else 1)
        place, at = at, at + size
        return place

    for case in cases:
        x = tuple(take(size, case.x_aligned) for size in case.x_bytes)
        window, y = take(case.scratch_bytes, True), take(case.y_bytes, case.y_aligned)
        images.append(Image(case, x, y, window, False))
        if case.facts.trail is not None:
            gap = case.facts.trail.aligned(4 if case.x_aligned else 1).distance
            both = take(max(gap + case.x_bytes[0], case.y_bytes), case.x_aligned)
            others = tuple(take(size, case.x_aligned) for size in case.x_bytes[1:])
            images.append(Image(case, (both + gap, *others), both, take(case.scratch_bytes, True), True))
    return images, -(-(at + GUARD_BYTES) // 16) * 16


def wrong_elements(case: Case, x: Sequence[np.ndarray], wanted: np.ndarray, raw: np.ndarray, how: str) -> Iterator[str]:
    """Yield the first element that differs, with its accumulator."""
    found = read_back(raw, wanted, case.y_order)
    differs = np.argwhere(found != wanted)
    if len(differs):
        index = tuple(map(int, differs[0]))
        sum_of = ""
        if isinstance(case.sample, LayerSample):
            sum_of = f" (accumulator {accumulator(case.sample, x[0], index):,})"
        place = ", ".join(map(str, index))
        yield (
            f"{case.sample}: {how}: y[{place}] is {found[index]}, expected {wanted[index]}{sum_of}; "
            f"{len(differs):,} of {wanted.size:,} differ"
        )


def accumulator(sample: LayerSample, x: np.ndarray, index: Sequence[int]) -> int:
    """Return the sum of products behind an element of the output."""
    weights = sample.weights().astype(np.int64)
    if sample.op == "dense":
        return int(x[index[0]].astype(np.int64) @ weights[index[1]].reshape(-1))
    n, k, h, w = index
    top, left, bottom, right = sample.pads
    group = k // (sample.outputs // sample.groups)
    channels = weights.shape[1]
    own = x[n, group * channels : (group + 1) * channels].astype(np.int64)
    padded = np.pad(own, [(0, 0), (top, bottom), (left, right)], constant_values=sample.pad_value)
    rows = h * sample.strides[0] + np.arange(sample.window[0]) * sample.dilations[0]
    columns = w * sample.strides[1] + np.arange(sample.window[1]) * sample.dilations[1]
    return int((padded[:, rows][:, :, columns] * weights[k]).sum())


def strays(image: Image, changed: np.ndarray, kind: str) -> Iterator[str]:
    """Yield what a step has written around its buffers."""
    case = image.case
    for what, start, size in (
        *(("input", start, size) for start, size in zip(image.x, case.x_bytes)),
        ("output", image.y, case.y_bytes),
        ("scratch memory", image.window, case.scratch_bytes),
    ):
        inside = changed[(changed >= start) & (changed < start + size)]
        behind = changed[(changed >= start + size) & (changed < start + size + GUARD_BYTES)]
        before = changed[(changed >= start - GUARD_BYTES) & (changed < start)]
        for where, at in (("to", inside), ("behind", behind), ("before", before)):
            if len(at) and (size or where == "to"):
                yield f"{case.sample}: {kind} inputs, simulator: writes {len(at)} bytes {where} its {what}"


def native_text(name: str, cases: Sequence[Case]) -> str:
    """Return the C of a program that runs each step on blocks of exactly its size, unaligned where that may be."""
    functions = ""
    for at, case in enumerate(cases):
        skew, y_skew = int(not case.x_aligned), int(not case.y_aligned)
        names = [f"x{number}" for number in range(len(case.x_bytes))]
        taken, read, failed = "", "", "!y || !window"
        for operand, size in zip(names, case.x_bytes):
            taken += f"    unsigned char *{operand} = malloc({size + skew});\n"
            failed += f" || !{operand}"
            read += f"    if (fread({operand} + {skew}, 1, {size}, from) != {size}) abort();\n"
        given = ", ".join([*(f"(void *)({operand} + {skew})" for operand in names), f"(void *)(y + {y_skew})"])
        given += ", (void *)window" if case.scratch_bytes else ""
        functions += f"""
static void case_{at}(FILE *from)
{{
{taken}    unsigned char *y = malloc({case.y_bytes + y_skew}), *window = malloc({max(case.scratch_bytes, 1)});
    if ({failed}) abort();
{read}    memset(window, {POISON}, {max(case.scratch_bytes, 1)});
    memset(y, {POISON}, {case.y_bytes + y_skew});
    fprintf(stderr, "layer {at}\\n");
    htvm_step_{case.step}({given});
    fwrite(y + {y_skew}, 1, {case.y_bytes}, stdout);
    free(y), free(window){"".join(f", free({operand})" for operand in names)};
}}
"""
    calls = "".join(f"    case_{at}(from);\n" for at in range(len(cases)))
    return (
        f'#include "{name}.c"\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n{functions}\n'
        f'int main(int count, char **names)\n{{\n    FILE *from = count > 1 ? fopen(names[1], "rb") : 0;\n'
        f"    if (!from) return 2;\n{calls}    return 0;\n}}\n"
    )
