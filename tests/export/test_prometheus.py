"""`/prometheus`: the whole app's numbers, whatever worker answers and whatever names there are."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from werkzeug.test import Client, create_environ
from werkzeug.wrappers import Request

from inapp_monitor import Monitor
from inapp_monitor.export.exposition import Buckets, Exemplar, Layout
from inapp_monitor.export.metric_names import metrics_of
from inapp_monitor.export.running_totals import RunningTotals
from inapp_monitor.export.scrape import Scrape
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.ground.ranges import Leaf
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.prometheus import wants_openmetrics
from tests.each import each
from tests.export.conftest import TOKEN, open_store, visit

_FOREVER = float("inf")


def scrape(store: Store, data_dir: Path, clock: FakeClock, *, om: bool = False) -> dict[str, float]:
    """Every sample of a fresh worker, by name and labels."""
    totals = RunningTotals(store, data_dir, clock.perf)
    text = Scrape(totals, store).document(int(clock.now), _FOREVER, {}, [], openmetrics=om)
    return samples(text, om=om)


def samples(text: str, *, om: bool = False) -> dict[str, float]:
    """What a parser of Prometheus' own client reads."""
    families = (openmetrics if om else plain)(text)
    found = {}
    for family in families:
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found
            found[name] = sample.value
    return found


def record(store: Store, clock: FakeClock, path: str, value: float, method: Method) -> None:
    store.add(Batch([Scalar(path, int(clock.now), value, method)], []))
    store.flush()


