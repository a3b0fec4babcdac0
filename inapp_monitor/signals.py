"""Signals that other code can connect to, by blinker; and the only module that imports it.

They are sent off the request, under the guard: a receiver that fails hurts nobody. A receiver that
connects while requests are answered hears of those from the next flush on.

    request_finished      sender: monitor; method, route, status (line or None), duration_ms
    not_found             sender: monitor; path, referer
    exception_captured    sender: monitor; exception, issue_id (sent in the request's thread)
    issue_changed         sender: monitor; what ("new", "regressed", "unmuted", "spike"), issue_id
    datapoint             sender: monitor; path, timestamp, value (of each scalar flushed)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from blinker import NamedSignal, Namespace

from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Scalar
from inapp_monitor.ground.route_text import template_of

_namespace = Namespace()

request_finished = _namespace.signal("request-finished")
not_found = _namespace.signal("not-found")
exception_captured = _namespace.signal("exception-captured")
issue_changed = _namespace.signal("issue-changed")
datapoint = _namespace.signal("datapoint")


def anybody_wants_requests() -> bool:
    """Whether each request must be kept until it is sent."""
    return bool(request_finished.receivers)


def anybody_wants_exceptions() -> bool:
    """Whether somebody hears of an exception while its request lasts."""
    return bool(exception_captured.receivers)


def send_requests(sender: object, requests: Iterable[Sequence[Any]], guard: Guard) -> None:
    """Send `request_finished` for folded requests: see `recorder.request_cells.facts_of`."""
    if request_finished.receivers:
        for method, route, status, start, end, *_ in requests:
            _send(
                request_finished,
                sender,
                guard,
                method=method,
                route=template_of(route),
                status=status,
                duration_ms=(end - start) * 1000.0,
            )


def send_not_found(sender: object, hits: Iterable[tuple[str, str, float]], guard: Guard) -> None:
    """Send `not_found` for each 404."""
    if not_found.receivers:
        for path, referer, _wall in hits:
            _send(not_found, sender, guard, path=path, referer=referer)


def send_exception(
    sender: object, exception: BaseException, issue_id: str | None, guard: Guard
) -> None:
    """Send `exception_captured`."""
    if exception_captured.receivers:
        _send(exception_captured, sender, guard, exception=exception, issue_id=issue_id)


def send_issue(sender: object, what: str, issue_id: str, guard: Guard) -> None:
    """Send `issue_changed`, once what happened is on disk."""
    if issue_changed.receivers:
        _send(issue_changed, sender, guard, what=what, issue_id=issue_id)


def send_datapoints(sender: object, scalars: Iterable[Scalar], guard: Guard) -> None:
    """Send `datapoint` for each scalar of a flush."""
    if datapoint.receivers:
        for path, timestamp, value, _method in scalars:
            _send(datapoint, sender, guard, path=path, timestamp=timestamp, value=value)


def _send(signal: NamedSignal, sender: object, guard: Guard, **facts: Any) -> None:
    part = f"receiver of {signal.name}"
    if guard.allows(part):
        try:
            signal.send(sender, **facts)
        except Exception as error:  # noqa: BLE001  # somebody else's receiver
            guard.failed(part, error)
