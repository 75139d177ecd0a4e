"""The page of TOSA's operations says what becomes of each case of the tests."""

from pathlib import Path

from tosa.conformance import page

PAGE = Path(__file__).parents[3] / "docs" / "integrations" / "tosa-operations.md"


def test_page_is_what_the_cases_become() -> None:
    made = "\n".join(page()) + "\n"
    assert PAGE.read_text() == made, "python test/tosa/conformance.py > docs/integrations/tosa-operations.md"
