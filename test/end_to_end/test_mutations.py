"""Models that are changed at random are compiled exactly or refused in words, in little time and memory.

`python test_mutations.py FIRST LAST` tries more, and executes all that are accepted.
"""

from pathlib import Path

import models
import pytest
from limited import Outcome, outcomes
from mutations import mutant
from selection import first

LARGEST_BYTES = 12_000
SEEDS = first([range(40), range(40, 100)], 1)
BATCH = 200


def sources() -> list[Path]:
    """Return the small models that are accepted as they are."""
    small = (path for path in models.FOLDER.rglob("*.onnx") if path.stat().st_size <= LARGEST_BYTES)
    return sorted(path for path in small if path.parent.name != "refused")


def compiled(seeds: range, folder: Path) -> dict[Path, Outcome]:
    """Compile the mutants of some seeds; return what became of each file."""
    files = {folder / f"mutant{seed}.onnx": mutant(sources(), seed) for seed in seeds}
    for path, content in files.items():
        path.write_bytes(content)
    return dict(zip(files, outcomes([("compile", path, "-o", path.with_suffix("")) for path in files], folder)))


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_changed_models_compile_or_are_refused(seeds: range, tmp_path: Path) -> None:
    found = compiled(seeds, tmp_path)
    assert not {path.name: problem for path, outcome in found.items() if (problem := outcome.problem())}
    refused = sum(outcome.status == 1 for outcome in found.values())
    assert len(found) / 2 < refused < len(found), "some are accepted, or nothing would be tried"


def explore(first: int, last: int, folder: Path) -> int:
    """Print what is wrong with each mutant, and what was tried in all."""
    tried = accepted = problems = 0
    slowest, largest = 0.0, 0
    for start in range(first, last, BATCH):
        found = compiled(range(start, min(start + BATCH, last)), folder)
        good = [path for path, outcome in found.items() if not outcome.status]
        executed = dict(zip(good, outcomes([("verify", path) for path in good], folder)))
        for path, outcome in (*found.items(), *executed.items()):
            wrong = outcome.problem() or ("NOT exact" in outcome.output and outcome.output)
            if wrong or (path in executed and outcome.status and outcome is executed[path]):
                print(f"{path}: {wrong or outcome.output}")
                problems += 1
        tried, accepted = tried + len(found), accepted + len(good)
        slowest = max(slowest, *(outcome.cpu_seconds for outcome in found.values()))
        largest = max(largest, *(outcome.peak_bytes for outcome in found.values()))
        print(
            f"{tried:,} mutants, {accepted:,} accepted and executed; at most {slowest:.1f} s, {largest >> 20:,} MiB",
            flush=True,
        )
    return problems


if __name__ == "__main__":
    import sys
    import tempfile

    sys.exit(explore(int(sys.argv[1]), int(sys.argv[2]), Path(tempfile.mkdtemp(prefix="htvm-mutants-"))) > 0)
