"""The monitor that lives inside a WSGI app.

from inapp_monitor import Monitor
application = Monitor(application)          # then open /_metrics
"""

from typing import TYPE_CHECKING, Any

from inapp_monitor.ground.exceptions import ConfigError, MonitorError, QueryError
from inapp_monitor.ground.version import VERSION
from inapp_monitor.monitor.monitor import Monitor

if TYPE_CHECKING:
    from inapp_monitor import metrics as metrics
    from inapp_monitor import signals as signals
    from inapp_monitor.collectors import Collector
    from inapp_monitor.issues.scope import (
        add_breadcrumb,
        breadcrumbs_from,
        new_scope,
        set_context,
        set_fingerprint,
        set_tag,
        set_user,
    )
    from inapp_monitor.monitor.recording import recording

__version__ = VERSION

__all__ = [
    "Collector",
    "ConfigError",
    "Monitor",
    "MonitorError",
    "QueryError",
    "__version__",
    "add_breadcrumb",
    "breadcrumbs_from",
    "metrics",
    "new_scope",
    "recording",
    "set_context",
    "set_fingerprint",
    "set_tag",
    "set_user",
    "signals",
]


def __getattr__(name: str) -> Any:
    """`signals`, `Collector` and the calls about errors are loaded by those who use them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name == "signals":
        return importlib.import_module("inapp_monitor.signals")
    if name == "metrics":
        return importlib.import_module("inapp_monitor.metrics")
    if name == "recording":
        return importlib.import_module("inapp_monitor.monitor.recording").recording
    if name == "Collector":
        return importlib.import_module("inapp_monitor.collectors").Collector
    return getattr(importlib.import_module("inapp_monitor.issues.scope"), name)
