"""Random networks, layers, mutants and signals, beyond those of the test suite.

    python test/fuzz.py N [SEED]

tries N of each from a new seed on, or from the one given, and stops at the first that fails.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

END_TO_END = Path(__file__).parent / "end_to_end"
LARGEST_SEED = 1_000_000_000


def main(count: int, seed: int) -> int:
    """Run each fuzzer; return the exit status of the first that fails."""
    numbers = [str(seed), str(seed + count)]
    print(f"seed {seed}; to repeat it: {sys.executable} {__file__} {count} {seed}", flush=True)
    for script, words in (
        ("test_random_networks.py", numbers),
        ("host_modes.py", numbers),
        ("test_shift_networks.py", numbers),
        ("test_mutations.py", numbers),
        ("interrupts.py", [str(count), str(seed)]),
    ):
        print(f"{script}:", flush=True)
        command = [sys.executable, str(END_TO_END / script), *words]
        status = subprocess.run(command).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(LARGEST_SEED)))
