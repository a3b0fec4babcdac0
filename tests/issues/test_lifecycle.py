"""Open, resolved, muted, regressed; merge, split, delete; filters and history."""

from __future__ import annotations

from typing import Any

import pytest

from inapp_monitor.issues.lifecycle import Standing, after_events, is_older, is_spike
from inapp_monitor.issues.merge_counts import HOURS_KEPT
from inapp_monitor.issues.scope import set_user

from .conftest import NOW, MakeMonitor, Monitor, caught, environ


def fail_a() -> None:
    raise ValueError("a")


def fail_b() -> None:
    raise KeyError("b")


def happen(monitor: Monitor, function: Any = fail_a, times: int = 1, **facts: Any) -> str:
    """Let an error happen and be written; returns the issue's id."""
    issue_id = None
    for _ in range(times):
        issue_id = monitor.tracker.capture(caught(function), environ(), **facts)
    monitor.tick()
    assert issue_id is not None
    return issue_id


def status(monitor: Monitor, issue_id: str) -> str:
    detail = monitor.tracker.get_issue(issue_id)
    assert detail is not None
    return detail.summary.status


def test_a_new_event_after_resolving_is_a_regression(monitor: Monitor) -> None:
    """Resolved stays resolved until it happens again; the history tells it all."""
    told: list[tuple[str, str]] = []
    monitor.tracker.listeners.append(lambda what, issue: told.append((what, issue)))
    issue_id = happen(monitor)
    monitor.tracker.triage.resolve(issue_id, by="ada")
    assert status(monitor, issue_id) == "resolved"
    monitor.clock.advance(60)
    happen(monitor)
    assert status(monitor, issue_id) == "regressed"
    assert told == [("new", issue_id), ("regressed", issue_id)]
    detail = monitor.tracker.get_issue(issue_id)
    assert detail is not None
    assert [(turn.kind, turn.by) for turn in detail.history] == [
        ("first seen", ""),
        ("resolved", "ada"),
        ("regressed", ""),
    ]


def test_an_older_release_is_no_regression(make_monitor: MakeMonitor) -> None:
    """Resolved in r2: workers that still run r1 do not regress it, r2 does."""
    old, new = make_monitor(release="r1"), make_monitor(release="r2")
    new.clock.advance(10)
    issue_id = happen(old)
    happen(new, fail_b)
    new.tracker.triage.resolve(issue_id, release="r2")
    happen(old)
    assert status(old, issue_id) == "resolved"
    happen(new)
    assert status(new, issue_id) == "regressed"
    detail = new.tracker.get_issue(issue_id)
    assert detail is not None
    assert detail.releases == ["r1", "r2"]
    assert detail.summary.count == 3


@pytest.mark.parametrize(
    ("release", "fixed_in", "older"),
    [
        ("r1", "r2", True),
        ("r2", "r2", False),
        ("r3", "r2", False),
        ("", "r2", False),
        ("r1", "", False),
        ("r1", "r9", True),
        ("unknown", "r9", False),
    ],
)
def test_the_order_of_releases(release: str, fixed_in: str, older: bool) -> None:
    """By when each was first seen; a release not seen yet comes after all that were."""
    seen = {"r1": 100.0, "r2": 200.0, "r3": 300.0}
    standing = Standing("resolved", 1, resolved_at=400.0, resolved_release=fixed_in)
    assert is_older(release, standing, seen) is older


def test_muted_for_a_time(monitor: Monitor) -> None:
    """It counts in silence and speaks up at the first event after the time."""
    issue_id = happen(monitor)
    monitor.tracker.triage.mute(issue_id, for_s=3600)
    happen(monitor)
    assert status(monitor, issue_id) == "muted"
    monitor.clock.advance(3601)
    happen(monitor)
    assert status(monitor, issue_id) == "open"


def test_muted_until_so_many_more(monitor: Monitor) -> None:
    """The third of three more opens it."""
    issue_id = happen(monitor, times=5)
    monitor.tracker.triage.mute(issue_id, more=3)
    happen(monitor, times=2)
    assert status(monitor, issue_id) == "muted"
    happen(monitor)
    assert status(monitor, issue_id) == "open"


def test_muted_until_a_rate(monitor: Monitor) -> None:
    """So many within so many seconds open it; the same number spread out does not."""
    issue_id = happen(monitor)
    monitor.clock.advance(7200)
    monitor.tracker.triage.mute(issue_id, rate=(4, 3600))
    for _ in range(3):
        happen(monitor, times=2)
        monitor.clock.advance(7200)
    assert status(monitor, issue_id) == "muted"
    happen(monitor, times=4)
    assert status(monitor, issue_id) == "open"


def test_muted_for_ever_and_reopened(monitor: Monitor) -> None:
    """Only a person opens it again."""
    issue_id = happen(monitor)
    monitor.tracker.triage.mute(issue_id)
    happen(monitor, times=50)
    assert status(monitor, issue_id) == "muted"
    monitor.tracker.triage.reopen(issue_id)
    assert status(monitor, issue_id) == "open"


