"""The page of `htvm report`: one HTML file with everything in it, which opens from disk without a network."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from string import Template

from htvm.backend.c.schema import Json, as_object
from htvm.reporting.facts import PageFacts

LIBRARIES = ("echarts.min.js", "dataTables.min.js")
"""What draws charts and tables, as their authors published it: report_page/vendor/README.md."""

SCRIPTS = ("common.js", "network.js", "timeline.js", "memory.js", "tables.js", "decisions.js", "page.js")
"""Ours, in the order of use."""


def page(facts: PageFacts) -> str:
    """Return the page that shows a run."""
    folder = files("htvm.reporting") / "report_page"
    libraries = [(folder / "vendor" / name).read_text(encoding="utf-8") for name in LIBRARIES]
    scripts = [(folder / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{facts.model} on {facts.target.name}"),
        style=(folder / "page.css").read_text(encoding="utf-8"),
        data=embedded(as_object(facts)),
        libraries="\n".join(f"<script>{text}</script>" for text in libraries),
        scripts="\n".join(f"<script>\n{text}</script>" for text in scripts),
    )


def embedded(value: Json) -> str:
    """Return JSON that no name in it can end the element that holds it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
