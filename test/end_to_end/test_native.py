"""The same C on the machine at hand, with the sanitizers looking on: no undefined behaviour, no stray access."""

import subprocess
from dataclasses import replace
from pathlib import Path

import host_modes
import models
import numpy as np
import pytest
from machine import machine

import htvm
from htvm.backend.c import write_project
from htvm.project import Project

CC = next(iter([*machine().sanitized, *machine().native]), "")
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]

pytestmark = pytest.mark.skipif(not CC, reason="no C compiler")

RUNNER = """\
/* Reads the inputs from standard input, runs the network twice, and writes the outputs of the second run. */
#include <stdio.h>
#include <string.h>
#include "{name}.h"

static unsigned char arena[{upper}_ARENA_BYTES + 1] __attribute__((aligned({upper}_ARENA_ALIGNMENT)));
{buffers}
int main(void)
{{
{reads}
    for (int run = 0; run < 2; run++) {{
        memset(arena, 0xA5, sizeof arena);
        {name}_run({arguments}, arena);
    }}
{writes}
    return 0;
}}
"""


def runner(project: Project) -> str:
    """Return a program that holds inputs and outputs outside the arena, as a caller may."""
    report = project.report
    ports = [*report.inputs, *report.outputs]
    buffers = "".join(f"static {port.dtype}_t {port.c_name}[{int(np.prod(port.shape))}];\n" for port in ports)
    reads = "\n".join(
        f"    if (fread({port.c_name}, 1, sizeof {port.c_name}, stdin) != sizeof {port.c_name}) return 1;"
        for port in report.inputs
    )
    writes = "\n".join(f"    fwrite({port.c_name}, 1, sizeof {port.c_name}, stdout);" for port in report.outputs)
    return RUNNER.format(
        name=report.name,
        upper=report.name.upper(),
        buffers=buffers,
        reads=reads,
        writes=writes,
        arguments=", ".join(port.c_name for port in ports),
    )


SLOW = {*models.ALIKE, "htvm/mobilenet_v2_digital", "mlperf_tiny/ds_cnn_matmul", "mlperf_tiny/mobilenet_v1"}


WHOLE = [name for name in models.NAMES if not name.startswith("layers/")]
OTHER_MODES = ("constants 2.4x", "objective memory", host_modes.PATCHES)


@pytest.mark.parametrize("name", models.parameters(slow=SLOW))
def test_native_build_is_clean_and_computes_the_golden(name: str, tmp_path: Path) -> None:
    """Warnings about data flow need -O1, with which the compiler takes three times as long: a few networks have it."""
    check(models.compiled(name).project, name, "-O1" if name in models.NETWORKS else "-O0", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("mode", OTHER_MODES)
def test_networks_in_other_modes_are_clean_and_compute_the_golden(name: str, mode: str, tmp_path: Path) -> None:
    """Winograd within a larger budget, outputs over inputs where memory counts, and the first layers in patches."""
    options = replace(host_modes.MODES[mode], input_types=models.input_types(name), memory={"ram": 4 << 20})
    way = htvm.Pipeline(models.path(name), options=options)
    compiled = host_modes.split(way, 5, 3) if mode == host_modes.PATCHES else way.compiled()
    check(compiled.project, name, "-O0", tmp_path)


def check(project: Project, name: str, level: str, folder: Path) -> None:
    """Build a network at an optimisation level, run it with the inputs of a golden, and compare."""
    write_project({**project.files, "main.c": runner(project)}, folder / "project")
    executable = folder / "network"
    sources = [str(path) for path in (folder / "project").glob("*.c")]
    built = subprocess.run(
        [CC, *FLAGS, level, *machine().sanitizers(CC), *sources, "-o", str(executable)], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    given, wanted = models.golden(models.golden_files(name)[-1], [port.name for port in project.outputs])
    stored = b"".join(port.stored(given[port.name]) for port in project.inputs)
    ran = subprocess.run([executable], input=stored, capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()
    place = 0
    for port in project.outputs:
        found = port.values(ran.stdout[place : place + port.size_bytes])
        np.testing.assert_array_equal(found, wanted[port.name])
        place += port.size_bytes
