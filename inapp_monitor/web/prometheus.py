"""`/prometheus`: what a scraper gets. Only HTTP; the text is made by `export.scrape`."""

from __future__ import annotations

import gzip
import math
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from inapp_monitor.export import exposition
from inapp_monitor.export.running_totals import OutOfTimeError
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.request.slowest_file import SlowestFacts
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.kept.process_state import process_state

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.web.backend import Backend

#: The part of the scraper's patience that is left for the way back.
_FOR_THE_WAY = 0.1
#: A smaller answer is not worth compressing.
_COMPRESSED_FROM_BYTES = 1_000


def scrape(backend: Backend, request: Request) -> Response:
    """All series in Prometheus' text format, or in OpenMetrics where the client prefers it."""
    began = backend.clock.perf()
    openmetrics = wants_openmetrics(request)
    backend.refresh()
    facts = backend.known()
    try:
        text = process_state(backend).scrape.document(
            backend.now(),
            began + _patience_s(request),
            facts.of(RouteFacts).routes,
            facts.of(SlowestFacts).slowest,
            openmetrics=openmetrics,
        )
    except OutOfTimeError:
        return Response("the scrape would take longer than its timeout\n", 503)
    response = Response(text.encode("utf-8", "replace"))
    response.headers["Content-Type"] = exposition.OPENMETRICS if openmetrics else exposition.TEXT
    response.vary.update(("Accept", "Accept-Encoding"))
    if request.accept_encodings.quality("gzip") > 0 and _is_long(response):
        response.set_data(gzip.compress(response.get_data(), 1, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


def _is_long(response: Response) -> bool:
    return len(response.get_data()) >= _COMPRESSED_FROM_BYTES


def wants_openmetrics(request: Request) -> bool:
    """Whether it is asked for by name, in whatever version, and text is not preferred."""
    qualities: dict[str, float] = {}
    for value, quality in request.accept_mimetypes:
        media = value.partition(";")[0].strip().lower()
        qualities[media] = max(quality, qualities.get(media, 0.0))
    text = (qualities[media] for media in ("text/plain", "text/*", "*/*") if media in qualities)
    wanted = qualities.get("application/openmetrics-text", 0.0)
    return wanted > 0.0 and wanted >= next(text, 0.0)


def _patience_s(request: Request) -> float:
    """Seconds that the scraper still waits."""
    try:
        given = float(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", "inf"))
    except ValueError:
        return math.inf
    return given * (1.0 - _FOR_THE_WAY) if given > 0.0 else math.inf


ROUTES = [Route("/prometheus", scrape)]
