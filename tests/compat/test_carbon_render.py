"""carbon-cache and graphite-web 1.1.10 behind a live relay and a past: their answers are ours.

With `make compat` only, which installs both from PyPI.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.export.carbon_sender import CarbonSender
from inapp_monitor.export.forwarding import Forwarder
from inapp_monitor.export.metrics_channel import MetricsChannel
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.destination import parse
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.testing import FakeClock
from tests.compat.test_engines import _CARBON, COMMAND, carbon_python, run, running  # noqa: F401
from tests.compat.test_graphite_web import ENVIRONMENT, PEER, graphite_web  # noqa: F401
from tests.export.conftest import open_store
from tests.ports import number_of, reserve_port

pytestmark = [pytest.mark.compat, pytest.mark.peer]
TARGETS = [
    "orders", "queue.size", "pay.p95", "pay.count", "pay.mean", "shop.*.stock",
    "sumSeries(shop.*.stock)", "scale(orders,0.1)", "movingAverage(orders,3)",
    "summarize(orders,'10min','sum')",
    "asPercent(orders,pay.count)", "derivative(queue.size)", "aliasByNode(shop.*.stock,1)",
    "keepLastValue(queue.size)", "integral(orders)", "highestMax(shop.*.stock,1)",
]  # fmt: skip
_SCHEMAS = "[all]\npattern = .*\nretentions = 10s:6h,1m:3d,10m:30d\n"
#: Graphite's way to roll up is chosen by names.
_ROLLED_UP = (("min", r"\.min$", "min"), ("max", r"\.max$", "max"),
              ("sums", r"(orders|\.count|\.sum)$", "sum"), ("other", ".*", "last"))  # fmt: skip


@contextmanager
def carbon_cache(python: Path, root: Path) -> Iterator[int]:
    """A running one; its files are in `storage/whisper`."""
    with reserve_port() as a, reserve_port() as b, reserve_port() as c:
        line, pickle, query = number_of(a), number_of(b), number_of(c)
    for folder in ("conf", "storage"):
        (root / folder).mkdir(exist_ok=True)
    text = _CARBON.format(root=root, line=line, pickle=pickle, query=query)
    (root / "conf/carbon.conf").write_text(text)
    (root / "conf/storage-schemas.conf").write_text(_SCHEMAS)
    (root / "conf/storage-aggregation.conf").write_text(
        "".join(
            f"[{name}]\npattern = {pattern}\nxFilesFactor = 0\naggregationMethod = {method}\n"
            for name, pattern, method in _ROLLED_UP
        )
    )
    command = [str(python), str(python.parent / "carbon-cache.py"), "--config",
               f"{root}/conf/carbon.conf", "--nodaemon", "start"]  # fmt: skip
    os.environ["GRAPHITE_ROOT"] = str(root)
    with running(command, lambda: socket.create_connection(("127.0.0.1", line), 1).close()):
        yield line


def ours(data_dir: Path, queries: list[dict[str, Any]]) -> list[Any]:
    """What `inapp-monitor serve` answers over the data directory."""
    command = [*COMMAND, "serve", str(data_dir), "--port", "0", "--token", "compat-token"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            answers = []
            for query in queries:
                text = urllib.parse.urlencode({**query, "format": "json"})
                request = urllib.request.Request(
                    f"{found[0].rstrip('/')}/render?{text}",
                    headers={"Authorization": "Bearer compat-token"},
                )
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answers.append(json.load(answer))
            return answers
        finally:
            process.terminate()


def theirs(python: Path, root: Path, queries: list[dict[str, Any]]) -> list[Any]:
    """What graphite-web answers over carbon's files."""
    (root / "queries.json").write_text(json.dumps(queries))
    command = [str(python), str(PEER / "rendered.py"), str(ENVIRONMENT / "graphite-web-1.1.10"),
               str(root / "storage/whisper"), str(root / "queries.json")]  # fmt: skip
    answers: list[Any] = json.loads(run(command).splitlines()[-1])
    return answers


def differences(mine: list[Any], peer: list[Any], queries: list[dict[str, Any]]) -> list[str]:
    """Every point that is not there, or another one; names and times included."""
    found = []
    for query, a, b in zip(queries, mine, peer, strict=True):
        assert isinstance(b, list), (query, b)
        left, right = ({each["target"]: each["datapoints"] for each in side} for side in (a, b))
        if not left or left.keys() != right.keys():
            found.append(f"{query}: {sorted(left)} and {sorted(right)}")
            continue
        found += [
            f"{query['target']} {name}: {x} and {y}"
            for name, points in left.items()
            for x, y in zip(points, right[name], strict=False)
            if x[1] != y[1] or not _equal(x[0], y[0])
        ]
        found += [f"{query}: {name}" for name in left if len(left[name]) != len(right[name])]
    return found


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == pytest.approx(other, rel=1e-9)


