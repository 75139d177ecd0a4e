"""Whether the C of all networks of the test suite is the same, byte for byte, in two checkouts.

    .venv/bin/python test/c_identity.py write before.json      # in one, with its environment
    .venv/bin/python test/c_identity.py write after.json       # in the other
    python test/c_identity.py compare before.json after.json

For a change that is to alter nothing: after it, every model of test/inputs/models must become the same files, or be
refused with the same words, for all targets and options below; models of one layer have fewer options. `-j N` gives it
N processes, `-k WORD` only the models whose path has a word, `-o NAME,..` only some options.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent / "inputs" / "models"
TARGETS = ("rv32", "diana")
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "energy": {"objective": "energy"},
    "memory": {"objective": "memory"},
    "pow2": {"requant": "pow2"},
    "htvm": {"mapping": "htvm"},
    "htvm pow2": {"mapping": "htvm", "requant": "pow2"},
    "constants 2.4x": {"constants": "2.4x"},
    "constants 1x": {"constants": "1x"},
    "host": {"engines": ("host",)},
    "l1 32k": {"memory": {"l1": 32 << 10}},
}
ONLY_DIANA = ("energy", "htvm", "htvm pow2", "l1 32k", "memory")
"""Options about accelerators and their memory."""

OF_LAYERS = ("default", "pow2", "htvm")
"""Options for models of one layer."""

Case = tuple[str, str, str]
Files = dict[str, str]


def cases(word: str, options: Sequence[str]) -> list[Case]:
    """Return model, target and name of the options of each compilation."""
    models = sorted(str(path.relative_to(MODELS)) for path in MODELS.rglob("*.onnx"))
    return [
        (model, target, name)
        for model in models
        if word in model
        for target in TARGETS
        for name in options
        if (target == "diana" or name not in ONLY_DIANA) and (name in OF_LAYERS or not has_one_layer(model))
    ]


def has_one_layer(model: str) -> bool:
    return Path(model).parent.name in ("layers", "refused")


def compiled(case: Case) -> Files:
    """Return the hash of each file by name, or under "error" what is said of the model."""
    import htvm

    model, target, name = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            files = htvm.compile(MODELS / model, target, **OPTIONS[name]).project.files
        except htvm.CompileError as error:
            return {"error": str(error).replace(str(MODELS), "")}
    return {file: hashlib.sha256(text.encode()).hexdigest()[:16] for file, text in files.items()}


def write(output: Path, chosen: Sequence[Case], jobs: int) -> int:
    with Pool(jobs) as pool:
        found = pool.map(compiled, chosen, chunksize=1)
    output.write_text(json.dumps({" | ".join(case): files for case, files in zip(chosen, found)}, indent=0) + "\n")
    refused = sum("error" in files for files in found)
    print(f"{output}: {len(found)} compilations, {refused} of them refused")
    return 0


def compare(before: Path, after: Path) -> int:
    """Print each compilation that has become something else; return 1 if there is one."""
    old: dict[str, Files] = json.loads(before.read_text())
    new: dict[str, Files] = json.loads(after.read_text())
    files: Counter[str] = Counter()
    shared = [case for case in old if case in new]
    for case in shared:
        names = sorted(name for name in {*old[case], *new[case]} if old[case].get(name) != new[case].get(name))
        if names:
            print(f"{case}: {', '.join(names)}")
            files.update(Path(name).suffix or name for name in names)
    differing = ", ".join(f"{count} {suffix}" for suffix, count in files.most_common()) or "none"
    print(f"{len(shared)} compilations in both, {len(old)} and {len(new)} in all; files that differ: {differing}")
    return 1 if files or not shared else 0


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    actions = parser.add_subparsers(required=True, dest="action")
    writing = actions.add_parser("write")
    writing.add_argument("output", type=Path)
    writing.add_argument("-k", dest="word", default="", help="only models whose path has a word")
    writing.add_argument("-j", dest="jobs", type=int, default=1, help="processes")
    writing.add_argument(
        "-o", dest="options", default=",".join(OPTIONS), help="only these options, such as default,pow2"
    )
    comparing = actions.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    chosen = parser.parse_args(words)
    if chosen.action == "write":
        return write(chosen.output, cases(chosen.word, chosen.options.split(",")), chosen.jobs)
    return compare(chosen.before, chosen.after)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
