"""Diamond's collectors without Diamond: write one, or run those that you have.

    from inapp_monitor.diamond import Collector, adapt

    class QueueCollector(Collector):
        def collect(self):
            self.publish("length", redis.llen("jobs"))     # servers.HOST.QueueCollector.length

    Monitor(app, collectors=[adapt(QueueCollector, {"interval": 10, "path": "queue"})])

A folder of Diamond's own collectors is named by the setting `diamond_collectors`, its
`diamond.conf` by `diamond_config`. `docs/diamond.md` lists which of them run.
"""

from inapp_monitor.collectors.diamond.adapted import from_class as adapt
from inapp_monitor.collectors.diamond.adapted import from_folder as load
from inapp_monitor.collectors.diamond.contract import (
    MAX_COUNTER,
    Collector,
    DiamondException,
    Metric,
    ProcessCollector,
    get_hostname,
    str_to_bool,
)

__all__ = [
    "MAX_COUNTER",
    "Collector",
    "DiamondException",
    "Metric",
    "ProcessCollector",
    "adapt",
    "get_hostname",
    "load",
    "str_to_bool",
]
