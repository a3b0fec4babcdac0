"""`/status`: settings and their sources, files and sizes, drops, faults, what is switched off."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground import config, data_directory
from inapp_monitor.web.findings import own_health
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.records import as_dict, as_plain
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.kept.process_state import beside


def gather(visit: Visit) -> dict[str, Any]:
    """Everything about the monitor itself."""
    backend, request, _ = visit
    facts = backend.known()
    faults = [as_dict(fault) for fault in backend.guard.faults.values()]
    return {
        "own": own_health.summary(backend),
        "store": own_health.store_status(backend),
        "facts": {name: as_plain(value) for name, value in facts.items() if name != "routes"},
        "render_cache": beside(backend).answers.facts(),
        "series_count": len(backend.store.leaves()),
        "faults": faults,
        "settings": [row._asdict() for row in config.rows(backend.loaded)],
        "access": _access(request),
        "exposure": data_directory.exposure(backend.loaded.settings.data_dir),
        "live": backend.live,
    }


def _access(request: MonitorRequest) -> dict[str, str]:
    words = {
        "authorizer": "the app's own authorizer let you in",
        "bearer": "a token in the request's header",
        "cookie": "a session that the token opened",
        "dev": "open without a token: a development server, asked from this machine",
    }
    return {"by": request.access.by, "text": words.get(request.access.by, "")}


ROUTES = templating.page("/status", "/status.json", gather, "status.html")
