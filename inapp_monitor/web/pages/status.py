"""`/status`: settings and their sources, files and sizes, drops, faults, what is switched off."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground import config, data_directory
from inapp_monitor.ground.facts import Facts
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import own_health, proxy
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.records import as_dict
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.kept.process_state import process_state

#: The facts in the order in which people read them; what others there are comes after.
_FIRST = (
    *("pid", "leader", "requests_seen", "routes_over_the_cap", "release", "dropped", "cost_us"),
    *(
        "memory_bytes",
        "cpu_share",
        "misuses",
        "live",
        "workers",
        "collectors",
        "slowest",
        "exports",
    ),
    *("ticker", "multithread"),
)


def gather(visit: Visit) -> dict[str, Any]:
    """Everything about the monitor itself."""
    backend, request, _ = visit
    faults = [as_dict(fault) for fault in backend.guard.faults.values()]
    return {
        "own": own_health.summary(backend, visit.facts),
        "store": own_health.store_status(backend),
        "facts": _facts(visit.facts),
        "render_cache": process_state(backend).settled_results.facts(),
        "series_count": len(backend.store.leaves()),
        "faults": faults,
        "settings": [row._asdict() for row in config.rows(backend.loaded)],
        "access": _access(backend, request),
        "proxy_warnings": _proxy_warnings(backend, request),
        "exposure": data_directory.exposure(backend.loaded.settings.data_dir),
        "live": backend.live,
        "can_act": backend.may_act,
    }


def _facts(facts: Facts) -> dict[str, Any]:
    """What is known, by name; routes have a page of their own."""
    known = {name: value for each in facts for name, value in as_dict(each).items()}
    first = [name for name in _FIRST if name in known]
    others = [name for name in known if name not in {*first, "routes"}]
    return {name: known[name] for name in (*first, *others)}


def _access(backend: Backend, request: MonitorRequest) -> dict[str, str]:
    words = {
        "authorizer": "the app's own authorizer let you in",
        "bearer": "a token in the request's header",
        "cookie": "a session that the token opened",
        "dev": "open without a token: a development server, asked from this machine",
    }
    by = request.access.by
    return {"by": by, "text": words.get(by, ""), "warning": _open_here(backend)}


def _proxy_warnings(backend: Backend, request: MonitorRequest) -> list[str]:
    """What the way of this request shows; the server of stored data has no mount to leave off."""
    mount = backend.loaded.settings.mount if backend.live else ""
    return proxy.warnings(request.environ, request.root.removesuffix(mount))


def _open_here(backend: Backend) -> str:
    """What `dev_access` leaves open, where it is switched on."""
    if not backend.loaded.settings.dev_access:
        return ""
    return (
        "dev_access is on: a development server's dashboard needs no token from this machine's "
        "loopback address, nor from a client that comes through a proxy or tunnel that rewrites "
        "Host and adds no header"
    )


ROUTES = templating.page("/status", "/status.json", gather, "status.html")
