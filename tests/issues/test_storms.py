"""Floods and several processes: exact counts, bounded memory and disk."""

from __future__ import annotations

import multiprocessing
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from inapp_monitor.database.file import Database
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.pending import BURST
from inapp_monitor.issues.tracker import Tracker

from .conftest import MakeMonitor, Monitor, environ

THREADS = 8
#: For processes that must end, on a machine that has other things to do.
PATIENCE_S = 600


def fail(number: int) -> None:
    data = {"number": number, "text": "x" * 100}
    raise ValueError(f"number {data['number']}")


def storm(tracker: Tracker, times: int) -> None:
    request = environ()
    for number in range(times):
        try:
            fail(number)
        except ValueError as error:
            tracker.capture(error, request, route="/a")


@pytest.mark.slow
def test_twenty_thousand_equal_exceptions(make_monitor: MakeMonitor) -> None:
    """From 8 threads, flushed meanwhile: every one counted, memory flat, the file small."""
    monitor = make_monitor(disk_budget=4 * 2**20)
    storm(monitor.tracker, 100)
    monitor.tick()
    tracemalloc.start()
    threads = [
        threading.Thread(target=storm, args=(monitor.tracker, 2_500)) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        threads[0].join(0.2)
        monitor.clock.advance(1)
        monitor.tick()
    for thread in threads:
        thread.join()
    monitor.tick()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    issue = monitor.only_issue()
    assert issue.summary.count == 20_100
    assert BURST <= len(issue.events) <= 21
    assert kept < 2 * 2**20, kept
    assert peak < 8 * 2**20, peak
    status = monitor.database.status()
    assert status.size_bytes <= status.budget_bytes


def test_a_storm_while_the_disk_refuses(monitor: Monitor) -> None:
    """Counts wait in a few kilobytes and are written when the disk is back."""
    monitor.settings.data_dir.write_text("a file in the way")
    for _ in range(20):
        storm(monitor.tracker, 500)
        monitor.clock.advance(1)
        monitor.tick()
    assert monitor.only_issue().summary.count == 10_000
    assert len(monitor.only_issue().events) == 21
    assert monitor.database.status().pending_bytes < 2**20
    monitor.settings.data_dir.unlink()
    for _ in range(3):
        monitor.clock.advance(100)
        monitor.tick()
    assert monitor.tracker.status().unwritten == 0
    assert monitor.only_issue().summary.count == 10_000


def _work(directory: Path, worker: int) -> None:
    settings = load({"data_dir": directory, "release": "r1"}, environ={}).settings
    clock = Clock()
    guard = Guard()
    database = Database(directory, settings, clock, guard)
    tracker = Tracker(settings, clock, guard, database)
    not_found = NotFoundTable(settings, guard, database)

    def run(thread: int) -> None:
        for number in range(100):
            tracker.capture_message("m", template="m", place=f"issue {number % 10}")
            not_found.add([("/gone", "", 1.0)])
            storm(tracker, 2)
            if number % 25 == thread:
                tracker.flush()
                not_found.flush()
                database.write_pending()

    threads = [threading.Thread(target=run, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tracker.flush()
    not_found.flush()
    while tracker.status().unwritten or database.status().pending_changes:
        database.write_pending()  # others may hold the lock for as long as the machine likes
        tracker.flush()
        not_found.flush()
    os._exit(0)


def test_four_processes_of_four_threads(make_monitor: MakeMonitor) -> None:
    """No count is lost and every issue has its first event."""
    monitor = make_monitor()
    context = multiprocessing.get_context("fork")
    directory = Path(monitor.settings.data_dir)
    workers = [context.Process(target=_work, args=(directory, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_S)
    assert [worker.exitcode for worker in workers] == [0] * 4
    issues = monitor.tracker.list_issues()
    assert sorted(issue.count for issue in issues) == [160] * 10 + [3_200]
    for issue in issues:
        detail = monitor.tracker.get_issue(issue.id)
        assert detail is not None
        assert detail.events
    pinned = monitor.database.read("select sum(pinned) as n from issue_events")
    assert pinned[0]["n"] == 11
    assert [row.count for row in monitor.not_found.top()] == [1_600]
