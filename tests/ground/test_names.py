"""Series names are refused for what would break a query or a terminal, and for nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.exceptions import SeriesNameError
from inapp_monitor.ground.names import (
    MAX_PATH_LENGTH,
    RESERVED_NODES,
    TOTALS_NODES,
    check_path,
    clean_node,
    refuse_reserved,
    route_slug,
)
from tests.each import each


@each("path", ["a", "a.b.c", "requests.time", "Größe.été", "disk.used;dc=1", "x-y:z@1/2", "0"])
def test_ordinary_names_are_kept(path: str) -> None:
    """As they are."""
    assert check_path(path) == path


@each(
    "path",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "../etc/passwd",
        "a/../b",
        "a b",
        "a\nb",
        "a\0b",
        "a*",
        "a{b,c}",
        "f(x)",
        "a|b",
        "'a'",
        'a"b',
        "a\u202eb",
        "x" * (MAX_PATH_LENGTH + 1),
        None,
        5,
        b"bytes",
    ],
)
def test_names_that_could_do_harm_are_refused(path: object) -> None:
    """Empty nodes, white space, control characters and the query language's own characters."""
    with pytest.raises(SeriesNameError) as caught:
        check_path(path)
    assert len(str(caught.value)) < 300


@given(st.text())
def test_any_text_becomes_a_legal_node(text: str) -> None:
    """`clean_node` always gives exactly one legal node."""
    node = clean_node(text)
    assert check_path(node) == node
    assert "." not in node


@each(
    ("route", "slug"),
    [
        ("/", "root"),
        ("", "root"),
        ("/users/<int:id>/edit", "users-id-edit"),
        ("/static/<path:filename>", "static-filename"),
        ("/reports/sales.csv", "reports-sales-csv"),
        ("/users/{id}", "users-id"),
        (r"/^articles/(?P<year>[0-9]{4})/$", "articles-year"),
        ("(not found)", "not-found"),
        ("/Ünïcode", "n-code"),
        ("/***", "route"),
    ],
)
def test_slugs_are_readable(route: str, slug: str) -> None:
    """Converters and punctuation go, words stay."""
    assert route_slug(route) == slug


@given(st.text())
def test_any_route_has_a_legal_slug(route: str) -> None:
    """Whatever a framework calls a route."""
    slug = route_slug(route)
    assert re.fullmatch(r"[a-z0-9_-]{1,80}", slug)


@each("name", [*sorted(RESERVED_NODES), "requests.time", "monitor.x"])
def test_names_of_the_kit_s_own_series_are_refused(name: str) -> None:
    """Wherever they come from, and the message says why."""
    with pytest.raises(ValueError, match=r"names that begin with \w+ are reserved"):
        refuse_reserved(name)


@each("name", ["request", "requests2.time", "app.requests"])
def test_only_the_first_node_is_reserved(name: str) -> None:
    """As a whole."""
    refuse_reserved(name)


def test_totals_are_reserved() -> None:
    """What the last bytes of the disk are kept for is the kit's own."""
    assert set(TOTALS_NODES) < RESERVED_NODES
