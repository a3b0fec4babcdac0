"""How wrong a sender's clock is: an envelope says when it was sent, by that clock. Pure.

A browser whose clock is an hour ahead or behind would have its errors before or after the deploy
that made them. What is older than a day was kept on its way, and is right as it is.

Source: develop.sentry.dev/sdk/foundations/envelopes (`sent_at`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from inapp_monitor.ingest.sentry import values

#: What a slow network explains, and the most that is taken for a wrong clock.
_SMALLEST_S: Final = 60.0
_LARGEST_S: Final = 86_400.0
#: Where items state times: in themselves, and in the rows of these lists.
_TIMES: Final = ("timestamp", "started", "start_timestamp", "end_timestamp")
_ROWS: Final = ("items", "aggregates", "spans")
_MOST_ROWS: Final = 10_000


def drift_of(header: Mapping[str, object], now: float) -> float:
    """Seconds to add to the times of an envelope, 0 where its clock is right or says nothing.

    Args:
        header: Of the envelope.
        now: When it came, seconds since 1970 UTC.
    """
    sent = values.moment(header.get("sent_at"))
    drift_s = now - sent if sent is not None else 0.0
    return drift_s if _SMALLEST_S < abs(drift_s) <= _LARGEST_S else 0.0


def correct(all_timed: Iterable[dict[str, Any]], drift_s: float) -> None:
    """Put an event, or breadcrumbs, as `event_of` makes them, to their true times."""
    for timed in all_timed if drift_s else ():
        if timed["time"] is not None:
            timed["time"] += drift_s


def correct_item(payload: dict[str, object], drift_s: float) -> None:
    """Put the times that a log, a session, a check-in or a span states to the true ones."""
    if not drift_s:
        return
    rows = (row for name in _ROWS for row in values.mappings(payload.get(name), _MOST_ROWS))
    for facts in (payload, *rows):
        for name in _TIMES:
            moment = values.moment(facts.get(name))
            if moment is not None:
                facts[name] = moment + drift_s