def moment_of(number: int, now: int) -> Batch:
    """What happens in one interval."""
    scalars = [
        Scalar("orders", now, 1.0 + number % 7, Method.SUM),
        Scalar("shop.a.stock", now, 5.0 + number % 11, Method.LAST),
        Scalar("shop.b.stock", now, 9.0 - number % 5, Method.LAST),
    ]
    if number % 4:
        scalars.append(Scalar("queue.size", now, float(number % 13), Method.LAST))
    return Batch(scalars, [Distribution("pay", now, Histogram.of([40.0, 3.0 + number % 9]))])


def eventually_equal(
    python: Path, root: Path, data_dir: Path, queries: list[dict[str, Any]]
) -> None:
    """Carbon writes in its own time."""
    mine = ours(data_dir, queries)
    found = ["nothing yet"]
    for _ in range(20):
        time.sleep(1.0)
        found = differences(mine, theirs(python, root, queries), queries)
        if not found:
            break
    assert not found, f"{len(found)}: {found[:5]}"


def test_a_live_relay_renders_as_we_do(
    tmp_path: Path,
    carbon_python: Path,  # noqa: F811
    graphite_web: Path,  # noqa: F811
) -> None:
    """Forty minutes of every interval; Carbon is away for five of them."""
    clock = FakeClock(SYSTEM.wall() // 600 * 600 - 3_000.0)
    begin, data_dir = int(clock.now), tmp_path / "data"
    store = open_store(data_dir, clock)
    numbers = iter(range(1_000))

    def minutes(count: int, forwarder: Forwarder, channel: MetricsChannel) -> None:
        for _ in range(6 * count):
            store.add(moment_of(next(numbers), int(clock.now)))
            store.flush()
            clock.advance(10.0)
            while forwarder.step(channel):
                pass

    with carbon_cache(carbon_python, tmp_path) as port:
        channel = MetricsChannel(store, CarbonSender(parse(f"carbon://127.0.0.1:{port}")))
        forwarder = Forwarder(lambda: channel, data_dir / "x", clock, "test", lambda _: None)
        forwarder.step(channel)
        minutes(20, forwarder, channel)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            free = gone.getsockname()[1]
        away = MetricsChannel(store, CarbonSender(parse(f"carbon://127.0.0.1:{free}")))
        minutes(5, forwarder, away)
        assert forwarder.progress().failures
        clock.advance(60.0)
        minutes(15, forwarder, channel)
        clock.advance(60.0)
        while forwarder.step(channel):
            pass
        assert forwarder.progress().dropped == 0
        channel.close()
        store.close()
        window = {"from": begin, "until": begin + 2_400, "now": int(SYSTEM.wall())}
        queries = [{"target": target, **window} for target in TARGETS]
        eventually_equal(graphite_web, tmp_path, data_dir, queries)


def test_a_past_renders_as_we_do(
    tmp_path: Path,
    carbon_python: Path,  # noqa: F811
    graphite_web: Path,  # noqa: F811
) -> None:
    """Five days, handed over by the command: in each of the archives' parts."""
    now = int(SYSTEM.wall())
    clock, data_dir = FakeClock(now // 600 * 600 - 5 * 86_400.0), tmp_path / "data"
    store, number = open_store(data_dir, clock), 0
    while clock.now < now:
        number += 1
        store.add(moment_of(number, int(clock.now)))
        age = now - clock.now
        clock.advance(600.0 if age > 3 * 86_400 + 3_600 else 60.0 if age > 7 * 3_600 else 10.0)
        if number % 20 == 0:
            store.flush()
    store.flush()
    store.close()
    with carbon_cache(carbon_python, tmp_path) as port:
        run([*COMMAND, "export", "--carbon", f"127.0.0.1:{port}", "--data-dir", str(data_dir)])
        day = 86_400
        windows = [(3_000, 900), (2 * day, day), (4 * day + 43_200, 4 * day)]
        queries = [
            {"target": target, "from": (now - first) // 600 * 600,
             "until": (now - last) // 600 * 600, "now": now}
            for target in TARGETS for first, last in windows
            if first < 3_600 or "pay" not in target  # archives of timers are others than Carbon's
        ]  # fmt: skip
        eventually_equal(graphite_web, tmp_path, data_dir, queries)
