"""Real engines take what leaves, and answer with our numbers: Prometheus, VictoriaMetrics, Carbon.

With `make compat` only. Debian's packages `prometheus` and `victoria-metrics`, carbon 1.1.10 and
Bugsink from PyPI; what is not there is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.export import past
from inapp_monitor.export.metric_names import metrics_of
from inapp_monitor.export.past import Past
from inapp_monitor.export.past_samples import Line, lines_of
from inapp_monitor.export.totals import Totals
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.ports import number_of, reserve_port

pytestmark = [pytest.mark.compat, pytest.mark.peer]
COMMAND = [sys.executable, "-m", "inapp_monitor"]
#: Series that are compared: a counter, a gauge, one with hostile tags, a route, a timer.
PATHS = {
    "orders": Method.SUM,
    "queue.size": Method.LAST,
    "disk.free_kb;server=a~b": Method.LAST,
    "routes.users-id.GET.status.2xx": Method.SUM,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of a few series that ends now: every archive of scalars and of the timer."""
    made = tmp_path_factory.mktemp("past") / "data"
    now, day = SYSTEM.wall(), 86_400.0
    clock = FakeClock(now - 365 * day)
    settings = config.load({"data_dir": made}, None, {}).settings
    store = Store(made, settings, clock, Guard())
    number = 0
    while clock.now < now:
        number += 1
        moment = int(clock.now)
        scalars = [Scalar(p, moment, float(number % 7 + 1), m) for p, m in PATHS.items()]
        timer = Distribution("pay", moment, Histogram.of([number % 50 + 1.5, 3.0]))
        store.add(Batch(scalars, [timer]))
        if number % 10 == 0:
            store.flush()
        age = now - clock.now
        clock.advance(7_200.0 if age > 31 * day else 300.0 if age > 7_200 else 10.0)
    store.flush()
    store.close()
    (made / "routes").write_text('users-id\t"/users/<int:id>\\"\\\\"\n')
    return made


def stored(data_dir: Path) -> dict[str, Past]:
    """The past as the store has it."""
    settings = config.load({"data_dir": data_dir}, None, {}).settings
    store = Store(data_dir, settings, SYSTEM, Guard(), read_only=True)
    return {p.leaf.path: p for p in past.read(store, store.leaves(), int(SYSTEM.wall()))}


def expected(data_dir: Path) -> list[Line]:
    """What Prometheus should have of it."""
    found = stored(data_dir)
    metrics = metrics_of([p.leaf for p in found.values()], {"users-id": '/users/<int:id>"\\'})
    totals = Totals(0, 0)
    return [line for path, p in found.items() for line in lines_of(p, metrics[path], totals)]


def get(address: str, **parameters: str) -> Any:
    """A JSON document."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{address}?{query}", timeout=20) as answer:
        return json.load(answer)


@contextmanager
def running(command: list[str], ready: Callable[[], object]) -> Iterator[None]:
    """A server, once it answers."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(300):
                try:
                    ready()
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                raise AssertionError(f"{command[0]} does not answer")
            yield
        finally:
            server.terminate()


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here")
    return found


def selector(line: Line) -> str:
    """The series in PromQL."""
    labels = ",".join(f"{name}={json.dumps(text)}" for name, text in line.labels)
    return f"{line.name}{{{labels}}}"


def assert_equal(address: str, lines: list[Line], now: float) -> None:
    """Every point is there, and no other, with its value."""
    for line in lines:
        answer = get(f"{address}/api/v1/query", query=f"{selector(line)}[400d]", time=str(now))
        result = [
            each for each in answer["data"]["result"] if len(each["metric"]) == len(line.labels) + 1
        ]
        assert len(result) == 1, selector(line)
        found = {int(float(at)): float(value) for at, value in result[0]["values"]}
        wanted = dict(zip(line.times, line.values, strict=True))
        assert found.keys() == wanted.keys()
        assert all(found[at] == pytest.approx(wanted[at], rel=1e-12) for at in found)


def test_prometheus_takes_the_past(data_dir: Path, tmp_path: Path, port: int) -> None:
    """Blocks made by promtool answer as the store, point by point; `rate` works over all of it."""
    prometheus, promtool = program("prometheus"), program("promtool")
    target = tmp_path / "past.om"
    run([*COMMAND, "export", "--openmetrics", str(target), "--data-dir", str(data_dir)])
    lines = expected(data_dir)
    blocks = tmp_path / "blocks"
    run([promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=8760h",
         str(target), str(blocks)])  # fmt: skip
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    address = f"http://127.0.0.1:{port}"
    command = [
        prometheus, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={blocks}",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=10y",
    ]  # fmt: skip
    with running(command, lambda: get(f"{address}/api/v1/status/buildinfo")):
        assert_equal(address, lines, SYSTEM.wall())
        rate = get(f"{address}/api/v1/query", query="increase(orders_total[3d])",
                   time=str(SYSTEM.wall() - 600))  # fmt: skip
        assert float(rate["data"]["result"][0]["value"][1]) > 1_000


