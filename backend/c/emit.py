"""emit_c: a module in stage planned becomes the files of a C project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from math import prod
from pathlib import Path
from string import Template
from types import MappingProxyType

from mlir import ir

from htvm.backend.kernels import KernelSpec, folder
from htvm.backend.targets.shortage import DoesNotFit, Shortage
from htvm.backend.targets.soc import STACK_BYTES, Soc

from . import float_header, headers, texts
from .constants import far_section
from .names import comment_text
from .program import Port, Program, read_program
from .record import ChannelPlan, Report
from .report import report
from .step import Step
from .syntax import ArenaAddress

ARENA_ALIGNMENT = 16
LISTED = 5
"""The largest constants that a message names."""


@dataclass(frozen=True)
class Emitted:
    """A program as C. sources: the text of each file of its project, but report.json. report: what that says."""

    sources: dict[str, str]
    report: Report


def emit_c(module: ir.Module, soc: Soc, function: str | None = None) -> Emitted:
    """Return the C project of a module in stage planned. function: which, if the module has several.

    Raises ValueError for what cannot become C for this target, with names and numbers from the module.
    """
    program = read_program(module, soc, function)
    check_fit(program, soc)
    name = program.name
    files = {
        f"{name}.h": header(program),
        f"{name}.c": source(program),
        "main.c": main(program),
        "README.md": texts.readme(program, soc),
        "Makefile": texts.makefile(program, soc),
    }
    if conversions := float_header.float_header(program):
        files[f"{name}_float.h"] = conversions
    return Emitted(
        files | kernels(program, soc) | start_up(soc, far_constants(program, soc)), report(program, soc, versions())
    )


def check_fit(program: Program, soc: Soc) -> None:
    """Raise DoesNotFit if constants and activations that share a memory are too large for it together.

    plan-memory counts the constants of the module; here are those of the kernels, in the form in which they are.
    """
    memory = soc.memory(soc.constants_in)
    activations = program.arena.peak_bytes if memory.name == soc.arena_memory else 0
    constants = program.shared.constants
    constant_bytes = constants.bytes_in(None)
    needed = constant_bytes + activations
    if needed > memory.size_bytes:
        near = [each for each in constants.sizes.items() if each[0] not in constants.sections]
        largest = sorted(near, key=lambda each: -each[1])[:LISTED]
        parts = "".join(f"\n  {size:>9,} bytes: {name}" for name, size in [("activations", activations), *largest])
        shortage = Shortage(memory.name, needed)
        larger = f"; or a larger {memory.name}" if shortage.can_end(soc) else ""
        raise DoesNotFit(
            f"does not fit target '{soc.name}': {memory.name} needs {needed:,} bytes, {constant_bytes:,} of them "
            f"constants, and has {memory.size_bytes:,}{parts}\n  fewer weights or smaller maps help, or another choice "
            f"of engines: each has the weights in a form of its own{larger}",
            shortage,
        )


def versions() -> dict[str, str]:
    """Return the versions of what the C depends on."""
    try:
        return {"htvm": metadata.version("htvm")}
    except metadata.PackageNotFoundError:  # a source tree that is not installed
        return {"htvm": "development"}


def kernels(program: Program, soc: Soc) -> dict[str, str]:
    """Return the headers and sources of the kernels that the program calls, and what they include.

    Of headers the target may have its own: htvm_soc.h, and those that start jobs of its accelerators. Raises ValueError
    where two kernels from outside have different files of one name.
    """
    used = program.shared.foreign
    reserved = {f"{program.name}.h", f"{program.name}.c", "main.c", "start.S"}
    owners: dict[str, KernelSpec] = {}
    for spec in used:
        for name in (spec.header, *spec.headers, *spec.sources):
            other = owners.setdefault(name, spec)
            if folder(other) != folder(spec):
                raise ValueError(f"kernels '{other.name}' and '{spec.name}' both have a file '{name}'; rename one")
            if name in reserved or headers.is_own(name):
                raise ValueError(f"kernel '{spec.name}' has a file '{name}', which is one of htvm's; rename it")
    folders = {name: folder(spec) for name, spec in owners.items()}
    for launcher in program.shared.launchers.values():
        if launcher.header in reserved or headers.is_own(launcher.header):
            raise ValueError(f"a launcher has a file '{launcher.header}', which is one of htvm's; rename it")
        folders[launcher.header] = Path(launcher.folder)
    if soc.runtime is not None and (Path(soc.runtime) / headers.SOC).is_file():
        folders[headers.SOC] = Path(soc.runtime)
    extra = [name for spec in used for name in (*spec.headers, *spec.sources)]
    return headers.with_included([*program.shared.headers, headers.ELEMENT, *extra], folders)


def far_constants(program: Program, soc: Soc) -> dict[str, int]:
    """Return where constants begin in each far memory that has some, in bytes: behind the arena."""
    arenas = {memory.name: memory.peak_bytes for memory in program.memories}
    constants = program.shared.constants
    names = [each.name for each in soc.far_memories if constants.bytes_in(far_section(each.name))]
    return {name: arenas.get(name, 0) for name in names}


def start_up(soc: Soc, far: Mapping[str, int] = MappingProxyType({})) -> dict[str, str]:
    """Return start.S and link.ld: the target's own, or those that all targets share.

    far: the far memories with constants, and where these begin.
    """
    memories = "\n".join(
        f"    {memory.name} (rwx) : ORIGIN = {memory.base + start:#x}, LENGTH = {memory.size_bytes - start}"
        for memory in soc.memories
        if memory.host_visible or memory.name in far
        for start in [-(-far.get(memory.name, 0) // ARENA_ALIGNMENT) * ARENA_ALIGNMENT]
    )
    script = Template(target_file(soc, "link.ld")).substitute(
        memories=memories,
        far_headers="".join(f"    {name} PT_LOAD FLAGS(4);\n" for name in far),
        far_sections="".join(
            f"    {far_section(name)} : {{ *({far_section(name)}) }} > {name} :{name}\n" for name in far
        ),
        program_memory=soc.program_memory,
        constant_memory=soc.constants_in,
        arena_memory=soc.arena_memory,
        stack_bytes=STACK_BYTES,
    )
    return {"start.S": target_file(soc, "start.S"), "link.ld": script}


def target_file(soc: Soc, name: str) -> str:
    """Return the text of a file of the target's folder `runtime`, of that in runtime/targets, or of the common one."""
    folder = resources.files("htvm.runtime") / "targets"
    folders = [*([] if soc.runtime is None else [Path(soc.runtime)]), folder / soc.name]
    own = next((each / name for each in folders if (each / name).is_file()), folder / "common" / name)
    return own.read_text(encoding="utf-8")


