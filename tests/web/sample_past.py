"""The past of a small shop: five routes, one of which got slow and fails since a deploy.

There are a surge of 404s and three issues besides. It is written once by `demo_app.history`, so
that pages are tested over what the store, the tracker and the 404 table really recorded; each test
gets a copy of its own. Yesterday and last week are there to be compared with; what lies between was
never recorded, which makes the writing quick.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from demo_app import history
from demo_app.routes_of_the_past import Incident, Missing, Plot, Route
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution
from inapp_monitor.ground.workers.route_names import RouteNames
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.routes import RouteTable
from inapp_monitor.recorder.slowest import Key, Slow
from inapp_monitor.request import slowest_file
from inapp_monitor.web.backend import Backend
from tests.web.stored_backend import NOW

HOST = "localhost"
RELEASE = "2.4.1"
#: When the fault begins, seconds before the end.
FAULT_AGE_S = 900.0
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


class PaymentError(Exception):
    """What the shop raises since the deploy."""


def charge(cart: dict[str, str]) -> str:
    """Ask the provider of payments, whose answer lacks something."""
    return cart["token"]


def pay(order: int) -> None:
    """Fail with a cause, a local that may be shown and one that may not."""
    cart = {"tea": f"Sencha {order % 3}"}
    password = "-".join(("hunter", "2"))  # noqa: F841  # to be hidden
    try:
        charge(cart)
    except KeyError as error:
        raise PaymentError("card declined upstream") from error


def redeem(order: int) -> None:
    """Miss a voucher."""
    vouchers: dict[int, int] = {}
    vouchers[order // 10**9 + 7]


def reserve(order: int) -> None:
    """Wait for the warehouse in vain."""
    raise TimeoutError(f"warehouse did not answer order {order} within 2 s")


PLOT = Plot(
    routes=(
        Route("GET", "/products/<int:product_id>", 10.2, 38, 0.45),
        Route("POST", "/checkout", 0.8, 120, 0.45),
        Route("GET", "/search", 2.2, 61, 0.45),
        Route("GET", "/reports/<slug>.csv", 0.05, 420, 0.45),
        Route("GET", "/", 4.0, 12, 0.45),
    ),
    missing=(
        Missing("/static/app.9f3c.js", 0.0, ("/products/7", "/"), 1.9),
        Missing("/wp-login.php", 0.004),
        Missing("/old-catalogue", 0.001, ("https://blog.example/tea",)),
    ),
    problems={"payment": pay, "voucher": redeem, "warehouse": reserve},
    incidents=(
        Incident("GET", "/search", 7 * _DAY + 50 * _MINUTE, 7 * _DAY + 40 * _MINUTE,
                 failing=0.003, problem="voucher"),
        Incident("GET", "/search", 150 * _MINUTE, 120 * _MINUTE,
                 failing=0.004, problem="warehouse"),
    ),
    deploys=((6 * _DAY, "2.4.0"),),
    fault=(
        Incident("POST", "/checkout", FAULT_AGE_S, 0.0, slower=5.3, failing=0.12,
                 problem="payment"),
    ),
    fault_deploy=(FAULT_AGE_S + 20, RELEASE),
    fault_age_s=FAULT_AGE_S,
    gaps=((7 * _DAY - 2 * _HOUR, _DAY + 8 * _HOUR),),
)  # fmt: skip


def write(data_dir: Path) -> None:
    """Record the past up to `NOW`."""
    history.write(data_dir, days=7.1, end=NOW, fault=True, site=HOST, plot=PLOT)


def copy(past: Path, data_dir: Path) -> Path:
    """A copy whose store is only read: its files are shared, the others are its own."""
    shutil.copytree(past, data_dir, ignore=shutil.ignore_patterns("store"))
    shutil.copytree(past / "store", data_dir / "store", copy_function=os.link)
    return data_dir


def record_routes(backend: Backend, templates: list[str]) -> None:
    """Record some requests of many routes in the last minutes."""
    table, data_dir = RouteTable(len(templates)), backend.loaded.settings.data_dir
    slugs = {table.slug(template): template for template in templates}
    RouteNames(data_dir).save_new(slugs)
    for age_s in (600, 300, 60):
        when, total, distributions = NOW - age_s, Histogram(), []
        for number, slug in enumerate(slugs):
            durations = Histogram.of([20.0 + number])
            total.merge(durations)
            distributions.append(Distribution(f"routes.{slug}.GET.time", when, durations))
        distributions.append(Distribution("requests.time", when, total))
        backend.store.add(Batch([], distributions))
    backend.store.flush()


def record_slow(backend: Backend, key: Key, requests: list[Slow]) -> None:
    """Put these slow requests of a route and method in place of all that were recorded."""
    settings = backend.loaded.settings
    recorder = Recorder(
        backend.clock,
        max_routes=settings.max_routes,
        max_series=settings.max_series,
        max_pending=settings.max_pending,
        strict=False,
        first_use=lambda: None,
    )
    for slow in requests:
        recorder.slowest.offer(key, slow)
    (settings.data_dir / slowest_file.FILE_NAME).unlink()
    clean = _tracker_of(backend).redactor.text
    slowest_file.SlowRequests(settings.data_dir, backend.clock, recorder, clean).share()


def record_error(
    backend: Backend, error: BaseException, environ: dict[str, Any], route: str
) -> str | None:
    """Record one more exception of a request. Returns the issue's id."""
    tracker = _tracker_of(backend)
    issue = tracker.capture(error, environ, route=route)
    tracker.flush()
    backend.refresh()
    return issue


def _tracker_of(backend: Backend) -> Tracker:
    """What a worker writes its issues with."""
    assert backend.database is not None
    return Tracker(backend.loaded.settings, backend.clock, backend.guard, backend.database)


def issue_of(backend: Backend) -> str:
    """The id of the issue that the fault brought."""
    (found,) = [i.id for i in backend.triage.list_issues() if i.type == "PaymentError"]
    return found
