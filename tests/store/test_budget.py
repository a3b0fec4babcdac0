"""The size is known: what fits into the budget, what gives way, what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.maintenance import plan
from tests.store.conftest import Bench

Maker = Callable[..., Bench]
SHORT = "10s:1m,1m:1h"


def record(bench: Bench, *names: str) -> None:
    """One point for each name, flushed."""
    points = [Scalar(name, int(bench.now), 1.0, Method.SUM) for name in names]
    bench.store.add(Batch(points, []))
    bench.store.flush()


def test_a_typical_app_fits_comfortably(bench: Bench) -> None:
    """Forty routes with a distribution and four counters each stay below the default budget."""
    for route in range(40):
        for suffix in ("2xx", "4xx", "5xx", "errors"):
            bench.put(f"routes.r{route}.GET.{suffix}", 1)
        bench.observe(f"routes.r{route}.GET.time", [3.0])
    bench.store.flush()
    status = bench.store.status()
    assert status.drops == {}
    assert status.size < 0.75 * status.budget
    assert max(file.size for file in status.files if file.name.startswith("dist")) <= 2 * 2**20


def test_files_never_exceed_the_budget(make_bench: Maker) -> None:
    """New series are refused and counted when there is no room; what exists goes on."""
    bench = make_bench(disk_budget=2**20, retention="10s:1h", distribution_retention="10s:1h")
    names = [f"n{number}" for number in range(2_000)]
    record(bench, *names)
    status = bench.store.status()
    assert 0 < status.series < 2_000
    assert status.size <= status.budget <= 2**20
    assert status.drops == {"no_room": 2_000 - status.series}
    assert len(bench.store.leaves()) == status.series
    bench.wait(10)
    record(bench, *names)
    assert len(bench.get("n0")) == 2


def test_idle_columns_are_given_to_new_series(make_bench: Maker) -> None:
    """A series without a point in its finest retention gives its column to a new one, emptied."""
    bench = make_bench(disk_budget=2**20, retention="10s:10m,1m:1h")
    names = [f"n{number}" for number in range(2_000)]
    record(bench, *names)
    kept = bench.store.status().series
    bench.wait(500)
    record(bench, "n0")
    bench.wait(200)
    record(bench, "new")
    leaves = {leaf.path for leaf in bench.store.leaves()}
    assert {"n0", "new"} <= leaves
    assert len(leaves) == kept
    assert bench.get("new") == {int(bench.now) // 60 * 60: 1.0}
    assert bench.store.status().reused == 1
    assert bench.open(read_only=True).leaves() == bench.store.leaves()


def test_a_series_that_is_written_never_gives_way(make_bench: Maker) -> None:
    """Without an idle column, the newcomer is refused."""
    bench = make_bench(disk_budget=2**20, retention="10s:10m,1m:1h")
    record(bench, *(f"n{number}" for number in range(2_000)))
    bench.wait(300)
    record(bench, "new")
    assert "new" not in {leaf.path for leaf in bench.store.leaves()}
    assert bench.store.status().reused == 0


def test_a_reused_column_loses_no_other_process_its_points(make_bench: Maker) -> None:
    """A process whose series lost its column records it anew, elsewhere or not at all."""
    bench = make_bench(disk_budget=2**20, retention="10s:10m,1m:1h")
    other = bench.open()
    record(bench, "old", *(f"n{number}" for number in range(2_000)))
    assert "old" in {leaf.path for leaf in other.leaves()}
    bench.wait(700)
    record(bench, *(f"m{number}" for number in range(2_000)))
    assert "old" not in {leaf.path for leaf in bench.store.leaves()}
    bench.put("old", 7, store=other)
    other.flush()
    for name in ("m0", "m1"):
        assert bench.get(name) == {int(bench.now) // 60 * 60: 1.0}


def test_an_idle_distribution_makes_room_for_a_new_one(make_bench: Maker) -> None:
    """Distributions give way like columns do."""
    bench = make_bench(disk_budget=2**20, distribution_retention="10s:1h,1m:10h")
    for number in range(20):
        bench.observe(f"t{number}", [1.0])
    bench.store.flush()
    status = bench.store.status()
    assert 0 < status.distributions < 20
    assert status.drops == {"no_room": 20 - status.distributions}
    bench.wait(3_700)
    bench.observe("new", [2.0])
    bench.store.flush()
    assert "new" in {leaf.path for leaf in bench.store.leaves()}
    assert bench.store.status().reused == 1


def test_the_plan_says_how_many_fit(make_bench: Maker) -> None:
    """As many series as the plan promises can be made, and not many more."""
    bench = make_bench(disk_budget=4 * 2**20, retention=SHORT)
    record(bench, "first")
    report = plan(bench.store, bench.loaded)
    assert report.series == 1
    wanted = report.more_series
    record(bench, *(f"n{number}" for number in range(wanted + 300)))
    assert wanted <= bench.store.status().series - 1 <= wanted + 16


def test_new_series_of_one_flush_share_wide_groups(bench: Bench) -> None:
    """A group is at most 254 columns wide, and the first ones of an app are narrower."""
    record(bench, "a")
    record(bench, *(f"n{number}" for number in range(100)))
    assert [file.series + file.room for file in bench.store.status().files] == [62, 126]


def record_routes(bench: Bench, routes: int, scalars: int) -> None:
    """One flush of many routes, with the kit's totals at its end, as a recorder names them."""
    points = [
        Scalar(f"routes.r{route}.GET.status.{number}", int(bench.now), 1.0, Method.SUM)
        for route in range(routes)
        for number in range(scalars)
    ]
    points.append(Scalar("requests.status.2xx", int(bench.now), 1.0, Method.SUM))
    times = [f"routes.r{route}.GET.time" for route in range(routes)] + ["requests.time"]
    bench.store.add(
        Batch(points, [Distribution(p, int(bench.now), Histogram.of([5.0, 7.0])) for p in times])
    )
    bench.store.flush()


