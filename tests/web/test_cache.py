"""Costly answers are kept in proportion to their cost, cheap ones are always fresh."""

from __future__ import annotations

from inapp_monitor.testing import FakeClock
from inapp_monitor.web.cache import Cache


def test_what_took_long_is_kept_for_long() -> None:
    """A hundred times its cost, up to the limit."""
    clock = FakeClock()
    cache, made = Cache(clock), []

    def make() -> int:
        made.append(1)
        clock.advance(0.1)
        return len(made)

    assert cache.get("x", make) == 1
    clock.advance(9)
    assert cache.get("x", make) == 1
    clock.advance(2)
    assert cache.get("x", make) == 2
    clock.advance(3)
    assert cache.get("y", make, longest_s=3) == 3
    clock.advance(4)
    assert cache.get("y", make, longest_s=3) == 4


def test_a_limit_does_not_make_a_costly_answer_eat_a_core() -> None:
    """At least twenty times its cost."""
    clock = FakeClock()
    cache, made = Cache(clock), []

    def make() -> int:
        made.append(1)
        clock.advance(5)
        return len(made)

    assert cache.get("x", make, longest_s=1) == 1
    clock.advance(90)
    assert cache.get("x", make, longest_s=1) == 1
    clock.advance(20)
    assert cache.get("x", make, longest_s=1) == 2


def test_what_costs_nothing_is_made_anew() -> None:
    """So that a small app's page is never stale."""
    cache = Cache(FakeClock())
    values = iter(range(3))
    assert [cache.get("x", lambda: next(values)) for _ in range(3)] == [0, 1, 2]


def test_it_does_not_grow_without_bound() -> None:
    """However many windows are asked for."""
    cache = Cache(FakeClock())
    for number in range(1_000):
        cache.get(number, lambda: None)
    assert len(cache) <= 64
