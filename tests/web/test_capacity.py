"""Verdicts about room to spare, by table: what was sampled, and what is said of it."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.findings import capacity
from inapp_monitor.web.findings.capacity import Growth, Room
from inapp_monitor.web.frame.columns import Durations
from tests.each import each
from tests.web.stored_backend import stored_backend

MB, GB = 2**20, 2**30
#: A machine with nothing to do.
IDLE = {"busiest": 3.0, "machine": 5.0, "workers": 4.0, "at_once": 0.2}
#: Much memory, hardly used.
ROOMY = {"rss": 200.0 * MB, "total": 16.0 * GB, "available": 12.0 * GB, "fds": 60.0}


def waited(*milliseconds: float) -> Durations:
    whole = Histogram.of(list(milliseconds))
    return Durations(0, 60, [whole], whole, np.array([60.0]))


@each(
    ("found", "state", "words"),
    [
        (None, None, ""),
        (waited(5, 5), "unknown", "too few requests"),
        (waited(*[4.0] * 95, *[90.0] * 5), "ok", "half wait 4"),
        (waited(*[4.0] * 50, *[150.0] * 50), "warn", "p95 150 ms"),
        (waited(*[400.0] * 50, *[2_500.0] * 50), "crit", "p95 2.5 s"),
    ],
)
def test_queue_time(found: Durations | None, state: str | None, words: str) -> None:
    """Left out where no proxy tells; judged by its 95th percentile."""
    judged = capacity.judge_queue(found)
    assert (judged.state if judged else None) == state
    if judged:
        assert words in judged.detail
        assert bool(judged.wrong) == (judged.state in ("warn", "crit"))


@each(
    ("seen", "state", "wrong"),
    [
        ({}, "ok", ""),
        ({"busiest": 79.0}, "ok", ""),
        ({"busiest": 81.0}, "warn", "no more CPU"),
        ({"busiest": 99.0, "machine": 92.0}, "crit", "no more CPU"),
        ({"busiest": None, "machine": 95.0}, "warn", "machine's CPU"),
        ({"machine": 99.5}, "warn", "machine's CPU"),
        ({"throttled": 7.0}, "warn", "container's CPU limit"),
        ({"throttled": 60.0, "busiest": 85.0}, "crit", "container's CPU limit"),
        ({"at_once": 3.9}, "ok", ""),
        ({"at_once": 3.0, "single": True}, "warn", "all workers are busy"),
        ({"at_once": 3.8, "single": True}, "crit", "all workers are busy"),
        ({"at_once": 3.8, "single": True, "workers": None}, "ok", ""),
        ({"at_once": None, "workers": 0.0, "single": True}, "ok", ""),
    ],
)
def test_saturation(seen: dict[str, Any], state: str, wrong: str) -> None:
    """The gravest of what is taken: workers, a core, the machine, a container's share."""
    judged = capacity.judge_saturation(Room(**{**IDLE, **seen}), sampled=True)
    assert judged is not None
    assert judged.state == state
    assert (wrong in judged.wrong) if wrong else not judged.wrong


@each(
    ("seen", "state", "wrong"),
    [
        ({}, "ok", ""),
        ({"available": 1.7 * GB}, "ok", ""),
        ({"available": 1.5 * GB}, "warn", "machine's memory is nearly full"),
        ({"available": 0.2 * GB}, "crit", "machine's memory is nearly full"),
        ({"limit": 1.0 * GB, "used": 0.5 * GB, "available": 0.1 * GB}, "ok", ""),
        ({"limit": 1.0 * GB, "used": 0.93 * GB}, "warn", "container's memory is nearly full"),
        ({"limit": 1.0 * GB, "used": 0.99 * GB}, "crit", "container's memory"),
        ({"fullest": 85.0}, "warn", "runs out of descriptors"),
        ({"fullest": 96.0, "available": 1.5 * GB}, "crit", "runs out of descriptors"),
        (
            {"memory_growth": Growth(100.0 * MB, 2.0 * GB), "limit": 2.0 * GB, "used": 1.0 * GB},
            "warn",
            "a worker grows by 100 MB an hour, full in 10 h",
        ),
        ({"memory_growth": Growth(1.0 * MB, 1.0), "total": None}, "warn", "grows by 1 MB an hour"),
        ({"fds_growth": Growth(120.0, 900.0)}, "warn", "descriptors grow by 120 an hour"),
    ],
)
def test_memory_and_descriptors(seen: dict[str, Any], state: str, wrong: str) -> None:
    """Near a limit, or on the way there; a container's limit counts before the machine's."""
    judged = capacity.judge_memory(Room(**{**ROOMY, **seen}), sampled=True)
    assert judged is not None
    assert judged.state == state
    assert (wrong in judged.wrong) if wrong else not judged.wrong


@each(
    ("free", "total", "state"),
    [
        (None, None, None),
        (50.0 * GB, 100.0 * GB, None),
        (4.0 * GB, 100.0 * GB, "warn"),
        (0.5 * GB, 100.0 * GB, "crit"),
        (20.0 * GB, 4_000.0 * GB, None),
        (0.0, 0.0, None),
    ],
)
def test_the_partition(free: float | None, total: float | None, state: str | None) -> None:
    """Nothing is said while there is room."""
    judged = capacity.judge_disk(Room(disk_free=free, disk_total=total))
    assert (judged.state if judged else None) == state


@each("judge", [capacity.judge_saturation, capacity.judge_memory])
def test_what_is_missing_is_told_where_it_should_be(judge: Any) -> None:
    """Where nothing is sampled nothing is said; else a missing sample is no good news."""
    assert judge(Room(), False) is None
    judged = judge(Room(), True)
    assert judged.state == "unknown"
    assert "no sample" in judged.detail