def test_merge_is_one_issue_and_split_takes_it_back(monitor: Monitor) -> None:
    """Counts, events and later occurrences go with the fingerprint."""
    first, second = happen(monitor, fail_a, 3), happen(monitor, fail_b, 2)
    triage = monitor.tracker.triage
    triage.merge([first, second], into=first)
    assert happen(monitor, fail_b) == first
    merged = monitor.only_issue()
    assert merged.summary.count == 6
    assert len(merged.fingerprints) == 2
    assert {event["type"] for event in merged.events} == {"ValueError", "KeyError"}
    split = next(f for f in merged.fingerprints if f.count == 3 and "KeyError" in f.reason[0])
    triage.split(split.fingerprint)
    counts = sorted((issue.id, issue.count) for issue in monitor.tracker.list_issues())
    assert sorted(count for _, count in counts) == [3, 3]
    assert happen(monitor, fail_b) == second


def test_merge_with_an_unknown_issue_changes_nothing(monitor: Monitor) -> None:
    """Ids from an outdated page are harmless."""
    first = happen(monitor)
    triage = monitor.tracker.triage
    triage.merge([first], into="nosuchissue0")
    triage.merge(["nosuchissue0"], into=first)
    triage.split("no such fingerprint")
    triage.resolve("nosuchissue0")
    assert monitor.only_issue().summary.id == first


def test_delete_forgets_everything(monitor: Monitor) -> None:
    """No row remains; the next occurrence is new."""
    issue_id = happen(monitor, times=3)
    monitor.tracker.triage.delete(issue_id)
    assert monitor.tracker.get_issue(issue_id) is None
    for table in ("issues", "issue_events", "issue_hours", "issue_fingerprints", "issue_turns"):
        assert monitor.database.read(f"select count(*) as n from {table}")[0]["n"] == 0
    assert happen(monitor) == issue_id
    assert monitor.only_issue().summary.count == 1


def test_comments_are_kept_in_order(monitor: Monitor) -> None:
    """With their author, control characters made visible."""
    issue_id = happen(monitor)
    monitor.tracker.triage.comment(issue_id, "looks like the cache\x1b", by="ada")
    turn = monitor.only_issue().history[-1]
    assert (turn.kind, turn.text, turn.by) == ("comment", r"looks like the cache\x1b", "ada")


def test_a_spike_is_told_once_an_hour(monitor: Monitor) -> None:
    """Many times the day's mean, and many."""
    told: list[str] = []
    monitor.tracker.listeners.append(lambda what, _issue: told.append(what))
    for _ in range(3):
        happen(monitor, times=2)
        monitor.clock.advance(3600)
    happen(monitor, times=19)
    assert "spike" not in told
    happen(monitor, times=3)
    happen(monitor, times=30)
    assert told.count("spike") == 1


def test_spikes_need_a_past() -> None:
    """A new issue is new, not a spike."""
    assert not is_spike({3600: 500}, 3600, 500)
    assert is_spike({0: 1, 3600: 500}, 3600, 500)
    assert not is_spike({0: 1, 3600: 500}, 3600, 5)
    assert not is_spike({0: 1_000, 3600: 400}, 3600, 400)


def test_the_list_is_filtered_and_sorted(make_monitor: MakeMonitor) -> None:
    """By status, release, route and words; what is only in memory too."""
    monitor = make_monitor()
    first = happen(monitor, fail_a, 3, route="/a")
    monitor.clock.advance(1)
    second = happen(monitor, fail_b, 5, route="/b")
    monitor.tracker.triage.resolve(first)
    monitor.clock.advance(1)
    third = monitor.tracker.capture_message("no coffee left", route="/c")

    def ids(**wanted: Any) -> list[str]:
        return [issue.id for issue in monitor.tracker.list_issues(**wanted)]

    assert ids() == [third, second, first]
    assert ids(sort="count") == [second, first, third]
    assert ids(sort="first_seen") == [third, second, first]
    assert ids(status="resolved") == [first]
    assert ids(status="unresolved") == [third, second]
    assert ids(route="/b") == [second]
    assert ids(route="/c") == [third]
    assert ids(text="coffee") == [third]
    assert ids(text="fail_b KEYERROR") == [second]
    assert ids(text="test_lifecycle") == [second, first]
    assert ids(text="%") == []
    assert ids(release="r1") == [third, second, first]
    assert ids(release="r9") == []
    assert ids(limit=1) == [third]
    monitor.tick()
    assert [ids(limit=1, offset=page) for page in range(4)] == [[third], [second], [first], []]


