"""Which collectors there are: built in, given by the app, named in settings, offered by packages.

Loading one may run code of others, so that it is done in a `JobThread`, under the guard, and never
by a request or a tick.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from inapp_monitor.collectors.base import Collector, name_of, prefix_of
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.names import refuse_reserved
from inapp_monitor.ground.process import late_imports

#: Where installed packages offer collectors: `name = "module:Class"`.
ENTRY_POINTS = "inapp_monitor.collectors"

#: A collector, or a class that makes one when called without arguments.
Kind = type[Collector] | Collector


class Candidate(NamedTuple):
    """A collector that is wanted and not loaded yet.

    Attributes:
        label: What it is called until its own name is known.
        source: For people: `built in`, `the app`, `setting collectors`, `package NAME`.
        load: Returns its class, or itself. It may raise anything.
    """

    label: str
    source: str
    load: Callable[[], Any]


class Facts(NamedTuple):
    """What a collector says of itself.

    Attributes:
        name: What it is called, for people and in place of a prefix.
        prefix: First nodes of its series.
        interval_s: Seconds between two runs.
        per_worker: Whether it runs in every worker.
        max_names: Series it may have.
    """

    name: str
    prefix: str
    interval_s: float
    per_worker: bool
    max_names: int


def built_in(settings: Settings) -> list[Candidate]:
    """Process and host, unless settings switch them off."""
    wanted = []
    if settings.collect_process:
        wanted.append(Candidate("process", "built in", _process))
    if settings.collect_host:
        wanted.append(Candidate("host", "built in", partial(_host, settings)))
    return wanted


def from_settings(settings: Settings) -> list[Candidate]:
    """Those that the setting `collectors` names."""
    return [
        Candidate(text, "setting collectors", partial(_import, text))
        for text in settings.collectors
    ]


def from_packages() -> list[Candidate]:
    """Those that installed packages offer. *Cost:* some ms, it looks at every installed package."""
    with late_imports.loading():
        from importlib import metadata
    return [
        Candidate(
            entry.name,
            f"package {entry.dist.name if entry.dist is not None else entry.value}",
            entry.load,
        )
        for entry in metadata.entry_points(group=ENTRY_POINTS)
    ]


def given(collector: Any) -> Candidate:
    """One that the app registered: a class, a collector, or the text `module:Class`.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(collector, str):
        return Candidate(collector, "the app", partial(_import, collector))
    if not callable(getattr(collector, "collect", None)):
        raise ConfigError(f"a collector must be a subclass of Collector, got {collector!r:.100}")
    return Candidate(name_of(collector), "the app", lambda: collector)


def facts_of(kind: Kind, source: str, default_interval_s: float) -> Facts:
    """What a collector says of itself, checked.

    Raises:
        TypeError: it is no collector, or its interval is no number.
        ValueError: its series would be among those that the kit records itself.
    """
    if not (issubclass(kind, Collector) if isinstance(kind, type) else isinstance(kind, Collector)):
        raise TypeError(f"a collector must be a subclass of Collector, got {kind!r:.100}")
    name = name_of(kind)
    prefix = prefix_of(kind)
    if source != "built in":
        refuse_reserved(name)
        refuse_reserved(prefix)
    interval_s = kind.interval_s
    if isinstance(interval_s, bool) or not isinstance(interval_s, (int, float)):
        raise TypeError(f"interval_s of {name!r} must be seconds, got {interval_s!r:.100}")
    interval_s = interval_s if interval_s > 0 else default_interval_s
    return Facts(name, prefix, interval_s, kind.per_worker is True, kind.max_names)


def _process() -> type[Collector]:
    with late_imports.loading():
        from inapp_monitor.collectors.process import Process
    return Process


def _host(settings: Settings) -> Collector:
    with late_imports.loading():
        from inapp_monitor.collectors.host import Host
    return Host(settings.data_dir)


def _import(text: str) -> Any:
    module, _, attribute = text.partition(":")
    if not module or not attribute:
        raise ConfigError(f"a collector must be named as module:Class, got {text!r}")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found
