"""How long `htvm compile` takes, Python's start included: wall-clock seconds of whole processes.

Usage: measure.py [--repeats N] [--json OUT.json] [MODEL.onnx ...]     default: the four networks of MLPerf Tiny
Exits with status 1 if the median of a model is above the limit.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = Path(__file__).parents[2] / "test" / "inputs" / "models" / "mlperf_tiny"
NETWORKS = ("resnet8", "ds_cnn", "mobilenet_v1", "toyadmos")
LIMIT_SECONDS = 3.0
HTVM = [sys.executable, "-c", "import sys; from htvm.commands.entry_points import htvm; sys.exit(htvm())"]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="*", type=Path, default=[MODELS / f"{name}.onnx" for name in NETWORKS])
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    measured = {}
    print(f"{'model':16}{'median s':>10}{'least s':>10}{'most s':>10}")
    for model in given.models:
        seconds = sorted(compile_seconds(model) for _ in range(given.repeats))
        measured[model.stem] = {"median_s": statistics.median(seconds), "seconds": seconds}
        print(f"{model.stem:16}{statistics.median(seconds):10.2f}{seconds[0]:10.2f}{seconds[-1]:10.2f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"limit_s": LIMIT_SECONDS, "models": measured}, indent=1) + "\n")
    return any(facts["median_s"] > LIMIT_SECONDS for facts in measured.values())


def compile_seconds(model: Path) -> float:
    """Compile a model for rv32 in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([*HTVM, "compile", str(model), "-o", f"{folder}/c"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
