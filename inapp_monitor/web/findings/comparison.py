"""Which earlier window a view is compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from inapp_monitor.query.timespec import to_local
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import deploys
from inapp_monitor.web.frame.view import COMPARISONS, View


def view_before(backend: Backend, view: View) -> View | None:
    """The compared window, as long as the view's; None when nothing is compared.

    `deploy` compares with the time right before the latest deploy.
    """
    if view.compare in COMPARISONS:
        shift = _by_the_clock(view, COMPARISONS[view.compare][0])
    elif view.compare == "deploy":
        mark = deploys.latest(backend, view.end)
        if mark is None:
            return None
        shift = max(int(view.end - mark["timestamp"]), 1)
    else:
        return None
    return replace(view, start=view.start - shift, end=view.end - shift)


def _by_the_clock(view: View, seconds: int) -> int:
    """How long ago clocks showed the same: nine was nine also before they were set."""
    tz = view.zone.tz
    try:
        then = datetime.fromtimestamp(view.end, tz).replace(tzinfo=None) - timedelta(
            seconds=seconds
        )
        return max(view.end - int(to_local(then, tz).timestamp()), 1)
    except (OverflowError, OSError, ValueError):  # beyond what a calendar can say
        return seconds
