"""How Sphinx builds the site: `make docs`. Pages are Markdown (MyST); those of reference/ are made from the code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import reference_pages
from mlir_lexer import MlirLexer

from htvm import __version__

project = "htvm"
release = version = __version__
copyright = "the authors of htvm, Apache-2.0"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["README.md"]
html_theme = "furo"
html_title = f"htvm {release}"
html_copy_source = False
html_show_sphinx = False
nitpicky = True


def setup(app) -> None:
    app.add_lexer("mlir", MlirLexer)
    reference_pages.write(Path(__file__).parent / "reference")
