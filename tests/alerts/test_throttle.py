"""People get few messages, and none is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.alerts.throttle import STORM, Waiting, plan

A, B = ("a", ""), ("b", "")


def waiting(*keys: tuple[str, str]) -> list[Waiting]:
    return [Waiting(number, key) for number, key in enumerate(keys)]


def test_few_are_sent_as_they_are() -> None:
    """Nothing is joined and nothing waits."""
    made = plan(waiting(A, B, A), {}, 1000.0, 60)
    assert (made.together, made.postponed) == ([[0], [1], [2]], {})


def test_storm_is_one_message() -> None:
    """More than ten at once are one."""
    made = plan(waiting(*[(f"rule{n}", "") for n in range(STORM + 1)]), {}, 1000.0, 60)
    assert made.together == [list(range(STORM + 1))]


def test_state_that_comes_and_goes_is_slowed_down() -> None:
    """After ten in an hour a state speaks each half hour, after twenty in three each hour."""
    ten = {A: [10_000.0 + 60 * n for n in range(11)]}
    made = plan(waiting(A, A, B), ten, 10_700.0, 60)
    assert made.together == [[2]]
    assert made.postponed == {0: 10_600 + 1800, 1: 10_600 + 1800}
    made = plan(waiting(A, A, B), ten, 12_401.0, 60)
    assert made.together == [[0, 1], [2]]
    many = {A: [10_000.0 + 300 * n for n in range(21)]}
    assert plan(waiting(A), many, 16_100.0, 60).postponed == {0: 16_000 + 3600}


def test_notifier_has_a_cap_an_hour() -> None:
    """At the cap everything waits until there is room, and then comes as one."""
    sent = {(f"s{n}", ""): [1000.0 + n] for n in range(5)}
    made = plan(waiting(A, B), sent, 1100.0, 5)
    assert (made.together, set(made.postponed.values())) == ([], {4600.0})
    assert plan(waiting(A, B), sent, 4600.5, 5).together == [[0, 1]]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([A, B, ("c", "x")]), max_size=30),
    st.dictionaries(st.sampled_from([A, B]), st.lists(st.floats(0, 20_000), max_size=30)),
    st.integers(1, 30),
)
def test_each_is_sent_or_postponed(
    keys: list[tuple[str, str]], sent: dict[tuple[str, str], list[float]], most: int
) -> None:
    """Every notice is in exactly one place, in its order, and what waits waits for the future."""
    made = plan(waiting(*keys), sent, 10_000.0, most)
    sent_now = [each for ids in made.together for each in ids]
    assert sorted([*sent_now, *made.postponed]) == list(range(len(keys)))
    assert all(ids == sorted(ids) for ids in made.together)
    assert all(10_000.0 < due <= 10_000.0 + 3600 for due in made.postponed.values())
