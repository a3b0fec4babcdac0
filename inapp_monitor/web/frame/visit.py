"""One look at a page: who asks what about which window, and whom to ask for data."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from inapp_monitor.ground.facts import Facts
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.view import View


class Asked(NamedTuple):
    """Who asks, and what."""

    backend: Backend
    request: MonitorRequest
    view: View


class Visit(Asked):
    """What a page's `gather` gets."""

    @cached_property
    def facts(self) -> Facts:
        """What the running monitor knows of itself, gathered once, when first asked for."""
        return self.backend.known()
