"""`/version`: the Graphite release whose API this is; Grafana decides by it what it may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from inapp_monitor.web.frame.routing import Route

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.web.backend import Backend

GRAPHITE_VERSION = "1.1.10"


def version(_backend: Backend, _request: Request) -> Response:
    """One line."""
    return Response(f"{GRAPHITE_VERSION}\n", mimetype="text/plain")


ROUTES = [Route("/version", version), Route("/version/", version)]