@pytest.mark.parametrize("sort", ["last_seen", "first_seen", "count", "users"])
def test_the_pages_of_a_list_are_exact_before_the_flush(
    make_monitor: MakeMonitor, sort: str
) -> None:
    """Each issue stands on one page, where it will stand once all is written."""
    monitor = make_monitor()
    for number in range(30):
        for user in range(number % 5):
            set_user(f"u{user}")
            monitor.tracker.capture_message("x", place=str(number), route=f"/{number % 2}")
        monitor.tracker.capture_message("x", place=str(number), route=f"/{number % 2}")
        monitor.clock.advance(0.5)
    monitor.tick()
    monitor.clock.advance(10)
    for number in range(0, 40, 3):  # some known, some new ones
        set_user(f"u{number % 7}")
        for _ in range(number % 4):
            monitor.tracker.capture_message("x", place=str(number), route="/1")
            monitor.clock.advance(0.5)

    def pages(**wanted: Any) -> list[list[dict[str, Any]]]:
        return [
            [
                issue.as_json()
                for issue in monitor.tracker.list_issues(7, offset=7 * page, sort=sort, **wanted)
            ]
            for page in range(6)
        ]

    before = pages(), pages(route="/1"), pages(text="x", status="open", release="r1")
    monitor.tick()
    assert before == (pages(), pages(route="/1"), pages(text="x", status="open", release="r1"))
    ids = [issue["id"] for page in before[0] for issue in page]
    assert len(ids) == len(set(ids)) > 30


def test_an_issue_shows_as_regressed_while_the_disk_refuses(monitor: Monitor) -> None:
    """What fails again is not hidden among the resolved."""
    issue_id = happen(monitor)
    monitor.tracker.triage.resolve(issue_id)
    monitor.clock.advance(1)
    monitor.tracker.capture(caught(fail_a))
    assert [issue.status for issue in monitor.tracker.list_issues()] == ["regressed"]
    assert monitor.tracker.list_issues(status="unresolved")
    assert not monitor.tracker.list_issues(status="resolved")
    detail = monitor.tracker.get_issue(issue_id)
    assert detail is not None
    assert detail.summary.status == "regressed"


def test_hours_for_sparklines(monitor: Monitor) -> None:
    """Occurrences of the last day by the hour, older ones only in the detail."""
    issue_id = happen(monitor, times=2)
    monitor.clock.advance(2 * 86_400)
    happen(monitor, times=3)
    now = int(monitor.clock.now) // 3600 * 3600
    summary = monitor.tracker.list_issues()[0]
    assert summary.hours == {now: 3}
    detail = monitor.tracker.get_issue(issue_id)
    assert detail is not None
    assert detail.summary.hours == {int(NOW) // 3600 * 3600: 2, now: 3}


def test_hours_are_kept_for_ninety_days(monitor: Monitor) -> None:
    """Older ones go; the total stays."""
    happen(monitor, times=2)
    monitor.clock.advance(HOURS_KEPT * 3600 + 7200)
    happen(monitor)
    issue = monitor.only_issue()
    assert len(issue.summary.hours) == 1
    assert issue.summary.count == 3


def test_old_issues_give_way(make_monitor: MakeMonitor) -> None:
    """Past max_issues the resolved and the longest unseen go first."""
    monitor = make_monitor(max_issues=10)
    ids = []
    for number in range(12):
        monitor.clock.advance(10)
        ids.append(monitor.tracker.capture_message("x", place=str(number)))
        monitor.tick()
        if number == 5:
            monitor.tracker.triage.resolve(str(ids[5]))
    kept = {issue.id for issue in monitor.tracker.list_issues()}
    assert kept == set(ids) - {ids[5], ids[0]}


def test_events_stay_within_their_share_of_the_budget(make_monitor: MakeMonitor) -> None:
    """Old events go first, the first event of each issue last; counts stay exact."""
    monitor = make_monitor(disk_budget=2**21)
    room = 2**21 // 4 // 2
    for round_number in range(60):
        for number in range(10):
            monitor.clock.advance(2)
            monitor.tracker.capture_message(
                f"{round_number} {number} " + "".join(map(str, range(number, 900))),
                template=str(number),
                place=str(number),
            )
        monitor.tick()
    rows = monitor.database.read("select sum(size) as size from issue_events")
    assert 0 < rows[0]["size"] <= room
    issues = monitor.tracker.list_issues()
    assert [issue.count for issue in issues] == [60] * 10
    for issue in issues:
        detail = monitor.tracker.get_issue(issue.id)
        assert detail is not None
        assert detail.events[0]["message"].startswith("0 ")
    size = monitor.database.status()
    assert monitor.database.path.stat().st_size <= size.budget_bytes


@pytest.mark.parametrize("state", ["open", "regressed"])
def test_other_states_are_left_alone(state: Any) -> None:
    """New events change neither open nor regressed issues."""
    assert after_events(Standing(state, 5), 1, 10.0, "r", {}, 0) == (state, None)