def test_victoriametrics_takes_the_past(data_dir: Path, tmp_path: Path, port: int) -> None:
    """By its import address; handed over a second time, nothing is there twice."""
    server = program("victoria-metrics")
    address = f"http://127.0.0.1:{port}"
    command = [
        server, f"-storageDataPath={tmp_path}/vm", f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=10y", "-dedup.minScrapeInterval=1ms", "-search.latencyOffset=0s",
    ]  # fmt: skip
    with running(command, lambda: urllib.request.urlopen(f"{address}/health", timeout=5)):
        for _ in range(2):
            run([*COMMAND, "export", "--victoriametrics", address, "--data-dir", str(data_dir)])
        get_text(f"{address}/internal/force_flush")
        assert_equal(address, expected(data_dir), SYSTEM.wall())


def get_text(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return answer.read().decode()


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


_CARBON = """[cache]
STORAGE_DIR = {root}/storage
LOCAL_DATA_DIR = {root}/storage/whisper
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
MAX_CACHE_SIZE = inf
MAX_UPDATES_PER_SECOND = 100000
MAX_CREATES_PER_MINUTE = inf
ENABLE_TAGS = False
CARBON_METRIC_INTERVAL = 0
"""


@pytest.fixture(scope="module")
def carbon_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has carbon 1.1.10."""
    known = os.environ.get("INAPP_TEST_CARBON_PYTHON")
    if known:
        return Path(known)
    root = tmp_path_factory.mktemp("carbon")
    for command in (
        [sys.executable, "-m", "venv", str(root)],
        [f"{root}/bin/pip", "install", "-q", "carbon==1.1.10", "whisper==1.1.10", "setuptools<70"],
    ):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("carbon cannot be installed here")
    return root / "bin/python"


@pytest.mark.parametrize("protocol", ["plaintext", "pickle"])
def test_carbon_takes_the_past(
    data_dir: Path, tmp_path: Path, carbon_python: Path, protocol: str
) -> None:
    """Its files, with our retentions, answer as the store in the finest archive."""
    import whisper

    (tmp_path / "conf").mkdir()
    (tmp_path / "storage").mkdir()
    with reserve_port() as a, reserve_port() as b, reserve_port() as c:
        line, pickle, query = number_of(a), number_of(b), number_of(c)
    text = _CARBON.format(root=tmp_path, line=line, pickle=pickle, query=query)
    (tmp_path / "conf/carbon.conf").write_text(text)
    (tmp_path / "conf/storage-schemas.conf").write_text(
        "[all]\npattern = .*\nretentions = 10s:6h,1m:3d,10m:30d\n"
    )
    (tmp_path / "conf/storage-aggregation.conf").write_text(
        "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = sum\n"
    )
    command = [str(carbon_python), str(carbon_python.parent / "carbon-cache.py"), "--config",
               f"{tmp_path}/conf/carbon.conf", "--nodaemon", "start"]  # fmt: skip
    os.environ["GRAPHITE_ROOT"] = str(tmp_path)
    import socket

    chosen = line if protocol == "plaintext" else pickle

    def ready() -> None:
        socket.create_connection(("127.0.0.1", chosen), 1).close()

    with running(command, ready):
        address = f"carbon://127.0.0.1:{chosen}?protocol={protocol}"
        run([*COMMAND, "export", "--carbon", address, "--data-dir", str(data_dir)])
        wanted = {
            begin: value
            for begin, step, value in stored(data_dir)["orders"].numbers
            if step == 10 and begin > SYSTEM.wall() - 7_000
        }
        file = tmp_path / "storage/whisper/orders.wsp"
        for _ in range(100):
            found = known_points(whisper, file)
            if found.keys() >= wanted.keys():
                break
            time.sleep(0.2)
        assert {at: found.get(at) for at in wanted} == wanted


def known_points(whisper: Any, file: Path) -> dict[int, float]:
    if not file.exists():
        return {}
    (start, _, step), values = whisper.fetch(str(file), int(SYSTEM.wall()) - 7_200)
    return {start + i * step: v for i, v in enumerate(values) if v is not None}
