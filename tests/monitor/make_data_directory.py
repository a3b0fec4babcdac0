"""Writes `tests/data/data_directory/`: run once, with the release before the rooms; never again.

    PYTHONPATH=. python -m tests.monitor.make_data_directory

A whole data directory, and what that release showed of it. It stays readable for ever;
`test_data_directory.py` proves it. Only public names are used, which every release has.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from inapp_monitor import Monitor
from inapp_monitor.testing import FakeClock

START = 1_699_999_200
#: Seconds between two visits, and how often somebody comes.
STEP, VISITS = 20, 540
END = START + STEP * VISITS
RETENTION = "10s:10m,1m:2h,10m:2d"
TARGET = Path(__file__).parent.parent / "data" / "data_directory"
EXPECTED = "expected.json"

#: Series of the app's own and of the kit, with every method; what a machine measures is not there.
_TARGETS = (
    *("app.orders", "app.queue", "app.mail.p95", "app.mail.count", "app.visitors"),
    *("requests.time.count", "requests.time.p50", "requests.time.p99", "requests.time.sum"),
    *("requests.status.2xx", "requests.status.4xx", "requests.status.5xx", "requests.errors"),
    *("requests.not_found", "routes.users-id.GET.time.p95", "routes.boom.GET.errors"),
    *("sumSeries(routes.*.GET.time.count)", "aliasByNode(routes.*.GET.errors,1)"),
)
_SPANS = ("-10min", "-2h", "-2d")
_ISSUES = "/errors.json?from=-2d"
#: What people and programs ask for, by the parts of the answer that follow from the data alone.
ADDRESSES: dict[str, tuple[str, ...]] = {
    "/metrics/index.json": (),
    "/metrics/find?query=routes.*": (),
    "/events/get_data": (),
    "/tags/findSeries?expr=dc%3Deu": (),
    _ISSUES: ("issues",),
    "/not-found.json?from=-2d": ("not_found", "total"),
    "/routes.json?from=-2d": ("rows",),
    "/routes/slow.json?from=-2d": ("route", "row", "slowest"),
    "/dashboards.json": ("dashboards",),
    "/dashboards/shop/export.json": (),
    **{
        f"/render?format=json&from={span}&target={target}": ()
        for span in _SPANS
        for target in _TARGETS
    },
}


def shop(clock: FakeClock) -> Any:
    """An app whose answers take time by the fake clock."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        clock.advance(2.5 if path == "/slow" else 0.01 + len(path) / 1_000)
        if path == "/boom":
            raise ValueError(f"no price for {environ['QUERY_STRING']}")
        status = "404 Not Found" if path.startswith("/missing") else "200 OK"
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]

    return app


def opened(directory: Path, clock: FakeClock, **settings: Any) -> Monitor:
    """A monitor of the shop on a data directory."""
    return Monitor(
        shop(clock),
        data_dir=directory,
        clock=clock,
        route=["/users/<id>", "/slow", "/boom", "/"],
        retention=RETENTION,
        distribution_retention=RETENTION,
        flush_interval_s=60,
        collect_process=False,
        collect_host=False,
        collect_installed=False,
        app_name="shop",
        time_zone="UTC",
        **settings,
    )


def asked(
    monitor: Monitor, target: str, method: str = "GET", body: bytes = b"", **environ: Any
) -> tuple[int, bytes]:
    """One request; its status and body."""
    path, _, query = target.partition("?")
    given = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "192.0.2.7",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        **environ,
    }
    setup_testing_defaults(given)
    started: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [status]
        return lambda data: None

    answer = monitor(given, start_response)
    try:
        content = b"".join(answer)
    finally:
        getattr(answer, "close", lambda: None)()
    return int(started[0][:3]), content


def administered(
    monitor: Monitor, target: str, method: str = "GET", body: bytes = b"", **environ: Any
) -> bytes:
    """A request below the mount, with the token that the data directory holds."""
    token = (Path(monitor.settings.data_dir) / "token").read_text().strip()
    status, content = asked(
        monitor, f"/_metrics{target}", method, body, HTTP_AUTHORIZATION=f"Bearer {token}", **environ
    )
    assert status < 400, (target, status, content)
    return content


def visit(monitor: Monitor, number: int) -> None:
    """What happens every twenty seconds."""
    asked(monitor, f"/users/{number}")
    if number % 3 == 0:
        asked(monitor, f"/missing/{number % 5}", HTTP_REFERER="https://shop.example/")
    if number % 90 == 7:
        asked(monitor, "/slow")
    if number % 60 == 11:
        try:
            asked(monitor, "/boom", QUERY_STRING=f"tea={number}")
        except ValueError:
            pass
    monitor.incr("app.orders", 1 + number % 4)
    monitor.gauge("app.queue", number % 17)
    monitor.timing("app.mail", 5.0 + number % 50)
    monitor.set("app.visitors", number % 31)


def record(directory: Path) -> None:
    """Three hours of a shop, with a release in the middle."""
    clock = FakeClock(START)
    for first, release in ((0, "1.0"), (VISITS // 2, "1.1")):
        monitor = opened(directory, clock, release=release)
        for number in range(first, first + VISITS // 2):
            clock.now = START + STEP * number
            visit(monitor, number)
            if number % 3 == 2:
                monitor.tick()
        if not first:
            administer(monitor)
        monitor.close()


def administer(monitor: Monitor) -> None:
    """What an administrator leaves behind."""
    monitor.capture_message("the tea is out")
    monitor.tick()
    event = {"what": "version 1.1", "tags": "deploy shop", "data": "by hand", "when": START + 5_000}
    administered(monitor, "/events/", "POST", json.dumps(event).encode())
    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    body = b"path=disk.used%3Bdc%3Deu%3Bhost%3Da"
    administered(monitor, "/tags/tagSeries", "POST", body, **form)
    body = b"name=shop&title=Orders&target=app.orders&target=requests.time.p95&shape=line"
    administered(monitor, "/dashboards", "POST", body, **form)
    issues = json.loads(administered(monitor, "/errors.json?from=-2d"))
    (message,) = [i["id"] for i in issues["issues"] if "the tea is out" in str(i)]
    administered(monitor, f"/errors/{message}/resolve", "POST", b"", **form)


def shown(monitor: Monitor) -> dict[str, Any]:
    """What is shown of a data directory, by address."""
    result = {}
    for address, parts in ADDRESSES.items():
        found = json.loads(administered(monitor, address))
        result[address] = {part: found[part] for part in parts} if parts else found
    for issue in result[_ISSUES]["issues"]:
        address = f"/errors/{issue['id']}/event.json"
        result[address] = json.loads(administered(monitor, address))
    return result


def main() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        directory, copy = Path(temporary, "data"), Path(temporary, "copy")
        record(directory)
        shutil.copytree(directory, copy)
        expected = shown(opened(copy, FakeClock(END)))
        shutil.rmtree(TARGET, ignore_errors=True)
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                target = TARGET / f"{path.relative_to(directory)}.gz"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        text = json.dumps(expected, indent=0, sort_keys=True)
        (TARGET / f"{EXPECTED}.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