def header(program: Program) -> str:
    """Return NAME.h: what a caller must know."""
    prefix = program.name.upper()
    parts = [
        f"/* {program.name}: the network '{comment_text(program.model)}', generated by htvm.\n *\n"
        f" * {program.name}_run computes all outputs from all inputs. It writes nothing but outputs, arena and stack,\n"
        " * and keeps nothing between two calls: what was in the arena is lost.\n"
        " * Tensors are row-major. A stored integer stands for scale * (integer - zero point).\n */\n"
        f"#ifndef {prefix}_H\n#define {prefix}_H\n\n#include <stdint.h>\n\n"
        f"/* Memory for intermediate results, in '{program.arena.name}'. An input or output may lie in it, at its own\n"
        " * offset and nowhere else, where nothing else is while it is needed. */\n"
        f"#define {prefix}_ARENA_BYTES {program.arena.peak_bytes}\n"
        f"#define {prefix}_ARENA_ALIGNMENT {ARENA_ALIGNMENT}\n",
        f"/* The most stack that a call of {program.name}_run takes, by gcc 12 or clang 22 at -O2 or -O3. */\n"
        f"#define {prefix}_STACK_BYTES {program.shared.stack_bytes}\n",
        *(port_text(prefix, port) for port in program.ports),
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        f"/* {parameter_docs(program)} */\n{prototype(program)};\n",
        "#ifdef __cplusplus\n}\n#endif\n",
        "#endif\n",
    ]
    return "\n".join(parts)


def port_text(prefix: str, port: Port) -> str:
    """Return the description and the macros of an input or output."""
    macro = f"{prefix}_{port.name.upper()}"
    size = "x".join(map(str, port.shape)) or "scalar"
    kind = "Output" if port.is_result else "Input"
    lines = [
        f"/* {kind} '{comment_text(port.onnx_name)}': {port.type.numpy} {size} ({port.onnx_type} in ONNX). */",
        f"#define {macro}_ELEMENTS {port.elements}",
        f"#define {macro}_BYTES {port.size_bytes}",
        f"#define {macro}_ARENA_OFFSET {port.offset}",
    ]
    if port.nearest:
        lines[0] = f"{lines[0][:-3]}\n * Nothing quantises it in ONNX: these are the nearest integers. */"
    if port.channels is not None:
        lines += channel_text(macro, port.channels, port.shape)
    elif port.scale is not None:
        lines += [f"#define {macro}_SCALE {port.scale!r}", f"#define {macro}_ZERO_POINT ({port.zero_point or 0})"]
    return "\n".join(lines) + "\n"


def channel_text(macro: str, channels: ChannelPlan, shape: Sequence[int]) -> list[str]:
    """Return the macros of an output whose integers mean SCALES[c] * integer + OFFSETS[c]."""
    inner = 1 if channels.axis is None else prod(shape[channels.axis + 1 :])
    scales, offsets = (", ".join(map(repr, each)) for each in (channels.scales, channels.offsets))
    return [
        "/* Nothing quantises it in ONNX: element i stands for SCALES[c] * integer + OFFSETS[c], where",
        " * c = i / CHANNEL_STRIDE % CHANNELS. */",
        f"#define {macro}_CHANNELS {len(channels.scales)}",
        f"#define {macro}_CHANNEL_STRIDE {inner}",
        f"#define {macro}_SCALES {{{scales}}}",
        f"#define {macro}_OFFSETS {{{offsets}}}",
    ]