def test_a_counter_grows_over_hours_workers_and_restarts(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """It never falls and misses nothing, whoever asks, however often, and whoever was restarted."""
    other = open_store(data_dir, clock)
    total, seen = 0.0, 0.0
    for number in range(60):
        worker = (store, other)[number % 2]
        record(worker, clock, "orders", 1.0 + number % 3, Method.SUM)
        worker.add(Batch([], [Distribution("pay", int(clock.now), Histogram.of([40.0, 3.0]))]))
        worker.flush()
        total += 1.0 + number % 3
        if number % 5 == 0:
            found = scrape((other, store)[number % 2], data_dir, clock)
            assert found["orders_total"] == total >= seen
            assert found["pay_seconds_count"] == 2 * (number + 1)
            assert found["pay_seconds_bucket{le=0.005}"] == number + 1
            seen = total
        clock.advance(97.0)
    other.close()
    clock.advance(2 * 86_400)  # nobody asked for days
    assert scrape(store, data_dir, clock)["orders_total"] == total


def test_a_kept_answerer_agrees_with_a_fresh_one(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """What a worker remembers between two scrapes is what it would read again, though another
    worker writes what it has counted most of a minute late: no count falls from one worker to
    the next, which a scraper would take for a restart."""
    other = open_store(data_dir, clock)
    kept = RunningTotals(store, data_dir, clock.perf)
    late: list[Distribution] = []
    for number in range(60):
        store.add(Batch([], [Distribution("pay", int(clock.now), Histogram.of([number + 1.0]))]))
        record(store, clock, "orders", 1.0, Method.SUM)
        late.append(Distribution("pay", int(clock.now), Histogram.of([number + 7.0])))
        if number % 5 == 4:
            other.add(Batch([], late))
            other.flush()
            late = []
        mine = kept.read(int(clock.now))
        fresh = RunningTotals(other, data_dir, clock.perf).read(int(clock.now))
        assert mine == fresh
        assert sum(mine.histograms["pay"].counts) == 2 * (number + 1) - len(late)
        clock.advance(13.0)
    other.close()


def test_a_damaged_file_of_totals_costs_a_counter_reset_and_no_answer(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """As after a restart of any program, counting begins anew; Prometheus knows that."""
    record(store, clock, "orders", 5.0, Method.SUM)
    scrape(store, data_dir, clock)
    (data_dir / "export" / "totals").write_bytes(b'{"version": 1, "at": []}')
    assert scrape(store, data_dir, clock)["orders_total"] == 5.0


def test_a_disk_that_is_full_costs_nothing(store: Store, data_dir: Path, clock: FakeClock) -> None:
    """Where the totals cannot be written they are added up at each scrape."""
    record(store, clock, "orders", 5.0, Method.SUM)
    (data_dir / "export").write_text("a file in the place of the directory")
    assert scrape(store, data_dir, clock)["orders_total"] == 5.0
    clock.advance(300.0)
    assert scrape(store, data_dir, clock)["orders_total"] == 5.0


def test_gauges_that_are_set_hold_and_those_that_are_sampled_end(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """A set value stays until the next one; a sampled one that is minutes old is not shown."""
    record(store, clock, "queue.size", 7.0, Method.LAST)
    record(store, clock, "room.temperature", 20.0, Method.AVERAGE)
    assert scrape(store, data_dir, clock) == {"queue_size": 7.0, "room_temperature": 20.0}
    clock.advance(3_600.0)
    assert scrape(store, data_dir, clock) == {"queue_size": 7.0}


NAMES = [
    Leaf("requests.time", "distribution", Method.SUM),
    Leaf("routes.users-id.GET.time", "distribution", Method.SUM),
    Leaf("routes.users-id.GET.status.2xx", "scalar", Method.SUM),
    Leaf("errors.0123456789ab", "scalar", Method.SUM),
    Leaf("process.cpu.user_ms", "scalar", Method.SUM),
    Leaf("host.cpu.percent", "scalar", Method.AVERAGE),
    Leaf("disk.free_kb;server=web01;le=3", "scalar", Method.LAST),
    Leaf("newUsers", "scalar", Method.SUM),
    Leaf("x.count", "scalar", Method.LAST),
]


def test_names_are_those_of_the_conventions() -> None:
    """Base units, snake case, `_total` where it belongs, routes and tags as labels."""
    found = metrics_of(NAMES, {"users-id": "/users/<id>"})
    shown = {path: (m.sample, m.kind, m.factor, dict(m.labels)) for path, m in found.items()}
    assert shown == {
        "requests.time": ("http_request_duration_seconds", "histogram", 0.001, {}),
        "routes.users-id.GET.time": (
            "http_route_request_duration_seconds",
            "histogram",
            0.001,
            {"method": "GET", "route": "/users/<id>"},
        ),
        "routes.users-id.GET.status.2xx": (
            "http_route_responses_total",
            "counter",
            1.0,
            {"method": "GET", "route": "/users/<id>", "status": "2xx"},
        ),
        "errors.0123456789ab": ("issue_events_total", "counter", 1.0, {"issue": "0123456789ab"}),
        "process.cpu.user_ms": ("process_cpu_seconds_total", "counter", 0.001, {"mode": "user"}),
        "host.cpu.percent": ("host_cpu_ratio", "gauge", 0.01, {}),
        "disk.free_kb;server=web01;le=3": (
            "disk_free_bytes",
            "gauge",
            1024.0,
            {"server": "web01", "tag_le": "3"},
        ),
        "newUsers": ("new_users_total", "counter", 1.0, {}),
        "x.count": ("x_count_value", "gauge", 1.0, {}),
    }


_PATHS = st.text(st.sampled_from("abcXYZ059_-:#%+@~=;/.éж"), min_size=1, max_size=14).filter(
    lambda path: "" not in path.split(".")
)
_LEAVES = st.lists(
    st.builds(
        lambda path, kind, method: Leaf(path, kind, method),
        _PATHS,
        st.sampled_from(["scalar", "distribution"]),
        st.sampled_from(list(Method)),
    ),
    max_size=12,
    unique_by=lambda leaf: leaf.path,
)
_TEXT = st.text(max_size=12)


@settings(max_examples=30)
@given(_LEAVES, _TEXT, st.floats(allow_nan=False), st.booleans())
def test_any_names_and_texts_are_read_back(
    leaves: list[Leaf], hostile: str, value: float, om: bool
) -> None:
    """Prometheus' own parser finds each series once, with the value and the route as they were."""
    leaves = [*leaves, Leaf("routes.r.GET.errors", "scalar", Method.SUM)]
    metrics = metrics_of(leaves, {"r": hostile})
    bounds = {p: (1.0, 2.5) for p, m in metrics.items() if m.kind == "histogram"}
    layout = Layout(metrics, bounds, openmetrics=om)
    values = {p: Buckets([1, 2, 3], 4.5) if p in bounds else value for p in metrics}
    # The parser takes an escaped quote in an exemplar for its end: see the test below.
    plain_text = hostile[:8].replace('"', "'")
    exemplars = {p: [Exemplar((("issue_id", plain_text),), 2.0, 1.8e9)] for p in metrics}
    text = layout.text(values, exemplars)
    if om and value < 0:  # no counter falls, and the parser knows
        return
    found = samples(text, om=om)
    assert len(found) == sum(5 if path in bounds else 1 for path in metrics)
    sample = "http_route_request_errors_total"
    route = next(
        s.labels["route"]
        for family in (openmetrics if om else plain)(text)
        for s in family.samples
        if s.name == sample
    )
    assert route == hostile.encode("utf-8", "replace").decode()


@each("order", [1, -1])
def test_no_family_has_a_name_that_is_of_another(order: int) -> None:
    """A counter whose name is that of a part of a histogram: OpenMetrics has no such thing."""
    counters = ["a", "a_created", "t_seconds_count", "t_seconds_bucket", "t_seconds_sum_total"]
    leaves = [Leaf(name, "scalar", Method.SUM) for name in counters]
    leaves.append(Leaf("t", "distribution", Method.SUM))
    metrics = metrics_of(leaves[::order], {})
    bounds = {"t": (1.0, 2.5)}
    values = {path: Buckets([1, 2, 3], 4.5) if path == "t" else 7.0 for path in metrics}
    text = Layout(metrics, bounds, openmetrics=True).text(values, {})
    assert sorted(samples(text, om=True).values()) == [1, 2, 3, 3, 4.5, 7, 7, 7, 7, 7]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb"), ('"', r"\"")],
)
def test_labels_of_exemplars_are_escaped_as_all_labels_are(text: str, escaped: str) -> None:
    """OpenMetrics 1.0, section ABNF: backslash, quote and line feed, by a backslash."""
    metrics = metrics_of([Leaf("routes.r.GET.errors", "scalar", Method.SUM)], {"r": "/r"})
    layout = Layout(metrics, {}, openmetrics=True)
    exemplars = {path: [Exemplar((("issue_id", text),), 2.0, 1.8e9)] for path in metrics}
    document = layout.text(dict.fromkeys(metrics, 1.0), exemplars)
    assert f'# {{issue_id="{escaped}"}} 2 1800000000.000\n' in document


def test_the_document_is_clean_by_promtools_word(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """`promtool check metrics` has nothing to say, whatever the app's names were."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here")
    for number, leaf in enumerate(NAMES):
        if leaf.kind == "distribution":
            moment = int(clock.now)
            store.add(Batch([], [Distribution(leaf.path, moment, Histogram.of([number + 1.0]))]))
        else:
            record(store, clock, leaf.path, 1.0, leaf.method)
    store.flush()
    totals = RunningTotals(store, data_dir, clock.perf)
    text = Scrape(totals, store).document(int(clock.now), _FOREVER, {}, [], openmetrics=False)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_address_answers_as_scrapers_ask(monitor: Monitor) -> None:
    """Text by default, OpenMetrics where it is preferred, gzip where it is taken, and a token."""
    visit(monitor, "/ok", "/ok", "/fails")
    client, authorized = Client(monitor), {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/_metrics/prometheus").status_code == 401
    text = client.get("/_metrics/prometheus", headers=authorized)
    assert text.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert samples(text.text)["http_request_duration_seconds_count"] == 3
    accept = (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
        "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    )
    asked = {**authorized, "Accept": accept, "Accept-Encoding": "gzip"}
    packed = client.get("/_metrics/prometheus", headers=asked)
    assert packed.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    document = gzip.decompress(packed.data).decode()
    assert document.endswith("# EOF\n")
    assert samples(document, om=True)["http_responses_total{status=2xx}"] == 2
    assert document.count("# {issue_id=") >= 2  # the failure, in the whole app and in its route


@pytest.mark.parametrize(
    ("accept", "om"),
    [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", True),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,"
         "application/openmetrics-text;version=0.0.1;q=0.2", True),
        # Prometheus 3
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
         "q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
         "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
         "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
        ("application/openmetrics-text;q=0.2,*/*;q=0.8", False),
        ("application/openmetrics-text;q=0,*/*", False),
        ("text/*, application/openmetrics-text;q=0.9", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)  # fmt: skip
def test_openmetrics_is_answered_where_it_is_preferred(accept: str, om: bool) -> None:
    """By the quality of each media range, whatever its versions; all else gets the plain text."""
    asked = Request(create_environ(headers={"Accept": accept}))
    assert wants_openmetrics(asked) is om


def test_a_scraper_without_patience_is_not_kept(monitor: Monitor) -> None:
    """Its timeout is a budget: 503 at once instead of an answer that nobody waits for."""
    visit(monitor, "/ok")
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "X-Prometheus-Scrape-Timeout-Seconds": "0.000001",
    }
    assert Client(monitor).get("/_metrics/prometheus", headers=headers).status_code == 503
