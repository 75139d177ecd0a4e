"""Models after public bug reports (test/inputs/cases): all are exact."""

from pathlib import Path

import pytest
from judging import check_exact, load

CASES = Path(__file__).parents[2] / "inputs" / "cases"

QUANTISED = sorted(file for file in CASES.glob("*/*.onnx") if not file.parent.name.startswith("quantize_"))
"""Those that are quantised already; `htvm quantize` has the others (test/end_to_end/test_quantize_cases.py)."""


@pytest.mark.parametrize("file", QUANTISED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_case(file: Path) -> None:
    model, samples = load(file)
    check_exact(model, samples and samples[:2])
