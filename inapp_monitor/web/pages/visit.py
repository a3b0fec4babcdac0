"""One look at a page: who asks what about which window, and whom to ask for data."""

from __future__ import annotations

from typing import NamedTuple

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.pages.view import View
from inapp_monitor.web.request import MonitorRequest


class Visit(NamedTuple):
    """What a page's `gather` gets."""

    backend: Backend
    request: MonitorRequest
    view: View
