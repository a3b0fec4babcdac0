"""Other monitors' WSGI middlewares, to run the same battery over them.

`INAPP_BATTERY_PEER=sentry-sdk pytest tests/request/test_transparency.py` puts that one in the
place of ours. Everything they send goes nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

App = Callable[..., Any]


def sentry() -> Callable[[App], App]:
    import sentry_sdk
    from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", default_integrations=False)
    return SentryWsgiMiddleware  # type: ignore[no-any-return]


def opentelemetry() -> Callable[[App], App]:
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    meters = MeterProvider(metric_readers=[InMemoryMetricReader()])
    tracers = TracerProvider()
    return lambda app: OpenTelemetryMiddleware(app, meter_provider=meters, tracer_provider=tracers)


def newrelic() -> Callable[[App], App]:
    os.environ.update(NEW_RELIC_DEVELOPER_MODE="true", NEW_RELIC_LOG_LEVEL="critical")
    os.environ.update(NEW_RELIC_LICENSE_KEY="0" * 40, NEW_RELIC_APP_NAME="battery")
    import newrelic.agent

    newrelic.agent.initialize()
    newrelic.agent.register_application(timeout=5.0)
    return newrelic.agent.WSGIApplicationWrapper  # type: ignore[no-any-return]


PEERS = {"sentry-sdk": sentry, "OpenTelemetry": opentelemetry, "New Relic": newrelic}
#: The one to run the battery over, by its name in `PEERS`; empty: ours.
CHOSEN = os.environ.get("INAPP_BATTERY_PEER", "")
