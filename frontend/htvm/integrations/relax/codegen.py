"""`relax.ext.htvm`: what RunCodegen calls with the subgraphs of partition_for_htvm. Each becomes an object file.

    TVM's library  ->  __tvm_ffi_htvm_0(inputs.., [arena,] outputs..)  ->  graph_htvm_0_run(inputs.., outputs.., arena)

The entry compares type, shape and layout of every tensor with those that the network was compiled for. Its arena is the
tensor of bytes that TVM's AllocateWorkspace gives to all subgraphs, or else memory of one call: it is re-entrant in
both cases.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import tvm_ffi
from tvm import relax, runtime
from tvm_ffi import libinfo

from htvm.backend import targets
from htvm.backend.c.record import PortPlan
from htvm.backend.targets.soc import Soc
from htvm.driver import CompiledModel
from htvm.integrations.relax.partition import OPTIONS, TARGET, compiled_subgraph
from htvm.options import CompileOptions
from htvm.runtime.interrupts import scratch_folder

COMPILERS = ("gcc", "clang", "cc")
"""C compilers that are looked for; without any of them the one of the package `ziglang` is used."""

FLAGS = ("-std=c99", "-O2", "-fPIC", "-fvisibility=hidden", "-D_POSIX_C_SOURCE=200112L")

DLPACK_CODES = {"i": 0, "u": 1}
"""DLDataTypeCode of signed and unsigned integers."""

ENTRY = Path(__file__).with_name("entry.h")


class CodegenError(ValueError):
    """A subgraph that cannot become part of a library; the message says why, and what to do."""


@tvm_ffi.register_global_func("relax.ext.htvm", override=True)
def codegen(
    functions: Sequence[relax.Function], options: Mapping[str, object] | None, _: object
) -> list[runtime.Module]:
    """Return a module for each subgraph. options: "cc", the C compiler, is the only one."""
    given = {str(name): str(value) for name, value in (options or {}).items()}
    if unknown := sorted(set(given) - {"cc"}):
        raise CodegenError(f"htvm: there is no option '{unknown[0]}' of RunCodegen, expected cc")
    return [module_of(function, given.get("cc")) for function in functions]


def module_of(function: relax.Function, compiler: str | None) -> runtime.Module:
    """Return a subgraph as a module of TVM. Raises CompileError and CodegenError."""
    symbol = str(function.attrs["global_symbol"])
    if TARGET not in function.attrs:
        raise CodegenError(f"{symbol}: is not of htvm's partition_for_htvm: it has no attribute '{TARGET}'")
    options = CompileOptions.of_facts(json.loads(str(function.attrs[OPTIONS])))
    target = str(function.attrs[TARGET])
    check_runs_here(options.refined(targets.load(target)), symbol)
    compiled = compiled_subgraph(function, symbol, target, options)
    with scratch_folder() as folder:
        built = built_object(compiled, symbol, Path(folder), compiler)
        return runtime.load_static_library(str(built), [symbol])


def check_runs_here(soc: Soc, symbol: str) -> None:
    """Raise CodegenError for C that gives commands to accelerators: it does not run inside a library of TVM."""
    if soc.accelerators:
        names = ", ".join(engine.name for engine in soc.accelerators)
        raise CodegenError(
            f"{symbol}: target '{soc.name}' has accelerators ({names}), which C in a library of this machine cannot "
            "reach; write_c writes the C project for the chip, and target 'rv32' runs here"
        )


def built_object(compiled: CompiledModel, symbol: str, folder: Path, compiler: str | None) -> Path:
    """Write the C of a network and its entry into a folder and compile them. Raises CodegenError."""
    for name, text in compiled.project.sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / ENTRY.name).write_text(ENTRY.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "entry.c").write_text(entry(compiled, symbol), encoding="utf-8")
    includes = [f"-I{libinfo.find_include_path()}", f"-I{libinfo.find_dlpack_include_path()}"]
    command = [*c_compiler(compiler), *FLAGS, *includes, "-c", "entry.c", "-o", f"{symbol}.o"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise CodegenError(f"{symbol}: '{command[0]}' does not compile its C: {(errors or ['it said nothing'])[0]}")
    return folder / f"{symbol}.o"


def c_compiler(wanted: str | None) -> list[str]:
    """Return the command of a C compiler: the one that is wanted, or that CC names, or the first that there is."""
    named = wanted or os.environ.get("CC")
    if named:
        if shutil.which(named.split()[0]) is None:
            raise CodegenError(f"there is no C compiler '{named}'; give RunCodegen the option cc")
        return named.split()
    found = next((name for name in COMPILERS if shutil.which(name)), None)
    return [found] if found else [sys.executable, "-m", "ziglang", "cc"]


def entry(compiled: CompiledModel, symbol: str) -> str:
    """Return the C of the function that TVM calls."""
    report = compiled.project.report
    ports = [*report.inputs, *report.outputs]
    rows = ",\n".join(f"    {described(port)}" for port in ports)
    inputs, count = len(report.inputs), len(ports)
    arguments = [
        f"({'const ' if number < inputs else ''}{port.dtype}_t *)data[{number}]" for number, port in enumerate(ports)
    ]
    upper = report.name.upper()
    return f"""\
/* {symbol}: between TVM's calling convention and {report.name}_run. */
#include "{report.name}.c"
#include "{ENTRY.name}"

static const htvm_port ports[{count}] = {{
{rows}
}};

TVM_FFI_DLL_EXPORT int __tvm_ffi_{symbol}(void *self, const TVMFFIAny *args, int32_t count, TVMFFIAny *result)
{{
    void *data[{count}], *arena, *own;
    (void)self;
    if (htvm_take("{symbol}", ports, {inputs}, {count - inputs}, {upper}_ARENA_BYTES, {upper}_ARENA_ALIGNMENT, args,
                  count, data, &arena, &own) != 0)
        return -1;
    {report.name}_run({", ".join([*arguments, "arena"])});
    free(own);
    result->type_index = kTVMFFINone;
    result->zero_padding = 0;
    result->v_int64 = 0;
    return 0;
}}
"""


def described(port: PortPlan) -> str:
    """Return the row of the table with what an input or output must be."""
    kind, bits = port.dtype.rstrip("0123456789"), int("".join(filter(str.isdigit, port.dtype)))
    code = DLPACK_CODES["u" if kind.startswith("u") else "i"]
    sizes = ", ".join(map(str, port.shape)) or "1"
    return f'{{"{port.c_name}", {code}, {bits}, {len(port.shape)}, {{{sizes}}}}}'
