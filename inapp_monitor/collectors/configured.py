"""Collectors that settings configure by more than a name: Diamond's folder, munin-nodes.

Looking for them reads files and asks nodes, so that it is done in a `JobThread`.
"""

from __future__ import annotations

from functools import partial

from inapp_monitor.collectors.base import Collector
from inapp_monitor.collectors.discovery import Candidate
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.process import late_imports


def is_wanted(settings: Settings) -> bool:
    """Whether settings name any."""
    return bool(settings.munin or settings.diamond_collectors)


def candidates(settings: Settings) -> list[Candidate]:
    """Those that settings name.

    Raises:
        ConfigError: no such folder, or a file that cannot be understood.
    """
    found = [
        Candidate(f"munin {address}", "setting munin", partial(_munin_node, address, settings))
        for address in settings.munin
    ]
    return found + (_of_diamond(settings) if settings.diamond_collectors else [])


def _munin_node(address: str, settings: Settings) -> Collector:
    with late_imports.loading():
        from inapp_monitor.collectors.munin import MuninNode
    return MuninNode(address, settings.munin_interval_s)


def _of_diamond(settings: Settings) -> list[Candidate]:
    with late_imports.loading():
        from inapp_monitor.collectors.diamond import adapted
    if settings.diamond_collectors is None:
        return []
    return adapted.candidates(
        settings.diamond_collectors, settings.diamond_config, settings.collect_interval_s
    )
