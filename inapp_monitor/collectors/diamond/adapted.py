"""One of Diamond's collectors as a `Collector` of this package.

Its series keep Diamond's names, `servers.HOST.cpu.total.idle`, so that dashboards go on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from inapp_monitor.collectors.base import Collector
from inapp_monitor.collectors.diamond import contract
from inapp_monitor.collectors.diamond.config_file import Section
from inapp_monitor.collectors.diamond.folder import Folder, Found, read_configuration
from inapp_monitor.collectors.discovery import Candidate
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.names import clean_node

#: What Diamond's base class says when nobody has set an interval.
_DIAMONDS_INTERVAL_S = 300.0


class DiamondCollector(Collector):
    """Runs a collector of Diamond and publishes what it publishes.

    Args:
        inner: The collector; `handlers` of it are replaced.
        interval_s: Seconds between two runs, unless its configuration has other ones.
    """

    prefix = ""
    max_names = 300

    def __init__(self, inner: contract.Collector, interval_s: float = 0.0) -> None:
        self.name = f"diamond.{clean_node(inner.name)}"
        own = float(inner.config.get("interval", 0) or 0)
        self.interval_s = own if own > 0 and own != _DIAMONDS_INTERVAL_S else interval_s
        if self.interval_s:
            inner.config["interval"] = self.interval_s
        inner.handlers = [self]
        self._inner = inner

    def collect(self) -> None:
        """Run it once."""
        self._inner._run()

    def process(self, metric: contract.Metric) -> None:
        """Take a metric, as Diamond's handlers do."""
        self.gauge(metric.path, float(metric.value), "average")

    _process = process

    def _flush(self) -> None:
        """Part of what a handler is; nothing is kept back."""


def candidates(folder: Path, configuration: Path | None, interval_s: float) -> list[Candidate]:
    """The collectors of a folder: with a configuration those that it enables, else all.

    Raises:
        ConfigError: no such folder, or a configuration that cannot be read.
    """
    config = Section() if configuration is None else read_configuration(configuration)
    files = Folder(folder)
    return [
        Candidate(found.name, "Diamond", partial(_load, files, found, config, interval_s))
        for found in files.find()
        if configuration is None or _is_enabled(config, found.name)
    ]


def from_folder(
    folder: str | os.PathLike[str],
    configuration: str | os.PathLike[str] | None = None,
    interval_s: float = 0.0,
) -> list[DiamondCollector]:
    """The collectors of a folder, loaded: for `Monitor(collectors=...)`.

    Args:
        folder: Holds the files, or folders of them.
        configuration: A `diamond.conf`; those run that it enables, without one all.
        interval_s: Seconds between two runs where the configuration has none; 0: the setting.

    Raises:
        ConfigError: no such folder, or a configuration that cannot be read. Exception: whatever one
            of the files raises.
    """
    conf = None if configuration is None else Path(configuration)
    found = candidates(Path(folder), conf, interval_s)
    return [candidate.load() for candidate in found]


def from_class(
    kind: type[contract.Collector], config: Mapping[str, Any] | None = None, interval_s: float = 0.0
) -> DiamondCollector:
    """A class of Diamond's kind as a collector: for `Monitor(collectors=[...])`."""
    return DiamondCollector(kind({"collectors": {kind.__name__: config or {}}}), interval_s)


def _load(files: Folder, found: Found, config: Section, interval_s: float) -> DiamondCollector:
    return DiamondCollector(files.load(found)(config), interval_s)


def _is_enabled(config: Section, name: str) -> bool:
    sections = config.get("collectors", {})
    merged = Section()
    merged.merge(sections.get("default", {}))
    merged.merge(sections.get(name, {}))
    try:
        return merged.as_bool("enabled") if "enabled" in merged else False
    except ValueError as error:
        raise ConfigError(f"collector {name}: {error}") from None