def parameter_docs(program: Program) -> str:
    prefix = program.name.upper()
    names = ", ".join(port.name for port in program.ports)
    return f"{names}: see above. arena: {prefix}_ARENA_BYTES bytes aligned to {prefix}_ARENA_ALIGNMENT."


def prototype(program: Program) -> str:
    parameters = ", ".join([*(str(port.declaration) for port in program.ports), "void *arena"])
    return f"void {program.name}_run({parameters})"


def source(program: Program) -> str:
    """Return NAME.c: constants, steps, and the function that runs them."""
    included = sorted({f"{program.name}.h", headers.ELEMENT, *program.shared.headers})
    includes = "\n".join(f'#include "{name}"' for name in included)
    if program.shared.functions:
        includes = f"#include <stdbool.h>\n#include <stddef.h>\n\n{includes}"
    definitions = "\n".join(map(str, program.shared.kernels.values()))
    parts = [
        f"/* The network '{comment_text(program.model)}', generated by htvm. Constants come first, then one function "
        f"per\n * layer in the order of execution, then {program.name}_run. */\n{includes}\n",
        f"/* Kernels, each shared by all steps that call it. */\n{definitions}\n",
        *([program.commands.definitions()] if program.commands.units else []),
        *program.shared.constants.definitions,
        *program.shared.functions.values(),
        *step_texts(program.steps),
        run_text(program),
    ]
    return "\n".join(parts)


def step_texts(steps: Sequence[Step]) -> Iterator[str]:
    """Yield the functions of all steps. Those that do the same with other memory call one more, which does it."""
    parts = {step.number: (parameters_text(step), body_text(step)) for step in steps}
    times = Counter(parts.values())
    shared: dict[tuple[str, str], str] = {}
    for step in steps:
        parameters, body = part = parts[step.number]
        if times[part] > 1:
            if part not in shared:
                shared[part] = name = f"htvm_same_as_{step.number}"
                head = f"/* What step {step.number} and others do. */\nHTVM_SHARED void {name}({parameters})"
                yield f"{head}\n{{\n{body}\n}}\n"
            names = ", ".join(declaration.name for declaration in step.parameters.values())
            body = f"    {shared[part]}({names});"
        yield step_text(step, parameters, body)


def parameters_text(step: Step) -> str:
    """Return the parameters of the function of a step."""
    return ", ".join(map(str, step.parameters.values())) or "void"


def body_text(step: Step) -> str:
    """Return the statements of the function of a step."""
    lines = [line for statement in step.body for line in str(statement).split("\n")]
    return "\n".join(f"    {line}" if line else "" for line in lines)


def step_text(step: Step, parameters: str, body: str) -> str:
    """Return the function of one step."""
    macs = f", {step.macs:,} MACs" if step.macs else ""
    return (
        f"/* Step {step.number}, ONNX {comment_text(step.nodes)}\n * {step.summary}{macs} */\n"
        f"HTVM_SHARED void htvm_step_{step.number}({parameters})\n{{\n{body}\n}}\n"
    )


def run_text(program: Program) -> str:
    """Return the network's function."""
    uses_arena = any(isinstance(argument, ArenaAddress) for call in program.calls for argument in call)
    base = "unsigned char *const base = (unsigned char *)arena;" if uses_arena else "(void)arena;"
    unused = [
        f"    (void){port.name};" for port in program.ports if not any(port.pointer in call for call in program.calls)
    ]
    calls = [
        f"    htvm_step_{step.number}({', '.join(map(str, arguments))});"
        for step, arguments in zip(program.steps, program.calls, strict=True)
    ]
    resets = [f"    htvm_reset({unit});" for unit in program.commands.units]
    body = "\n".join([f"    {base}", *unused, "", *resets, *calls])
    return f"{prototype(program)}\n{{\n{body}\n}}\n"


def main(program: Program) -> str:
    """Return main.c: one run, with inputs and outputs at their places in the arena."""
    prefix = program.name.upper()
    arguments = [
        f"({'' if port.is_result else 'const '}{port.type.c} *)(htvm_arena + {prefix}_{port.name.upper()}_ARENA_OFFSET)"
        for port in program.ports
    ]
    lines = ",\n".join(f"        {each}" for each in [*arguments, "htvm_arena"])
    has_units = bool(program.commands.units)
    include = f'#include "{headers.SOC}"\n' if has_units else ""
    boot = "    HTVM_BOOT_ANALOG();\n#ifdef HTVM_RUN_FOREVER\n    for (;;)\n#endif\n" if has_units else ""
    return (
        f"/* One run of {program.name} on a bare host. Whoever starts the program has written the inputs to their\n"
        " * places in the arena, and reads the outputs there when it has come to htvm_done. */\n"
        f'#include "{program.name}.h"\n{include}\n'
        f"unsigned char htvm_arena[{prefix}_ARENA_BYTES]\n"
        f'    __attribute__((section(".arena"), aligned({prefix}_ARENA_ALIGNMENT)));\n\n'
        f"int main(void)\n{{\n{boot}    {program.name}_run(\n{lines});\n    return 0;\n}}\n"
    )
