"""The reference page of functions says what the registry says."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree

from inapp_monitor.query.registry import EXPECTATIONS, FUNCTIONS
from tests.each import each

DOCS = Path(__file__).parents[2] / "docs"
BUILD = runpy.run_path(str(DOCS / "functions.py"))


def test_the_page_is_up_to_date() -> None:
    """`make docs` has been run since a function changed."""
    assert (DOCS / "functions.md").read_text("utf-8") == BUILD["page"]()


@each("name", sorted(FUNCTIONS))
def test_every_function_is_described_and_drawn(name: str) -> None:
    """Each has a sentence, known types of parameters, and a picture that is well formed."""
    f = FUNCTIONS[name]
    assert f.description.endswith(".") and len(f.description) > 10
    assert all(param.type in EXPECTATIONS for param in f.params)
    ElementTree.parse(DOCS / "functions" / f"{name}.svg")


def test_a_picture_is_the_same_each_time() -> None:
    """The build depends on nothing but the code and fixed data."""
    target = BUILD["example"](FUNCTIONS["movingAverage"])
    drawn = BUILD["draw"](target, BUILD["source"]())
    assert drawn == (DOCS / "functions" / "movingAverage.svg").read_bytes()
