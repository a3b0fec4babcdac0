"""The parts of a monitor, in tick order: a further one is a line here, and its class.

The order matters: what is recorded and collected goes to the store before that writes; the tables
submit what the database writes at the end; doors open after the election among the workers.
"""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.monitor import (
    alert_parts,
    export_parts,
    ingest_parts,
    log_parts,
    notify_parts,
    process_parts,
    self_metrics,
    sentry_parts,
    storage_parts,
    tracing_parts,
)
from inapp_monitor.monitor.core import Core
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services

PARTS: list[Callable[[Services], Part]] = [
    storage_parts.DataDirectory,
    process_parts.LoginToken,
    process_parts.ErrorChannels,
    process_parts.Recording,
    tracing_parts.SlowRequestLooks,
    tracing_parts.Profiles,
    tracing_parts.Tracing,
    self_metrics.SelfMetrics,
    process_parts.Collecting,
    ingest_parts.AdoptedClients,
    ingest_parts.Ingesting,
    storage_parts.StoreWriting,
    ingest_parts.SpoolReading,
    storage_parts.RouteNaming,
    process_parts.Workers,
    ingest_parts.Listeners,
    process_parts.Stacks,
    storage_parts.SlowestSharing,
    storage_parts.Issues,
    storage_parts.NotFound,
    alert_parts.Alerting,
    notify_parts.Notifying,
    log_parts.Logs,
    sentry_parts.SentrySdks,
    tracing_parts.TraceKeeping,
    storage_parts.DatabaseWriting,
    export_parts.Exporting,
    process_parts.Memory,
]


def make(core: Core) -> Services:
    """One monitor's services and parts. Does no I/O.

    Raises:
        ConfigError: a retention or schema file that cannot be understood.
    """
    services = Services(core)
    services.parts += [part(services) for part in PARTS]
    return services
