"""htvm test-engine: is an accelerator that a target describes what it says?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from htvm.commands.arguments import add_output, add_seed, add_target_file, count, say, write_json
from htvm.commands.failures import usage_error

if TYPE_CHECKING:
    from htvm.backend.targets.soc import Soc
    from htvm.verification.engines import EngineCheck, VectorCheck

EXAMPLES = """\
examples:
  htvm test-engine diana                            all accelerators of a target
  htvm test-engine my_soc.py --engines npu          one of your own
  htvm test-engine my_soc.py --vectors rtl.npz      and jobs that were recorded on its RTL

Random layers of stage 'integer' are offered to each accelerator. Those that it accepts are packed and executed, whole
and in tiles, on random maps and extremes, and compared with what they mean. A file of recorded jobs has for each job
NAME the arrays NAME.job (the text of an #accel.job<..>), NAME.input, NAME.rhs, NAME.weights, NAME.output (bytes) and
NAME.cycles, as far as the job has them: bytes must be equal; how far cycles are off is printed. The exit status is 1 if
something is wrong, or if no layer was accepted and there are no recorded jobs.
"""

LAYERS = 400
PROBLEMS = 5
"""How many are printed; --json has all."""


def add_arguments(to: argparse.ArgumentParser) -> None:
    add_target_file(to)
    to.add_argument("--layers", type=count, default=LAYERS, metavar="N", help=f"how many to offer (default: {LAYERS})")
    to.add_argument("--vectors", metavar="V.npz", help="jobs that were recorded, for one accelerator")
    add_seed(to)
    add_output(to, "what was found")


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import Arrays
    from htvm.commands import tables
    from htvm.interface import InputError
    from htvm.verification.engines import check_engine, check_vectors

    soc: Soc = arguments.target
    engines = list(soc.accelerators)
    names = ", ".join(engine.name for engine in engines)
    if not engines:
        usage_error("htvm test-engine", f"target '{soc.name}' has no accelerator: {soc.known('engines')}")
    if arguments.vectors and len(engines) > 1:
        usage_error("htvm test-engine", f"--vectors are of one accelerator; choose it with --engines: {names}")
    seeds = range(arguments.seed, arguments.seed + arguments.layers)
    checks: list[EngineCheck] = []
    for engine in engines:
        with tables.progress(engine.name) as progress:
            checks.append(check_engine(soc, engine, seeds, progress))
    recorded = None
    if arguments.vectors:
        try:
            recorded = check_vectors(soc, engines[0], Arrays(arguments.vectors, texts=True))
        except ValueError as error:  # InputError names the file itself
            raise InputError(f"{arguments.vectors}: {error}") from None
    write_json(arguments.json, facts(checks, recorded))
    for check in checks:
        say(arguments, text(check))
    if recorded is not None:
        say(arguments, text_of_vectors(recorded))
    sound = all(check.is_sound or (recorded is not None and not check.problems) for check in checks)
    return 0 if sound and not (recorded and recorded.problems) else 1


def text(check: EngineCheck) -> str:
    """Return what was found about an engine, for people."""
    verdict = "NOT as it says" if check.problems else "as it says" if check.accepted else "not tried"
    lines = [f"{check.engine}: {verdict}"]
    for op, accepted in check.accepted.items():
        lines.append(
            f"  {op:8} {accepted:4,} of {check.tried[op]:4,} layers accepted, {check.tiles[op]:7,} tiles, "
            f"{check.compared[op]:11,} values compared"
        )
    if check.forms:
        lines.append(f"  forms: {', '.join(f'{kind} {count}' for kind, count in check.forms.items())}")
    if never := [op for op in check.tried if op not in check.accepted]:
        lines.append(f"  accepts no {', '.join(never)}")
    if check.refused:
        most = ", ".join(f"{subject} {count}" for subject, count in check.refused.most_common(4))
        lines.append(f"  refused for: {most}")
    if not check.accepted:
        lines.append("  no layer was accepted: `htvm ops --engine E --target T` lists the rules")
    lines += [f"  {problem}" for problem in check.problems[:PROBLEMS]]
    if len(check.problems) > PROBLEMS:
        lines.append(f"  and {len(check.problems) - PROBLEMS} more")
    return "\n".join(lines)


def text_of_vectors(found: VectorCheck) -> str:
    """Return what was found about recorded jobs, for people."""
    lines = [f"recorded: {found.jobs:,} jobs, {found.bytes:,} bytes compared, {len(found.problems)} jobs wrong"]
    if found.timed:
        lines.append(f"  cycles of {found.timed:,} jobs: the cost model is off by {100 * found.worst:.1f} % at most")
    return "\n".join([*lines, *(f"  {problem}" for problem in found.problems[:PROBLEMS])])


def facts(checks: list[EngineCheck], recorded: VectorCheck | None) -> dict[str, Any]:
    """Return what --json writes."""
    return {
        "engines": [
            {
                "engine": check.engine,
                "sound": check.is_sound,
                "tried": dict(check.tried),
                "accepted": dict(check.accepted),
                "tiles": dict(check.tiles),
                "compared": dict(check.compared),
                "refused": dict(check.refused),
                "forms": dict(check.forms),
                "problems": check.problems,
            }
            for check in checks
        ],
        "recorded": None if recorded is None else asdict(recorded),
    }
