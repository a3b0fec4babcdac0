"""Other libraries around an application, each in the leanest way that its own documentation shows.

`labels()` is called for each request, as it must be where the labels are the request's. Nothing
leaves the process: exporters and transports end in memory. What is not installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

App = Callable[..., Any]
LABELS = ["method", "route", "status"]


def two_clocks(app: App) -> App:
    """The least a middleware can do that knows the duration."""

    def middleware(environ: dict[str, Any], start_response: App) -> Any:
        start = perf_counter()
        try:
            return app(environ, start_response)
        finally:
            perf_counter() - start

    return middleware


def _instruments() -> tuple[Any, Any]:
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    counter = Counter("http_requests_total", "requests", LABELS, registry=registry)
    return counter, Histogram("http_request_seconds", "duration", LABELS, registry=registry)


def prometheus(app: App) -> App:
    """A counter and a histogram in a middleware that does nothing else: no request that raises is
    counted, and streaming is not timed."""
    counter, histogram = _instruments()

    def middleware(environ: dict[str, Any], start_response: App) -> Any:
        status = route = ""

        def catch(line: str, headers: Any, exc_info: Any = None) -> Any:
            nonlocal status, route
            status = line[:3]
            request = environ.get("werkzeug.request")
            route = environ["PATH_INFO"] if request is None else request.url_rule.rule
            return start_response(line, headers, exc_info)

        start = perf_counter()
        body = app(environ, catch)
        values = environ["REQUEST_METHOD"], route, status
        counter.labels(*values).inc()
        histogram.labels(*values).observe(perf_counter() - start)
        return body

    return middleware


def prometheus_in_flask(flask: Any) -> None:
    """The same counter and histogram by Flask's own hooks, as applications do it."""
    from flask import g, request

    counter, histogram = _instruments()

    def begin() -> None:
        g.start = perf_counter()

    def end(response: Any) -> Any:
        route = request.url_rule.rule if request.url_rule else ""
        values = request.method, route, response.status_code
        counter.labels(*values).inc()
        histogram.labels(*values).observe(perf_counter() - g.start)
        return response

    flask.before_request(begin)
    flask.after_request(end)


def opentelemetry(app: App) -> App | None:
    """Its WSGI middleware with metrics; None when it is not installed."""
    try:
        from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    except ImportError:
        return None
    provider = MeterProvider(metric_readers=[InMemoryMetricReader()])
    wrapped: App = OpenTelemetryMiddleware(app, meter_provider=provider)
    return wrapped


def sentry(app: App) -> App | None:
    """Its WSGI middleware without tracing; None when it is not installed."""
    try:
        import sentry_sdk
        from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
    except ImportError:
        return None
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", default_integrations=False)
    wrapped: App = SentryWsgiMiddleware(app)
    return wrapped
