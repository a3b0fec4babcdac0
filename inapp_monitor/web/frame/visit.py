"""One look at a page: who asks what about which window, and whom to ask for data."""

from __future__ import annotations

from typing import NamedTuple

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.view import View


class Visit(NamedTuple):
    """What a page's `gather` gets."""

    backend: Backend
    request: MonitorRequest
    view: View
