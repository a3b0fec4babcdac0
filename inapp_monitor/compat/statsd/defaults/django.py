"""`statsd`: a client whose prefix comes from Django's settings, `STATSD_PREFIX`."""

from typing import Any

from django.conf import settings

from inapp_monitor.compat.statsd.clients import StatsClient

_settings: Any = settings
statsd = StatsClient(prefix=getattr(_settings, "STATSD_PREFIX", None))
