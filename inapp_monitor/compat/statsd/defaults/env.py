"""`statsd`: a client whose prefix comes from the environment, `STATSD_PREFIX`."""

import os

from inapp_monitor.compat.statsd.clients import StatsClient

statsd = StatsClient(prefix=os.environ.get("STATSD_PREFIX"))
