"""Names of requests are few, readable, and the same in every worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.names import check_path
from inapp_monitor.recorder.name_rules import NameRules
from inapp_monitor.recorder.routes import (
    OTHER,
    RouteTable,
    method_name,
    route_name,
    status_class,
)
from inapp_monitor.testing import FakeClock

from .test_fold import counts, fold, new_recorder, put


@pytest.mark.parametrize(
    ("route", "status", "name"),
    [
        ("/users/<int:id>", "200 OK", "/users/<int:id>"),
        ("/users/<int:id>", "404 Not Found", "/users/<int:id>"),
        (None, "404 Not Found", "(not found)"),
        (None, "405 Method Not Allowed", "(method not allowed)"),
        (None, "301 Moved", "(redirect)"),
        (None, "308 Permanent Redirect", "(redirect)"),
        (None, "200 OK", "(unrouted)"),
        (None, None, "(unrouted)"),
        ("", "404 Not Found", "(not found)"),
        (7, "200 OK", "(unrouted)"),
        ("x" * 1_000, "200 OK", "x" * 200),
    ],
)
def test_name_of_a_request(route: object, status: object, name: str) -> None:
    """The template where there is one, else one of the fixed names."""
    assert route_name(route, status) == name


@pytest.mark.parametrize(
    ("method", "name"),
    [("GET", "GET"), ("get", "OTHER"), ("BREW", "OTHER"), ("", "OTHER"), (None, "OTHER")],
)
def test_name_of_a_method(method: object, name: str) -> None:
    """Methods are clamped to those of HTTP, so that nobody can invent names."""
    assert method_name(method) == name


@pytest.mark.parametrize(
    ("status", "name"),
    [("200 OK", "2xx"), ("404", "4xx"), ("999 X", ""), ("", ""), (None, ""), ("2", ""), (200, "")],
)
def test_class_of_a_status(status: object, name: str) -> None:
    """A status that is none has no class."""
    assert status_class(status) == name


def test_names_are_capped() -> None:
    """Past the cap everything new is (other), counted; known and fixed names go on."""
    table = RouteTable(max_routes=2)
    assert [table.slug(route) for route in ("/a", "/b", "/c", "/d", "/a")] == [
        *("a", "b", "other", "other", "a")
    ]
    assert table.slug("(not found)") == "not-found"
    assert table.overflowed == 2
    assert table.slug("/e", count=5) == "other"
    assert table.overflowed == 7


def test_a_hundred_thousand_names() -> None:
    """Any number of names leaves a table of bounded size."""
    table = RouteTable(max_routes=500)
    slugs = {table.slug(f"/page/{n}") for n in range(20_000)}
    assert len(slugs) == 501
    assert len(table.slugs) < 520


def test_routes_with_one_slug_are_told_apart() -> None:
    """Of two routes with the same slug the second gets a suffix, the same in every process."""
    first, second = RouteTable(10), RouteTable(10)
    assert first.slug("/a/b") == second.slug("/a/b") == "a-b"
    suffixed = first.slug("/a-b")
    assert suffixed.startswith("a-b-")
    assert suffixed == second.slug("/a-b")


def test_real_routes_cannot_take_fixed_slugs() -> None:
    """A route `/other` does not mix with (other), whichever comes first."""
    table = RouteTable(1)
    assert table.slug("/other").startswith("other-")
    assert table.slug("/anything") == table.slug(OTHER) == "other"


def test_slugs_of_other_workers_win() -> None:
    """A slug that another worker stored first is that worker's; ours takes another."""
    table = RouteTable(10)
    assert table.slug("/a/b") == "a-b"
    table.adopt({"a-b": "/a-b"})
    assert table.slug("/a-b") == "a-b"
    assert table.slug("/a/b").startswith("a-b-")


def test_slugs_of_earlier_runs_do_not_fill_the_table() -> None:
    """Routes that existed once leave the cap to those that exist now."""
    table = RouteTable(2)
    table.adopt({f"old-{n}": f"/old/{n}" for n in range(10)})
    assert [table.slug("/new"), table.slug("/old/3")] == ["new", "old-3"]
    assert table.overflowed == 0


@given(st.lists(st.text(max_size=30), max_size=30))
def test_any_route_has_a_legal_and_distinct_slug(routes: list[str]) -> None:
    """Whatever the templates are, their slugs are legal nodes and never shared."""
    table = RouteTable(100)
    slugs = {route: table.slug(route) for route in routes}
    assert len(set(slugs.values())) == len(slugs)
    for slug in slugs.values():
        assert "." not in slug
        check_path(f"routes.{slug}.GET.time")


def test_name_rules() -> None:
    """The first rule that matches names the request; its name may use groups."""
    rules = NameRules([r"^/users/\d+ -> /users/<id>", r"^/(en|de)/.* -> /\1/*"])
    assert rules.name("/users/7/edit") == "/users/<id>"
    assert rules.name("/de/seite") == "/de/*"
    assert rules.name("/about") is None
    assert not NameRules([])


@pytest.mark.parametrize("rule", ["x", " -> ", "a -> ", "( -> x", r"a -> \1"])
def test_bad_name_rules(rule: str) -> None:
    """A rule that is none is refused where it is written."""
    with pytest.raises(ValueError, match="rule"):
        NameRules([rule])


def test_name_rules_beyond_ascii() -> None:
    """Rules are written as people read paths, which servers hand over as latin-1."""
    clock = FakeClock()
    recorder = new_recorder(clock, route_rules=["^/café/ -> /cafe/*"])
    put(recorder, clock, route=None, path="/café/7".encode().decode("latin-1"))
    put(recorder, clock, route="/café/<id>", path="/x")
    assert counts(fold(recorder)) == {"requests.time": 2, "routes.cafe.GET.time": 2}


def test_name_rules_in_the_fold() -> None:
    """Rules see the route, or the path of a request without one."""
    clock = FakeClock()
    recorder = new_recorder(clock, route_rules=[r"^/item/ -> /item/*", r"^/v\d+/x$ -> /x"])
    put(recorder, clock, route=None, path="/item/7", status="404 Not Found")
    put(recorder, clock, route=None, path="/item/8")
    put(recorder, clock, route="/v2/x", path="/anything")
    put(recorder, clock, route=None, path="/other")
    found = counts(fold(recorder))
    assert found == {
        "requests.time": 4,
        "routes.item.GET.time": 2,
        "routes.x.GET.time": 1,
        "routes.unrouted.GET.time": 1,
    }