def hours(count: float, value: Any, step: int = 60) -> Any:
    """Values of `value(hour)`, a minute each."""
    return np.array([value(n * step / 3_600) for n in range(int(count * 3_600 / step))])


RNG = random.Random(1)


@each(
    ("name", "values", "an_hour"),
    [
        ("nothing known", np.full(300, math.nan), None),
        ("nothing at all", np.empty(0), None),
        ("flat with noise", hours(6, lambda h: 300 * MB + RNG.uniform(-5, 5) * MB), None),
        ("a leak", hours(6, lambda h: 300 * MB + h * 50 * MB), 50 * MB),
        ("a noisy leak", hours(6, lambda h: (300 + h * 50 + RNG.uniform(-20, 20)) * MB), 50 * MB),
        ("too short to say", hours(0.9, lambda h: 300 * MB + h * 500 * MB), None),
        ("filling a cache", hours(6, lambda h: 900 * MB - 500 * MB * math.exp(-2 * h)), None),
        ("a sawtooth of restarts", hours(6, lambda h: (300 + 100 * (h % 1)) * MB), None),
        ("shrinking", hours(6, lambda h: 900 * MB - h * 50 * MB), None),
        ("little", hours(6, lambda h: 300 * MB + h * 5 * MB), None),
        ("a share of much", hours(6, lambda h: 8 * GB + h * 50 * MB), None),
        ("one step", hours(6, lambda h: (300 if h < 3 else 600) * MB), None),
        (
            "since it began, an hour ago",
            np.concatenate([np.full(240, math.nan), hours(2, lambda h: (200 + 200 * h) * MB)]),
            200 * MB,
        ),
    ],
)
def test_growth(name: str, values: Any, an_hour: float | None) -> None:
    """A leak goes on; a cache fills and a new process warms up."""
    found = capacity.growth(values, 60, 64 * MB)
    if an_hour is None:
        assert found is None, name
    else:
        assert found is not None, name
        assert found.an_hour == pytest.approx(an_hour, rel=0.15)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"x"]


def test_the_overview_says_it_and_links_to_the_evidence(tmp_path: Path) -> None:
    """From the store to the line: a busy core, a leak, requests that wait."""
    clock = FakeClock()
    made = Monitor(
        app,
        data_dir=tmp_path,
        token="sample-token-0123456789",
        clock=clock,
        flush_interval_s=60,
        collect_process=False,
        collect_host=False,
    )
    headers = {"Authorization": "Bearer sample-token-0123456789"}
    try:
        client = Client(made)
        verdicts = client.get("/_metrics/overview.json", headers=headers).json["verdicts"]
        assert not {"Saturation", "Memory", "Queue time"} & {each["title"] for each in verdicts}
        now = int(clock.wall())
        scalars = [
            Scalar("process.cpu.busiest_percent", now - age, 97.0, Method.MAX)
            for age in range(0, 600, 10)
        ]
        scalars += [
            Scalar("process.memory.largest_bytes", now - age, (900 - age / 60) * MB, Method.MAX)
            for age in range(0, 6 * 3_600, 10)
        ]
        scalars += [Scalar("process.memory.rss_bytes", now - 5, 1e9, Method.LAST)]
        waits = Distribution("requests.queue_time", now - 30, Histogram.of([300.0] * 40))
        made.store.add(Batch(scalars, [waits]))
        verdicts = client.get("/_metrics/overview.json", headers=headers).json["verdicts"]
        by_title = {each["title"].partition(":")[0]: each for each in verdicts}
        assert by_title["Saturation"]["state"] == "crit"
        assert by_title["Memory"]["state"] == "warn"
        assert "grows by 60 MB an hour" in by_title["Memory"]["title"]
        assert by_title["Queue time"]["state"] == "warn"
        assert {by_title[name]["path"] for name in ("Saturation", "Memory")} == {"/runtime"}
        page = client.get("/_metrics/runtime", headers={**headers, "Accept": "text/html"}).text
        for title in ("CPU, of one core", "Waiting before the app", "Memory"):
            assert f"<b>{title}</b>" in page
    finally:
        made.close()


def test_memory_is_compared_over_the_samples_that_have_both_numbers(tmp_path: Path) -> None:
    """A machine that got more memory, sampled before without what is available, is 25 % full."""
    backend = stored_backend(tmp_path)
    now = int(backend.now())
    before = [Scalar("host.memory.total_bytes", now - age, 8e9, Method.LAST) for age in (250, 200)]
    lately = [
        Scalar(f"host.memory.{name}_bytes", now - age, value, method)
        for age in (90, 60, 30)
        for name, value, method in (
            ("total", 24e9, Method.LAST),
            ("available", 18e9, Method.MIN),
        )
    ]
    backend.store.add(Batch(before + lately, []))
    from inapp_monitor.web.frame.view import from_arguments

    room = capacity.measure(backend, Facts(), from_arguments({}, backend.now()))
    assert (room.total, room.available) == (24e9, 18e9)
    judged = capacity.judge_memory(room, sampled=True)
    assert judged is not None
    assert "machine 25 % full" in judged.detail


def test_a_sample_that_should_be_there_is_missed(tmp_path: Path) -> None:
    """Settings ask for samples and the store has none, though it has requests."""
    backend = stored_backend(tmp_path)
    requests = [Distribution("requests.time", backend.now() - 30, Histogram.of([20.0] * 40))]
    backend.store.add(Batch([], requests))
    from inapp_monitor.web.frame.view import from_arguments

    found = capacity.collect(backend, Facts(), from_arguments({}, backend.now()))
    assert {each["title"]: each["state"] for each in found} == {
        "Saturation": "unknown",
        "Memory": "unknown",
    }