@pytest.mark.slow
def test_two_hundred_routes_fit_by_default(bench: Bench) -> None:
    """The first distributions are fine, later ones smaller, so that all find room."""
    record_routes(bench, 200, 2)
    status = bench.store.status()
    assert status.drops == {}
    assert status.distributions == 201
    assert status.size <= status.budget
    sizes = {file.size for file in status.files if file.name.startswith("dist")}
    assert len(sizes) > 1
    assert min(sizes) < 600_000
    report = plan(bench.store, bench.loaded)
    assert report.distribution_bytes == (max(sizes), min(sizes))
    again = bench.open(read_only=True)
    for path in ("requests.time", "routes.r0.GET.time", "routes.r199.GET.time"):
        found = again.fetch_distribution(path, int(bench.now) - 60, int(bench.now), int(bench.now))
        assert found is not None
        assert [slot.count for slot in found.slots if slot] == [2]
    assert check_directory(bench.data_dir, bench.now).clean


@pytest.mark.parametrize("budget", [32 * 2**20, 256 * 2**20])
def test_the_totals_of_the_kit_always_have_room(make_bench: Maker, budget: int) -> None:
    """However many series come first, `requests.*` is stored, in the first flush and later."""
    bench = make_bench(disk_budget=budget)
    record_routes(bench, 500, 6)
    kit = ["requests.time", "requests.status.2xx"]
    stored = {leaf.path for leaf in bench.store.leaves()}
    assert bench.store.status().drops["no_room"]
    assert stored.issuperset(kit)
    record(bench, "requests.errors", "requests.not_found", "requests.status.5xx")
    bench.observe("monitor.flush", [1.0])
    bench.store.flush()
    stored = {leaf.path for leaf in bench.store.leaves()}
    assert {"requests.errors", "requests.not_found", "requests.status.5xx"} <= stored
    assert "monitor.flush" in stored
    status = bench.store.status()
    assert status.size <= status.budget


def test_the_totals_of_the_kit_never_give_way(make_bench: Maker) -> None:
    """An hour without an error does not cost the past of `requests.errors`."""
    bench = make_bench(disk_budget=2**20, retention="10s:10m,1m:1h")
    record(bench, "requests.errors", *(f"n{number}" for number in range(2_000)))
    bench.wait(700)
    record(bench, *(f"m{number}" for number in range(2_000)))
    stored = {leaf.path for leaf in bench.store.leaves()}
    assert {"requests.errors", "m0"} <= stored
    assert "n0" not in stored


def test_as_many_distributions_fit_as_the_plan_says(make_bench: Maker) -> None:
    """The plan knows that later distributions are smaller."""
    bench = make_bench(disk_budget=32 * 2**20)
    bench.observe("first", [1.0])
    bench.store.flush()
    wanted = plan(bench.store, bench.loaded).more_distributions
    for number in range(wanted + 5):
        bench.observe(f"t{number}", [1.0])
    bench.store.flush()
    assert bench.store.status().distributions == wanted + 1
