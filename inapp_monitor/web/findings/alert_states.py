"""Rules, their states and what was sent of them, for pages: plain data."""

from __future__ import annotations

from typing import Any

from inapp_monitor.alerts import overview
from inapp_monitor.alerts.kept_states import KeptStates
from inapp_monitor.alerts.outbox import Outbox, Row
from inapp_monitor.alerts.overview import Judged
from inapp_monitor.web.backend import Backend


def judged(backend: Backend) -> Judged:
    """What the leader last judged."""
    kept = KeptStates(backend.database)
    return overview.read(backend.loaded.settings.data_dir, kept, backend.store, backend.now())


def everything(backend: Backend) -> dict[str, Any]:
    """All rules with their states, and whether anybody judges them."""
    found, now = judged(backend), backend.now()
    rows = overview.rule_rows(found, now)
    return {
        "judged": found.at,
        "stale": found.is_stale(now),
        "fault": found.fault,
        "rules": rows,
        "problems": sum(row["problems"] for row in rows),
    }


def sent(backend: Backend, limit: int, rule: str | None = None) -> list[dict[str, Any]]:
    """The latest notices of all notifiers, the newest first."""
    outbox = Outbox(backend.database)
    return [_sent_row(row) for row in outbox.rows(limit, rule)]


def _sent_row(row: Row) -> dict[str, Any]:
    notice = row.notice
    return {
        "notifier": row.channel,
        "state": row.state,
        "kind": notice.kind,
        "status": notice.status,
        "rule": notice.rule,
        "series": notice.series,
        "title": notice.title,
        "detail": notice.detail,
        "at": notice.at,
        "sent": row.sent,
        "due": row.due,
        "attempts": row.attempts,
        "fault": row.fault,
    }
